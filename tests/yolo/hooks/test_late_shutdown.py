"""Strong augmentation ends in time: not one mosaic is served after the switch, whatever workers have read ahead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import assert_same_bits, weights
from tests.yolo.tiny import EPOCHS, IMAGES, LENGTH, MOSAIC, PLAIN, Mixed, one_coloured_images, run_config
from visuite.engine.hooks import Hook
from visuite.engine.runner import Runner
from visuite.yolo.hooks import YOLOXModeSwitchHook

LAST = 2  # epochs without mosaics
SWITCHES: dict[str, dict[str, Any]] = {
    "pipeline": {"type": "det.PipelineSwitchHook", "switch_epoch": EPOCHS - LAST, "switch_pipeline": PLAIN},
    "yolox": {"type": "YOLOXModeSwitchHook", "num_last_epochs": LAST, "new_train_pipeline": PLAIN, "priority": 48},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return one_coloured_images(tmp_path_factory.mktemp("data") / "colours")


def make(work_dir: Path, data: dict[str, Any], switch: str, *hooks: Hook, **changes: Any) -> Runner:
    return Runner.from_cfg(run_config(work_dir, data, SWITCHES[switch], *hooks, pipeline=MOSAIC, **changes))


def test_pixels_tell_a_mosaic_from_an_image(tmp_path: Path, data: dict[str, Any]) -> None:
    for pipeline, plain in ((MOSAIC, 0), (PLAIN, IMAGES)):
        seen = Mixed()
        Runner.from_cfg(run_config(tmp_path / str(plain), data, seen, pipeline=pipeline)).train()
        assert [seen.plain.get(epoch, 0) for epoch in range(EPOCHS)] == [plain] * EPOCHS
        assert sum(seen.mixed.values()) == EPOCHS * (IMAGES - plain)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("switch", SWITCHES)
def test_not_one_mosaic_comes_after_the_switch(tmp_path: Path, data: dict[str, Any], switch: str, workers: int) -> None:
    seen = Mixed()
    nested = {"type": "RepeatDataset", "times": 1, "dataset": {**data, "pipeline": MOSAIC}}
    make(tmp_path, nested if workers else data, switch, seen, workers=workers).train()
    assert seen.mixed == {0: IMAGES, 1: IMAGES}
    assert seen.plain == {2: IMAGES, 3: IMAGES}


@pytest.mark.slow
@pytest.mark.parametrize("stop", [LENGTH + 1, 2 * LENGTH, 2 * LENGTH + 2])  # before, at and after the switch
@pytest.mark.parametrize("switch", SWITCHES)
def test_a_run_resumed_around_the_switch_serves_the_same_bits(
    tmp_path: Path, data: dict[str, Any], switch: str, stop: int
) -> None:
    whole, first, second = Mixed(), Mixed(), Mixed()
    never_stopped = weights(make(tmp_path / "whole", data, switch, whole).train())
    with pytest.raises(Stop):
        make(tmp_path / "parts", data, switch, first, StopAt(stop), workers=2).train()
    resumed = make(tmp_path / "parts", data, switch, second, workers=2, resume=True)
    assert_same_bits(weights(resumed.train()), never_stopped)
    for name in ("mixed", "plain"):
        counts = [getattr(one, name) for one in (whole, first, second)]
        assert counts[0] == {e: counts[1].get(e, 0) + counts[2].get(e, 0) for e in counts[0]}
    assert not {epoch for epoch in second.mixed if epoch >= EPOCHS - LAST}
    assert whole.mixed == {0: IMAGES, 1: IMAGES}


def test_the_head_learns_offsets_in_the_last_epochs(tmp_path: Path, data: dict[str, Any]) -> None:
    seen = Mixed()
    make(tmp_path / "whole", data, "yolox", seen).train()
    assert [("loss_bbox_aux" in seen.losses[epoch]) for epoch in range(EPOCHS)] == [False, False, True, True]
    with pytest.raises(Stop):
        make(tmp_path / "parts", data, "yolox", StopAt(3 * LENGTH - 1)).train()
    again = Mixed()
    make(tmp_path / "parts", data, "yolox", again, resume=True).train()
    assert again.losses.keys() == {2, 3}
    assert all("loss_bbox_aux" in names for names in again.losses.values())


def test_without_a_new_pipeline_the_loss_alone_is_switched(tmp_path: Path, data: dict[str, Any]) -> None:
    seen = Mixed()
    cfg = run_config(tmp_path, data, YOLOXModeSwitchHook(num_last_epochs=15), seen, pipeline=MOSAIC)
    Runner.from_cfg(cfg).train()
    assert not seen.plain
    assert all("loss_bbox_aux" in names for names in seen.losses.values())


def test_what_cannot_switch_is_told_before_training(tmp_path: Path, data: dict[str, Any]) -> None:
    seen = Mixed()
    cfg = run_config(tmp_path, data, {**SWITCHES["yolox"], "new_train_pipeline": [{"type": "Mosiac"}]}, seen)
    with pytest.raises(KeyError, match=r"Mosiac.*did you mean 'Mosaic'"):
        Runner.from_cfg(cfg).train()
    cfg = run_config(tmp_path, data, SWITCHES["yolox"], seen, model={"type": "ToyNet"})
    with pytest.raises(TypeError, match="PipelineSwitchHook switches the pipeline alone"):
        Runner.from_cfg(cfg).train()
    cfg = run_config(tmp_path, data, SWITCHES["yolox"], seen)
    with pytest.raises(ValueError, match="YOLOXModeSwitchHook switches at an epoch"):
        Runner.from_cfg({**cfg, "train_cfg": {"by_epoch": False, "max_iters": 3}}).train()
    assert not seen.plain
