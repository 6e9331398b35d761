"""Three parameter groups, and a weight decay that follows the batch size: the recipe of all YOLOs since the fifth."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from visuite.engine.dist import get_world_size
from visuite.engine.logging import print_log
from visuite.engine.optim import DefaultOptimWrapperConstructor
from visuite.engine.optim.constructor import Place
from visuite.yolo.registry import OPTIM_WRAPPER_CONSTRUCTORS

#: The groups by name, and what their weight decay is multiplied by. The weights come first: it is their rate that
#: logs show.
GROUPS = {"weights": 1.0, "norms": 0.0, "biases": 0.0}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(name=["YOLOv5OptimizerConstructor", "YOLOv7OptimWrapperConstructor"])
class YOLOv5OptimizerConstructor(DefaultOptimWrapperConstructor):
    """Put weights, what normalises and scales, and biases into groups of their own; only the first are decayed.

    A group's name stands in it as `group_name`: 'weights', 'norms' (YOLOv7's implicit parameters, arXiv:2105.04206,
    among them) or 'biases', by which `YOLOv5ParamSchedulerHook` finds the last.

    Batches smaller than the nominal one are thought of as accumulated up to it, so that the weight decay is multiplied
    by b a / n: b is the batch of all processes, n the nominal batch, and a = max(round(n / b), 1).

    Args:
        optim_wrapper_cfg: As for `DefaultOptimWrapperConstructor`; its optimizer may have `batch_size_per_gpu`, the
            images of a batch, without which the weight decay stays as it is.
        paramwise_cfg: `base_total_batch_size`, the nominal batch (64), and `bypass_duplicate`.

    Raises:
        ValueError: a batch size below 1, or an unknown key in `paramwise_cfg`; says the nearest.
    """

    options: ClassVar[tuple[str, ...]] = ("base_total_batch_size", "bypass_duplicate")
    optimizer_options: ClassVar[tuple[str, ...]] = ("batch_size_per_gpu",)

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        super().__init__(optim_wrapper_cfg, {"base_total_batch_size": 64, **(paramwise_cfg or {})})
        if isinstance(self.optimizer_cfg, dict):
            self._scale_decay()

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "") -> None:
        """Append the groups of a model; those without any parameter are left out."""
        groups: dict[str, list[Any]] = {name: [] for name in GROUPS}
        for place in self.trainable(module, prefix):
            groups[group_of(place)].append(place.parameter)
        found = {name: parameters for name, parameters in groups.items() if parameters}
        params.extend(dict(params=some, group_name=name, decay_mult=GROUPS[name]) for name, some in found.items())

    def _scale_decay(self) -> None:
        """Take the batch size out of the optimizer's config, and put the scaled decay in."""
        options = dict(self.optimizer_cfg)
        images, nominal = options.pop("batch_size_per_gpu", None), self.paramwise_cfg["base_total_batch_size"]
        if nominal < 1 or (images is not None and images < 1):
            raise ValueError(f"batches have at least one image, not {images} of nominally {nominal}")
        if images is not None and "weight_decay" in options:
            scale = decay_scale(images * get_world_size(), nominal)
            options["weight_decay"] *= scale
            if scale != 1:
                print_log(f"weight decay is scaled by {scale:g}, to {options['weight_decay']:g}", "current")
        self.optimizer_cfg = options


#: The same: no other model has implicit parameters.
YOLOv7OptimWrapperConstructor = YOLOv5OptimizerConstructor


def group_of(place: Place) -> str:
    """Return the name of the group that a parameter belongs to."""
    if place.is_bias:
        return "biases"
    return "norms" if place.is_norm or place.name.rpartition(".")[2] == "implicit" else "weights"


def decay_scale(batch: int, nominal: int) -> float:
    """Return what the weight decay of a batch is multiplied by, the decay being chosen for a nominal batch."""
    return batch * max(round(nominal / batch), 1) / nominal
