"""What the check of a config looks at in detection."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping
from typing import Any

from visuite.cv.ops.batched_nms import SUPPRESSIONS
from visuite.det.datasets import BaseDetDataset
from visuite.det.hooks.num_class_check import judges_classes
from visuite.engine.check import Route, Subject, innermost_dataset, register_check, register_route
from visuite.engine.dataset.base import below
from visuite.engine.hooks.pipeline_switch import everywhere
from visuite.engine.registry import MODELS, Registry

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")

_SUPPRESSIONS = Registry("suppression", scope="det")
for _name, _function in SUPPRESSIONS.items():
    _SUPPRESSIONS.register_module(name=_name, module=_function)
#: What `nms` is, in a head's `test_cfg`: what `batched_nms` reads itself, and the arguments of one function.
_NMS = Route(
    _SUPPRESSIONS, "nms", supplied=frozenset({"boxes", "scores"}), taken=frozenset({"class_agnostic", "split_thr"})
)


def check_classes(subject: Subject) -> None:
    """Compare the number of classes in the heads with the names that the data has."""
    model = subject.cfg.get("model")
    if not isinstance(model, Mapping) or "language_model" in model:  # such a model reads the names
        return
    counts = list(_class_counts(model, "model"))
    for loader in LOADERS:
        lists = [subject.classes(loader, key) for key in ("classes", "thing_classes")]
        known = [len(names) for names in lists if names is not None]
        if not known:
            continue
        for path, count in counts:
            if count in known:
                continue
            said = f"num_classes is {count}, and the data of {loader} has {known[-1]} classes"
            if count < known[-1]:
                subject.findings.error(path, f"{said}: the labels from {count} on have no score")
            else:
                subject.findings.warn(path, f"{said}: {count - known[-1]} scores never have a label")
        return


def _class_counts(cfg: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield the place and value of every `num_classes` in the heads of a model, however deep."""
    if isinstance(cfg, (list, tuple)):
        for index, one in enumerate(cfg):
            yield from _class_counts(one, f"{path}.{index}")
    elif isinstance(cfg, Mapping):
        if isinstance(cfg.get("num_classes"), int) and judges_classes(path.split(".")):
            yield f"{path}.num_classes", cfg["num_classes"]
        for name, value in cfg.items():
            yield from _class_counts(value, f"{path}.{name}")


def check_annotations(subject: Subject) -> None:
    """Hold the file that an evaluator reads against that of the data it is asked about."""
    for mode in ("val", "test"):
        loader, evaluator = subject.cfg.get(f"{mode}_dataloader"), subject.cfg.get(f"{mode}_evaluator")
        if not isinstance(loader, Mapping) or evaluator is None:
            continue
        dataset, _ = innermost_dataset(loader.get("dataset"))
        if not isinstance(dataset, Mapping) or not isinstance(dataset.get("ann_file"), str):
            continue
        read = below(str(dataset.get("data_root") or ""), dataset["ann_file"])
        for path, one in _metrics(evaluator, f"{mode}_evaluator"):
            file = one.get("ann_file")
            if isinstance(file, str) and file.endswith(".json") and not _same(file, read):
                subject.findings.warn(
                    f"{path}.ann_file", f"the evaluator reads {file}, and the data of {mode}_dataloader is {read}"
                )


def _metrics(evaluator: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(evaluator, (list, tuple)):
        for index, one in enumerate(evaluator):
            yield from _metrics(one, f"{path}.{index}")
    elif isinstance(evaluator, Mapping):
        yield path, evaluator


def _same(one: str, other: str) -> bool:
    return one == other or ("://" not in one and os.path.normpath(one) == os.path.normpath(other))


def tell_what_is_left_out(subject: Subject) -> None:
    """Tell what data sets, once they are built, did not take: bad boxes, other categories, images without a file."""
    for loader, built in subject.datasets.items():
        for dataset in everywhere(built):
            if isinstance(dataset, BaseDetDataset):
                for (reason, kind), entry in dataset.screening.faults().items():
                    what = f"{entry.count} x {reason}" + (f" ({kind})" if kind else "")
                    first = f", the first: {entry.example}" if entry.example else ""
                    subject.findings.warn(f"{loader}.dataset", f"{dataset.screening.source} leaves out {what}{first}")


def register(scope: str) -> None:
    """Have all of this looked at in the configs of a scope."""
    register_route(scope, MODELS, "nms", _NMS)
    for check in (check_classes, check_annotations, tell_what_is_left_out):
        register_check(scope, check)


register("det")
