"""The part of the check that builds: the model without memory, the data, and one batch through both."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from visuite.engine.check.finding import Finding, Findings, errors_of
from visuite.engine.check.static import examine
from visuite.engine.check.subject import Subject, run_checks
from visuite.engine.config import Config
from visuite.engine.optim import build_optim_wrapper
from visuite.engine.registry import MODELS, ConfigPathError, DefaultScope, config_path
from visuite.engine.runner.build import build_dataloader, build_evaluator
from visuite.engine.runner.environment import run_device

Data = Literal["auto", "required", "skip"]
LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")


def check_run(cfg: Config, *, data: Data = "auto") -> list[Finding]:
    """Check a config as `check_config` does, then build its parts and run one batch through them.

    The model is first built on the meta device, which takes no memory; its weights are made, without loading any
    pretrained ones, only where there is data to run through it. Nothing is written.

    Args:
        cfg: The config.
        data: `auto`: use what is there, and note what is not. `required`: absent data is an error. `skip`: do not look.

    Returns:
        What was found. Where the first part finds errors, nothing is built.
    """
    findings = Findings(cfg)
    subject = Subject(cfg, findings)
    examine(subject)
    if errors_of(findings):
        return list(findings)
    scope = str(cfg.get("default_scope") or "engine")
    with DefaultScope.overwrite_default_scope(scope):
        subject.model = _build_on_meta(cfg, findings)
        loaders = {} if data == "skip" else _build_loaders(subject, required=data == "required")
        run_checks(subject, scope)
        if loaders and not errors_of(findings):
            _run_batches(cfg, loaders, findings)
    return list(findings)


@contextmanager
def _told(findings: Findings, path: str) -> Iterator[None]:
    """Turn any exception of somebody's part into a finding at its place in the config."""
    try:
        yield
    except Exception as error:
        at = getattr(error, "config_path", "") if isinstance(error, ConfigPathError) else ""
        words = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        said = words.removeprefix(f"{at}: ") if at else f"{type(error).__name__}: {words}"
        notes = "; ".join(getattr(error, "__notes__", []))
        findings.error(at or path, f"{said} ({notes})" if notes else said)


# ---------------------------------------------------------------------- the model


def _build_model(cfg: Config) -> nn.Module:
    defaults = {"data_preprocessor": cfg.data_preprocessor} if cfg.get("data_preprocessor") is not None else {}
    with config_path("model"):
        return MODELS.build(copy.deepcopy(cfg.model), default_args=copy.deepcopy(defaults))


class _WeightsOnMeta(TorchFunctionMode):
    """Give weights no memory and no values: what is made empty lies on the meta device, and nothing is written into it.

    Other tensors (anchors, points, masks) are real: torch needs seconds to get ready for arithmetic on the meta device,
    and constructors may read values of them.
    """

    _EMPTY = frozenset({torch.empty, torch.empty_like, torch.empty_strided, Tensor.new_empty})
    _WRITES = frozenset(
        getattr(Tensor, name)
        for name in ("normal_", "uniform_", "bernoulli_", "erfinv_", "add_", "sub_", "mul_", "div_", "clamp_")
    )

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self._EMPTY:
            return func(*args, **{**(kwargs or {}), "device": "meta"})
        if func in self._WRITES and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def _build_on_meta(cfg: Config, findings: Findings) -> nn.Module | None:
    """Build the model without memory, or with it where a constructor reads values of tensors."""
    with _told(findings, "model"):
        try:
            with _WeightsOnMeta():
                return _build_model(cfg)
        except (RuntimeError, NotImplementedError) as error:
            if "meta" not in str(error).lower():  # torch says so where values of weights are asked for
                raise
        return _build_model(cfg)
    return None


# ---------------------------------------------------------------------- the data


def _build_loaders(subject: Subject, *, required: bool) -> dict[str, Any]:
    """Build the loaders whose data is there, without worker processes."""
    loaders: dict[str, Any] = {}
    for name in LOADERS:
        if subject.cfg.get(name) is None:
            continue
        with _told(subject.findings, name):
            try:
                loaders[name] = _build_loader(subject.cfg[name], name)
                subject.datasets[name] = loaders[name].dataset
            except (FileNotFoundError, NotADirectoryError) as error:
                severity: Literal["error", "note"] = "error" if required else "note"
                subject.findings.add(severity, f"{name}.dataset", f"the data is not there: {error}")
    return loaders


def _build_loader(cfg: Any, name: str) -> Any:
    if isinstance(cfg, Mapping):
        cfg = {**copy.deepcopy(cfg), "num_workers": 0}
    with config_path(name):
        return build_dataloader(cfg, seed=0)


def _run_batches(cfg: Config, loaders: Mapping[str, Any], findings: Findings) -> None:
    """Run the first batch of each loader through the model, in training or in evaluation."""
    device = run_device(cfg.get("device"))
    model: nn.Module | None = None
    with _told(findings, "model"):
        model = _build_model(cfg).to(device)
    if model is None:
        return
    for name, loader in loaders.items():
        batch: Any = None
        with _told(findings, f"{name}.dataset"):
            batch = next(iter(loader), None)
            if batch is None:
                findings.error(name, "the data gives no batch: it is empty, or drop_last drops all there is")
        if batch is None:
            continue
        with _told(findings, "model" if name == "train_dataloader" else name.replace("dataloader", "evaluator")):
            if name == "train_dataloader":
                _train_step(cfg, model, batch, findings)
            else:
                _evaluate(cfg, model, batch, name.removesuffix("_dataloader"), loader.dataset)


def _train_step(cfg: Config, model: Any, batch: Any, findings: Findings) -> None:
    model.train()
    optim_wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))
    losses = model.train_step(batch, optim_wrapper=optim_wrapper)
    wild = [name for name, value in losses.items() if isinstance(value, Tensor) and not torch.isfinite(value).all()]
    if wild:
        findings.error("model", f"{', '.join(wild)} of the first batch is not finite")


@torch.no_grad()
def _evaluate(cfg: Config, model: nn.Module, batch: Any, mode: str, dataset: Any) -> None:
    model.eval()
    samples = getattr(model, f"{mode}_step")(batch)
    if cfg.get(f"{mode}_evaluator") is None:
        return
    evaluator = build_evaluator(copy.deepcopy(cfg[f"{mode}_evaluator"]))
    if hasattr(dataset, "metainfo"):
        evaluator.dataset_meta = dataset.metainfo
    evaluator.process(data_samples=samples, data_batch=batch)
