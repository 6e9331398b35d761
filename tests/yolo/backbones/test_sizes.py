"""The sizes of the published networks: channels by their configs' factors, and the weights that are known of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from visuite.cv.necks.base import told_maps
from visuite.engine.registry import MODELS

SIZES = {"n": (0.33, 0.25), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0), "x": (1.33, 1.25)}
#: Of whole YOLOv5s with 80 classes, as their release notes say (v6.1; P6 in millions).
YOLOV5 = {"n": 1872157, "s": 7235389, "m": 21190557, "l": 46563709, "x": 86749405}
YOLOV5_P6 = {"n": 3.2, "s": 12.6, "m": 35.7, "l": 76.8, "x": 140.7}


def parts(backbone: dict[str, Any], neck: dict[str, Any], size: tuple[float, float]) -> tuple[Any, Any]:
    factors = {"deepen_factor": size[0], "widen_factor": size[1]}
    with torch.device("meta"):
        return tuple(MODELS.build({**cfg, **factors, "type": f"yolo.{cfg['type']}"}) for cfg in (backbone, neck))


def weights(*modules: torch.nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("arch", ["P5", "P6"])
def test_yolov5_has_as_many_weights_as_published(size: str, arch: str) -> None:
    channels = (256, 512, 1024) if arch == "P5" else (256, 512, 768, 1024)
    backbone, neck = parts(
        {"type": "YOLOv5CSPDarknet", "arch": arch, "out_indices": tuple(range(2, 2 + len(channels)))},
        {"type": "YOLOv5PAFPN", "in_channels": channels, "out_channels": channels, "num_csp_blocks": 3},
        SIZES[size],
    )
    told = told_maps(backbone, neck)
    assert told is not None
    assert told.strides == (8, 16, 32, 64)[: len(channels)]
    # The head is a 1x1 convolution for each level, to 85 numbers for each of three anchors.
    total = weights(backbone, neck) + sum((one + 1) * 3 * 85 for one in told.channels)
    if arch == "P5":
        assert total == YOLOV5[size]
    else:
        assert total / 1e6 == pytest.approx(YOLOV5_P6[size], abs=0.1)


@pytest.mark.parametrize(("size", "last"), [("n", 1024), ("s", 1024), ("m", 768), ("l", 512), ((1.0, 1.25), 512)])
def test_the_last_stage_of_yolov8_is_as_wide_as_told(size: Any, last: int) -> None:
    factors = SIZES.get(size, size)
    channels = (256, 512, last)
    backbone, neck = parts(
        {"type": "YOLOv8CSPDarknet", "last_stage_out_channels": last},
        {"type": "YOLOv8PAFPN", "in_channels": channels, "out_channels": channels},
        factors,
    )
    told = told_maps(backbone, neck)
    assert told is not None
    assert told.channels == backbone.out_channels == tuple(int(one * factors[1]) for one in channels)


@pytest.mark.parametrize("arch", ["P5", "P6"])
@pytest.mark.parametrize("kind", ["YOLOv5CSPDarknet", "YOLOXCSPDarknet", "CSPNeXt"])
def test_stages_go_on_where_the_last_has_ended(kind: str, arch: str) -> None:
    rows = MODELS.get(f"yolo.{kind}").arch_settings[arch]
    assert len(rows) == {"P5": 4, "P6": 5}[arch]
    assert all(before.out_channels == after.in_channels for before, after in pairwise(rows))
    assert [row.use_spp for row in rows] == [False] * (len(rows) - 1) + [True]


def test_stages_in_full_win_over_the_name() -> None:
    stages = [[16, 32, 1, False, True], [32, 48, 2, True, False]]
    net = MODELS.build({"type": "yolo.CSPNeXt", "arch_ovewrite": stages, "widen_factor": 0.5, "out_indices": (1, 2)})
    assert net.out_channels == (16, 24)
    assert net.out_strides == (4, 8)


def test_an_unknown_size_is_told() -> None:
    with pytest.raises(ValueError, match="YOLOv8CSPDarknet has no 'P7'; it has P5"):
        MODELS.build({"type": "yolo.YOLOv8CSPDarknet", "arch": "P7"})
