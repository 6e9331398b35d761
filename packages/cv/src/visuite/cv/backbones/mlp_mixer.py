"""MLP-Mixer: patches as tokens, and networks across tokens and across channels in turn.

Shapes: B images, I channels in, C channels of a token, H rows, W columns, p pixels of a patch, L = H/p * W/p.

Names of parameters: patch_embed.projection, layers.0.{ln1,token_mix,ln2,channel_mix}, ..., ln1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.backbones.base import Backbone, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.backbones.tokens import drop_path_cfg, token_init
from visuite.cv.layers.ffn import FFN
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchEmbed
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
_LAYER_NORM: Cfg = {"type": "LN"}
_GELU: Cfg = {"type": "GELU"}
_ARCH_KEYS = ("embed_dims", "num_layers", "tokens_mlp_dims", "channels_mlp_dims")


class MixerBlock(nn.Module):
    """A network across tokens, then one across channels; norms come first.

    Args:
        num_tokens: L.
        embed_dims: C.
        tokens_mlp_dims: Channels inside the first.
        channels_mlp_dims: Channels inside the second.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual.
        num_fcs: Linear layers of each.
        act_cfg: Their activation.
        norm_cfg: The norms' config.
    """

    def __init__(
        self,
        num_tokens: int,
        embed_dims: int,
        tokens_mlp_dims: int,
        channels_mlp_dims: int,
        *,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
    ) -> None:
        super().__init__()
        shared: dict[str, Any] = {
            "num_fcs": num_fcs,
            "ffn_drop": drop_rate,
            "dropout_layer": drop_path_cfg(drop_path_rate),
            "act_cfg": act_cfg,
        }
        self.ln1 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.token_mix = FFN(num_tokens, tokens_mlp_dims, **shared, add_identity=False)
        self.ln2 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.channel_mix = FFN(embed_dims, channels_mlp_dims, **shared)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, L, C) to the same shape."""
        x = x + self.token_mix(self.ln1(x).transpose(1, 2)).transpose(1, 2)
        return self.channel_mix(self.ln2(x), identity=x)


@MODELS.register_module()
class MlpMixer(Backbone):
    """Networks across tokens and channels, without attention (Tolstikhin et al., arXiv:2105.01601).

    Args:
        arch: A name of `arch_zoo`, or a dict of `embed_dims`, `num_layers`, `tokens_mlp_dims` and
            `channels_mlp_dims`.
        img_size: H and W. Images have this size: weights belong to places.
        patch_size: p.
        in_channels: I.
        out_indices: Layers whose tokens are handed out.
        drop_rate: The chance of a value behind a linear layer to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual, in all layers.
        norm_cfg: The norms' config.
        act_cfg: The activation of the networks.
        frozen_stages: Train neither the embedding of patches (0) nor the first n layers; -1 trains all.
        patch_cfg: More arguments of the embedding of patches.
        layer_cfgs: More arguments of all layers, or of each.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown arch, layers that do not exist, or images of another size.
    """

    arch_zoo: ClassVar[Mapping[str, Cfg]] = {
        name: dict(zip(_ARCH_KEYS, sizes, strict=True))
        for names, sizes in (
            (("s", "small"), (512, 8, 256, 2048)),
            (("b", "base"), (768, 12, 384, 3072)),
            (("l", "large"), (1024, 24, 512, 4096)),
        )
        for name in names
    }

    def __init__(
        self,
        arch: str | Cfg = "base",
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_channels: int = 3,
        *,
        out_indices: int | Sequence[int] = -1,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Cfg = _LAYER_NORM,
        act_cfg: Cfg = _GELU,
        frozen_stages: int = -1,
        patch_cfg: Cfg | None = None,
        layer_cfgs: Cfg | Sequence[Cfg] | None = None,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        sizes = (
            architecture(self.arch_zoo, arch.lower(), "MlpMixer")
            if isinstance(arch, str)
            else custom_architecture(arch, _ARCH_KEYS, "MlpMixer")
        )
        dims, depth = sizes["embed_dims"], sizes["num_layers"]
        self.embed_dims, self.num_layers = dims, depth
        self.img_size: tuple[int, int] = _pair(img_size)
        self.out_indices = chosen(out_indices, depth)
        self.frozen_stages = check_frozen(frozen_stages, -1, depth)

        patch: dict[str, Any] = {"in_channels": in_channels, "embed_dims": dims, "kernel_size": patch_size}
        self.patch_embed = PatchEmbed(**{**patch, **(patch_cfg or {})}, input_size=self.img_size)
        assert self.patch_embed.init_out_size is not None
        rows, columns = self.patch_embed.init_out_size

        shared: dict[str, Any] = {
            "num_tokens": rows * columns,
            **{key: sizes[key] for key in ("embed_dims", "tokens_mlp_dims", "channels_mlp_dims")},
            "drop_rate": drop_rate,
            "drop_path_rate": drop_path_rate,
            "act_cfg": act_cfg,
            "norm_cfg": norm_cfg,
        }
        each = [layer_cfgs or {}] * depth if layer_cfgs is None or isinstance(layer_cfgs, Mapping) else layer_cfgs
        if len(each) != depth:
            raise ValueError(f"layer_cfgs are {len(each)} for {depth} layers")
        self.layers = nn.ModuleList(MixerBlock(**{**shared, **extra}) for extra in each)
        self.ln1 = build_norm_layer(dict(norm_cfg), dims)[1]
        self.out_channels = (dims,) * len(self.out_indices)
        self.out_strides = (patch_size,) * len(self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to (B, C, L), one for each of `out_indices`."""
        if tuple(x.shape[-2:]) != tuple(self.img_size):
            raise ValueError(f"MlpMixer was made for images of {self.img_size}, not {tuple(x.shape[-2:])}")
        x, _ = self.patch_embed(x)
        outs = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index == self.num_layers - 1:
                x = self.ln1(x)
            if index in self.out_indices:
                outs.append(x.transpose(1, 2))
        return tuple(outs)

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the embedding of patches, the first layers, and with the last of them the norm behind it."""
        if self.frozen_stages < 0:
            return ()
        end = (self.ln1,) if self.frozen_stages == self.num_layers else ()
        return self.patch_embed, *self.layers[: self.frozen_stages], *end
