"""The base of heads: it picks maps, classifies pixels, computes losses and predictions.

Shapes: B images, C channels of features, K channels of scores (one per class, or 1), h and w of a head's maps, H and W
of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.cv.losses import CrossEntropyLoss
from visuite.engine.model import BaseModule
from visuite.engine.structures import PixelData
from visuite.seg.layers import ConvOptions, resize, resize_concat, resize_like
from visuite.seg.layers.conv_options import RELU, Cfg
from visuite.seg.registry import MODELS, TASK_UTILS
from visuite.seg.structures import SegDataSample

Maps = Sequence[torch.Tensor]
Losses = dict[str, torch.Tensor]
Metas = Sequence[Mapping[str, Any]]

_INIT: Cfg = {"type": "Normal", "std": 0.01, "override": {"name": "conv_seg"}}
_LOSS: Cfg = {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0}
_TRANSFORMS = (None, "resize_concat", "multiple_select")


class BaseDecodeHead(BaseModule):
    """Features to scores; a subclass writes `forward_feature`, or `forward` as a whole.

    Args:
        in_channels: Channels of the map it takes, or of each.
        channels: C, what `conv_seg` works on.
        num_classes: How many classes there are.
        out_channels: K; by default one for each class. 1 for two classes: a sigmoid tells the second.
        threshold: With one channel, the probability above which it is told; by default 0.3.
        dropout_ratio: The chance of a channel to be zeroed before `conv_seg`.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        in_index: Which of the maps it takes, or several.
        input_transform: What becomes of several: `resize_concat` lays them side by side, at the size of the first;
            `multiple_select` leaves them as they are.
        loss_decode: Config or object of the loss, or several.
        ignore_index: The label whose pixels cost nothing.
        sampler: Config of what chooses the pixels that a loss looks at; None is all.
        align_corners: How scores and maps are resized; see `resize`.
        init_cfg: How weights are initialised.

    Attributes:
        in_channels: As given; with `resize_concat` the sum.
        map_channels: Of each map at `in_index`.

    Raises:
        ValueError: channels, indices and transform that do not go together, channels that are no classes, or a softmax
            of one channel.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        channels: int,
        *,
        num_classes: int,
        out_channels: int | None = None,
        threshold: float | None = None,
        dropout_ratio: float = 0.1,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg | None = None,
        act_cfg: Cfg | None = RELU,
        in_index: int | Sequence[int] = -1,
        input_transform: str | None = None,
        loss_decode: Cfg | nn.Module | Sequence[Cfg | nn.Module] = _LOSS,
        ignore_index: int = 255,
        sampler: Cfg | None = None,
        align_corners: bool = False,
        init_cfg: Any = _INIT,
    ) -> None:
        super().__init__(init_cfg)
        self._init_inputs(in_channels, in_index, input_transform)
        self.channels = channels
        self.num_classes = num_classes
        self.out_channels = _score_channels(num_classes, out_channels)
        self.threshold = 0.3 if threshold is None else threshold
        self.options = ConvOptions(conv_cfg, norm_cfg, act_cfg)
        self.ignore_index = ignore_index
        self.align_corners = align_corners
        losses = [loss_decode] if isinstance(loss_decode, (Mapping, nn.Module)) else loss_decode
        self.loss_decode = nn.ModuleList(MODELS.build(loss) for loss in losses)
        _check_losses(self.loss_decode, self.out_channels)
        self.sampler = None if sampler is None else TASK_UTILS.build(sampler, default_args={"context": self})
        self.dropout_ratio = dropout_ratio
        self.dropout: nn.Module = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else nn.Identity()
        self._make_classifier()

    # ------------------------------------------------------------------ features to scores

    def forward(self, inputs: Maps) -> Any:
        """Return the scores (B, K, h, w) of maps; several of them where a head learns from several."""
        return self.cls_seg(self.forward_feature(inputs))

    def forward_feature(self, inputs: Maps) -> torch.Tensor:
        """Return the features (B, C, h, w) that pixels are classified by."""
        raise NotImplementedError(f"{type(self).__name__} needs forward_feature(inputs), or a forward of its own")

    def cls_seg(self, feat: torch.Tensor) -> torch.Tensor:
        """(B, C, h, w) to scores (B, K, h, w)."""
        return self.conv_seg(self.dropout(feat))

    # ------------------------------------------------------------------ losses

    def loss(self, inputs: Maps, batch_data_samples: Sequence[SegDataSample], train_cfg: Any = None) -> Losses:
        """Return the losses, each under its `loss_name`, and `acc_seg`.

        Args:
            inputs: Maps of B images.
            batch_data_samples: Their truth.
            train_cfg: The segmentor's.
        """
        return self.loss_by_feat(self(inputs), batch_data_samples)

    def loss_by_feat(self, seg_logits: Any, batch_data_samples: Sequence[SegDataSample]) -> Losses:
        """Return the losses of scores (B, K, h, w)."""
        return self.losses_of(seg_logits, stack_maps(batch_data_samples, "gt_sem_seg"))

    def losses_of(self, seg_logits: torch.Tensor, seg_label: torch.Tensor) -> Losses:
        """Return the losses and the accuracy of scores (B, K, h, w), resized to the truth (B, 1, H, W)."""
        seg_logits = self.resized_to(seg_logits, seg_label)
        weight = None if self.sampler is None else self.sampler.sample(seg_logits, seg_label)
        losses = self.named_losses(seg_logits, seg_label, weight=weight)
        losses["acc_seg"] = self.accuracy(seg_logits, seg_label)
        return losses

    def resized_to(self, seg_logits: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Resize scores (B, K, h, w) to the size of the truth (B, 1, H, W)."""
        return resize_like(seg_logits, seg_label, align_corners=self.align_corners)

    def named_losses(self, seg_logits: torch.Tensor, seg_label: torch.Tensor, **kwargs: Any) -> Losses:
        """Return all losses of scores (B, K, H, W) and labels (B, 1, H, W) by their names; equal names add up."""
        losses: Losses = {}
        for loss in self.loss_decode:
            name = getattr(loss, "loss_name", "loss_decode")
            value = self.compute_loss(loss, seg_logits, seg_label, **kwargs)
            losses[name] = losses[name] + value if name in losses else value
        return losses

    def compute_loss(
        self, loss: nn.Module, seg_logits: torch.Tensor, seg_label: torch.Tensor, **kwargs: Any
    ) -> torch.Tensor:
        """Return one loss of scores (B, K, H, W) and labels (B, 1, H, W), which it gets as (B, H, W)."""
        return loss(seg_logits, seg_label.squeeze(1), ignore_index=self.ignore_index, **kwargs)

    def element_losses(self, seg_logits: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Return the sum of all losses of each pixel, (B, H, W)."""
        parts = [self.compute_loss(one, seg_logits, seg_label, reduction_override="none") for one in self.loss_decode]
        return sum(part.reshape(len(part), -1, *seg_label.shape[2:]).sum(1) for part in parts)  # type: ignore[return-value]

    @torch.no_grad()
    def accuracy(self, seg_logits: torch.Tensor, seg_label: torch.Tensor) -> torch.Tensor:
        """Return the percentage of right pixels among those that count; 0 where none does."""
        label = seg_label.squeeze(1)
        valid = label != self.ignore_index
        right = (self.labels_of(seg_logits).squeeze(1) == label) & valid
        return 100.0 * right.sum() / valid.sum().clamp(min=1)

    # ------------------------------------------------------------------ predictions

    def predict(self, inputs: Maps, batch_img_metas: Metas, test_cfg: Any = None) -> torch.Tensor:
        """Return the scores (B, K, H, W), as large as the batch.

        Args:
            inputs: Maps of B images.
            batch_img_metas: `img_shape` of each is H and W.
            test_cfg: The segmentor's.
        """
        return self.predict_by_feat(self(inputs), batch_img_metas)

    def predict_by_feat(self, seg_logits: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Resize scores (B, K, h, w) to the size of the batch."""
        return resize(seg_logits, batch_img_metas[0]["img_shape"], align_corners=self.align_corners)

    def labels_of(self, seg_logits: torch.Tensor) -> torch.Tensor:
        """Return the classes (B, 1, H, W) long that scores (B, K, H, W) tell."""
        if seg_logits.shape[1] == 1:
            return (seg_logits.sigmoid() > self.threshold).long()
        return seg_logits.argmax(dim=1, keepdim=True)

    # ------------------------------------------------------------------ parts

    def conv(self, in_channels: int, out_channels: int, kernel_size: int = 1, **kwargs: Any) -> nn.Module:
        """Make a convolution with the norm and activation of the head; see `ConvOptions.conv`."""
        return self.options.conv(in_channels, out_channels, kernel_size, **kwargs)

    def _make_classifier(self) -> None:
        """Make what `cls_seg` needs; a head that classifies in another way makes something else."""
        self.conv_seg = nn.Conv2d(self.channels, self.out_channels, kernel_size=1)

    def _init_inputs(
        self, in_channels: int | Sequence[int], in_index: int | Sequence[int], input_transform: str | None
    ) -> None:
        if input_transform not in _TRANSFORMS:
            raise ValueError(f"input_transform is one of {_TRANSFORMS}, not {input_transform!r}")
        several = input_transform is not None
        for name, value in (("in_channels", in_channels), ("in_index", in_index)):
            if several == isinstance(value, int):
                wanted = (
                    f"a list with input_transform={input_transform!r}" if several else "an int without input_transform"
                )
                raise ValueError(f"{name} of {type(self).__name__} is {wanted}, not {value!r}")
        self.map_channels = (in_channels,) if isinstance(in_channels, int) else tuple(in_channels)
        self.in_index = in_index
        self.input_transform = input_transform
        if not isinstance(in_index, int) and len(in_index) != len(self.map_channels):
            raise ValueError(f"in_channels {list(self.map_channels)} and in_index {list(in_index)} differ in length")
        self.in_channels: Any = sum(self.map_channels) if input_transform == "resize_concat" else in_channels

    def _transform_inputs(self, inputs: Maps) -> Any:
        """Return the map that the head works on, or with `multiple_select` a list of them."""
        if isinstance(self.in_index, int):
            return inputs[self.in_index]
        chosen = [inputs[index] for index in self.in_index]
        return (
            resize_concat(chosen, align_corners=self.align_corners)
            if self.input_transform != "multiple_select"
            else chosen
        )


def stack_maps(samples: Sequence[SegDataSample], name: str) -> torch.Tensor:
    """Return a field of samples, `PixelData` each, as (B, 1, H, W).

    Raises:
        ValueError: a sample lacks the field, or the maps are of several sizes.
    """
    fields: list[PixelData | None] = [sample.get(name) for sample in samples]
    for index, field in enumerate(fields):
        if field is None:
            raise ValueError(f"sample {index} of the batch has no {name}: does the pipeline load it?")
    maps = [field.data for field in fields if field is not None]
    if len({one.shape for one in maps}) > 1:
        raise ValueError(
            f"{name} of one batch has several shapes {[tuple(one.shape) for one in maps][:4]}; pad them first"
        )
    return torch.stack(maps).long()


def _check_losses(losses: Iterable[nn.Module], out_channels: int) -> None:
    """Fail where nothing would be learnt: the softmax of one channel is 1, whatever its score.

    Raises:
        ValueError: it is so.
    """
    for loss in losses:
        if out_channels == 1 and isinstance(loss, CrossEntropyLoss) and not loss.use_sigmoid:
            raise ValueError("one channel tells 1 from 0 by a sigmoid: set use_sigmoid=True in loss_decode")


def _score_channels(num_classes: int, out_channels: int | None) -> int:
    """Return how many channels scores have.

    Raises:
        ValueError: neither one for each class, nor one for two classes.
    """
    if out_channels is None or out_channels == num_classes:
        return num_classes
    if out_channels == 1 and num_classes == 2:
        return out_channels
    raise ValueError(
        f"out_channels is num_classes ({num_classes}), or 1 where there are two classes, not {out_channels}"
    )
