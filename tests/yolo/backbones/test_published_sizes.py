"""YOLOv6, YOLOv7 and PP-YOLOE by their published configs have as many weights as their papers say, in millions.

Those are counts of networks made ready to predict: of re-parameterised blocks one convolution is left, and norms are
folded. Heads are added by their definition.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from visuite.cv.layers import switch_to_deploy
from visuite.cv.necks.base import told_maps
from visuite.engine.registry import MODELS

CLASSES = 80


def weights(model: nn.Module) -> int:
    """Those of convolutions, each with a bias."""
    convs = [part for part in model.modules() if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d))]
    return sum(conv.weight.numel() + conv.out_channels for conv in convs)


def build(backbone: dict[str, Any], neck: dict[str, Any]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return the weights of both parts, made ready to predict, and the channels and strides of the neck's maps."""
    with torch.device("meta"):
        parts = [MODELS.build({**cfg, "type": f"yolo.{cfg['type']}"}) for cfg in (backbone, neck)]
    told = told_maps(*parts)
    assert told is not None
    assert told.strides is not None
    return sum(weights(switch_to_deploy(part)) for part in parts), told.channels, told.strides


PLAIN = {"type": "ConvWrapper", "norm_cfg": {"type": "BN"}}
REP = {"type": "RepVGGBlock"}
#: Depth, width, type of blocks, part of channels in CSP blocks; weights as published, and those of version 3.0.
YOLOV6: dict[str, tuple[float, float, dict[str, str] | None, float | None, float, float | None]] = {
    "n": (0.33, 0.25, None, None, 4.3, 4.7),
    "t": (0.33, 0.375, None, None, 9.7, None),
    "s": (0.33, 0.5, None, None, 17.2, 18.5),
    "m": (0.6, 0.75, REP, 2 / 3, 34.3, 34.9),
    "l": (1.0, 1.0, PLAIN, 1 / 2, 58.5, 59.6),
}

ROWS = [(size, version) for size, row in YOLOV6.items() for version, at in ((1, 4), (3, 5)) if row[at] is not None]


@pytest.mark.parametrize(("size", "version"), ROWS)
def test_yolov6(size: str, version: int) -> None:
    depth, width, block_cfg, ratio, *published = YOLOV6[size]
    factors: dict[str, Any] = {"deepen_factor": depth, "widen_factor": width}
    if block_cfg is not None:
        factors |= {"block_cfg": block_cfg, "hidden_ratio": ratio}
    channels: tuple[int, ...] = (256, 512, 1024)
    backbone: dict[str, Any] = {"type": "YOLOv6EfficientRep" if block_cfg is None else "YOLOv6CSPBep"}
    csp, bidirectional = "" if block_cfg is None else "CSP", ""
    if version == 3:
        # The paper's M and L pool as before.
        backbone |= {"out_indices": (1, 2, 3, 4), "use_cspsppf": block_cfg is None}
        channels, bidirectional = (128, *channels), "Bi"
    neck = {"type": f"YOLOv6{csp}Rep{bidirectional}PAFPN", "in_channels": channels, "out_channels": (128, 256, 512)}
    total, widths, strides = build({**backbone, **factors}, {**neck, **factors})
    assert strides == (8, 16, 32)
    assert widths == tuple(int(one * width) for one in (128, 256, 512))
    # A stem, a 3x3 convolution for classes and one for boxes; these with distributions from M on.
    reg_max = 17 if block_cfg is not None else 1
    total += sum(c * c * (1 + 9 + 9) + c * (CLASSES + 4 * reg_max) for c in widths)
    assert total / 1e6 == pytest.approx(published[version // 2], abs=0.11)


ELAN = {"type": "ELANBlock"}
L = {**ELAN, "middle_ratio": 0.5, "block_ratio": 0.25, "num_blocks": 4}
X = {**ELAN, "middle_ratio": 0.4, "block_ratio": 0.4, "num_blocks": 3, "num_convs_in_block": 2}
E = {**ELAN, "middle_ratio": 0.4, "block_ratio": 0.2, "num_blocks": 6, "num_convs_in_block": 1}
E6E = {**E, "type": "EELANBlock", "num_elan_block": 2}
#: Arguments of the neck, channels out of the backbone, and out of the neck before they are doubled.
YOLOV7: dict[str, tuple[dict[str, Any], tuple[int, ...], tuple[int, ...], float]] = {
    "Tiny": (
        {"block_cfg": {"type": "TinyDownSampleBlock", "middle_ratio": 0.25}, "is_tiny_version": True},
        (128, 256, 512),
        (64, 128, 256),
        6.2,
    ),
    "L": ({"block_cfg": L, "use_repconv_outs": True}, (512, 1024, 1024), (128, 256, 512), 36.9),
    "X": ({"block_cfg": X}, (640, 1280, 1280), (160, 320, 640), 71.3),
    "W": (
        {"block_cfg": L, "use_maxpool_in_downsample": False},
        (256, 512, 768, 1024),
        (128, 256, 384, 512),
        70.4,
    ),
    "E": ({"block_cfg": E, "use_in_channels_in_downsample": True}, (320, 640, 960, 1280), (160, 320, 480, 640), 97.2),
    "E2E": (
        {"block_cfg": E6E, "use_in_channels_in_downsample": True},
        (320, 640, 960, 1280),
        (160, 320, 480, 640),
        151.7,
    ),
}


@pytest.mark.parametrize("arch", YOLOV7)
def test_yolov7(arch: str) -> None:
    options, channels, inner, published = YOLOV7[arch]
    four = len(channels) == 4
    total, widths, strides = build(
        {"type": "YOLOv7Backbone", "arch": arch, "out_indices": (2, 3, 4, 5) if four else (2, 3, 4)},
        {"type": "YOLOv7PAFPN", "use_repconv_outs": False, "in_channels": channels, "out_channels": inner, **options},
    )
    assert strides == ((8, 16, 32, 64) if four else (8, 16, 32))
    if four:  # the head doubles the channels, by 3x3 convolutions
        assert widths == inner
        total += sum(9 * c * 2 * c for c in widths)
    else:
        assert widths == tuple(2 * c for c in inner)
    total += sum((2 if four else 1) * c * 3 * (5 + CLASSES) for c in widths)
    assert total / 1e6 == pytest.approx(published, abs=0.06)


PPYOLOE = {"s": (0.33, 0.5, 7.93), "m": (0.67, 0.75, 23.43), "l": (1.0, 1.0, 52.20), "x": (1.33, 1.25, 98.42)}


@pytest.mark.parametrize("size", PPYOLOE)
def test_ppyoloe(size: str) -> None:
    depth, width, published = PPYOLOE[size]
    factors = {"deepen_factor": depth, "widen_factor": width}
    total, widths, strides = build(
        {"type": "PPYOLOECSPResNet", "use_large_stem": True, **factors},
        {
            "type": "PPYOLOECSPPAFPN",
            "in_channels": (256, 512, 1024),
            "out_channels": (192, 384, 768),
            "use_spp": True,
            **factors,
        },
    )
    assert strides == (8, 16, 32)
    # For classes and boxes each a weighing of channels, a 1x1 convolution, and a 3x3 one to numbers.
    total += sum(4 * c * c + 9 * c * (CLASSES + 4 * 17) for c in widths)
    assert total / 1e6 == pytest.approx(published, abs=0.05)


def test_an_unknown_size_is_told() -> None:
    with pytest.raises(ValueError, match="YOLOv7Backbone has no 'tiny'; did you mean 'Tiny'"):
        MODELS.build({"type": "yolo.YOLOv7Backbone", "arch": "tiny"})
    with pytest.raises(ValueError, match=r"3 levels by in_channels .*, but 4 by out_channels"):
        MODELS.build({"type": "yolo.YOLOv6RepBiPAFPN", "in_channels": (8,) * 4, "out_channels": (8,) * 4})
