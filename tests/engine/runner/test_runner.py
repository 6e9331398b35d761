"""Runs: parts, order, position, and what a run promises."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils.data import DataLoader

from tests.engine.runner.toy import ToyAccuracy, ToyData, ToyNet, assert_same_bits, config, weights
from visuite.engine.check import check_config
from visuite.engine.config import Config
from visuite.engine.hooks import Hook
from visuite.engine.model import BaseModel
from visuite.engine.optim import OptimWrapper
from visuite.engine.registry import HOOKS, LOOPS
from visuite.engine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from visuite.engine.runner.spec import TRIPLES


class Recorder(Hook):
    """Remember every point and where the run stood."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, int]] = []


def _record(point: str):
    def method(self: Recorder, runner: Runner, *args: object, **kwargs: object) -> None:
        self.seen.append((point, runner.epoch, runner.iter))

    return method


for _point in (
    "before_run", "before_train", "before_train_epoch", "after_train_iter", "after_train_epoch", "before_val",
    "after_val",    "after_train", "after_run",
):  # fmt: skip
    setattr(Recorder, _point, _record(_point))


def test_training_by_epochs_comes_by_the_points_in_order(tmp_path):
    recorder = Recorder()
    Runner.from_cfg(
        config(tmp_path, custom_hooks=[recorder], train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=2))
    ).train()
    iters = [[("after_train_iter", epoch, epoch * 5 + i) for i in range(5)] for epoch in range(2)]
    assert recorder.seen == [
        ("before_run", 0, 0),
        ("before_train", 0, 0),
        ("before_train_epoch", 0, 0),
        *iters[0],
        ("after_train_epoch", 0, 5),
        ("before_train_epoch", 1, 5),
        *iters[1],
        ("after_train_epoch", 1, 10),
        ("before_val", 2, 10),
        ("after_val", 2, 10),
        ("after_train", 2, 10),
        ("after_run", 2, 10),
    ]


def test_training_by_iterations_validates_at_its_interval_and_at_the_end(tmp_path):
    recorder = Recorder()
    train_cfg = dict(by_epoch=False, max_iters=11, val_interval=4, val_begin=5)
    Runner.from_cfg(config(tmp_path, custom_hooks=[recorder], train_cfg=train_cfg)).train()
    assert [i for point, _, i in recorder.seen if point == "before_val"] == [8, 11]
    assert sum(point == "after_train_iter" for point, *_ in recorder.seen) == 11


def test_intervals_may_change_during_the_run(tmp_path):
    recorder = Recorder()
    train_cfg = dict(by_epoch=True, max_epochs=8, val_interval=4, dynamic_intervals=[(6, 1)])
    Runner.from_cfg(config(tmp_path, custom_hooks=[recorder], train_cfg=train_cfg)).train()
    assert [e for point, e, _ in recorder.seen if point == "before_val"] == [4, 6, 7, 8]


def test_every_part_takes_an_object(tmp_path):
    model = ToyNet()
    loader = DataLoader(ToyData(), batch_size=4)
    runner = Runner(
        model=model,
        work_dir=str(tmp_path),
        train_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
        val_dataloader=loader,
        val_cfg=dict(),
        val_evaluator=[ToyAccuracy()],
        log_level="WARNING",
    )
    before = weights(model)
    assert runner.train() is model
    assert runner.model is model
    assert runner.train_dataloader is loader
    assert not torch.equal(before["net.0.weight"], model.net[0].weight)
    assert set(runner.val()) == {"toy/accuracy", "toy/count"}


def test_parts_are_built_once(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    assert runner.train_loop is runner.train_loop
    assert isinstance(runner.train_loop, EpochBasedTrainLoop)
    assert runner.optim_wrapper is runner.optim_wrapper
    assert runner.optim_wrapper.optimizer.param_groups[0]["params"][0] is next(runner.model.parameters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(val_evaluator=None), "validation needs .*: val_evaluator missing beside val_dataloader and val_cfg"),
        (dict(val_dataloader=None), "val_dataloader missing"),
        (dict(optim_wrapper=None, param_scheduler=None), "training needs .*: optim_wrapper missing"),
        (dict(test_cfg=dict()), "testing needs .*: test_dataloader and test_evaluator missing beside test_cfg"),
        (dict(train_dataloader=None, train_cfg=None, optim_wrapper=None), "param_scheduler is given"),
    ],
)
def test_half_given_parts_are_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(config(tmp_path, **changes))


@pytest.mark.parametrize(
    "train_cfg", [dict(max_epochs=1), dict(by_epoch=True, type="EpochBasedTrainLoop", max_epochs=1)]
)
def test_a_loop_is_named_once(tmp_path, train_cfg):
    runner = Runner.from_cfg(config(tmp_path, train_cfg=train_cfg))
    with pytest.raises(ValueError, match="either 'type' or 'by_epoch'"):
        runner.train()


@pytest.mark.parametrize("purpose", list(TRIPLES))
@pytest.mark.parametrize("kept", [c for n in (1, 2) for c in itertools.combinations(range(3), n)])
def test_every_half_of_every_triple_is_one_error(tmp_path, purpose, kept):
    whole = config(tmp_path)
    whole.update(test_dataloader=whole["val_dataloader"], test_cfg={}, test_evaluator=whole["val_evaluator"])
    names = TRIPLES[purpose]
    missing = [name for i, name in enumerate(names) if i not in kept]
    half = {**whole, **dict.fromkeys(missing), "param_scheduler": None}
    with pytest.raises(ValueError, match=f"{purpose} needs .*: {' and '.join(missing)} missing beside") as caught:
        Runner.from_cfg(half)
    assert str(caught.value).count("missing") == 1
    found = [one for one in check_config(Config(half)) if one.severity == "error"]
    assert len(found) == 1
    assert all(name in found[0].message for name in missing)


def test_a_verb_whose_parts_are_missing_says_so(tmp_path):
    runner = Runner(ToyNet(), str(tmp_path), log_level="WARNING")
    with pytest.raises(RuntimeError, match="without train_cfg"):
        runner.train()
    with pytest.raises(RuntimeError, match="without val_cfg"):
        runner.val()
    with pytest.raises(RuntimeError, match="without test_cfg"):
        runner.test()


def test_faults_in_the_config_are_placed(tmp_path):
    cfg = config(tmp_path)
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dict(type="ToyData", sise=3)}
    with pytest.raises(TypeError, match=r"train_dataloader\.dataset.*'sise'; did you mean 'size'"):
        Runner.from_cfg(cfg).train()
    with pytest.raises(KeyError, match=r"default_hooks\.logger.*LoggerHok.*did you mean 'LoggerHook'"):
        Runner.from_cfg(config(tmp_path, default_hooks=dict(logger=dict(type="LoggerHok"))))
    with pytest.raises(TypeError, match=r"^model.*'widht'; did you mean 'width'"):
        Runner.from_cfg(config(tmp_path, model=dict(type="ToyNet", widht=2))).train()


@pytest.mark.parametrize("train_cfg", [dict(by_epoch=True, max_epochs=3), dict(by_epoch=False, max_iters=13)])
@pytest.mark.parametrize("sampler", ["DefaultSampler", "InfiniteSampler"])
def test_workers_change_no_bit(tmp_path, train_cfg, sampler):
    if train_cfg["by_epoch"] and sampler == "InfiniteSampler":
        pytest.skip("an epoch of an endless sampler has no end")
    states = []
    for workers in (0, 2):
        cfg = config(tmp_path / str(workers), train_cfg=train_cfg)
        cfg["train_dataloader"] = {
            **cfg["train_dataloader"], "num_workers": workers, "sampler": dict(type=sampler, shuffle=True),
            "persistent_workers": True,
        }  # fmt: skip
        states.append(weights(Runner.from_cfg(cfg).train()))
    assert_same_bits(*states)


def test_validation_changes_no_bit_of_training(tmp_path):
    with_val = Runner.from_cfg(config(tmp_path / "with")).train()
    without = config(tmp_path / "without", val_cfg=None, val_dataloader=None, val_evaluator=None)
    assert_same_bits(weights(with_val), weights(Runner.from_cfg(without).train()))


def test_another_seed_gives_another_run(tmp_path):
    one = Runner.from_cfg(config(tmp_path / "1")).train()
    other = Runner.from_cfg(config(tmp_path / "2", randomness=dict(seed=8))).train()
    assert not torch.equal(one.net[0].weight, other.net[0].weight)


def test_metrics_count_each_sample_once(tmp_path):
    cfg = config(tmp_path)
    cfg["val_dataloader"] = {**cfg["val_dataloader"], "batch_size": 7}
    assert Runner.from_cfg(cfg).val()["toy/count"] == 20


def test_learning_rates_scale_with_the_batch_size(tmp_path):
    runner = Runner.from_cfg(
        config(tmp_path, auto_scale_lr=dict(enable=True, base_batch_size=16), param_scheduler=None)
    )
    runner.train()
    assert runner.optim_wrapper.get_lr()["lr"][0] == pytest.approx(0.1 * 4 / 16)


def test_two_runs_of_one_name_keep_apart(tmp_path):
    runners = [Runner.from_cfg(config(tmp_path / str(i), experiment_name="same")) for i in range(2)]
    assert runners[0].message_hub is not runners[1].message_hub
    runners[0].train()
    assert not runners[1].message_hub.log_scalars
    assert runners[0].message_hub.get_scalar("train/loss").current() > 0


# ---------------------------------------------------------------------- as users of the documentation write it


class TestAsDocumented:
    """The tutorial's pieces, with small parts."""

    def test_a_plain_model_and_metric(self, tmp_path):
        class Net(BaseModel):
            def __init__(self):
                super().__init__()
                self.linear = torch.nn.Linear(4, 2)

            def forward(self, img, label, mode):
                x = self.linear(img)
                if mode == "loss":
                    return {"loss": torch.nn.functional.cross_entropy(x, label)}
                return x, label

        from visuite.engine.evaluator import BaseMetric
        from visuite.engine.registry import METRICS

        @METRICS.register_module(force=True)
        class TutorialAccuracy(BaseMetric):
            def process(self, data_batch, data_samples):
                score, gt = data_samples
                self.results.append({"batch_size": len(gt), "correct": (score.argmax(dim=1) == gt).sum().cpu()})

            def compute_metrics(self, results):
                total = sum(item["batch_size"] for item in results)
                return dict(accuracy=100 * sum(item["correct"] for item in results) / total)

        runner = Runner(
            model=Net(),
            work_dir=str(tmp_path),
            train_dataloader=DataLoader(dataset=ToyData(), shuffle=True, batch_size=4, num_workers=0),
            optim_wrapper=dict(optimizer=dict(type=torch.optim.SGD, lr=0.05, momentum=0.9)),
            train_cfg=dict(by_epoch=True, max_epochs=5, val_interval=1),
            val_dataloader=DataLoader(dataset=ToyData(), batch_size=4),
            val_cfg=dict(),
            val_evaluator=dict(type="TutorialAccuracy"),
            log_level="WARNING",
        )
        runner.train()
        assert 60 < float(runner.val()["accuracy"]) <= 100

    def test_a_loop_that_runs_every_batch_twice(self, tmp_path):
        @LOOPS.register_module(force=True)
        class TwiceLoop(EpochBasedTrainLoop):
            def run_iter(self, idx, data_batch):
                for _ in range(2):
                    super().run_iter(idx, data_batch)

        runner = Runner.from_cfg(config(tmp_path, train_cfg=dict(type="TwiceLoop", max_epochs=2), param_scheduler=None))
        runner.train()
        assert runner.iter == 2 * 2 * 5
        assert runner.epoch == 2

    def test_a_hook_of_ones_own(self, tmp_path):
        @HOOKS.register_module(force=True)
        class StopEarly(Hook):
            def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
                assert set(outputs) == {"loss"}
                if runner.iter == 6:
                    runner.train_loop.stop_training = True

        train_cfg = dict(by_epoch=False, max_iters=50)
        runner = Runner.from_cfg(
            config(tmp_path, custom_hooks=[dict(type="StopEarly", priority="LOW")], train_cfg=train_cfg)
        )
        runner.train()
        assert runner.iter == 7
        assert isinstance(runner.train_loop, IterBasedTrainLoop)
