"""What the check of a config looks at in classification."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visuite.cls.registry import BATCH_AUGMENTS
from visuite.engine.check import Route, Subject, register_check, register_route
from visuite.engine.registry import MODELS

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")

register_route("cls", MODELS, "augments", Route(BATCH_AUGMENTS))
register_route("cls", MODELS, "data_preprocessor", Route(MODELS, "ClsDataPreprocessor"))


def check_classes(subject: Subject) -> None:
    """Compare the number of classes in the head with the names that the data has."""
    model = subject.cfg.get("model")
    if not isinstance(model, Mapping):
        return
    for path, count in _class_counts(model.get("head"), "model.head"):
        for loader in LOADERS:
            names = subject.classes(loader)
            if names is None or len(names) == count:
                continue
            said = f"num_classes is {count}, and the data of {loader} has {len(names)} classes"
            if count < len(names):
                subject.findings.error(path, f"{said}: the labels from {count} on have no score")
            else:
                subject.findings.warn(path, f"{said}: {count - len(names)} scores never have a label")
            break


def _class_counts(head: Any, path: str) -> Iterator[tuple[str, int]]:
    """Yield the place and value of every `num_classes` in the config of a head, or of several."""
    if isinstance(head, (list, tuple)):
        for index, one in enumerate(head):
            yield from _class_counts(one, f"{path}.{index}")
    elif isinstance(head, Mapping) and isinstance(head.get("num_classes"), int):
        yield f"{path}.num_classes", head["num_classes"]


register_check("cls", check_classes)
