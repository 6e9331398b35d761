"""Testing with several versions of each image."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch

from tests.engine.hooks import data  # noqa: F401  its parts are named in configs
from tests.engine.runner.toy import ToyNet, config
from visuite.engine.config import Config
from visuite.engine.evaluator import BaseMetric
from visuite.engine.hooks import Hook, PrepareTTAHook, build_runner_with_tta
from visuite.engine.hooks.prepare_tta import with_pipeline
from visuite.engine.model import BaseTTAModel
from visuite.engine.registry import METRICS, MODELS, TRANSFORMS, MissingKeyError
from visuite.engine.runner import Runner


@MODELS.register_module()
class EchoNet(ToyNet):
    """Predicts what it is shown."""

    def forward(self, inputs, labels=None, mode="tensor"):
        if mode == "predict":
            return [{"score": point} for point in inputs]
        return super().forward(inputs, labels, mode)


@MODELS.register_module()
class SumTTA(BaseTTAModel):
    """Adds the predictions of all versions."""

    def merge_preds(self, data_samples_list):
        return [{"score": sum(one["score"] for one in versions)} for versions in data_samples_list]


@TRANSFORMS.register_module()
class Versions:
    """Make versions 1, 2, 3 of a sample: as many times its index."""

    def __call__(self, record):
        point = torch.full((4,), float(record["sample_idx"]))
        return {"inputs": [point, 2 * point, 3 * point], "labels": [0, 0, 0]}


@TRANSFORMS.register_module()
class Plain:
    def __call__(self, record):
        return {"inputs": torch.full((4,), float(record["sample_idx"])), "labels": 0}


@METRICS.register_module()
class Total(BaseMetric):
    """The sum of the predictions."""

    default_prefix = "toy"

    def process(self, data_batch, data_samples):
        self.results += [float(one["score"][0]) for one in data_samples]

    def compute_metrics(self, results):
        return {"total": sum(results)}


PLAIN = dict(type="PipedData", pipeline=[dict(type="Plain")])


def tta_config(work_dir, dataset=PLAIN, **changes):
    loader = dict(batch_size=4, dataset=dataset, sampler=dict(type="DefaultSampler", shuffle=False))
    return config(
        work_dir, model=dict(type="EchoNet"), test_dataloader=loader, test_cfg=dict(),
        test_evaluator=dict(type="Total"), tta_model=dict(type="SumTTA"), tta_pipeline=[dict(type="Versions")],
        **changes,
    )  # fmt: skip


@pytest.mark.parametrize("kind", [dict, Config])
def test_the_test_merges_all_versions(tmp_path, kind):
    cfg = kind(tta_config(tmp_path))
    runner = build_runner_with_tta(cfg)
    assert runner.test() == {"toy/total": 6 * sum(range(20))}
    assert type(runner.model) is EchoNet  # as before the test
    assert cfg["test_dataloader"]["dataset"]["pipeline"] == [dict(type="Plain")]


def test_weights_are_loaded_before_the_model_is_wrapped(tmp_path):
    torch.save({"state_dict": EchoNet().state_dict()}, tmp_path / "echo.pth")
    runner = build_runner_with_tta(tta_config(tmp_path, load_from=str(tmp_path / "echo.pth")))
    kinds = []

    class Look(Hook):
        def before_test_iter(self, runner, batch_idx, data_batch=None):
            kinds.append(type(runner.model))
            saved = torch.load(tmp_path / "echo.pth")["state_dict"]
            assert torch.equal(runner.model.module.net[0].weight, saved["net.0.weight"])

    runner.register_hook(Look())
    runner.test()
    assert set(kinds) == {SumTTA}


def test_a_preprocessor_of_the_merging_model_serves_the_model_inside_on_its_device(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    runner.__dict__["device"] = torch.device("meta")
    runner.at_end = ExitStack()
    hook = PrepareTTAHook(dict(type="SumTTA", data_preprocessor=dict(type="BaseDataPreprocessor")))
    plain = runner.model
    hook.before_test(runner)
    assert plain.data_preprocessor is runner.model.data_preprocessor
    assert plain.data_preprocessor.device == torch.device("meta")
    runner.at_end.close()
    assert runner.model is plain


@pytest.mark.parametrize("workers", [0, 2])
def test_a_test_that_fails_can_be_run_again(tmp_path, workers):
    class FailOnce(Hook):
        failed = False

        def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if not self.failed:
                self.failed = True
                raise ZeroDivisionError

    cfg = tta_config(tmp_path, custom_hooks=[FailOnce()])
    cfg["test_dataloader"]["num_workers"] = workers
    runner = build_runner_with_tta(cfg)
    with pytest.raises(ZeroDivisionError):
        runner.test()
    assert type(runner.model) is EchoNet
    assert runner.test() == {"toy/total": 6 * sum(range(20))}


def test_pipelines_are_replaced_wherever_they_are():
    inner, new = dict(type="A", pipeline=[1]), [2]
    nested = dict(type="Concat", datasets=[inner, dict(type="Repeat", dataset=inner)])
    replaced = with_pipeline(nested, new)
    assert [replaced["datasets"][0]["pipeline"], replaced["datasets"][1]["dataset"]["pipeline"]] == [new, new]
    assert inner["pipeline"] == [1]
    with pytest.raises(KeyError, match="no 'pipeline'"):
        with_pipeline(dict(type="A"), new)


@pytest.mark.parametrize("key", ["tta_model", "tta_pipeline", "test_dataloader"])
def test_what_is_missing_is_named(tmp_path, key):
    cfg = tta_config(tmp_path)
    del cfg[key]
    with pytest.raises(MissingKeyError, match=f"test-time augmentation needs '{key}'"):
        build_runner_with_tta(cfg)


def test_a_fault_in_the_merging_model_is_placed(tmp_path):
    cfg = tta_config(tmp_path, custom_hooks=[PrepareTTAHook(dict(type="SumTTa"))])
    del cfg["tta_model"], cfg["tta_pipeline"]
    with pytest.raises(KeyError, match=r"tta_model.*did you mean 'SumTTA'"):
        Runner.from_cfg(cfg).test()
