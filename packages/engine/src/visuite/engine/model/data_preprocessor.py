"""What happens to a batch between the loader and the model: to the device, padded, normalised.

Shapes: B images, C channels, H and W the size of the batch, h and w that of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.model.batching import padded_size, stack_batch
from visuite.engine.registry import MODELS
from visuite.engine.structures import BaseDataElement


@MODELS.register_module()
class BaseDataPreprocessor(nn.Module):
    """Move a batch to the device of the model.

    Args:
        non_blocking: Let the copy run beside the computation; needs `pin_memory` in the loader.
    """

    _place: Tensor

    def __init__(self, non_blocking: bool | None = False) -> None:
        super().__init__()
        self._non_blocking = bool(non_blocking)
        # An empty buffer follows the model wherever `to`, `cuda`, `npu` or `to_empty` take it.
        self.register_buffer("_place", torch.empty(0), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where batches go."""
        return self._place.device

    def cast_data(self, data: Any) -> Any:
        """Return the same nested structure with its tensors and data elements on the device."""
        if isinstance(data, (Tensor, BaseDataElement)):
            return data.to(self.device, non_blocking=self._non_blocking)
        kind: Any = type(data)
        if isinstance(data, Mapping):
            return kind({key: self.cast_data(value) for key, value in data.items()})
        if isinstance(data, (str, bytes)) or not isinstance(data, Sequence):
            return data
        moved = [self.cast_data(value) for value in data]
        return kind(*moved) if hasattr(data, "_fields") else kind(moved)

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return the batch as the model takes it.

        Args:
            data: The batch as the loader collated it.
            training: Whether augmentations of the batch may act.
        """
        return self.cast_data(data)


@MODELS.register_module()
class ImgDataPreprocessor(BaseDataPreprocessor):
    """Make one normalised batch [B, C, H, W] of images of any size and any number of channels.

    Images travel to the device as they are (bytes) and are converted there. They are padded at the
    right and the bottom, after normalisation, with `pad_value`.

    Args:
        mean: Per channel, or one for all.
        std: Per channel, or one for all; given together with `mean`.
        pad_size_divisor: H and W become multiples of it.
        pad_value: What padding holds.
        bgr_to_rgb: Reverse the order of three channels.
        rgb_to_bgr: The same thing, by its other name.
        non_blocking: As for `BaseDataPreprocessor`.

    Raises:
        ValueError: only one of `mean` and `std` is given, their lengths differ, or both orders are reversed.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float | int] | None = None,
        std: Sequence[float | int] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float | int = 0,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool | None = False,
    ) -> None:
        super().__init__(non_blocking)
        if bgr_to_rgb and rgb_to_bgr:
            raise ValueError("bgr_to_rgb and rgb_to_bgr undo each other: set one")
        if (mean is None) != (std is None):
            raise ValueError("mean and std are given together, or neither")
        if mean is not None and std is not None and len(mean) != len(std):
            raise ValueError(f"mean has {len(mean)} channels, std {len(std)}")
        self._enable_normalize = mean is not None
        self._channel_conversion = bgr_to_rgb or rgb_to_bgr
        self.register_buffer("mean", _per_channel(mean if mean is not None else [0.0]), persistent=False)
        self.register_buffer("std", _per_channel(std if std is not None else [1.0]), persistent=False)
        self.pad_size_divisor = pad_size_divisor
        self.pad_value = pad_value

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Return the batch with `inputs` [B, C, H, W] float, and `data_samples` (None where there are none).

        Args:
            data: `inputs`, a list of images [C, h, w] or a tensor [B, C, h, w], and perhaps `data_samples`.
            training: Unused here.

        Raises:
            TypeError: `inputs` is neither.
            ValueError: the number of channels does not suit `mean` or the reversal.
        """
        batch = self.cast_data(data)
        if not isinstance(batch, Mapping) or "inputs" not in batch:
            found = f"keys {list(batch)}" if isinstance(batch, Mapping) else f"a {type(batch).__name__}"
            raise TypeError(f"{type(self).__name__} takes a dict with 'inputs' (images), not {found}")
        batch = {"data_samples": None, **batch}
        batch["inputs"] = self.to_batch(batch["inputs"])
        return batch

    def to_batch(self, images: Tensor | Sequence[Tensor]) -> Tensor:
        """Return images [C, h, w] of any sizes, or a tensor [B, C, h, w], as one normalised batch [B, C, H, W]."""
        if isinstance(images, Tensor):
            if images.dim() != 4:
                raise TypeError(f"a batch of images has the shape [B, C, H, W], not {list(images.shape)}")
            return self._finish(images)
        if not isinstance(images, Sequence) or not images or not all(isinstance(one, Tensor) for one in images):
            raise TypeError(f"inputs are a tensor or a list of tensors, not {type(images).__name__}")
        if any(one.dim() != 3 for one in images):
            raise TypeError(f"an image has the shape [C, H, W], these {[list(one.shape) for one in images][:4]}")
        if len({one.shape for one in images}) == 1:
            return self._finish(torch.stack(list(images)))
        return stack_batch([self._normalise(one) for one in images], self.pad_size_divisor, self.pad_value)

    def _finish(self, batch: Tensor) -> Tensor:
        """Normalise and pad a batch of images of equal size, each in one go."""
        height, width = padded_size(batch.shape[-2:], self.pad_size_divisor)
        right, below = width - batch.shape[-1], height - batch.shape[-2]
        normal = self._normalise(batch)
        return nn.functional.pad(normal, (0, right, 0, below), value=self.pad_value) if right or below else normal

    def _normalise(self, images: Tensor) -> Tensor:
        """Return [..., C, H, W] as floats, channels reversed and normalised if asked."""
        channels = images.shape[-3]
        if self._channel_conversion:
            if channels != 3:
                raise ValueError(f"bgr_to_rgb and rgb_to_bgr are for 3 channels, these images have {channels}")
            images = images.flip(-3)
        if not self._enable_normalize:
            return images.float()
        if len(self.mean) not in (1, channels):
            raise ValueError(f"mean and std are for {len(self.mean)} channels, these images have {channels}")
        return (images - self.mean).float().div_(self.std)


def _per_channel(values: Sequence[float | int]) -> Tensor:
    """Return [C, 1, 1]."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
