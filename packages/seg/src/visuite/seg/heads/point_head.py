"""The head of PointRend.

Shapes: B images, n maps of I_i channels, C channels inside, K classes, P points, h and w of the scores before, H and W
of the truth.

Names of parameters: fcs.0.conv, ..., fc_seg.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.ops import point_sample, uncertain_points
from visuite.seg.heads.cascade_decode_head import BaseCascadeDecodeHead
from visuite.seg.heads.decode_head import Losses, Maps, Metas, stack_maps
from visuite.seg.layers import Upsample
from visuite.seg.layers.conv_options import Cfg
from visuite.seg.registry import MODELS
from visuite.seg.structures import SegDataSample

_CONV1D: Cfg = {"type": "Conv1d"}
_RELU: Cfg = {"type": "ReLU", "inplace": False}
_TRAIN_KEYS = ("num_points", "oversample_ratio", "importance_sample_ratio")
#: What the paper does with images of 512 x 1024 pixels.
_TEST_CFG = {"subdivision_steps": 2, "subdivision_num_points": 8196, "scale_factor": 2}
_INIT: Cfg = {"type": "Normal", "std": 0.01, "override": {"name": "fc_seg"}}


@MODELS.register_module()
class PointHead(BaseCascadeDecodeHead):
    """Classify points where the scores before are in doubt, and write the answers into them (arXiv:1912.08193).

    The segmentor's `train_cfg` has `num_points`, `oversample_ratio` and `importance_sample_ratio`, its `test_cfg`
    `subdivision_steps`, `subdivision_num_points` and `scale_factor`.

    Args:
        num_fcs: Layers before the last.
        coarse_pred_each_layer: Show the scores before to each layer, not to the first alone.
        conv_cfg: Config of the layers, convolutions of sequences of points.
        norm_cfg: Config of their norms.
        act_cfg: Config of their activations.
        **kwargs: As of `BaseDecodeHead`.
    """

    def __init__(
        self,
        *,
        num_fcs: int = 3,
        coarse_pred_each_layer: bool = True,
        conv_cfg: Cfg = _CONV1D,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg = _RELU,
        init_cfg: Any = _INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_transform="multiple_select",
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            init_cfg=init_cfg,
            **kwargs,
        )
        self.num_fcs = num_fcs
        self.coarse_pred_each_layer = coarse_pred_each_layer
        again = self.out_channels if coarse_pred_each_layer else 0
        widths = [sum(self.map_channels) + self.out_channels] + [self.channels + again] * num_fcs
        self.dropout = nn.Dropout(self.dropout_ratio) if self.dropout_ratio > 0 else nn.Identity()
        self.fcs = nn.ModuleList(self.conv(wide, self.channels) for wide in widths[:-1])
        self.fc_seg = nn.Conv1d(widths[-1], self.out_channels, kernel_size=1)

    def _make_classifier(self) -> None:
        """Make nothing yet: `fc_seg` depends on the layers."""

    def forward(  # type: ignore[override]
        self, inputs: Maps, prev_output: torch.Tensor, test_cfg: Any = None
    ) -> torch.Tensor:
        """Return the scores before, (B, K, h, w), enlarged step by step and classified anew where they are in doubt."""
        cfg = {**_TEST_CFG, **(test_cfg or {})}
        enlarge = Upsample(cfg["scale_factor"], align_corners=self.align_corners)
        maps, scores = self._transform_inputs(inputs), prev_output
        for _ in range(cfg["subdivision_steps"]):
            scores = enlarge(scores)
            height, width = scores.shape[2:]
            count = min(height * width, cfg["subdivision_num_points"])
            pixels = uncertainty(scores.flatten(2)).topk(count, dim=1).indices
            points = torch.stack([(pixels % width + 0.5) / width, (pixels // width + 0.5) / height], dim=2)
            answers = self.classify(maps, prev_output, points)
            where = pixels[:, None].expand(-1, scores.shape[1], -1)
            scores = scores.flatten(2).scatter(2, where, answers.to(scores.dtype)).unflatten(2, (height, width))
        return scores

    def classify(self, maps: Maps, prev_output: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        """Return the scores (B, K, P) at points (B, P, 2), relative to the image, from maps and the scores before."""
        fine = [point_sample(x, points, align_corners=self.align_corners) for x in maps]
        coarse = point_sample(prev_output, points, align_corners=self.align_corners)
        x = torch.cat([*fine, coarse], dim=1)
        for layer in self.fcs:
            x = layer(x)
            if self.coarse_pred_each_layer:
                x = torch.cat([x, coarse], dim=1)
        return self.fc_seg(self.dropout(x))

    def loss(  # type: ignore[override]
        self,
        inputs: Maps,
        prev_output: torch.Tensor,
        batch_data_samples: Sequence[SegDataSample],
        train_cfg: Any = None,
    ) -> Losses:
        """Return the losses of points that are drawn, most of them where the scores before are in doubt.

        Raises:
            ValueError: `train_cfg` does not say how many.
        """
        missing = [key for key in _TRAIN_KEYS if key not in (train_cfg or {})]
        if missing:
            raise ValueError(
                f"train_cfg of a model with a PointHead needs {', '.join(_TRAIN_KEYS)}; lacks {missing[0]}"
            )
        points = uncertain_points(prev_output, uncertainty, **{key: train_cfg[key] for key in _TRAIN_KEYS})
        labels = stack_maps(batch_data_samples, "gt_sem_seg")
        own = point_sample(labels.float(), points, mode="nearest", align_corners=self.align_corners).long()  # (B, 1, P)
        scores = self.classify(self._transform_inputs(inputs), prev_output, points)
        losses = {f"point{name}": value for name, value in self.named_losses(scores, own).items()}
        losses["acc_point"] = self.accuracy(scores, own)
        return losses

    def predict(  # type: ignore[override]
        self, inputs: Maps, prev_output: torch.Tensor, batch_img_metas: Metas, test_cfg: Any = None
    ) -> torch.Tensor:
        """Return the refined scores (B, K, H, W)."""
        return self.predict_by_feat(self(inputs, prev_output, test_cfg), batch_img_metas)


def uncertainty(scores: torch.Tensor) -> torch.Tensor:
    """Return how doubtful scores (B, K, P) are, (B, P): the less, the farther the best class is ahead."""
    if scores.shape[1] == 1:
        return -scores.squeeze(1).abs()
    best, second = scores.topk(2, dim=1).values.unbind(1)
    return second - best
