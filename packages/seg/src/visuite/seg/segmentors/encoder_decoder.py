"""The segmentor that most configs name.

Shapes: B images, C channels, K channels of scores, H and W of the batch, h and w of a head's maps.

Names of parameters: backbone.*, neck.*, decode_head.*, auxiliary_head.* or auxiliary_head.0.*, auxiliary_head.1.*, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import BaseDecodeHead, Losses, Maps, Metas
from visuite.seg.registry import MODELS
from visuite.seg.segmentors.base import BaseSegmentor, Part, Samples
from visuite.seg.segmentors.channels import check_inputs


@MODELS.register_module()
class EncoderDecoder(BaseSegmentor):
    """A backbone, a neck, a head, and heads that help while training. Each may be an object or a config.

    Args:
        backbone: Images to maps.
        decode_head: Maps to scores.
        neck: Maps to maps.
        auxiliary_head: One head or several, for the losses alone.
        train_cfg: Handed to the heads' losses.
        test_cfg: See `BaseSegmentor`; handed to the head's prediction too.
        data_preprocessor: See `BaseSegmentor`.
        pretrained: A checkpoint of the backbone, the short form of its `init_cfg=dict(type='Pretrained', ...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: a head is made for other channels than it gets, or two checkpoints for the backbone.
    """

    def __init__(
        self,
        backbone: Part,
        decode_head: Any,
        *,
        neck: Part | None = None,
        auxiliary_head: Part | Sequence[Part] | None = None,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, test_cfg, init_cfg=init_cfg)
        self.train_cfg = train_cfg
        self.backbone = MODELS.build(_with_checkpoint(backbone, pretrained))
        self.neck = None if neck is None else MODELS.build(neck)
        self._make_decode_head(decode_head)
        if auxiliary_head is None:
            self.auxiliary_head = None
        elif isinstance(auxiliary_head, (Mapping, nn.Module)):
            self.auxiliary_head = MODELS.build(auxiliary_head)
        else:
            self.auxiliary_head = nn.ModuleList(MODELS.build(head) for head in auxiliary_head)
        if "threshold" in self.test_cfg:
            self.last_head.threshold = self.test_cfg["threshold"]
        check_inputs({**self._heads(), **self._auxiliary_heads()}, self.backbone, self.neck)

    @property
    def with_neck(self) -> bool:
        """Whether there is a neck."""
        return self.neck is not None

    @property
    def with_decode_head(self) -> bool:
        """Whether there is a head: always."""
        return True

    @property
    def with_auxiliary_head(self) -> bool:
        """Whether there are heads for the losses alone."""
        return self.auxiliary_head is not None

    @property
    def last_head(self) -> BaseDecodeHead:
        """The head whose scores are the prediction."""
        return self.decode_head

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return self.last_head.num_classes

    def extract_feat(self, inputs: torch.Tensor) -> Maps:
        """Return the maps of images (B, C, H, W) that heads take."""
        maps = self.backbone(inputs)
        return maps if self.neck is None else self.neck(maps)

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the scores (B, K, H, W) of images, or of crops of them, (B, C, H, W)."""
        return self.decode_head.predict(self.extract_feat(inputs), batch_img_metas, self.test_cfg)

    def loss(self, inputs: torch.Tensor, data_samples: Samples) -> Losses:
        """Return the losses of images (B, C, H, W): `decode.*`, and of auxiliary heads `aux.*` or `aux_<index>.*`."""
        maps = self.extract_feat(inputs)
        losses = self._decode_losses(maps, data_samples)
        for name, head in self._auxiliary_heads().items():
            own = head.loss(maps, data_samples, self.train_cfg)
            losses.update(_prefixed(own, name.replace("auxiliary_head", "aux").replace(".", "_")))
        return losses

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> Any:
        return self.decode_head(self.extract_feat(inputs))

    def _make_decode_head(self, decode_head: Any) -> None:
        self.decode_head: Any = MODELS.build(decode_head)

    def _decode_losses(self, maps: Maps, data_samples: Samples) -> Losses:
        return _prefixed(self.decode_head.loss(maps, data_samples, self.train_cfg), "decode")

    def _heads(self) -> dict[str, nn.Module]:
        """Return the heads that make the prediction, by their names."""
        return {"decode_head": self.decode_head}

    def _auxiliary_heads(self) -> dict[str, Any]:
        """Return the others, by their names."""
        if isinstance(self.auxiliary_head, nn.ModuleList):
            return {f"auxiliary_head.{index}": head for index, head in enumerate(self.auxiliary_head)}
        return {} if self.auxiliary_head is None else {"auxiliary_head": self.auxiliary_head}


def _prefixed(losses: Losses, prefix: str) -> Losses:
    return {f"{prefix}.{name}": value for name, value in losses.items()}


def _with_checkpoint(backbone: Part, pretrained: str | None) -> Part:
    """Return a backbone's config with a checkpoint filled in.

    Raises:
        ValueError: it has one already, or is an object.
    """
    if pretrained is None:
        return backbone
    if not isinstance(backbone, Mapping) or backbone.get("pretrained") is not None:
        raise ValueError(
            "pretrained is for the backbone: set it there or in the model, and give the backbone as a config"
        )
    return {**backbone, "pretrained": pretrained}
