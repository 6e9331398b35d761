"""BEiT and MAE: vision transformers whose attention knows how far patches are apart.

Shapes: B images, I channels in, C channels of a token, H rows, W columns, p pixels of a patch, h = H / p and w = W /
p, L = 1 + h * w tokens, the first of which is the class token.

Names of parameters: cls_token, pos_embed (MAE), patch_embed.projection, layers.<layer>.{ln1,ln2,gamma_1,gamma_2,ffn,
attn.{q_bias,v_bias,qkv,proj,relative_position_bias_table}}, ln1 (with a final norm).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.utils import _pair

from visuite.cv.backbones.base import Backbone, chosen
from visuite.cv.backbones.tokens import drop_path_rates, fit_pos_embed, learnt_tokens, to_map, token_init
from visuite.cv.layers import FFN, DropPath, PatchEmbed, build_norm_layer, resize_pos_embed
from visuite.cv.layers.attention import check_heads
from visuite.seg.registry import MODELS

Cfg = Mapping[str, Any]
Size = tuple[int, int]
_LAYER_NORM: Cfg = {"type": "LN", "eps": 1e-6}
_GELU: Cfg = {"type": "GELU"}
#: Entries of the table of biases behind those of offsets: from the class token, to it, and from it to itself.
_EXTRA = 3


class RelativeAttention(nn.Module):
    """Attention of tokens to each other, with a learnt bias for each offset between two patches.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        window_size: h and w that the biases are made for; those of other maps are interpolated.
        bias: `qv_bias` for queries and values alone, or whether `qkv` has a bias.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        proj_drop_rate: The chance of a value of the result to be zeroed.
    """

    relative_position_index: torch.Tensor

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        window_size: Size,
        bias: bool | str = "qv_bias",
        attn_drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        check_heads(embed_dims, num_heads)
        self.num_heads = num_heads
        self.window_size = window_size
        if bias == "qv_bias":
            self.q_bias = nn.Parameter(torch.zeros(embed_dims))
            self.v_bias = nn.Parameter(torch.zeros(embed_dims))
        offsets = (2 * window_size[0] - 1) * (2 * window_size[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(offsets + _EXTRA, num_heads))
        self.register_buffer("relative_position_index", offset_index(window_size))
        self.qkv = nn.Linear(embed_dims, 3 * embed_dims, bias=bias is True)
        self.attn_drop = nn.Dropout(attn_drop_rate)
        self.proj = nn.Linear(embed_dims, embed_dims)
        self.proj_drop = nn.Dropout(proj_drop_rate)
        self.register_load_state_dict_pre_hook(_fit_biases)

    def forward(self, x: torch.Tensor, shape: Size) -> torch.Tensor:
        """(B, L, C), and (h, w), to the same shape."""
        bias: torch.Tensor | None = self.qkv.bias
        if hasattr(self, "q_bias"):
            bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        qkv = F.linear(x, self.qkv.weight, bias).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        chance = self.attn_drop.p if self.training else 0.0
        offsets = self._biases(shape).to(query.dtype)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=offsets, dropout_p=chance)
        return self.proj_drop(self.proj(found.transpose(1, 2).flatten(2)))

    def _biases(self, shape: Size) -> torch.Tensor:
        """Return the biases (heads, L, L) of a map of h x w patches."""
        table: torch.Tensor = self.relative_position_bias_table
        index = self.relative_position_index
        if tuple(shape) != tuple(self.window_size):
            table = resize_biases(table, self.window_size, shape)
            index = offset_index(shape).to(index.device)
        return table[index].permute(2, 0, 1)


class BEiTLayer(nn.Module):
    """Attention and a network, each normalised before, scaled, and with the way round it.

    Args:
        embed_dims: C.
        num_heads: Of the attention.
        feedforward_channels: Inside the network.
        window_size: See `RelativeAttention`, as the next.
        bias: See there.
        attn_drop_rate: See there.
        drop_path_rate: The chance of a sample to lose a residual.
        num_fcs: Linear layers of the network.
        act_cfg: Its activation.
        norm_cfg: The norms' config.
        init_values: Where the factors of residuals start.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        *,
        window_size: Size,
        bias: bool | str,
        attn_drop_rate: float,
        drop_path_rate: float,
        num_fcs: int,
        act_cfg: Cfg,
        norm_cfg: Cfg,
        init_values: float,
    ) -> None:
        super().__init__()
        self.ln1 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.attn = RelativeAttention(
            embed_dims, num_heads, window_size=window_size, bias=bias, attn_drop_rate=attn_drop_rate
        )
        self.ln2 = build_norm_layer(dict(norm_cfg), embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, num_fcs=num_fcs, act_cfg=act_cfg, add_identity=False)
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate > 0 else nn.Identity()
        self.gamma_1 = nn.Parameter(torch.full((embed_dims,), float(init_values)))
        self.gamma_2 = nn.Parameter(torch.full((embed_dims,), float(init_values)))

    def forward(self, x: torch.Tensor, shape: Size) -> torch.Tensor:
        """(B, L, C), and (h, w), to the same shape."""
        x = x + self.drop_path(self.gamma_1 * self.attn(self.ln1(x), shape))
        return x + self.drop_path(self.gamma_2 * self.ffn(self.ln2(x)))


@MODELS.register_module()
class BEiT(Backbone):
    """Transformer on patches with relative positions (Bao et al., arXiv:2106.08254).

    By the name `MAE` (arXiv:2111.06377) it is registered with absolute positions too, and a bias of all of `qkv`.

    Args:
        img_size: H and W that positions are made for; those of other images are interpolated.
        patch_size: p.
        in_channels: I.
        embed_dims: C.
        num_layers: How many layers there are.
        num_heads: Of their attention.
        mlp_ratio: Channels inside their networks, in C.
        out_indices: Layers whose maps are handed out.
        qv_bias: Whether queries and values have a bias.
        qkv_bias: Whether queries, keys and values have one, all by one vector.
        use_abs_pos_embed: Add learnt positions to the patches.
        attn_drop_rate: The chance of an attention weight to be zeroed.
        drop_path_rate: The chance of a sample to lose a residual of the last layer; it grows from 0.
        norm_cfg: The norms' config.
        act_cfg: The activation of the layers' networks.
        patch_norm: Normalise the embedded patches.
        final_norm: Normalise the tokens behind the last layer.
        num_fcs: Linear layers of the layers' networks.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_values: Where the factors of residuals start.
        pretrained: A checkpoint, the short form of `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: layers that do not exist.
    """

    def __init__(
        self,
        img_size: int | Size = 224,
        patch_size: int = 16,
        *,
        in_channels: int = 3,
        embed_dims: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4,
        out_indices: int | Sequence[int] = -1,
        qv_bias: bool = True,
        qkv_bias: bool = False,
        use_abs_pos_embed: bool = False,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        norm_cfg: Cfg = _LAYER_NORM,
        act_cfg: Cfg = _GELU,
        patch_norm: bool = False,
        final_norm: bool = False,
        num_fcs: int = 2,
        norm_eval: bool = False,
        init_values: float = 0.1,
        pretrained: str | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(norm_eval=norm_eval, pretrained=pretrained, init_cfg=token_init(init_cfg, pretrained))
        self.num_layers = num_layers
        self.out_indices = chosen(out_indices, num_layers)
        size = _pair(img_size)
        self.patch_shape: Size = (size[0] // patch_size, size[1] // patch_size)
        self.patch_embed = PatchEmbed(
            in_channels, embed_dims, kernel_size=patch_size, norm_cfg=norm_cfg if patch_norm else None
        )
        self.cls_token = learnt_tokens(1, 1, embed_dims)
        self.pos_embed: nn.Parameter | None = None
        if use_abs_pos_embed:
            self.pos_embed = learnt_tokens(1, 1 + self.patch_shape[0] * self.patch_shape[1], embed_dims)
            self.register_load_state_dict_pre_hook(
                fit_pos_embed("pos_embed", lambda: self.patch_shape, extra=1, mode="bicubic")
            )
        self.layers = nn.ModuleList(
            BEiTLayer(
                embed_dims,
                num_heads,
                int(mlp_ratio * embed_dims),
                window_size=self.patch_shape,
                bias=True if qkv_bias else "qv_bias" if qv_bias else False,
                attn_drop_rate=attn_drop_rate,
                drop_path_rate=rate,
                num_fcs=num_fcs,
                act_cfg=act_cfg,
                norm_cfg=norm_cfg,
                init_values=init_values,
            )
            for rate in drop_path_rates(drop_path_rate, num_layers)
        )
        self.ln1 = build_norm_layer(dict(norm_cfg), embed_dims)[1] if final_norm else nn.Identity()
        self.out_channels = (embed_dims,) * len(self.out_indices)
        self.out_strides = (patch_size,) * len(self.out_indices)
        self.hold_frozen()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B, I, H, W) to one map (B, C, h, w) for each of `out_indices`."""
        x, shape = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        if self.pos_embed is not None:
            x = x + resize_pos_embed(self.pos_embed, self.patch_shape, shape)
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x, shape)
            if index == self.num_layers - 1:
                x = self.ln1(x)
            if index in self.out_indices:
                maps.append(to_map(x[:, 1:], shape))
        return tuple(maps)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Return how deep a parameter lies, and how many depths there are: for learning rates that decay with depth.

        Args:
            param_name: Its name in the whole model.
            prefix: What the names of this backbone start with there.
        """
        count = self.num_layers + 2
        name = param_name.removeprefix(prefix)
        if param_name.startswith(prefix) and name.startswith(("cls_token", "pos_embed", "patch_embed")):
            return 0, count
        if param_name.startswith(prefix) and name.startswith("layers."):
            return int(name.split(".")[1]) + 1, count
        return count - 1, count


MODELS.register_defaults(BEiT, "MAE", qkv_bias=True, use_abs_pos_embed=True)


def offset_index(shape: Size) -> torch.Tensor:
    """Return (L, L): where the table has the offset from one token to another, for h x w patches and a class token."""
    rows, columns = shape
    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    down = row[:, None] - row + rows - 1
    across = column[:, None] - column + columns - 1
    last = (2 * rows - 1) * (2 * columns - 1)
    index = F.pad(down * (2 * columns - 1) + across, (1, 0, 1, 0))
    index[0, :], index[:, 0] = last, last + 1
    index[0, 0] = last + 2
    return index


def resize_biases(table: torch.Tensor, source: Size, target: Size) -> torch.Tensor:
    """Interpolate a table of biases (offsets + 3, heads) of h x w patches to that of others."""
    (rows, columns), (more_rows, more_columns) = ((2 * size[0] - 1, 2 * size[1] - 1) for size in (source, target))
    grid, extra = table[:-_EXTRA].float().T.unflatten(1, (rows, columns)), table[-_EXTRA:]
    grid = F.interpolate(grid[None], size=(more_rows, more_columns), mode="bicubic", align_corners=True)
    return torch.cat([grid[0].flatten(1).T.to(table.dtype), extra])


def _fit_biases(module: RelativeAttention, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Interpolate biases of a checkpoint for a square of other patches; compute their index again."""
    name = prefix + "relative_position_bias_table"
    given, own = state.get(name), module.relative_position_bias_table
    if given is None:
        return
    state[prefix + "relative_position_index"] = module.relative_position_index
    if given.shape == own.shape or given.shape[1] != own.shape[1]:
        return
    side = round((given.shape[0] - _EXTRA) ** 0.5)
    if side * side == given.shape[0] - _EXTRA and side % 2:
        half = (side + 1) // 2
        state[name] = resize_biases(given, (half, half), module.window_size)
