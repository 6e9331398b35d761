"""Metrics over two processes count every sample once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from tests.det.metrics.samples import CLASSES, random_images
from visuite.det.metrics import CocoMetric, VOCMetric
from visuite.engine.evaluator import Evaluator

SIZE = 9  # odd: the second rank repeats a sample


def evaluator() -> Evaluator:
    made = Evaluator([CocoMetric(metric=["bbox", "segm"], backend="pycocotools"), VOCMetric()])
    made.dataset_meta = {"classes": CLASSES}
    return made


def run(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    samples = random_images(1, masks=True)[:SIZE]
    one = evaluator()
    for number in range(rank, SIZE + SIZE % 2, 2):
        one.process([samples[number % SIZE]])
    Path(folder, f"{rank}.json").write_text(json.dumps(one.evaluate(SIZE)))
    dist.destroy_process_group()


@pytest.mark.slow
def test_every_sample_counts_once(tmp_path):
    mp.spawn(run, args=(str(tmp_path),), nprocs=2)
    whole = evaluator()
    whole.process(random_images(1, masks=True)[:SIZE])
    wanted = whole.evaluate(SIZE)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == pytest.approx(wanted, abs=1e-12)
