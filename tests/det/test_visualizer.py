"""Pictures of objects, and the hook that has them drawn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from visuite.cv.image import imread, imwrite
from visuite.det.hooks import DetVisualizationHook
from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.det.visualizer import DetLocalVisualizer
from visuite.engine.structures import InstanceData

GREY = np.full((80, 120, 3), 90, np.uint8)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
META = {"classes": ("ant", "bee", "cat"), "palette": [RED, GREEN, BLUE]}


def objects(*boxes: tuple[float, ...], labels: list[int] | None = None, scores: list[float] | None = None) -> Any:
    found = InstanceData(bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    found.labels = torch.tensor(labels if labels is not None else list(range(len(boxes))), dtype=torch.long)
    if scores is not None:
        found.scores = torch.tensor(scores)
    return found


def drawn(sample: DetDataSample | None, *, options: dict[str, Any] | None = None, **kwargs: Any) -> np.ndarray:
    visualizer = DetLocalVisualizer("test", **(options or {}))
    visualizer.dataset_meta = META
    visualizer.add_datasample("x", GREY, sample, save=False, **kwargs)
    return visualizer.get_image()


def coloured(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """Where (H, W) a picture is strongly red, green or blue."""
    strong = picture[..., color.index(255)].astype(int)
    rest = np.delete(picture.astype(int), color.index(255), axis=2).max(axis=2)
    return strong > rest + 80


def extent(where: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(where)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_boxes_stand_where_they_are_in_the_colour_of_their_class() -> None:
    found = objects((10, 20, 50, 70), (70, 30, 110, 60), labels=[0, 2], scores=[0.9, 0.8])
    picture = drawn(DetDataSample(pred_instances=found), options={"line_width": 2})
    for color, box in ((RED, (10, 20, 50, 70)), (BLUE, (70, 30, 110, 60))):
        assert np.abs(np.array(extent(coloured(picture, color))) - box).max() <= 3
    assert not coloured(picture, GREEN).any()
    assert (picture[60, 30] == 90).all()  # boxes are not filled


def test_low_scores_are_left_out() -> None:
    found = objects((10, 20, 50, 70), (70, 30, 110, 60), scores=[0.9, 0.2])
    sample = DetDataSample(pred_instances=found)
    assert not coloured(drawn(sample), GREEN).any()
    assert coloured(drawn(sample, pred_score_thr=0.1), GREEN).any()
    assert np.array_equal(drawn(sample, pred_score_thr=0.95), GREY)


def test_the_truth_stands_left_in_the_size_of_the_file() -> None:
    meta = {"img_shape": (160, 240), "ori_shape": (80, 120), "scale_factor": (2.0, 2.0), "gt_frame": "input"}
    truth, found = objects((20, 40, 100, 140), labels=[1]), objects((60, 20, 110, 70), labels=[2], scores=[0.9])
    sample = DetDataSample(metainfo=meta, gt_instances=truth, pred_instances=found)
    picture = drawn(sample)
    assert picture.shape == (80, 240, 3)
    left, right = picture[:, :120], picture[:, 120:]
    assert np.abs(np.array(extent(coloured(left, GREEN))) - (10, 20, 50, 70)).max() <= 3
    assert np.abs(np.array(extent(coloured(right, BLUE))) - (60, 20, 110, 70)).max() <= 3
    assert not coloured(right, GREEN).any()
    assert np.array_equal(drawn(sample, draw_gt=False), right)
    assert np.array_equal(drawn(sample, draw_pred=False), left)
    assert np.array_equal(drawn(sample, draw_pred=False, draw_gt=False), GREY)
    assert sample.gt_instances.bboxes[0, 0] == 20  # untouched


@pytest.mark.parametrize("kind", ["bitmap", "tensor"])
def test_masks_are_tinted(kind: str) -> None:
    mask = np.zeros((1, 80, 120), np.uint8)
    mask[:, 40:60, 30:60] = 1
    found = objects((20, 30, 70, 70), labels=[0], scores=[0.9])
    found.masks = BitmapMasks(mask, 80, 120) if kind == "bitmap" else torch.from_numpy(mask).bool()
    picture = drawn(DetDataSample(pred_instances=found))
    inside = picture[42:58, 32:58]
    assert (inside[..., 0] > inside[..., 1] + 30).all()
    assert (picture[62:66, 62:66] == 90).all()


def test_true_masks_are_brought_to_the_size_of_the_file() -> None:
    mask = np.zeros((1, 192, 256), np.uint8)  # padded to the batch
    mask[:, 80:120, 60:120] = 1
    meta = {"img_shape": (160, 240), "ori_shape": (80, 120), "scale_factor": (2.0, 2.0), "gt_frame": "input"}
    truth = objects((40, 60, 140, 140), labels=[0])
    truth.masks = BitmapMasks(mask, 192, 256)
    picture = drawn(DetDataSample(metainfo=meta, gt_instances=truth))
    assert (picture[42:58, 32:58, 0] > 100).all()
    assert (picture[62:66, 62:66] == 90).all()


def test_colours_may_be_said(tmp_path: Path) -> None:
    found = DetDataSample(pred_instances=objects((10, 20, 50, 70), labels=[0], scores=[0.9]))
    picture = drawn(found, options={"bbox_color": BLUE})
    assert coloured(picture, BLUE).any()


def test_letters_are_dark_on_light_colours_and_light_on_dark_ones() -> None:
    """Of the two labels, on yellow and on navy, the pixels farthest from the ground are black and white."""
    visualizer = DetLocalVisualizer("letters")
    visualizer.dataset_meta = {"classes": ("MMMM", "MMMM"), "palette": [(255, 255, 0), (0, 0, 128)]}
    found = objects((10, 10, 90, 90), (110, 10, 190, 90), scores=[0.9, 0.9])
    visualizer.set_image(np.full((100, 200, 3), 90, np.uint8))
    picture = visualizer.draw_instances(np.full((100, 200, 3), 90, np.uint8), found)
    yellow, navy = picture[12:20, 12:50], picture[12:20, 112:150]
    assert yellow.max(axis=2).min() < 60
    assert navy.min(axis=2).max() > 195
    said = drawn(DetDataSample(pred_instances=found), options={"text_color": (255, 0, 0)})
    assert coloured(said[8:24, 12:60], RED).any()


def test_nothing_to_draw() -> None:
    assert np.array_equal(drawn(None), GREY)
    empty = DetDataSample(gt_instances=objects(), pred_instances=objects(scores=[]))
    assert np.array_equal(drawn(empty), np.concatenate([GREY, GREY], axis=1))
    turned = objects((50, 70, 10, 20), labels=[0], scores=[0.9])  # a box whose corners are turned is named only
    assert drawn(DetDataSample(pred_instances=turned)).shape == GREY.shape


def test_labels_without_names_and_colours() -> None:
    visualizer = DetLocalVisualizer("none")
    found = DetDataSample(pred_instances=objects((10, 20, 50, 70), labels=[7], scores=[0.9]))
    visualizer.add_datasample("x", GREY, found, save=False)
    assert not np.array_equal(visualizer.get_image(), GREY)


def test_writes_a_file(tmp_path: Path) -> None:
    visualizer = DetLocalVisualizer("file")
    found = DetDataSample(pred_instances=objects((10, 20, 50, 70), scores=[0.9]))
    visualizer.add_datasample("x", GREY, found, out_file=str(tmp_path / "a" / "x.png"))
    assert np.array_equal(imread(tmp_path / "a" / "x.png", channel_order="rgb"), visualizer.get_image())


# ---------------------------------------------------------------------- the hook


class Recorder:
    """A visualizer that writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def add_datasample(self, name: str, image: np.ndarray, **kwargs: Any) -> None:
        self.calls.append({"name": name, "image": image, **kwargs})

    def get_image(self) -> np.ndarray:
        return GREY


def passes(tmp_path: Path, mode: str, **options: Any) -> list[dict[str, Any]]:
    """What is drawn of ten samples in batches of two."""
    imwrite(GREY, tmp_path / "in.png")
    loader = SimpleNamespace(dataset=range(10), batch_sampler=SimpleNamespace(batch_size=2))
    runner: Any = SimpleNamespace(
        visualizer=Recorder(),
        val_dataloader=loader,
        test_dataloader=loader,
        iter=17,
        rank=0,
        work_dir=str(tmp_path),
        log_dir=str(tmp_path / "log"),
        timestamp="now",
        logger=SimpleNamespace(info=lambda text: None),
    )
    hook = DetVisualizationHook(**options)
    getattr(hook, f"before_{mode}_epoch")(runner)
    for index in range(5):
        samples = [DetDataSample(metainfo={"img_path": str(tmp_path / "in.png")}) for _ in range(2)]
        getattr(hook, f"after_{mode}_iter")(runner, index, {"inputs": []}, samples)
    getattr(hook, f"after_{mode}_epoch")(runner)
    return runner.visualizer.calls


def test_the_hook_is_quiet_by_default(tmp_path: Path) -> None:
    assert passes(tmp_path, "val") == passes(tmp_path, "test") == []


@pytest.mark.parametrize("switch", ["draw", "show", "enable"])
def test_the_hook_draws_one_in_so_many_of_validation_and_all_of_the_test(tmp_path: Path, switch: str) -> None:
    options = {switch: True, "interval": 4, "score_thr": 0.7, "wait_time": 2}
    calls = passes(tmp_path, "val", **options)
    assert [one["name"] for one in calls] == ["val_0", "val_4", "val_8"]
    for one in calls:
        assert np.array_equal(one["image"], GREY)
        assert (one["pred_score_thr"], one["wait_time"], one["step"]) == (0.7, 2, 17)
        assert one["show"] == (switch == "show")
        assert one["out_file"] is None
    assert len(passes(tmp_path, "test", **options)) == 10


def test_pictures_of_the_test_have_a_folder_in_the_run(tmp_path: Path) -> None:
    calls = passes(tmp_path, "test", draw=True, test_out_dir="pictures")
    assert calls[3]["out_file"] == str(tmp_path / "now" / "pictures" / "test_3.png")
    calls = passes(tmp_path, "val", draw=True, interval=5, out_dir=str(tmp_path / "out"))
    assert [one["out_file"] for one in calls] == [str(tmp_path / "out" / f"val_{i}.png") for i in (0, 5)]


def test_a_grid_alone(tmp_path: Path) -> None:
    calls = passes(tmp_path, "test", grid=4)
    assert [one["name"] for one in calls] == ["test_0", "test_2", "test_4", "test_6"]
    assert all(one["save"] is False for one in calls)
    assert imread(tmp_path / "log" / "vis_data" / "test_grid.png") is not None
