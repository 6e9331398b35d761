"""A segmentor whose heads refine one another's scores.

Shapes: B images, C channels, K channels of scores, H and W of the batch.

Names of parameters: backbone.*, neck.*, decode_head.0.*, decode_head.1.*, ..., auxiliary_head.*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from visuite.seg.heads.decode_head import Losses, Maps, Metas
from visuite.seg.registry import MODELS
from visuite.seg.segmentors.base import Part, Samples
from visuite.seg.segmentors.encoder_decoder import EncoderDecoder


@MODELS.register_module()
class CascadeEncoderDecoder(EncoderDecoder):
    """An `EncoderDecoder` with a list of heads, each of which but the first takes the scores of the one before.

    Args:
        num_stages: How many heads there are.
        backbone: Images to maps.
        decode_head: The heads.
        **kwargs: As of `EncoderDecoder`.

    Raises:
        ValueError: there are not `num_stages` heads.
    """

    def __init__(self, num_stages: int, backbone: Part, *, decode_head: Sequence[Part], **kwargs: Any) -> None:
        if isinstance(decode_head, Mapping) or len(decode_head) != num_stages:
            given = "one" if isinstance(decode_head, Mapping) else len(decode_head)
            raise ValueError(f"decode_head is a list of num_stages={num_stages} heads, not {given}")
        super().__init__(backbone, decode_head, **kwargs)
        self.num_stages = num_stages

    @property
    def last_head(self) -> Any:
        """The head whose scores are the prediction."""
        return self.decode_head[-1]

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: Metas) -> torch.Tensor:
        """Return the scores (B, K, H, W) of images, or of crops of them, (B, C, H, W)."""
        maps = self.extract_feat(inputs)
        before = self._scores_before(maps)
        return self.last_head.predict(maps, *before[-1:], batch_img_metas, self.test_cfg)

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> Any:
        maps = self.extract_feat(inputs)
        return self.last_head(maps, *self._scores_before(maps)[-1:])

    def _scores_before(self, maps: Maps) -> list[Any]:
        """Return the scores of all heads but the last."""
        scores: list[Any] = []
        for head in self.decode_head[:-1]:
            scores.append(head(maps, *scores[-1:]))
        return scores

    def _make_decode_head(self, decode_head: Any) -> None:
        self.decode_head = nn.ModuleList(MODELS.build(head) for head in decode_head)

    def _decode_losses(self, maps: Maps, data_samples: Samples) -> Losses:
        scores = self._scores_before(maps)
        own = [head.loss_by_feat(one, data_samples) for head, one in zip(self.decode_head, scores, strict=False)]
        own.append(self.last_head.loss(maps, *scores[-1:], data_samples, self.train_cfg))
        return {f"decode_{i}.{name}": value for i, losses in enumerate(own) for name, value in losses.items()}

    def _heads(self) -> dict[str, nn.Module]:
        return {f"decode_head.{index}": head for index, head in enumerate(self.decode_head)}
