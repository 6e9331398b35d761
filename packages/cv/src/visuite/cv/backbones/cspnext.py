"""CSPNeXt, the backbone of RTMDet. Shapes and names of parameters: see `csp_base.py`; the stem is stem.0.conv, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import nn

from visuite.cv.backbones.base import Cfg
from visuite.cv.backbones.csp_base import CSPBackbone, Stage, arch_table
from visuite.cv.layers import ConvModule
from visuite.engine.registry import MODELS


@MODELS.register_module()
class CSPNeXt(CSPBackbone):
    """CSP layers of blocks with large depthwise kernels, and channel attention (RTMDet: Lyu et al., arXiv:2212.07784).

    Args:
        arch: `P5` (four stages) or `P6` (five).
        in_channels: C.
        deepen_factor: Factor of the numbers of blocks.
        widen_factor: Factor of the channels.
        out_indices: Maps handed out; 0 is the stem's.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        use_depthwise: Make the 3x3 convolutions of stages depthwise separable ones.
        expand_ratio: The channels of each half of a CSP layer, in those that it gives.
        arch_ovewrite: The stages in full, in place of `arch`, as for `CSPDarknet`.
        spp_kernel_sizes: The ranges over which the last stage pools.
        channel_attention: Weigh the channels in each CSP layer.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = arch_table(6)

    def __init__(
        self,
        arch: str = "P5",
        in_channels: int = 3,
        *,
        deepen_factor: float = 1.0,
        widen_factor: float = 1.0,
        out_indices: int | Sequence[int] = (2, 3, 4),
        frozen_stages: int = -1,
        use_depthwise: bool = False,
        expand_ratio: float = 0.5,
        arch_ovewrite: Sequence[Stage] | None = None,
        spp_kernel_sizes: Sequence[int] = (5, 9, 13),
        channel_attention: bool = True,
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "SiLU"},  # noqa: B006
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        cfgs = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        super().__init__(
            arch,
            arch_ovewrite,
            make_stem=lambda width: cspnext_stem(in_channels, width, cfgs),
            deepen_factor=deepen_factor,
            widen_factor=widen_factor,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            use_depthwise=use_depthwise,
            spp_kernel_sizes=spp_kernel_sizes,
            csp={"expand_ratio": expand_ratio, "use_cspnext_block": True, "channel_attention": channel_attention},
            cfgs=cfgs,
            norm_eval=norm_eval,
            init_cfg=init_cfg,
        )


def cspnext_stem(in_channels: int, width: int, cfgs: Mapping[str, Any]) -> nn.Sequential:
    """Three 3x3 convolutions, the first with stride 2: (B, C, H, W) to (B, width, H / 2, W / 2)."""
    half = width // 2
    return nn.Sequential(
        ConvModule(in_channels, half, 3, stride=2, padding=1, **cfgs),
        ConvModule(half, half, 3, padding=1, **cfgs),
        ConvModule(half, width, 3, padding=1, **cfgs),
    )
