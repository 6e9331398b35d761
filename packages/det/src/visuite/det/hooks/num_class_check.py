"""Heads and data have to agree on the number of classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch import nn

from visuite.det.registry import HOOKS
from visuite.engine.hooks import Hook
from visuite.engine.model import unwrap_model

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: Parts of a model that do not tell the classes of the data apart, though they may have a `num_classes`.
OTHER_PARTS = frozenset(
    ("rpn_head", "semantic_head", "glbctx_head", "backbone", "neck", "data_preprocessor", "train_cfg", "test_cfg")
)


@HOOKS.register_module()
class NumClassCheckHook(Hook):
    """Hold the number of classes in every head against those of the data, before training and before each validation.

    It also sees classes that a data set reads from its annotation file, which no config tells.

    Raises:
        ValueError: they differ.
    """

    priority = "NORMAL"

    def before_train(self, runner: Runner) -> None:
        """Look at the training data."""
        _compare(runner, runner.train_dataloader.dataset, "training")

    def before_val_epoch(self, runner: Runner) -> None:
        """Look at the data of validation."""
        _compare(runner, runner.val_dataloader.dataset, "validation")


def judges_classes(path: list[str]) -> bool:
    """Tell whether the part of a model at a path (`['roi_head', 'bbox_head', '0']`) tells the classes apart."""
    inside = {*path} & OTHER_PARTS or any(key.startswith("loss") for key in path)
    return not inside and any("head" in key for key in path)


def _compare(runner: Runner, dataset: Any, what: str) -> None:
    facts = getattr(dataset, "metainfo", None) or {}
    known = {len(facts[key]) for key in ("classes", "thing_classes") if facts.get(key)}
    for path, count in _class_counts(unwrap_model(runner.model)):
        if known and count not in known:
            raise ValueError(
                f"{path}.num_classes is {count}, and the {what} data has {len(facts['classes'])} classes: "
                f"{', '.join(map(str, facts['classes'][:5]))}, ..."
            )


def _class_counts(model: nn.Module) -> Iterator[tuple[str, int]]:
    for path, module in model.named_modules():
        count = getattr(module, "num_classes", None)
        if isinstance(count, int) and judges_classes(path.split(".")):
            yield path, count
