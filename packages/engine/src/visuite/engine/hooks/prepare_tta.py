"""Test with several versions of each image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from visuite.engine.hooks.hook import Hook
from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.registry import HOOKS, MODELS, RUNNERS, config_path

if TYPE_CHECKING:
    from visuite.engine.config import Config
    from visuite.engine.runner.runner import Runner


@HOOKS.register_module()
class PrepareTTAHook(Hook):
    """Wrap the model for test-time augmentation during the test, and unwrap it after.

    Args:
        tta_cfg: The config of a model derived from `BaseTTAModel`, without its `module`.
    """

    priority = "NORMAL"

    def __init__(self, tta_cfg: dict[str, Any]) -> None:
        self.tta_cfg = tta_cfg

    def before_test(self, runner: Runner) -> None:
        """Wrap the model, whose weights are loaded by now."""
        self._plain = runner.model
        with config_path("tta_model"):
            runner.model = MODELS.build(self.tta_cfg, default_args={"module": unwrap_model(self._plain)})

    def after_test(self, runner: Runner) -> None:
        """Give the run its model back."""
        runner.model = self._plain


def build_runner_with_tta(cfg: Config | dict[str, Any]) -> Runner:
    """Build a run that tests with test-time augmentation.

    Args:
        cfg: A whole config with `tta_model`, which merges the predictions, and `tta_pipeline`, which takes the place
            of the test data's pipeline.

    Raises:
        KeyError: one of the two is missing, or there is no pipeline to replace.
    """
    for key in ("tta_model", "tta_pipeline"):
        if key not in cfg:
            raise KeyError(f"test-time augmentation needs {key!r} in the config")
    loader = dict(cfg["test_dataloader"])
    loader["dataset"] = with_pipeline(loader["dataset"], cfg["tta_pipeline"])
    cfg = cfg.copy()
    cfg["test_dataloader"] = loader
    kind = cfg.get("runner_type", "Runner")
    found = RUNNERS.get(kind)
    if found is None:
        raise KeyError(RUNNERS.explain_missing(kind))
    runner = found.from_cfg(cfg)
    runner.register_hook(PrepareTTAHook(tta_cfg=cfg["tta_model"]))
    return runner


def with_pipeline(dataset: Mapping[str, Any], pipeline: Any) -> dict[str, Any]:
    """Return a data set's config with another pipeline, that of each data set inside where it is a wrapper.

    Raises:
        KeyError: neither the data set nor one inside has a pipeline.
    """
    if "pipeline" in dataset:
        return {**dataset, "pipeline": pipeline}
    if "dataset" in dataset:
        return {**dataset, "dataset": with_pipeline(dataset["dataset"], pipeline)}
    if "datasets" in dataset:
        return {**dataset, "datasets": [with_pipeline(one, pipeline) for one in dataset["datasets"]]}
    raise KeyError(f"the test data's config has no 'pipeline' that tta_pipeline could replace: {sorted(dataset)}")
