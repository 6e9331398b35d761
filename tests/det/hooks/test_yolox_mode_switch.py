"""The last epochs of YOLOX: nothing mixed comes any more, and offsets are learnt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.engine.hooks.data import PipedData
from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import ToyNet, assert_same_bits, config, weights
from visuite.engine.dataset import MultiImageMixDataset
from visuite.engine.hooks import Hook
from visuite.engine.registry import MODELS, TRANSFORMS
from visuite.engine.runner import Runner


@TRANSFORMS.register_module()
class MarkMixed:
    """Stands for a mosaic: marks the samples that it mixed with a partner."""

    def get_indexes(self, dataset: Any) -> int:
        return int(torch.randint(len(dataset), ()))

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "mixed": len(results["mix_results"])}


@TRANSFORMS.register_module()
class ToVector:
    """Packs a noisy point whose last number tells whether the sample was mixed."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        point = torch.cat([torch.randn(3), torch.tensor([float(results.get("mixed", 0))])])
        return {"inputs": point, "labels": results["sample_idx"] % 2}


@MODELS.register_module()
class BoxedNet(ToyNet):
    """The toy with a head that may learn offsets."""

    def __init__(self) -> None:
        super().__init__()
        self.bbox_head = SimpleNamespace(use_l1=False)


class Seen(Hook):
    """Write down, by epoch, whether samples were mixed and whether the L1 loss is on."""

    def __init__(self) -> None:
        self.epochs: dict[int, set[tuple[bool, bool]]] = {}

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        tags = {(bool(point[3]), runner.model.bbox_head.use_l1) for point in data_batch["inputs"]}
        self.epochs.setdefault(runner.epoch, set()).update(tags)


MIXED, PLAIN = {(True, False)}, {(False, True)}
MIX: dict[str, Any] = {
    "type": "MultiImageMixDataset",
    "dataset": {"type": "PipedData"},
    "pipeline": [{"type": "MarkMixed"}, {"type": "ToVector"}],
}


def run(
    work_dir: Any, *hooks: Hook, last: int = 2, dataset: Any = MIX, workers: bool = False, **changes: Any
) -> Runner:
    """A run of four epochs whose samples are mixed until `last` epochs are left."""
    switch = {"type": "det.YOLOXModeSwitchHook", "num_last_epochs": last, "skip_type_keys": ["MarkMixed"]}
    cfg = config(
        work_dir,
        model={"type": "BoxedNet"},
        custom_hooks=[switch, *hooks],
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}},
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        **{"train_cfg": {"by_epoch": True, "max_epochs": 4}, **changes},
    )
    kept = {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 3} if workers else {}
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dataset, **kept}
    return Runner.from_cfg(cfg)


@pytest.mark.parametrize("workers", [False, True])
def test_no_mixed_sample_comes_after_the_switch(tmp_path: Any, workers: bool) -> None:
    seen = Seen()
    nested = {"type": "RepeatDataset", "times": 1, "dataset": MIX}
    run(tmp_path, seen, workers=workers, dataset=nested).train()
    assert seen.epochs == {0: MIXED, 1: MIXED, 2: PLAIN, 3: PLAIN}


@pytest.mark.parametrize("stop", [7, 10, 13])
def test_resuming_around_the_switch_gives_the_same_bits(tmp_path: Any, stop: int) -> None:
    never_stopped = weights(run(tmp_path / "whole").train())
    with pytest.raises(Stop):
        run(tmp_path / "parts", StopAt(stop)).train()
    seen = Seen()
    assert_same_bits(weights(run(tmp_path / "parts", seen, resume=True).train()), never_stopped)
    assert seen.epochs == {epoch: PLAIN if epoch >= 2 else MIXED for epoch in range(stop // 5, 4)}


def test_a_run_may_be_all_last_epochs(tmp_path: Any) -> None:
    seen = Seen()
    run(tmp_path, seen, last=15).train()
    assert all(found == PLAIN for found in seen.epochs.values())


def test_what_cannot_switch_is_told_before_training(tmp_path: Any) -> None:
    with pytest.raises(TypeError, match="MultiImageMixDataset"):
        run(tmp_path, dataset=PipedData(pipeline=[ToVector()])).train()
    with pytest.raises(ValueError, match="YOLOXModeSwitchHook switches at an epoch"):
        run(tmp_path, train_cfg={"by_epoch": False, "max_iters": 3}).train()


def test_mosaics_are_what_it_leaves_out_by_default() -> None:
    data = MultiImageMixDataset(PipedData(pipeline=[]), [MarkMixed(), ToVector()])
    data.update_skip_type_keys(["MarkMixed"])
    assert data[3]["inputs"][3] == 0
