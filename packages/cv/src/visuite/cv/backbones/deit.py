"""DeiT with a token that learns from a teacher.

Shapes: B images, C channels of a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from visuite.cv.backbones.tokens import learnt_tokens
from visuite.cv.backbones.vision_transformer import VisionTransformer
from visuite.engine.registry import MODELS


@MODELS.register_module()
class DistilledVisionTransformer(VisionTransformer):
    """Vision transformer with a distillation token behind the class token (Touvron et al., arXiv:2012.12877).

    With `out_type='cls_token'` each output is a pair (class token, distillation token), (B, C) each.

    Args:
        arch: As of `VisionTransformer`.
        *args: See there.
        **kwargs: See there.

    Raises:
        ValueError: `with_cls_token=False`.
    """

    num_extra_tokens: int = 2

    def __init__(self, arch: str | Mapping[str, Any] = "deit-base", *args: Any, **kwargs: Any) -> None:
        if not kwargs.get("with_cls_token", True):
            raise ValueError("DistilledVisionTransformer has a class token always")
        super().__init__(arch, *args, **kwargs)

    def _make_tokens(self, dims: int, with_cls_token: bool) -> None:
        super()._make_tokens(dims, with_cls_token)
        self.dist_token = learnt_tokens(1, 1, dims)

    def _tokens(self) -> list[nn.Parameter]:
        return [self.cls_token, self.dist_token]

    def _format_output(self, x: torch.Tensor, shape: tuple[int, int]) -> Any:
        if self.out_type == "cls_token":
            return x[:, 0], x[:, 1]
        return super()._format_output(x, shape)
