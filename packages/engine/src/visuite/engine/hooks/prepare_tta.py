"""Test with several versions of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visuite.engine.dataset import inner_dataset
from visuite.engine.hooks.hook import Hook
from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.registry import HOOKS, MODELS, RUNNERS, MissingKeyError, UnknownTypeError, config_path
from visuite.engine.registry.scope import canonical_scope, import_scope

if TYPE_CHECKING:
    from visuite.engine.config import Config
    from visuite.engine.runner.runner import Runner

_default_models: dict[str, Mapping[str, Any]] = {}


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
            merging = MODELS.build(self.tta_cfg, default_args={"module": unwrap_model(self._plain)})
        runner.model = merging.to(runner.device)  # it may bring a data preprocessor
        runner.at_end.callback(self.after_test, runner)  # a test that fails leaves the plain model, too

    def after_test(self, runner: Runner) -> None:
        """Give the run its model back."""
        runner.model = self._plain


def register_default_tta(scope: str, tta_model: Mapping[str, Any]) -> None:
    """Say how predictions are merged where a config of this scope has no `tta_model`.

    Such a config may also lack `tta_pipeline`: it is that of the test, seen as it is and mirrored, then.
    """
    _default_models[canonical_scope(scope)] = tta_model


def build_runner_with_tta(cfg: Config | dict[str, Any]) -> Runner:
    """Build a run that tests with test-time augmentation.

    Args:
        cfg: A whole config with `tta_model`, which merges the predictions, and `tta_pipeline`, which takes the place
            of the test data's pipeline. Scopes may have defaults for both, see `register_default_tta`.

    Raises:
        MissingKeyError: one of the two is missing, or the test data, or there is no pipeline to replace.
    """
    cfg = cfg.copy()
    if "dataset" not in (cfg.get("test_dataloader") or {}):
        raise MissingKeyError("test-time augmentation needs 'test_dataloader' in the config, with its 'dataset'")
    for key, value in _defaults(cfg).items():
        cfg.setdefault(key, value)
    for key in ("tta_model", "tta_pipeline"):
        if key not in cfg:
            raise MissingKeyError(f"test-time augmentation needs {key!r} in the config")
    loader = dict(cfg["test_dataloader"])
    loader["dataset"] = with_pipeline(loader["dataset"], cfg["tta_pipeline"])
    cfg["test_dataloader"] = loader
    kind = cfg.get("runner_type", "Runner")
    found = RUNNERS.get(kind)
    if found is None:
        raise UnknownTypeError(RUNNERS.explain_missing(kind), "runner_type")
    runner = found.from_cfg(cfg)
    runner.register_hook(PrepareTTAHook(tta_cfg=cfg["tta_model"]))
    return runner


def _defaults(cfg: Config | dict[str, Any]) -> dict[str, Any]:
    """Return the `tta_model` and `tta_pipeline` of the config's scope; nothing, where it has no defaults."""
    scope = canonical_scope(cfg.get("default_scope") or "engine")
    import_scope(scope)
    if scope not in _default_models:
        return {}
    return {
        "tta_model": dict(_default_models[scope]),
        "tta_pipeline": mirrored(inner_dataset(cfg["test_dataloader"]["dataset"]).get("pipeline") or ()),
    }


def mirrored(pipeline: Sequence[Any]) -> list[Any]:
    """Return a pipeline that gives two versions of each image: mirrored left to right before its last step, and not.

    Raises:
        MissingKeyError: it is empty.
    """
    if not pipeline:
        raise MissingKeyError("the test data's config has no 'pipeline' to make a tta_pipeline of")
    flips = [{"type": "RandomFlip", "prob": prob} for prob in (0.0, 1.0)]
    return [*pipeline[:-1], {"type": "TestTimeAug", "transforms": [flips, [pipeline[-1]]]}]


def with_pipeline(dataset: Mapping[str, Any], pipeline: Any) -> dict[str, Any]:
    """Return a data set's config with another pipeline, that of each data set inside where it is a wrapper.

    Raises:
        MissingKeyError: neither the data set nor one inside has a pipeline.
    """
    if "pipeline" in dataset:
        return {**dataset, "pipeline": pipeline}
    if "dataset" in dataset:
        return {**dataset, "dataset": with_pipeline(dataset["dataset"], pipeline)}
    if "datasets" in dataset:
        return {**dataset, "datasets": [with_pipeline(one, pipeline) for one in dataset["datasets"]]}
    raise MissingKeyError(
        f"the test data's config has no 'pipeline' that tta_pipeline could replace: {sorted(dataset)}"
    )
