"""What the hook shows of a sample."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset

from visuite.engine.dataset import channel_order
from visuite.engine.hooks import VisualizationHook
from visuite.engine.hooks.visualization import picture_of, to_rgb

COLOUR = torch.tensor([200, 100, 50], dtype=torch.uint8)[:, None, None].expand(3, 4, 5)


def test_colours_come_in_the_order_that_is_told():
    assert to_rgb(COLOUR)[0, 0].tolist() == [50, 100, 200]
    assert to_rgb(COLOUR, "rgb")[0, 0].tolist() == [200, 100, 50]
    assert to_rgb(COLOUR[:1], "grey")[0, 0].tolist() == [200] * 3
    assert to_rgb(torch.cat((COLOUR, COLOUR)), "rgb")[0, 0].tolist() == [200, 100, 50]
    assert to_rgb(COLOUR.float() / 255, "rgb")[0, 0].tolist() == [255, 85, 0]  # stretched


def test_a_file_is_shown_as_it_is(tmp_path):
    Image.new("RGB", (5, 4), (200, 100, 50)).save(tmp_path / "a.png")
    shown = picture_of({"img_path": str(tmp_path / "a.png")}, {"inputs": [COLOUR]}, 0, "rgb")
    assert shown[0, 0].tolist() == [200, 100, 50]


class Coloured:
    channel_order = "rgb"

    def __len__(self):
        return 4


def test_the_order_is_that_of_the_data_set_inside():
    inner = Coloured()
    for wrapped in (inner, Subset(inner, [0]), SimpleNamespace(datasets=[Subset(inner, [1]), []])):
        assert channel_order(wrapped) == "rgb"
    for plain in (range(3), SimpleNamespace(datasets=[]), Subset(range(3), [0])):
        assert channel_order(plain) == "bgr"


@pytest.mark.parametrize("mode", ["val", "test"])
@pytest.mark.parametrize(("dataset", "red"), [(range(4), 50), (Subset(Coloured(), range(4)), 200)])
def test_the_hook_asks_the_data_set(mode, dataset, red):
    shown: list[np.ndarray] = []
    loader = SimpleNamespace(dataset=dataset, batch_sampler=SimpleNamespace(batch_size=2))
    visualizer = SimpleNamespace(add_datasample=lambda name, image, **kwargs: shown.append(image))
    runner = SimpleNamespace(visualizer=visualizer, iter=0, **{f"{mode}_dataloader": loader})
    after = getattr(VisualizationHook(enable=True, interval=1), f"after_{mode}_iter")
    after(runner, 0, {"inputs": [COLOUR, COLOUR]}, [{}, {}])
    assert [image[0, 0, 0] for image in shown] == [red, red]
