"""What all segmentors do: the three modes, and what becomes of scores.

Shapes: B images, C channels, K channels of scores, H and W of the batch, h and w of one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.engine.model import BaseModel
from visuite.engine.structures import PixelData
from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Metas
from visuite.seg.layers import resize
from visuite.seg.registry import MODELS
from visuite.seg.segmentors.sliding import slide
from visuite.seg.structures import SegDataSample

Part = Mapping[str, Any] | nn.Module
Samples = Sequence[SegDataSample]

_FLIPS = {"horizontal": (-1,), "vertical": (-2,), "diagonal": (-2, -1)}


class BaseSegmentor(BaseModel):
    """Images to classes of pixels; a subclass writes `loss`, `encode_decode` and `_forward`.

    Args:
        data_preprocessor: Config or object; `SegDataPreProcessor` unless it names another type.
        test_cfg: `mode`: `whole`, or `slide` with `crop_size` (h, w) and `stride` (h, w); perhaps `threshold`, in place
            of the head's.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown mode, or `slide` without sizes.
    """

    def __init__(
        self, data_preprocessor: Part | None = None, test_cfg: Mapping[str, Any] | None = None, *, init_cfg: Any = None
    ) -> None:
        if data_preprocessor is None or isinstance(data_preprocessor, Mapping):
            data_preprocessor = MODELS.build({"type": "SegDataPreProcessor", **(data_preprocessor or {})})
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.test_cfg = _checked(test_cfg or {})

    @property
    def last_head(self) -> BaseDecodeHead:
        """The head whose scores are the prediction."""
        raise NotImplementedError(f"{type(self).__name__} does not tell its last head")

    @property
    def out_channels(self) -> int:
        """K."""
        return self.last_head.out_channels

    @property
    def align_corners(self) -> bool:
        """How scores are resized."""
        return self.last_head.align_corners

    # ------------------------------------------------------------------ modes

    def forward(self, inputs: torch.Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Return losses, predictions or plain scores.

        Args:
            inputs: Preprocessed images (B, C, H, W).
            data_samples: One for each; `loss` needs them.
            mode: `loss`: a dict of losses. `predict`: the samples with predictions. `tensor`: scores as the head gives
                them.

        Raises:
            ValueError: an unknown mode, or no samples to learn from.
        """
        if mode == "tensor":
            return self._forward(inputs, data_samples)
        if mode == "loss":
            if data_samples is None:
                raise ValueError("mode='loss' needs data_samples")
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode {mode!r} is none of 'loss', 'predict', 'tensor'")

    def loss(self, inputs: torch.Tensor, data_samples: Samples) -> Losses:
        """Return the losses of images (B, C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} needs loss(inputs, data_samples)")

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the scores (B, K, H, W) of images, or of crops of them, (B, C, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} needs encode_decode(inputs, batch_img_metas)")

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> Any:
        """Return what `mode='tensor'` gives."""
        raise NotImplementedError(f"{type(self).__name__} needs _forward(inputs)")

    def predict(self, inputs: torch.Tensor, data_samples: Samples | None = None) -> list[SegDataSample]:
        """Return the samples of images (B, C, H, W) with `seg_logits` and `pred_sem_seg`, each of its `ori_shape`."""
        metas: Metas = [{}] * len(inputs) if data_samples is None else [sample.metainfo for sample in data_samples]
        return self.postprocess_result(self.inference(inputs, metas), data_samples)

    # ------------------------------------------------------------------ images to scores

    def inference(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the scores (B, K, H, W) of images (B, C, H, W), in the way that `test_cfg` says."""
        if self.test_cfg["mode"] == "slide":
            return self.slide_inference(inputs, batch_img_metas)
        return self.whole_inference(inputs, batch_img_metas)

    def whole_inference(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the scores (B, K, H, W) of images (B, C, H, W) seen as a whole."""
        return self.encode_decode(inputs, _of_size(batch_img_metas, inputs))

    def slide_inference(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the mean of the scores (B, K, H, W) that crops of images (B, C, H, W) get."""
        return slide(
            inputs,
            lambda crops: self.encode_decode(crops, _of_size(batch_img_metas, crops)),
            crop_size=self.test_cfg["crop_size"],
            stride=self.test_cfg["stride"],
        )

    # ------------------------------------------------------------------ scores to predictions

    def postprocess_result(self, seg_logits: torch.Tensor, data_samples: Samples | None = None) -> list[SegDataSample]:
        """Write scores (B, K, H, W) into samples, each without padding, unflipped and resized to its `ori_shape`."""
        samples = list(data_samples) if data_samples is not None else [SegDataSample() for _ in seg_logits]
        for sample, scores in zip(samples, seg_logits, strict=True):
            scores = self._as_the_original(scores, sample.metainfo)
            sample.seg_logits = PixelData(data=scores)
            sample.pred_sem_seg = PixelData(data=self.labels_of(scores))
        return samples

    def labels_of(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the classes (1, h, w) long that scores (K, h, w) tell."""
        return self.last_head.labels_of(scores[None])[0]

    def _as_the_original(self, scores: torch.Tensor, meta: Mapping[str, Any]) -> torch.Tensor:
        left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0)))
        scores = scores[:, top : scores.shape[1] - bottom, left : scores.shape[2] - right]
        if meta.get("flip"):
            scores = scores.flip(_FLIPS[meta["flip_direction"]])
        original = meta.get("ori_shape")
        if original is None:
            return scores
        return resize(scores[None], original[:2], align_corners=self.align_corners)[0]


def _of_size(metas: Metas, batch: torch.Tensor) -> Metas:
    """Return metas that tell of the size of this batch (B, C, H, W): crops and padded images are not the originals."""
    size = batch.shape[2:]
    return [{**meta, "img_shape": size, "pad_shape": size} for meta in metas]


def _checked(test_cfg: Mapping[str, Any]) -> dict[str, Any]:
    mode = test_cfg.get("mode", "whole")
    if mode not in ("whole", "slide"):
        raise ValueError(f"test_cfg.mode is 'whole' or 'slide', not {mode!r}")
    missing = [key for key in ("crop_size", "stride") if mode == "slide" and test_cfg.get(key) is None]
    if missing:
        raise ValueError(f"test_cfg.mode='slide' needs {' and '.join(missing)} (height, width)")
    return {**test_cfg, "mode": mode}
