"""Vision transformer: patches as tokens, and attention of all to all.

Shapes: B images, I channels in, C channels of a token, H rows, W columns, p pixels of a patch, E tokens in front that
are no patches, L = E + H/p * W/p.

Names of parameters: cls_token, pos_embed, patch_embed.projection, layers.0.{ln1,attn,ln2,ffn}, ..., ln1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.backbones.base import Backbone, check_frozen, chosen
from visuite.cv.backbones.tokens import drop_path_rates, fit_pos_embed, learnt_tokens, to_map, token_init
from visuite.cv.backbones.vit_sizes import SIZES, sizes_of
from visuite.cv.layers.encoder_layer import TransformerEncoderLayer
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchEmbed
from visuite.cv.layers.position import resize_pos_embed
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
Size = int | tuple[int, int]
_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6}
_GELU: Cfg = {"type": "GELU"}
_OUT_TYPES = ("raw", "cls_token", "featmap", "avg_featmap")


@MODELS.register_module()
class VisionTransformer(Backbone):
    """Transformer on patches (Dosovitskiy et al., arXiv:2010.11929).

    Images of other sizes than `img_size`, and checkpoints for others, have the position embedding interpolated.

    Args:
        arch: A name of `arch_zoo`, or a dict of `embed_dims`, `num_layers`, `num_heads` and `feedforward_channels`.
        img_size: H and W that the position embedding is made for.
        patch_size: p.
        in_channels: I.
        embed_dims: C; with it and the two below in place of what `arch` says.
        num_layers: See there.
        num_heads: See there.
        mlp_ratio: Channels inside the layers' networks, in C; in place of what `arch` says.
        out_indices: Layers whose tokens are handed out.
        drop_rate: The chance of a value behind a linear layer, and of the embedded patches, to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last layer; it grows from 0.
        qkv_bias: Whether queries, keys and values have a bias.
        norm_cfg: The norms' config.
        act_cfg: The activation in the layers' networks.
        final_norm: Normalise the tokens behind the last layer.
        out_type: `cls_token` (B, C), `featmap` (B, C, H/p, W/p), `avg_featmap` (B, C), its normalised mean, or `raw`
            (B, L, C).
        with_cls_token: Have a class token.
        output_cls_token: Hand out each map together with the class token, as a pair.
        frozen_stages: Train neither the embeddings (0) nor the first n layers; -1 trains all.
        interpolate_mode: How the position embedding is interpolated.
        layer_scale_init_value: Where factors for each channel of residuals start; 0 is none.
        patch_pad: How images are padded to whole patches: pixels on all sides, or what `AdaptivePadding` knows.
        patch_bias: Whether the embedding of patches has a bias; by default unless `pre_norm`.
        patch_cfg: More arguments of the embedding of patches.
        layer_cfgs: More arguments of all layers, or of each.
        pre_norm: Normalise the tokens before the first layer.
        norm_eval: Keep the statistics of batch norms as they are while training.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        key_style: What the attention's weights are called: `cls` (classification), or `dense` (segmentation).
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown arch or `out_type`, `cls_token` without one, or layers that do not exist.
    """

    arch_zoo: ClassVar[Mapping[str, Cfg]] = SIZES
    #: E, where there is a class token.
    num_extra_tokens: int = 1

    def __init__(
        self,
        arch: str | Cfg = "base",
        img_size: Size = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        *,
        embed_dims: int | None = None,
        num_layers: int | None = None,
        num_heads: int | None = None,
        mlp_ratio: float | None = None,
        out_indices: int | Sequence[int] = -1,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        qkv_bias: bool = True,
        norm_cfg: Cfg = _LAYER_NORM,
        act_cfg: Cfg = _GELU,
        final_norm: bool = True,
        out_type: str = "cls_token",
        with_cls_token: bool = True,
        output_cls_token: bool = False,
        frozen_stages: int = -1,
        interpolate_mode: str = "bicubic",
        layer_scale_init_value: float = 0.0,
        patch_pad: int | str = "corner",
        patch_bias: bool | None = None,
        patch_cfg: Cfg | None = None,
        layer_cfgs: Cfg | Sequence[Cfg] | None = None,
        pre_norm: bool = False,
        norm_eval: bool = False,
        with_cp: bool = False,
        key_style: str = "cls",
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        sizes = sizes_of(self.arch_zoo, arch, embed_dims, num_layers, num_heads, mlp_ratio)
        dims, depth = sizes["embed_dims"], sizes["num_layers"]
        _check_out_type(out_type, with_cls_token, output_cls_token)
        self.embed_dims, self.num_layers = dims, depth
        self.img_size = _pair(img_size)
        self.out_type = out_type
        self.output_cls_token = output_cls_token
        self.interpolate_mode = interpolate_mode
        self.out_indices = chosen(out_indices, depth)
        self.frozen_stages = check_frozen(frozen_stages, -1, depth)

        patch: dict[str, Any] = {
            "in_channels": in_channels,
            "embed_dims": dims,
            "kernel_size": patch_size,
            "padding": patch_pad,
            "bias": not pre_norm if patch_bias is None else patch_bias,
        }
        self.patch_embed = PatchEmbed(**{**patch, **(patch_cfg or {})}, input_size=self.img_size)
        assert self.patch_embed.init_out_size is not None
        self.patch_resolution = self.patch_embed.init_out_size
        self._make_tokens(dims, with_cls_token)
        self.drop_after_pos = nn.Dropout(drop_rate)
        self.pre_norm = build_norm_layer(dict(norm_cfg), dims)[1] if pre_norm else nn.Identity()

        shared: dict[str, Any] = {
            "embed_dims": dims,
            "num_heads": sizes["num_heads"],
            "feedforward_channels": sizes["feedforward_channels"],
            "layer_scale_init_value": layer_scale_init_value,
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "qkv_bias": qkv_bias,
            "norm_cfg": norm_cfg,
            "act_cfg": act_cfg,
            "with_cp": with_cp,
            "key_style": key_style,
        }
        self.layers = nn.ModuleList(
            TransformerEncoderLayer(**{**shared, "drop_path_rate": rate, **extra})
            for rate, extra in zip(drop_path_rates(drop_path_rate, depth), _each(layer_cfgs, depth), strict=True)
        )
        self.ln1 = build_norm_layer(dict(norm_cfg), dims)[1] if final_norm else nn.Identity()
        if out_type == "avg_featmap":
            self.ln2 = build_norm_layer(dict(norm_cfg), dims)[1]

        self.out_channels = (dims,) * len(self.out_indices)
        self.out_strides = (patch_size,) * len(self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[Any, ...]:
        """(B, I, H, W) to one entry for each of `out_indices`, of the shape that `out_type` says."""
        x, shape = self.patch_embed(x)
        x = torch.cat([token.expand(len(x), -1, -1) for token in self._tokens()] + [x], dim=1)
        x = self.pre_norm(self.drop_after_pos(x + self._positions(shape)))
        outs = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index == self.num_layers - 1:
                x = self.ln1(x)
            if index in self.out_indices:
                outs.append(self._format_output(x, shape))
        return tuple(outs)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Return how deep a parameter lies, and how many depths there are: for learning rates that decay with depth.

        Args:
            param_name: Its name in the whole model.
            prefix: What the names of this backbone start with there.
        """
        count = self.num_layers + 2
        name = param_name.removeprefix(prefix)
        if not param_name.startswith(prefix):
            return count - 1, count
        if name in ("cls_token", "dist_token", "pos_embed") or name.startswith("patch_embed"):
            return 0, count
        if name.startswith("layers."):
            return int(name.split(".")[1]) + 1, count
        return count - 1, count

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the embedding of patches, the first layers, and with the last of them the norm behind it."""
        if self.frozen_stages < 0:
            return ()
        end = (self.ln1,) if self.frozen_stages == self.num_layers else ()
        return self.patch_embed, self.drop_after_pos, self.pre_norm, *self.layers[: self.frozen_stages], *end

    def hold_frozen(self) -> None:
        """Take gradients from the tokens and positions too."""
        super().hold_frozen()
        if self.frozen_stages >= 0:
            for parameter in (*self._tokens(), self.pos_embed):
                parameter.requires_grad_(False)

    def _make_tokens(self, dims: int, with_cls_token: bool) -> None:
        if with_cls_token:
            self.cls_token = learnt_tokens(1, 1, dims)
        else:
            self.num_extra_tokens = 0
        rows, columns = self.patch_resolution
        self.pos_embed = learnt_tokens(1, self.num_extra_tokens + rows * columns, dims)
        hook = fit_pos_embed(
            "pos_embed", lambda: self.patch_resolution, extra=self.num_extra_tokens, mode=self.interpolate_mode
        )
        self.register_load_state_dict_pre_hook(hook)

    def _tokens(self) -> list[nn.Parameter]:
        """Return the E tokens that stand in front, (1, 1, C) each."""
        return [self.cls_token] if self.num_extra_tokens else []

    def _positions(self, shape: tuple[int, int]) -> torch.Tensor:
        return resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            shape,
            mode=self.interpolate_mode,
            num_extra_tokens=self.num_extra_tokens,
        )

    def _format_output(self, x: torch.Tensor, shape: tuple[int, int]) -> Any:
        if self.out_type == "raw":
            return x
        if self.out_type == "cls_token":
            return x[:, 0]
        patches = x[:, self.num_extra_tokens :]
        if self.out_type == "avg_featmap":
            return self.ln2(patches.mean(dim=1))
        return (to_map(patches, shape), x[:, 0]) if self.output_cls_token else to_map(patches, shape)


def _check_out_type(out_type: str, with_cls_token: bool, output_cls_token: bool) -> None:
    if out_type not in _OUT_TYPES:
        raise ValueError(f"out_type {out_type!r} is none of {_OUT_TYPES}")
    if out_type == "cls_token" and not with_cls_token:
        raise ValueError("out_type 'cls_token' needs with_cls_token=True")
    if output_cls_token and not (with_cls_token and out_type == "featmap"):
        raise ValueError("output_cls_token needs with_cls_token=True and out_type='featmap'")


def _each(cfgs: Cfg | Sequence[Cfg] | None, count: int) -> Sequence[Cfg]:
    """Return one config for each layer."""
    if cfgs is None or isinstance(cfgs, Mapping):
        return [cfgs or {}] * count
    if len(cfgs) != count:
        raise ValueError(f"layer_cfgs are {len(cfgs)} for {count} layers")
    return cfgs
