from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
import torch.multiprocessing as mp

from visuite.engine.evaluator import BaseMetric, Evaluator

SIZE = 5  # odd: with two ranks the last sample of the second is a repeated one


class Numbers(BaseMetric):
    """Tells which samples were counted."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(sample["number"] for sample in data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"numbers": sorted(results)}


def evaluate(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    evaluator = Evaluator(Numbers())
    for number in range(rank, SIZE + SIZE % 2, 2):
        evaluator.process([{"number": number % SIZE}])
    Path(folder, f"{rank}.json").write_text(json.dumps(evaluator.evaluate(SIZE)))
    dist.destroy_process_group()


@pytest.mark.slow
def test_every_sample_counts_once_and_every_rank_knows(tmp_path: Path) -> None:
    mp.spawn(evaluate, args=(str(tmp_path),), nprocs=2)
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == {"numbers": list(range(SIZE))}
