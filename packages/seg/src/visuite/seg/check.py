"""What the check of a config looks at in segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visuite.engine.check import Route, Subject, register_check, register_route
from visuite.engine.hooks.pipeline_switch import everywhere
from visuite.engine.registry import MODELS
from visuite.seg.datasets import BaseSegDataset
from visuite.seg.datasets.screening import screen_maps

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_HEADS = ("decode_head", "auxiliary_head")
#: Heads whose classes are not those of the data, but edges and the rest.
_OF_EDGES = ("STDCHead",)
#: Maps that are read of each data set; reading all of a large one takes too long.
MOST_MAPS = 500
#: Values and files that are told one by one.
_MOST_TOLD = 5

register_route("seg", MODELS, "data_preprocessor", Route(MODELS, "SegDataPreProcessor"))


def check_classes(subject: Subject) -> None:
    """Compare the number of classes in the heads with the names that the data has."""
    model = subject.cfg.get("model")
    if not isinstance(model, Mapping):
        return
    for path, count in (pair for key in _HEADS for pair in _class_counts(model.get(key), f"model.{key}")):
        for loader in LOADERS:
            names = subject.classes(loader)
            if names is None:
                continue
            said = f"num_classes is {count}, and the data of {loader} has {len(names)} classes"
            if count < len(names) and (count, len(names)) != (1, 2):  # one score tells two classes apart
                subject.findings.error(path, f"{said}: the labels from {count} on have no score")
            elif count > len(names):
                subject.findings.warn(path, f"{said}: {count - len(names)} scores never have a label")
            break


def _class_counts(head: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield the place and value of every `num_classes` in the config of a head, or of several."""
    if isinstance(head, (list, tuple)):
        for index, one in enumerate(head):
            yield from _class_counts(one, f"{path}.{index}")
    elif isinstance(head, Mapping) and isinstance(head.get("num_classes"), int):
        if str(head.get("type")).rpartition(".")[2] in _OF_EDGES:
            return
        yield f"{path}.num_classes", head["num_classes"]


def check_maps(subject: Subject) -> None:
    """Look for values in maps that are no classes, for maps that cannot be read and for classes without a pixel."""
    looked: set[str] = set()
    for loader, built in subject.datasets.items():
        for dataset in everywhere(built):
            if not isinstance(dataset, BaseSegDataset) or "seg_map_path" not in dataset.data_prefix:
                continue
            name = f"{dataset.data_prefix['seg_map_path']} {dataset.ann_file}"
            if name not in looked and dataset.metainfo.get("classes") is not None:
                looked.add(name)
                _tell_of_maps(subject, f"{loader}.dataset", dataset)


def _tell_of_maps(subject: Subject, path: str, dataset: BaseSegDataset) -> None:
    found = screen_maps(dataset, MOST_MAPS)
    classes = dataset.metainfo["classes"]
    for stray in found.strays[:_MOST_TOLD]:
        subject.findings.error(
            path,
            f"{stray.pixels} pixels in {stray.maps} of {found.looked_at} maps have the value {stray.value}, which is "
            f"neither one of the {len(classes)} classes nor ignored ({dataset.ignore_index}); the first: "
            f"{stray.example}",
        )
    if len(found.strays) > _MOST_TOLD:
        others = ", ".join(str(stray.value) for stray in found.strays[_MOST_TOLD:])
        subject.findings.error(path, f"these values of maps are no classes either: {others}")
    for said in found.broken[:_MOST_TOLD]:
        subject.findings.error(path, f"{len(found.broken)} maps cannot be read, among them: {said}")
    if found.absent and not found.broken:
        names = ", ".join(str(classes[label]) for label in found.absent)
        subject.findings.warn(path, f"no pixel of the {found.looked_at} maps looked at is {names}")
    if found.looked_at < len(dataset):
        subject.findings.add("note", path, f"{found.looked_at} of {len(dataset)} maps were looked at")


for check in (check_classes, check_maps):
    register_check("seg", check)
