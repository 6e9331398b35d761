"""Pictures of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.engine.structures import PixelData
from visuite.seg.hooks import SegVisualizationHook
from visuite.seg.structures import SegDataSample
from visuite.seg.visualizer import SegLocalVisualizer, class_map_image, facts_about

IMAGE = np.full((40, 60, 3), 100, np.uint8)
CLASSES, PALETTE = ("sky", "road", "car"), ((200, 0, 0), (0, 200, 0), (0, 0, 200))


def sample(*fields: str, size: tuple[int, int] = (40, 60)) -> SegDataSample:
    made = SegDataSample()
    for number, field in enumerate(fields):
        data = torch.full((1, *size), number)
        data[:, :, : size[1] // 2] = 255
        setattr(made, field, PixelData(data=data))
    return made


def drawn(made: SegDataSample, *, alpha: float = 0.5, with_labels: bool = False) -> np.ndarray:
    visualizer = SegLocalVisualizer(classes=CLASSES, palette=PALETTE, alpha=alpha)
    visualizer.add_datasample("x", IMAGE, made, save=False, with_labels=with_labels)
    return visualizer.get_image()


def test_colours_are_mixed_with_the_image_and_ignored_pixels_stay() -> None:
    picture = drawn(sample("gt_sem_seg"))
    assert picture.shape == IMAGE.shape
    assert (picture[:, :30] == 100).all()
    assert (picture[:, 30:] == (150, 50, 50)).all()


def test_the_truth_stands_left_of_the_prediction() -> None:
    picture = drawn(sample("gt_sem_seg", "pred_sem_seg"), alpha=1.0)
    assert picture.shape == (40, 120, 3)
    assert picture[5, 50].tolist() == [200, 0, 0]
    assert picture[5, 110].tolist() == [0, 200, 0]


def test_maps_of_another_size_are_fitted() -> None:
    picture = drawn(sample("pred_sem_seg", size=(20, 30)), alpha=1.0)
    assert (picture[:, 30:] == (200, 0, 0)).all()


def test_the_legend_names_what_is_there_in_its_colour() -> None:
    made = sample("gt_sem_seg", "pred_sem_seg")
    bare, named = drawn(made, alpha=1.0), drawn(made, alpha=1.0, with_labels=True)
    assert (named[: len(bare)] == bare).all()
    strip = named[len(bare) :].reshape(-1, 3)
    for label, there in ((0, True), (1, True), (2, False)):
        assert (strip == PALETTE[label]).all(axis=1).any() == there
    nothing = sample("gt_sem_seg")
    nothing.gt_sem_seg.data.fill_(255)
    assert (drawn(nothing, with_labels=True) == IMAGE).all()


def test_without_names_every_class_has_a_colour() -> None:
    visualizer = SegLocalVisualizer(alpha=1.0)
    picture = visualizer.draw_sem_seg(IMAGE, PixelData(data=torch.arange(60).expand(1, 40, 60) // 6), with_labels=False)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 10


def test_known_data_sets_give_names_and_colours() -> None:
    assert facts_about("ade")["classes"] == facts_about("ADE20KDataset")["classes"]
    assert SegLocalVisualizer(dataset_name="cityscapes").dataset_meta["classes"][0] == "road"  # type: ignore[index]
    with pytest.raises(ValueError, match=r"'cityscape'.*'cityscapes'"):
        facts_about("cityscape")


@pytest.mark.parametrize("most", [3, 255, 300])
def test_maps_keep_their_values_as_files(tmp_path: Path, most: int) -> None:
    classes = np.arange(400).reshape(20, 20) % (most + 1)
    class_map_image(classes, PALETTE).save(tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as opened:
        assert opened.mode == ("P" if most <= 255 else "I;16")
        assert (np.array(opened) == classes).all()


def test_the_hook_draws_when_asked_to() -> None:
    assert not SegVisualizationHook().enable
    for asked in ({"draw": True}, {"show": True}, {"enable": True}):
        assert SegVisualizationHook(**asked).enable
    assert SegVisualizationHook(draw=True, backend_args=None).draw_args == {"wait_time": 0.0, "with_labels": True}
