"""From collated images to a normalised batch.

Shapes: B images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cls.batch_augment import RandomBatchAugment
from visuite.cls.registry import MODELS
from visuite.cls.structures import DataSample, one_hot
from visuite.engine.model import ImgDataPreprocessor


@MODELS.register_module()
class ClsDataPreprocessor(ImgDataPreprocessor):
    """Move a batch to the device, pad and normalise it there, and mix its images while training.

    Args:
        mean: One value per channel.
        std: One value per channel.
        pad_size_divisor: Both edges of the batch become multiples of it.
        pad_value: What padding is filled with, after normalising.
        to_rgb: Swap blue and red.
        to_onehot: Give every sample with a label a `gt_score` too.
        num_classes: K.
        batch_augments: `dict(augments=..., probs=...)` of `RandomBatchAugment`.
        non_blocking: Copy to the device without waiting.

    Raises:
        ValueError: `to_onehot` or `batch_augments` without `num_classes`.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        to_rgb: bool = False,
        to_onehot: bool = False,
        num_classes: int | None = None,
        batch_augments: Mapping[str, Any] | None = None,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=pad_size_divisor,
            pad_value=pad_value,
            bgr_to_rgb=to_rgb,
            non_blocking=non_blocking,
        )
        if num_classes is None and (to_onehot or batch_augments):
            raise ValueError("soft labels need num_classes: set it in the data_preprocessor")
        self.num_classes = num_classes
        self.to_onehot = to_onehot
        self.batch_augments = self.build_batch_augments(batch_augments) if batch_augments else None

    def forward(self, data: Mapping[str, Any] | Sequence[Any], training: bool = False) -> dict[str, Any]:
        """Return `inputs` (B, C, H, W) float and `data_samples`, other keys unchanged.

        Args:
            data: `inputs`: (C, H, W) each, or (B, C, H, W); `data_samples`: one for each, or none. A pair of both
                will do as well.
            training: Mix the images.
        """
        if not isinstance(data, Mapping):
            data = dict(zip(("inputs", "data_samples"), data, strict=False))
        batch = super().forward(dict(data), training)
        samples = batch["data_samples"]
        if samples is None:
            return batch
        if self.to_onehot:
            for sample in samples:
                sample.set_gt_score(one_hot(sample, self._classes))
        if training and self.batch_augments is not None:
            batch["inputs"] = self._mix(batch["inputs"], samples, self.batch_augments)
        return batch

    def build_batch_augments(self, cfg: Mapping[str, Any]) -> RandomBatchAugment:
        """Build from a config what may stand at `batch_augments`.

        Raises:
            ValueError: there is no `num_classes`.
        """
        if self.num_classes is None:
            raise ValueError("soft labels need num_classes: set it in the data_preprocessor")
        return RandomBatchAugment(**cfg)

    @property
    def _classes(self) -> int:
        assert self.num_classes is not None  # the constructor saw to it
        return self.num_classes

    def _mix(self, inputs: torch.Tensor, samples: Sequence[DataSample], augment: RandomBatchAugment) -> torch.Tensor:
        """Augment a batch (B, C, H, W), and write the mixed truth into its samples."""
        scores = torch.stack([one_hot(sample, self._classes) for sample in samples])
        inputs, scores = augment(inputs, scores)
        for sample, score in zip(samples, scores, strict=True):
            sample.set_gt_score(score)
        return inputs


def build_preprocessor(given: Mapping[str, Any] | nn.Module | None, train_cfg: Mapping[str, Any] | None) -> Any:
    """Build a classifier's preprocessor.

    Args:
        given: Config or object; a config without a type means `ClsDataPreprocessor`.
        train_cfg: Its `augments`, where old configs have them, and perhaps `probs`.

    Raises:
        ValueError: `train_cfg` holds anything else.
    """
    unknown = sorted(set(train_cfg or ()) - {"augments", "probs"})
    if unknown:
        raise ValueError(f"train_cfg of a classifier holds augments and probs, not {unknown[0]!r}")
    if given is not None and not isinstance(given, Mapping):
        return given
    cfg = {"type": "ClsDataPreprocessor", **(given or {})}
    if train_cfg and "augments" in train_cfg:
        cfg.setdefault("batch_augments", dict(train_cfg))
    return MODELS.build(cfg)
