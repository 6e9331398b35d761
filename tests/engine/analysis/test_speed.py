"""What the benchmarks measure; no test depends on how fast this machine is."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest
import torch

from tests.engine.runner.toy import ToyNet, config
from visuite.engine.analysis import loader_speeds, step_speeds
from visuite.engine.analysis.speed import StepSpeed, batch_length
from visuite.engine.config import Config
from visuite.engine.registry import MODELS


class Slow(torch.utils.data.Dataset):
    """Every sample takes two milliseconds."""

    def __init__(self, size: int = 12) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        time.sleep(0.002)
        return {"inputs": torch.zeros(3)}


def test_loader_is_measured_for_each_number_of_workers():
    speeds = list(loader_speeds(dict(dataset=Slow(), batch_size=4, persistent_workers=True), [0, 1], seconds=5))
    assert [one.workers for one in speeds] == [0, 1]
    assert [one.images for one in speeds] == [12, 12]
    assert all(0 < one.images_per_second <= 500 * 1.5 for one in speeds)  # the first batch may hide some waiting
    assert speeds[0].first_batch >= 4 * 0.002


def test_loader_stops_at_its_limits():
    (few,) = loader_speeds(dict(dataset=Slow(4000), batch_size=4), [0], seconds=60, batches=3)
    assert few.images == 12
    (short,) = loader_speeds(dict(dataset=Slow(4000), batch_size=4), [0], seconds=0.05)
    assert short.images < 400


def test_loader_of_one_batch_and_of_none():
    (one,) = loader_speeds(dict(dataset=Slow(3), batch_size=4), [0])
    assert one.images == 3
    assert one.images_per_second <= 500
    with pytest.raises(ValueError, match="no batch"):
        list(loader_speeds(dict(dataset=Slow(3), batch_size=4, drop_last=True), [0]))


@pytest.mark.parametrize("load", [False, True])
def test_steps_train_and_infer(tmp_path, load):
    cfg = Config(config(tmp_path))
    train, inference = step_speeds(cfg, iterations=3, warmup=1, device="cpu", load=load)
    assert (train.stage, inference.stage) == ("train", "inference")
    assert (len(train.times), len(inference.times)) == (3, 3)
    assert train.images == 4
    assert min(train.times) > 0
    assert not list(tmp_path.iterdir())  # nothing is left behind


@MODELS.register_module()
class Witness(ToyNet):
    """Remembers what it is called with, and spoils what it is given."""

    seen: ClassVar[list[tuple[str, int, float]]] = []
    layouts: ClassVar[set[bool]] = set()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conv = torch.nn.Conv2d(4, 4, 3)

    def forward(self, inputs, labels=None, mode="tensor"):
        self.seen.append((mode, len(inputs), float(labels.float().abs().max())))
        self.layouts.add(self.conv.weight.is_contiguous(memory_format=torch.channels_last))
        answer = super().forward(inputs, labels.clone(), mode)
        labels.fill_(99)
        return answer


@pytest.fixture
def witness():
    Witness.seen.clear()
    Witness.layouts.clear()
    return Witness


@pytest.mark.parametrize(("without", "length"), [((), 3), (("val",), 5), (("val", "test"), 4)])
def test_inference_is_measured_on_data_of_its_own(tmp_path, witness, without, length):
    cfg = Config(config(tmp_path, model=dict(type="Witness"), channels_last=True))
    cfg.test_dataloader = cfg.val_dataloader.copy()
    cfg.val_dataloader.batch_size, cfg.test_dataloader.batch_size = 3, 5
    for split in without:
        del cfg[f"{split}_dataloader"]
    _, inference = step_speeds(cfg, iterations=8, warmup=1, device="cpu")
    assert inference.images == length
    assert {(mode, images) for mode, images, _ in witness.seen} == {("loss", 4), ("predict", length)}
    assert max(label for *_, label in witness.seen) == 1  # each batch is as the loader made it
    assert witness.layouts == {True}  # the model lies in memory as the run's does


def test_statistics_of_a_stage():
    speed = StepSpeed("train", [float(number) for number in range(100, 0, -1)], 1, None)
    assert speed.median == 50.5
    assert speed.slowest_tenth == 91


def test_batch_length():
    assert batch_length({"inputs": [1, 2, 3]}) == 3
    assert batch_length([torch.zeros(4, 2), torch.zeros(4)]) == 4
    assert batch_length(torch.zeros(5, 2)) == 5
    with pytest.raises(TypeError, match="a int"):
        batch_length(3)
