"""The parameter groups of YOLOs, and a weight decay that follows the batch size."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from visuite.engine.dist import get_world_size
from visuite.engine.optim import DefaultOptimWrapperConstructor
from visuite.engine.optim.constructor import Place
from visuite.yolo.registry import OPTIM_WRAPPER_CONSTRUCTORS

#: The names of the groups, at `group_name`; schedules tell them apart by these.
WEIGHTS, NORMS, BIASES = "weights", "norms", "biases"


def group_of(place: Place) -> str:
    """Return the group of a parameter: NORMS has the scales, those that YOLOR calls implicit (arXiv:2105.04206) too."""
    if place.is_bias:
        return BIASES
    return NORMS if place.is_norm or place.name.rpartition(".")[2] == "implicit" else WEIGHTS


def decay_factor(batch_size: int, nominal: int) -> float:
    """Return by what to multiply a weight decay that is meant for steps of `nominal` images.

    Smaller batches are taken to be accumulated to about the nominal number, as many of them as come nearest; larger
    ones are a step each. The decay is in proportion to the images of a step.

    Args:
        batch_size: Images of an iteration, of all processes together.
        nominal: Images of a step for which the decay was chosen.
    """
    batches = max(1, round(nominal / batch_size))
    return batches * batch_size / nominal


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(name=["YOLOv5OptimizerConstructor", "YOLOv7OptimWrapperConstructor"])
class YOLOv5OptimizerConstructor(DefaultOptimWrapperConstructor):
    """Build an optimizer with up to three groups of parameters, of which weights alone are decayed.

    They stand in this order, without those that would be empty: 'weights'; 'norms', the scales of normalisation layers
    and implicit parameters; 'biases', those of normalisation layers included.

    Args:
        optim_wrapper_cfg: As for `DefaultOptimWrapperConstructor`. `optimizer` may have `batch_size_per_gpu`, the
            images of an iteration in one process: the decay then follows the images of a step, see `decay_factor`.
        paramwise_cfg: `base_total_batch_size`, the images of a step for which the decay was chosen (64);
            `bypass_duplicate`, to take a parameter that stands in several places once, in place of an error.

    Raises:
        ValueError: a batch has less than one image, or `paramwise_cfg` an unknown key; says the nearest.
    """

    options: ClassVar[tuple[str, ...]] = ("base_total_batch_size", "bypass_duplicate")
    optimizer_options: ClassVar[tuple[str, ...]] = ("batch_size_per_gpu",)

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        # With its default written in, paramwise_cfg is never empty, which would mean a single group.
        super().__init__(optim_wrapper_cfg, {"base_total_batch_size": 64, **(paramwise_cfg or {})})
        self.batch_size_per_gpu: int | None = None
        if isinstance(self.optimizer_cfg, dict):
            self.optimizer_cfg = dict(self.optimizer_cfg)
            self.batch_size_per_gpu = self.optimizer_cfg.pop("batch_size_per_gpu", None)
        for name, images in (
            ("optimizer.batch_size_per_gpu", self.batch_size_per_gpu),
            ("paramwise_cfg.base_total_batch_size", self.paramwise_cfg["base_total_batch_size"]),
        ):
            if images is not None and images < 1:
                raise ValueError(f"{name} is at least one image, not {images}")

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "") -> None:
        """Append the groups of a model that have parameters."""
        groups: dict[str, dict[str, Any]] = {
            name: dict(params=[], group_name=name, decay_mult=0.0) for name in (WEIGHTS, NORMS, BIASES)
        }
        if self.batch_size_per_gpu is None:
            groups[WEIGHTS]["decay_mult"] = 1.0
        else:
            images = self.batch_size_per_gpu * get_world_size()
            groups[WEIGHTS]["decay_mult"] = decay_factor(images, self.paramwise_cfg["base_total_batch_size"])
        for place in self.trainable(module, prefix):
            groups[group_of(place)]["params"].append(place.parameter)
        params.extend(group for group in groups.values() if group["params"])


#: The recipe of YOLOv7 has the same groups: its implicit parameters are among the norms.
YOLOv7OptimWrapperConstructor = YOLOv5OptimizerConstructor
