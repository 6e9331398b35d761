"""Two optimizers in one run, each with schedules of its own: built from a config, trained, stopped and resumed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.engine.runner.test_resume import Stop, StopAt, run_config
from tests.engine.runner.toy import assert_same_bits, weights
from visuite.engine.model import BaseModel
from visuite.engine.optim import OptimWrapperDict, build_optim_wrapper
from visuite.engine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, BadValueError
from visuite.engine.runner import Runner


@MODELS.register_module()
class Duel(BaseModel):
    """A generator of points, and a judge that tells them from true ones; the judge learns twice as often."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.judge = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))

    def train_step(self, data, optim_wrapper):
        points, _ = data
        told = {}
        for _ in range(2):
            with optim_wrapper["judge"].optim_context(self):
                fake = self.generator(torch.randn_like(points)).detach()
                loss = self.judge(fake).mean() - self.judge(points).mean() + self.judge(points).square().mean()
            optim_wrapper["judge"].update_params(loss)
        told["loss_judge"] = loss.detach()
        self.judge.requires_grad_(False)  # it takes no gradient from the generator's loss
        with optim_wrapper["generator"].optim_context(self):
            loss = -self.judge(self.generator(torch.randn_like(points))).mean()
        optim_wrapper["generator"].update_params(loss)
        self.judge.requires_grad_(True)
        return {**told, "loss_generator": loss.detach()}

    def forward(self, inputs, labels=None, mode="tensor"):
        return self.judge(inputs)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ByPart:
    """One optimizer for each named part of a model, as users write it for their own models."""

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None) -> None:
        self.parts = {name: one for name, one in optim_wrapper_cfg.items() if isinstance(one, dict)}

    def __call__(self, model):
        return OptimWrapperDict(**{n: build_optim_wrapper(getattr(model, n), cfg) for n, cfg in self.parts.items()})


def duel_config(work_dir, **changes):
    optim = dict(
        constructor="ByPart",
        generator=dict(
            type="AmpOptimWrapper",
            dtype="float16",
            loss_scale=dict(init_scale=64.0, growth_interval=3),
            optimizer=dict(type="Adam", lr=0.01),
        ),
        judge=dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9), accumulative_counts=4),
    )
    schedules = dict(
        generator=dict(type="CosineAnnealingLR", T_max=3, convert_to_iter_based=True),
        judge=[dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=6), dict(type="StepLR", step_size=2)],
    )
    options = dict(model=dict(type="Duel"), optim_wrapper=optim, param_scheduler=schedules)
    return run_config(work_dir, **options, **dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")), **changes)


@pytest.mark.parametrize("stop", [1, 3, 5, 8])
def test_resuming_gives_the_same_bits(tmp_path, stop):
    whole = Runner.from_cfg(duel_config(tmp_path / "whole"))
    never_stopped = weights(whole.train())
    with pytest.raises(Stop):
        Runner.from_cfg(duel_config(tmp_path / "parts", custom_hooks=[StopAt(stop)])).train()
    resumed = Runner.from_cfg(duel_config(tmp_path / "parts", resume=True))
    assert_same_bits(weights(resumed.train()), never_stopped)
    assert resumed.optim_wrapper.get_lr() == whole.optim_wrapper.get_lr()
    scalers = [one.optim_wrapper["generator"].loss_scaler.state_dict() for one in (resumed, whole)]
    assert scalers[0] == scalers[1]
    assert scalers[0]["scale"] > 64  # it has grown: there was something to restore


def test_each_has_its_own_schedules_and_the_log_tells_both(tmp_path):
    runner = Runner.from_cfg(duel_config(tmp_path))
    runner.train()
    assert set(runner.param_schedulers) == {"generator", "judge"}
    rates = runner.optim_wrapper.get_lr()
    assert rates["judge.lr"] == [pytest.approx(0.1 * 0.1)]  # one step of StepLR, after epoch 2
    assert rates["generator.lr"][0] < 1e-3
    logged = {name for name in runner.message_hub.log_scalars if name.startswith("train/")}
    assert {"train/generator.lr", "train/judge.lr", "train/loss_judge", "train/loss_generator"} <= logged


def test_a_schedule_for_an_optimizer_that_there_is_not_is_told(tmp_path):
    cfg = duel_config(tmp_path)
    cfg["param_scheduler"] = dict(generato=dict(type="StepLR", step_size=1))
    with pytest.raises(BadValueError, match=r"param_scheduler: no optimizer is called 'generato'.*'generator'"):
        Runner.from_cfg(cfg).train()
