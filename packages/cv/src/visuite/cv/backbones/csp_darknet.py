"""CSPDarknet, the backbone of YOLOX. Shapes and names of parameters: see `csp_base.py`; the stem is stem.conv.conv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from visuite.cv.backbones.base import Cfg
from visuite.cv.backbones.csp_base import CSPBackbone, Stage, arch_table
from visuite.cv.layers import Focus
from visuite.engine.registry import MODELS


@MODELS.register_module()
class CSPDarknet(CSPBackbone):
    """Darknet of CSP layers behind a stem that folds pixels into channels (YOLOX: Ge et al., arXiv:2107.08430).

    Args:
        arch: `P5` (four stages) or `P6` (five).
        in_channels: C.
        deepen_factor: Factor of the numbers of blocks.
        widen_factor: Factor of the channels.
        out_indices: Maps handed out; 0 is the stem's.
        frozen_stages: Train neither the stem (0) nor the first n stages; -1 trains all.
        use_depthwise: Make the 3x3 convolutions of stages depthwise separable ones.
        arch_ovewrite: The stages in full, in place of `arch`: channels in, channels out, blocks, whether these have
            shortcuts and whether the stage pools over several ranges, of each.
        spp_kernal_sizes: These ranges. Configs spell both names so.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        norm_eval: Keep the statistics of batch norms as they are while training.
        init_cfg: How weights are initialised.

    Raises:
        ValueError: an unknown architecture, or stages that do not exist.
    """

    arch_settings: ClassVar[Mapping[str, Sequence[Stage]]] = arch_table(9)

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
        arch_ovewrite: Sequence[Stage] | None = None,
        spp_kernal_sizes: Sequence[int] = (5, 9, 13),
        conv_cfg: Cfg | None = None,
        norm_cfg: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001},  # noqa: B006 (read only, as the next)
        act_cfg: Cfg = {"type": "Swish"},  # noqa: B006
        norm_eval: bool = False,
        init_cfg: Any = None,
    ) -> None:
        cfgs: dict[str, Any] = {"conv_cfg": conv_cfg, "norm_cfg": norm_cfg, "act_cfg": act_cfg}
        super().__init__(
            arch,
            arch_ovewrite,
            make_stem=lambda width: Focus(in_channels, width, kernel_size=3, **cfgs),
            deepen_factor=deepen_factor,
            widen_factor=widen_factor,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            use_depthwise=use_depthwise,
            spp_kernel_sizes=spp_kernal_sizes,
            csp={},
            cfgs=cfgs,
            norm_eval=norm_eval,
            init_cfg=init_cfg,
        )
