"""IoU and its kin against plain counting, and that every image counts once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visuite.engine.evaluator import Evaluator
from visuite.engine.structures import PixelData
from visuite.seg.metrics import IoUMetric, count_pixels
from visuite.seg.metrics.areas import StrayLabelError
from visuite.seg.structures import SegDataSample

META = {"classes": ("a", "b", "c", "d", "e"), "palette": [(i, 0, 200) for i in range(5)]}


def sample(seed: int, *, classes: int = 5, size: tuple[int, int] = (7, 9), **meta: Any) -> SegDataSample:
    """A random map and a prediction that agrees with most of it; class 4 is neither true nor predicted."""
    random = np.random.default_rng(seed)
    true = random.choice([*range(classes - 1), 255], size)
    guess = np.where(random.random(size) < 0.7, true % 255 % (classes - 1), random.integers(0, classes - 1, size))
    made = SegDataSample(metainfo={"img_path": f"{seed}.jpg", "seg_map_path": f"{seed}.png", **meta})
    made.gt_sem_seg = PixelData(data=torch.from_numpy(true)[None])
    made.pred_sem_seg = PixelData(data=torch.from_numpy(guess)[None])
    return made


def evaluated(metric: IoUMetric, samples: list[SegDataSample], batch: int = 2) -> dict[str, float]:
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = META
    return evaluator.offline_evaluate(samples, chunk_size=batch)


def plain(samples: list[SegDataSample], beta: float = 1.0) -> dict[str, float]:
    """The definitions, pixel by pixel and class by class."""
    true = np.concatenate([one.gt_sem_seg.data.numpy().ravel() for one in samples])
    guess = np.concatenate([one.pred_sem_seg.data.numpy().ravel() for one in samples])
    true, guess = true[true != 255], guess[true != 255]
    lists: dict[str, list[float]] = {}
    for label in range(5):
        is_true, is_guess = true == label, guess == label
        both = int((is_true & is_guess).sum())
        if not is_true.any() and not is_guess.any():
            continue
        precision, recall = both / is_guess.sum(), both / is_true.sum()
        values = {
            "mIoU": both / (is_true | is_guess).sum(),
            "mAcc": recall,
            "mDice": 2 * both / (is_true.sum() + is_guess.sum()),
            "mPrecision": precision,
            "mRecall": recall,
            "mFscore": (1 + beta**2) * precision * recall / (beta**2 * precision + recall),
        }
        for name, value in values.items():
            lists.setdefault(name, []).append(value)
    means = {name: float(np.mean(values)) for name, values in lists.items()}
    return {name: round(100 * value, 2) for name, value in {**means, "aAcc": float((true == guess).mean())}.items()}


@given(st.lists(st.integers(0, 99), min_size=1, max_size=5), st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=25, deadline=None)
def test_equals_plain_counting(seeds: list[int], beta: float) -> None:
    samples = [sample(seed) for seed in seeds]
    got = evaluated(IoUMetric(iou_metrics=["mIoU", "mDice", "mFscore"], beta=beta), samples)
    assert got == pytest.approx(plain(samples, beta), abs=0.011)


def test_names_of_each_measure() -> None:
    keys = {"mIoU": {"mIoU", "mAcc"}, "mDice": {"mDice", "mAcc"}, "mFscore": {"mFscore", "mPrecision", "mRecall"}}
    for measure, names in keys.items():
        assert set(evaluated(IoUMetric(iou_metrics=[measure]), [sample(0)])) == {"aAcc", *names}
    assert "x/mIoU" in evaluated(IoUMetric(prefix="x"), [sample(0)])


def test_counts_equal_a_confusion_matrix_of_numpy() -> None:
    random = np.random.default_rng(0)
    true, guess = random.choice([0, 1, 2, 255], (50, 60)), random.integers(0, 3, (50, 60))
    wanted = np.zeros((3, 3), int)
    np.add.at(wanted, (true[true != 255], guess[true != 255]), 1)
    assert count_pixels(torch.from_numpy(guess), torch.from_numpy(true), 3).tolist() == wanted.tolist()
    assert count_pixels(torch.zeros(0), torch.zeros(0), 2).sum() == 0


@pytest.mark.parametrize("ignore", [255, -100, 1, 1000, -(10**9)])
def test_any_value_may_be_the_ignored_one(ignore: int) -> None:
    true, guess = torch.tensor([0, 2, 2, ignore, ignore]), torch.tensor([0, 2, 0, 2, 77])  # 77 is where nobody looks
    assert count_pixels(guess, true, 3, ignore).tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize("stray", [-1, 3, 254, 10**9])
def test_any_other_value_is_told(stray: int) -> None:
    with pytest.raises(StrayLabelError, match=rf"^2 pixels .*: \[{stray}\]$"):
        count_pixels(torch.zeros(4), torch.tensor([0, stray, 255, stray]), 3)


def test_absent_classes_do_not_count_unless_asked_for() -> None:
    samples = [sample(0)]
    free, zero = evaluated(IoUMetric(), samples), evaluated(IoUMetric(nan_to_num=0), samples)
    assert zero["mIoU"] == pytest.approx(free["mIoU"] * 4 / 5, abs=0.02)


def test_the_second_evaluation_begins_anew() -> None:
    metric = IoUMetric()
    evaluated(metric, [sample(0), sample(1)])
    assert evaluated(metric, [sample(2)]) == evaluated(IoUMetric(), [sample(2)])


def test_memory_does_not_grow_with_images() -> None:
    metric = IoUMetric()
    metric.dataset_meta = META
    for number in range(20):
        metric.process(None, [sample(number).to_dict()])
    assert metric.results == []
    assert metric._counts is not None
    assert metric._counts.shape == (5, 5)


def test_values_that_are_no_classes_are_named() -> None:
    bad = sample(3)
    bad.gt_sem_seg.data[0, 0, :2] = 77
    with pytest.raises(StrayLabelError, match=r"3\.png: 2 pixels of the true map .* the 5 classes .*\[77\]"):
        evaluated(IoUMetric(), [bad])
    wild = sample(3)
    wild.pred_sem_seg.data[0] = 9
    with pytest.raises(ValueError, match=r"3\.jpg: class 9 is predicted, and the data has 5 classes"):
        evaluated(IoUMetric(), [wild])
    small = sample(3)
    small.pred_sem_seg = PixelData(data=torch.zeros(1, 2, 2, dtype=torch.long))
    with pytest.raises(ValueError, match=r"3\.jpg: the prediction is"):
        evaluated(IoUMetric(), [small])


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"'mIou'.*'mIoU'"):
        IoUMetric(iou_metrics=["mIou"])
    with pytest.raises(ValueError, match="needs output_dir"):
        IoUMetric(format_only=True)


@pytest.mark.parametrize("reduced", [False, True])
def test_writes_predictions_with_their_palette(tmp_path: Path, reduced: bool) -> None:
    one = sample(5, reduce_zero_label=reduced)
    assert evaluated(IoUMetric(output_dir=str(tmp_path), format_only=True), [one]) == {}
    with Image.open(tmp_path / "5.png") as picture:
        assert picture.mode == "P"
        values, colours = np.array(picture), np.array(picture.convert("RGB"))
    guess = one.pred_sem_seg.data[0].numpy()
    assert (values == guess + reduced).all()
    assert (colours[..., 0] == guess).all()  # the palette of the data set, moved by one with the classes
    assert (colours[..., 2] == 200).all()


def test_draws_the_worst_images_and_what_is_confused(tmp_path: Path) -> None:
    samples = []
    for number in range(5):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(path)
        one = sample(number, size=(60, 80), img_path=str(path))
        if number != 3:
            one.pred_sem_seg = PixelData(data=one.gt_sem_seg.data % 255 % 4)
        samples.append(one)
    evaluated(IoUMetric(analysis_dir=str(tmp_path / "out"), num_worst=2), samples)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[0] == "confusion_matrix.png"
    assert names[1] == "worst_01_3.png"
    assert len(names) == 3
    with Image.open(tmp_path / "out/worst_01_3.png") as picture:
        assert picture.width == 160


SPLITS = [(size, rounded) for size in (1, 5, 6) for rounded in (True, False)]


def over_ranks(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    evaluator = Evaluator(IoUMetric(iou_metrics=["mIoU", "mFscore"]))
    evaluator.dataset_meta = META
    said = []
    for size, rounded in SPLITS:
        for number in range(rank, size + (size % 2 if rounded else 0), 2):
            evaluator.process([sample(number % size)])
        said.append(evaluator.evaluate(size))
    Path(folder, f"{rank}.json").write_text(json.dumps(said))
    dist.destroy_process_group()


@pytest.mark.slow
def test_every_image_counts_once_over_ranks(tmp_path: Path) -> None:
    mp.spawn(over_ranks, args=(str(tmp_path),), nprocs=2)
    metric = IoUMetric(iou_metrics=["mIoU", "mFscore"])
    alone = [evaluated(metric, [sample(number) for number in range(size)]) for size, _ in SPLITS]
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == alone


def test_more_samples_than_the_data_set_has() -> None:
    metric = IoUMetric()
    metric.dataset_meta = META
    metric.process(None, [sample(number).to_dict() for number in range(4)])
    with pytest.raises(ValueError, match="4 samples came to rank 0 of 1, the data set has 2"):
        metric.evaluate(2)
