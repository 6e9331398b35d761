"""Swin: a transformer in stages, with attention in windows that shift from block to block.

Shapes: B images, I channels in, C channels of the first stage, H rows, W columns, s_i the product of the strides up to
stage i. Stage i gives (B, C * 2^i, H / s_i, W / s_i).

Names of parameters: patch_embed.{projection,norm}, stages.0.blocks.0.{norm1,attn.w_msa,norm2,ffn},
stages.0.downsample.{norm,reduction}, ..., norm0, ..., norm3 for the stages handed out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.backbones.base import Backbone, architecture, check_frozen, chosen, custom_architecture
from visuite.cv.backbones.swin_block import SwinStage
from visuite.cv.backbones.tokens import drop_path_rates, fit_pos_embed, learnt_tokens, to_map, token_init
from visuite.cv.layers.norm import build_norm_layer
from visuite.cv.layers.patch_embed import PatchEmbed
from visuite.cv.layers.position import resize_pos_embed
from visuite.engine.registry import MODELS

Cfg = Mapping[str, Any]
Size = int | tuple[int, int]
_LAYER_NORM: Cfg = {"type": "LN"}
_GELU: Cfg = {"type": "GELU"}
_ARCH_KEYS = ("embed_dims", "depths", "num_heads")


def _table(rows: Mapping[tuple[str, str], tuple[Any, ...]]) -> dict[str, Cfg]:
    return {name: dict(zip(_ARCH_KEYS, row, strict=True)) for names, row in rows.items() for name in names}


@MODELS.register_module()
class SwinTransformer(Backbone):
    """Transformer with shifted windows (Liu et al., arXiv:2103.14030).

    Args:
        arch: A name of `arch_zoo`, or a dict of `embed_dims`, `depths` and `num_heads`.
        img_size: H and W that a position embedding is made for; also `pretrain_img_size`.
        patch_size: Pixels of a patch.
        in_channels: I.
        embed_dims: C; with it and the two below in place of what `arch` says.
        depths: Blocks of each stage.
        num_heads: Of each stage.
        window_size: Side of a window.
        mlp_ratio: Channels inside the blocks' networks, in those of their stage.
        strides: Of the embedding of patches and of the mergings; by default the patch size, then 2.
        qkv_bias: Whether queries, keys and values have a bias.
        qk_scale: Factor of their products; by default (channels of a head) ** -0.5.
        patch_norm: Normalise the embedded patches.
        drop_rate: The chance of a value behind a linear layer, and of the embedded patches, to be zeroed.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last block; it grows from 0.
        out_indices: Stages whose maps are handed out.
        out_after_downsample: Hand them out behind the merging, not before.
        use_abs_pos_embed: Add a learnt position embedding to the patches.
        interpolate_mode: How that is fitted to images of other sizes.
        act_cfg: The activation in the blocks' networks.
        norm_cfg: The norms' config.
        with_cp: Compute activations again in the backward pass instead of keeping them.
        frozen_stages: Train neither the embedding (0) nor the first n stages; -1 trains all.
        norm_eval: Keep the statistics of batch norms as they are while training.
        pad_small_map: Pad maps smaller than a window, and shift there too, as dense tasks do; else such a map is one
            window.
        stage_cfgs: `block_cfgs` and `downsample_cfg`, more arguments of the blocks and mergings of all stages or of
            each.
        patch_cfg: More arguments of the embedding of patches.
        convert_weights: Recognise checkpoints with the names of others, the paper's authors for one.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        pretrain_img_size: See `img_size`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown arch, lists of unequal length, or stages that do not exist.
    """

    arch_zoo: ClassVar[Mapping[str, Cfg]] = _table(
        {
            ("t", "tiny"): (96, (2, 2, 6, 2), (3, 6, 12, 24)),
            ("s", "small"): (96, (2, 2, 18, 2), (3, 6, 12, 24)),
            ("b", "base"): (128, (2, 2, 18, 2), (4, 8, 16, 32)),
            ("l", "large"): (192, (2, 2, 18, 2), (6, 12, 24, 48)),
        }
    )

    def __init__(
        self,
        arch: str | Cfg = "tiny",
        img_size: Size = 224,
        patch_size: int = 4,
        in_channels: int = 3,
        *,
        embed_dims: int | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] | None = None,
        window_size: int = 7,
        mlp_ratio: float = 4,
        strides: Sequence[int] | None = None,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        out_indices: int | Sequence[int] = (0, 1, 2, 3),
        out_after_downsample: bool = False,
        use_abs_pos_embed: bool = False,
        interpolate_mode: str = "bicubic",
        act_cfg: Cfg = _GELU,
        norm_cfg: Cfg = _LAYER_NORM,
        with_cp: bool = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        pad_small_map: bool = True,
        stage_cfgs: Cfg | Sequence[Cfg] | None = None,
        patch_cfg: Cfg | None = None,
        convert_weights: bool = True,
        pretrained: str | None = None,
        pretrain_img_size: Size | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        self.embed_dims, self.depths, self.num_heads = self._architecture(arch, embed_dims, depths, num_heads)
        self.num_layers = count = len(self.depths)
        strides = _strides(strides, patch_size, count)
        self.out_indices = chosen(out_indices, count)
        self.out_after_downsample = out_after_downsample
        self.interpolate_mode = interpolate_mode
        self.frozen_stages = check_frozen(frozen_stages, -1, count)

        patch: dict[str, Any] = {
            "in_channels": in_channels,
            "embed_dims": self.embed_dims,
            "kernel_size": patch_size,
            "stride": strides[0],
            "norm_cfg": norm_cfg if patch_norm else None,
        }
        size = _pair(img_size if pretrain_img_size is None else pretrain_img_size)
        self.patch_embed = PatchEmbed(**{**patch, **(patch_cfg or {})}, input_size=size)
        assert self.patch_embed.init_out_size is not None
        self.patch_resolution = self.patch_embed.init_out_size
        self._make_positions(use_abs_pos_embed)
        self.drop_after_pos = nn.Dropout(drop_rate)

        block: dict[str, Any] = {
            "window_size": window_size,
            "ffn_ratio": mlp_ratio,
            "qkv_bias": qkv_bias,
            "qk_scale": qk_scale,
            "drop_rate": drop_rate,
            "attn_drop_rate": attn_drop_rate,
            "act_cfg": act_cfg,
            "norm_cfg": norm_cfg,
            "pad_small_map": pad_small_map,
            "with_cp": with_cp,
        }
        rates = iter(drop_path_rates(drop_path_rate, sum(self.depths)))
        self.stages = nn.ModuleList()
        for index, extra in zip(range(count), _each(stage_cfgs, count), strict=True):
            block_cfgs = {**block, **extra.get("block_cfgs", {})}
            merge_cfgs = {"stride": strides[index + 1], "norm_cfg": norm_cfg} if index < count - 1 else None
            if merge_cfgs is not None:
                merge_cfgs.update(extra.get("downsample_cfg", {}))
            paths = [next(rates) for _ in range(self.depths[index])]
            channels = self.embed_dims * 2**index
            self.stages.append(SwinStage(channels, self.num_heads[index], paths, block_cfgs, merge_cfgs))

        widths = [self.embed_dims * 2 ** min(i + out_after_downsample, count - 1) for i in range(count)]
        for index in self.out_indices:
            self.add_module(f"norm{index}", build_norm_layer(dict(norm_cfg), widths[index])[1])
        self.out_channels = tuple(widths[i] for i in self.out_indices)
        passed = [min(i + 2, count) if out_after_downsample else i + 1 for i in self.out_indices]
        self.out_strides = tuple(math.prod(strides[:end]) for end in passed)
        self.convert_weights = convert_weights
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map for each of `out_indices`, as the file's head says."""
        x, shape = self.patch_embed(x)
        if self.absolute_pos_embed is not None:
            x = x + resize_pos_embed(
                self.absolute_pos_embed, self.patch_resolution, shape, mode=self.interpolate_mode, num_extra_tokens=0
            )
        x = self.drop_after_pos(x)
        maps = []
        stage: Any
        for index, stage in enumerate(self.stages):
            x = stage(x, shape)
            merged, merged_shape = stage.merge(x, shape)
            if index in self.out_indices:
                out, out_shape = (merged, merged_shape) if self.out_after_downsample else (x, shape)
                maps.append(to_map(getattr(self, f"norm{index}")(out), out_shape))
            x, shape = merged, merged_shape
        return tuple(maps)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Return how deep a parameter lies, and how many depths there are: for learning rates that decay with depth.

        Args:
            param_name: Its name in the whole model.
            prefix: What the names of this backbone start with there.
        """
        count = sum(self.depths) + 2
        name = param_name.removeprefix(prefix)
        if not param_name.startswith(prefix):
            return count - 1, count
        if name.startswith(("patch_embed", "absolute_pos_embed")):
            return 0, count
        if not name.startswith("stages."):
            return count - 1, count
        _, stage, part, block = name.split(".")[:4]
        before = sum(self.depths[: int(stage)])
        # A merging belongs to the first block behind it.
        return (before + int(block) + 1 if part == "blocks" else before + self.depths[int(stage)] + 1), count

    def frozen_parts(self) -> Iterable[nn.Module]:
        """Return the embedding, and the first stages with the norms of their maps."""
        if self.frozen_stages < 0:
            return ()
        norms = (getattr(self, f"norm{i}") for i in self.out_indices if i < self.frozen_stages)
        return self.patch_embed, self.drop_after_pos, *self.stages[: self.frozen_stages], *norms

    def hold_frozen(self) -> None:
        """Take gradients from the position embedding too."""
        super().hold_frozen()
        if self.frozen_stages >= 0 and self.absolute_pos_embed is not None:
            self.absolute_pos_embed.requires_grad_(False)

    def _make_positions(self, wanted: bool) -> None:
        self.absolute_pos_embed: nn.Parameter | None = None
        if wanted:
            self.absolute_pos_embed = learnt_tokens(1, math.prod(self.patch_resolution), self.embed_dims)
            hook = fit_pos_embed(
                "absolute_pos_embed", lambda: self.patch_resolution, extra=0, mode=self.interpolate_mode
            )
            self.register_load_state_dict_pre_hook(hook)

    @classmethod
    def _architecture(
        cls, arch: str | Cfg, embed_dims: int | None, depths: Sequence[int] | None, num_heads: Sequence[int] | None
    ) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        if isinstance(arch, str):
            sizes = architecture(cls.arch_zoo, arch.lower(), cls.__name__)
        else:
            sizes = custom_architecture(arch, _ARCH_KEYS, cls.__name__)
        depths, num_heads = tuple(depths or sizes["depths"]), tuple(num_heads or sizes["num_heads"])
        if len(depths) != len(num_heads):
            raise ValueError(f"depths {depths} and num_heads {num_heads} are of unequal length")
        return embed_dims or sizes["embed_dims"], depths, num_heads


def _strides(given: Sequence[int] | None, patch_size: int, count: int) -> tuple[int, ...]:
    strides = tuple(given) if given is not None else (patch_size,) + (2,) * (count - 1)
    if len(strides) != count:
        raise ValueError(f"strides {strides} are not one for each of {count} stages")
    return strides


def _each(cfgs: Cfg | Sequence[Cfg] | None, count: int) -> Sequence[Cfg]:
    """Return one config for each stage."""
    each = [cfgs or {}] * count if cfgs is None or isinstance(cfgs, Mapping) else list(cfgs)
    if len(each) != count:
        raise ValueError(f"stage_cfgs are {len(each)} for {count} stages")
    for cfg in each:
        unknown = sorted(set(cfg) - {"block_cfgs", "downsample_cfg"})
        if unknown:
            raise ValueError(f"stage_cfgs hold block_cfgs and downsample_cfg, not {unknown[0]!r}")
    return each
