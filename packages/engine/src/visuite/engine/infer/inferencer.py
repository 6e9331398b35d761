"""The base of all inferencers: pictures from anywhere in, plain results and drawn files out."""

from __future__ import annotations

import inspect
import itertools
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from visuite.engine.config import Config
from visuite.engine.dataset.collate import find_function
from visuite.engine.infer.inputs import Item, count_items, iter_items
from visuite.engine.infer.pipeline import InferencePipeline
from visuite.engine.infer.results import (
    merge,
    per_input,
    picture_of,
    to_json,
    to_plain,
    write_pictures,
    write_predictions,
)
from visuite.engine.infer.zoo import checkpoint_meta, dataset_meta, find_config, model_names, run_in, tested_dataset
from visuite.engine.logging import print_log
from visuite.engine.model.checkpoint_io import load_checkpoint, read_checkpoint
from visuite.engine.registry import DATASETS, INFERENCERS, MODELS, VISUALIZERS, DefaultScope, import_scope
from visuite.engine.runner.environment import run_device
from visuite.engine.utils.progress import ProgressBar
from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization import Visualizer

STAGES = ("preprocess", "forward", "visualize", "postprocess")
_numbers = count()


class InferenceError(ValueError):
    """None of the inputs could be used."""


@INFERENCERS.register_module()
class BaseInferencer:
    """Predict for files, folders, globs, arrays, videos and URLs.

    A call goes through `preprocess`, `forward`, `visualize` and `postprocess`, batch by batch, so that a long video
    or a large folder needs no more memory than a batch and its results. A subclass overrides some of them, and names
    in the four sets which keyword arguments of a call go where.

    Args:
        model: A config file, a `Config`, the name of one among `list_models()`, the `work_dir` of a run, or a built
            model, whose `cfg` is then its config. Without one, the config in the checkpoint is used.
        weights: The checkpoint; by default the best one of the run, if `model` is a `work_dir`.
        device: Where the model runs; by default the accelerator, if there is one.
        scope: The scope of unprefixed names; by default the config's `default_scope`.
        show_progress: Show how far a call with more than one input is.

    Raises:
        ValueError: neither model nor weights, or a checkpoint that tells no config.
    """

    #: The scope of unprefixed names where neither the caller nor the config says one.
    own_scope: ClassVar[str] = "engine"
    #: What draws, where the config does not say.
    own_visualizer: ClassVar[str] = "Visualizer"
    preprocess_kwargs: ClassVar[set[str]] = set()
    forward_kwargs: ClassVar[set[str]] = set()
    visualize_kwargs: ClassVar[set[str]] = {"show", "wait_time", "draw_pred", "return_vis"}
    postprocess_kwargs: ClassVar[set[str]] = {"print_result"}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for one, other in itertools.combinations(STAGES, 2):
            both = getattr(cls, f"{one}_kwargs") & getattr(cls, f"{other}_kwargs")
            if both:
                raise TypeError(f"{cls.__name__}: {sorted(both)} cannot go to {one} and to {other}")

    def __init__(
        self,
        model: str | Path | Config | Mapping[str, Any] | nn.Module | None = None,
        weights: str | None = None,
        device: str | torch.device | None = None,
        scope: str | None = None,
        show_progress: bool = True,
    ) -> None:
        self.show_progress = show_progress
        self.failures: list[dict[str, str]] = []
        self._strict = False
        self._last_error: Exception | None = None
        if isinstance(model, (str, Path)) and Path(model).is_dir():
            model, found = run_in(model)
            weights = weights or found
        checkpoint = read_checkpoint(weights) if model is None and weights is not None else None
        self.cfg = self._find_cfg(model, checkpoint, scope)
        self.cfg.import_custom_modules()
        self.scope = scope or self.cfg.get("default_scope") or self.own_scope
        import_scope(self.scope)
        self.device = run_device(None if device is None else str(device))
        with self._in_scope():
            given = model if isinstance(model, nn.Module) else self.cfg
            self.model: Any = self._init_model(given, weights, self.device)
            self.pipeline = self._init_pipeline(self.cfg)
            self.collate_fn = self._init_collate(self.cfg)
            self.visualizer = self._init_visualizer(self.cfg)

    @staticmethod
    def list_models(scope: str | None = None, patterns: str = "**/*.py") -> list[str]:
        """Return the names of configs that an inferencer takes as `model`.

        Args:
            scope: Whose; by default of all installed packages.
            patterns: Of the files below a scope's folder of configs; folders that begin with `_` are passed over.
        """
        return model_names(scope, patterns)

    # ------------------------------------------------------------------ a call

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        *,
        out_dir: str | None = None,
        no_save_vis: bool = False,
        no_save_pred: bool = False,
        strict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Predict.

        Args:
            inputs: A path, a URL, a folder, a glob, a video, an array (H, W, 3) in BGR order, or several of these;
                see `iter_items`.
            return_datasamples: Give data samples instead of plain dicts.
            batch_size: How many pictures go through the model at once.
            out_dir: Where pictures (`vis/NAME.png`) and predictions (`preds/NAME.json`) are written; a URL too.
            no_save_vis: Write no pictures.
            no_save_pred: Write no predictions.
            strict: Stop at the first input that cannot be used. Otherwise it is named, counted and left out.
            **kwargs: Go to the stages whose `*_kwargs` name them.

        Returns:
            `predictions` and `visualization`, each a list; `inputs`, the names of what they are for; and `failures`,
            each with `input` and `error`.

        Raises:
            TypeError: an argument that no stage knows.
            InferenceError: there is no input, or none of several can be used. The only one raises its own error.
        """
        stages = dict(zip(STAGES, self._dispatch_kwargs(**kwargs), strict=True))
        draws_when_asked = "return_vis" in inspect.signature(self.visualize).parameters
        asked_for_vis = bool(stages["visualize"].get("return_vis", not draws_when_asked))
        save_vis, save_pred = bool(out_dir) and not no_save_vis, bool(out_dir) and not no_save_pred
        if save_vis and draws_when_asked:
            stages["visualize"]["return_vis"] = True
        self.failures, self._strict, self._last_error = [], strict, None
        names: list[str] = []
        parts: list[Any] = []
        with self._in_scope(), self._progress(count_items(inputs)) as advance:
            for items, predictions in self._predictions(self._usable(inputs), batch_size, stages):
                pictures = self.visualize([item.value for item in items], predictions, **stages["visualize"])
                if save_vis:
                    write_pictures(items, pictures, str(out_dir))
                kept = pictures if asked_for_vis else None
                parts.append(self.postprocess(predictions, kept, return_datasamples, **stages["postprocess"]))
                if save_pred:
                    self.write_predictions(items, per_input(parts[-1]), str(out_dir))
                names += [item.name for item in items]
                advance(len(items))
        self._tell_failures(len(names))
        results = merge(parts)
        if isinstance(results, dict):
            results.update(inputs=names, failures=self.failures)
        return results

    def _usable(self, inputs: Any) -> Iterator[Item]:
        for item in iter_items(inputs):
            if isinstance(item.value, Exception):
                self._fail(item, item.value)
            else:
                yield item

    def _predictions(
        self, inputs: Iterable[Item], batch_size: int, stages: Mapping[str, dict[str, Any]]
    ) -> Iterator[tuple[list[Item], list[Any]]]:
        """Yield inputs with their predictions, batch by batch; where the model fails on a batch, one by one."""
        for items, data in self.preprocess(inputs, batch_size, **stages["preprocess"]):
            try:
                predictions = self.forward(data, **stages["forward"])
            except Exception as error:  # what a model raises has no common type
                if len(items) == 1 or self._strict:
                    self._fail(items[0] if len(items) == 1 else _together(items), error)
                    continue
            else:
                yield items, predictions
                continue
            yield from self._predictions(iter(items), 1, stages)

    def preprocess(
        self, inputs: Iterable[Item], batch_size: int = 1, **kwargs: Any
    ) -> Iterator[tuple[list[Item], Any]]:
        """Run pictures through the pipeline; yield batches, each with the inputs that are in it."""
        ready = self._prepared(inputs)
        while batch := list(itertools.islice(ready, batch_size)):
            yield [item for item, _ in batch], self.collate_fn([sample for _, sample in batch])

    def _prepared(self, inputs: Iterable[Item]) -> Iterator[tuple[Item, Any]]:
        for item in inputs:
            try:
                sample = self.pipeline(item.value)
            except Exception as error:  # whatever a broken file makes a transform raise
                self._fail(item, error)
            else:
                yield item, sample

    def forward(self, inputs: Any, **kwargs: Any) -> list[Any]:
        """Return the model's predictions for a batch, one for each picture."""
        with torch.no_grad():
            return self.model.test_step(inputs)

    def visualize(
        self,
        inputs: Sequence[Any],
        preds: Sequence[Any],
        show: bool = False,
        wait_time: float = 0,
        draw_pred: bool = True,
        return_vis: bool = False,
        **kwargs: Any,
    ) -> list[np.ndarray] | None:
        """Draw predictions with the visualizer.

        Args:
            inputs: The paths, arrays or samples of a batch.
            preds: Their predictions.
            show: Open a window for each.
            wait_time: How long it stays, in seconds.
            draw_pred: Draw the prediction, or the picture alone.
            return_vis: Return the pictures, RGB (H, W, 3).
            **kwargs: For `add_datasample` of the visualizer, where a subclass names them in `visualize_kwargs`.

        Returns:
            The pictures, or None where nobody wants them.
        """
        if not (show or return_vis):
            return None
        drawn = []
        for value, prediction in zip(inputs, preds, strict=True):
            self.visualizer.add_datasample(
                "prediction", picture_of(value), prediction,
                draw_gt=False, draw_pred=draw_pred, show=show, wait_time=wait_time, save=False, **kwargs,
            )  # fmt: skip
            drawn.append(self.visualizer.get_image())
        return drawn

    def postprocess(
        self,
        preds: Sequence[Any],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
        print_result: bool = False,
    ) -> Any:
        """Return the results of a batch; the lists of all batches are joined in the end.

        Args:
            preds: Predictions, one for each picture.
            visualization: The pictures, if they are wanted.
            return_datasamples: Give the predictions as they are.
            print_result: Also print them, one a line, as JSON.
        """
        plain = [] if return_datasamples and not print_result else [self.pred2dict(one) for one in preds]
        for one in plain if print_result else ():
            print(to_json(self.summary(one)))
        return {"predictions": list(preds) if return_datasamples else plain, "visualization": visualization or []}

    def pred2dict(self, data_sample: Any) -> dict[str, Any]:
        """Return a prediction as numbers, strings, lists and dicts: the fields that are no truth."""
        return to_plain(data_sample)

    def summary(self, result: Any) -> Any:
        """Return what `print_result` prints of a plain prediction: all of it, unless it is too long for a line."""
        return result

    def write_predictions(self, items: Sequence[Item], predictions: Sequence[Any], out_dir: str) -> None:
        """Write the prediction of each item, `preds/STEM.json` in `out_dir`."""
        write_predictions(items, predictions, out_dir)

    def _dispatch_kwargs(self, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Return the arguments of preprocess, forward, visualize and postprocess.

        Raises:
            TypeError: one that belongs to none of them; says the nearest.
        """
        known = {stage: getattr(self, f"{stage}_kwargs") for stage in STAGES}
        every = set().union(*known.values(), ("batch_size", "return_datasamples", "out_dir", "strict"))
        for name in kwargs:
            if name not in every:
                raise TypeError(f"{type(self).__name__} takes no argument {name!r}{did_you_mean(name, every)}")
        return tuple({name: value for name, value in kwargs.items() if name in known[stage]} for stage in STAGES)

    # ------------------------------------------------------------------ what cannot be used

    def _fail(self, item: Item, error: Exception) -> None:
        """Note an input that cannot be used.

        Raises:
            Exception: `error` itself, if the call is strict.
        """
        if self._strict:
            error.add_note(f"input: {item.name}")
            raise error
        self._last_error = error
        self.failures.append({"input": item.name, "error": f"{type(error).__name__}: {error}"})

    def _tell_failures(self, good: int) -> None:
        if good and not self.failures:
            return
        if not good and len(self.failures) == 1 and self._last_error is not None:
            raise self._last_error
        total = good + len(self.failures)
        shown = "; ".join(f"{one['input']} ({one['error']})" for one in self.failures[:5])
        more = f"; and {len(self.failures) - 5} more" if len(self.failures) > 5 else ""
        if not good:
            message = f"none of {total} inputs can be used: {shown}{more}" if total else "there is no input"
            raise InferenceError(message) from self._last_error
        print_log(f"{len(self.failures)} of {total} inputs left out: {shown}{more}", "current", level=logging.WARNING)

    # ------------------------------------------------------------------ parts

    def _find_cfg(self, model: Any, checkpoint: Mapping[str, Any] | None, scope: str | None) -> Config:
        if isinstance(model, nn.Module):
            model = getattr(model, "cfg", None) or {}
        if isinstance(model, Config):
            return model.copy()
        if isinstance(model, Mapping):
            return Config(dict(model))
        if model is not None:
            return Config.fromfile(find_config(str(model), scope))
        if checkpoint is None:
            raise ValueError(f"{type(self).__name__} needs a model (a config) or weights that hold their config")
        text = checkpoint_meta(checkpoint).get("cfg")
        if not isinstance(text, str):
            raise ValueError("this checkpoint holds no config: give the model's config beside the weights")
        return Config.fromstring(text, ".py")

    def _init_model(self, model: Config | nn.Module, weights: str | None, device: torch.device) -> nn.Module:
        """Build the model, load its weights and tell it its classes."""
        built: Any = model
        if not isinstance(model, nn.Module):
            built = MODELS.build(model.model, default_args=_preprocessor(model))
        meta: dict[str, Any] | None = None
        if weights is not None:
            meta = dataset_meta(load_checkpoint(built, weights, map_location="cpu"))
        elif not isinstance(model, nn.Module):
            print_log("no weights are given: predictions are those of a random model", "current", level="WARNING")
        if meta or not hasattr(built, "dataset_meta"):
            built.dataset_meta = meta or self._meta_of_config()
        built.cfg = self.cfg
        return built.to(device).eval()

    def _meta_of_config(self) -> dict[str, Any]:
        """Return what the config's test data set says of its classes, without building it."""
        cfg = tested_dataset(self.cfg)
        kind = cfg.get("type")
        if isinstance(kind, str):
            with DATASETS.switch_scope_and_registry(None) as registry:  # the one of the current scope
                kind = registry.get(kind)
        given = {"classes": cfg["classes"]} if isinstance(cfg.get("classes"), (list, tuple)) else {}
        return {**getattr(kind, "METAINFO", {}), **given, **(cfg.get("metainfo") or {})}

    def _init_pipeline(self, cfg: Config) -> Any:
        """Return what turns an item's value into a sample: the test data's pipeline."""
        return InferencePipeline(tested_dataset(cfg).get("pipeline") or ())

    def _init_collate(self, cfg: Config) -> Any:
        """Return what turns samples into a batch: that of the test data."""
        given = (cfg.get("test_dataloader") or {}).get("collate_fn") or "pseudo_collate"
        if callable(given):
            return given
        arguments = {"type": given} if isinstance(given, str) else dict(given)
        function = find_function(arguments.pop("type"), "collate_fn")
        return lambda samples: function(samples, **arguments)

    def _init_visualizer(self, cfg: Config) -> Visualizer:
        """Return a visualizer of this inferencer's own; it has no backends, as the call writes the files."""
        given = {"type": self.own_visualizer, **(cfg.get("visualizer") or {}), "vis_backends": None}
        visualizer = VISUALIZERS.build({**given, "name": f"inferencer-{next(_numbers)}"})
        visualizer.dataset_meta = getattr(self.model, "dataset_meta", None)
        return visualizer

    def _in_scope(self) -> AbstractContextManager[None]:
        return DefaultScope.overwrite_default_scope(self.scope)

    @contextmanager
    def _progress(self, total: int | None) -> Iterator[Callable[[int], None]]:
        """Give a function to count pictures with, which shows how far the call is."""
        if not self.show_progress or total == 1:
            yield lambda number: None
            return
        bar = ProgressBar(total or 0, file=sys.stderr, description="inference")
        try:
            yield bar.update
        finally:
            bar.close()


def _together(items: Sequence[Item]) -> Item:
    return replace(items[0], name=f"one of {', '.join(item.name for item in items)}")


def _preprocessor(cfg: Config) -> dict[str, Any]:
    given = cfg.get("data_preprocessor")
    return {} if given is None else {"data_preprocessor": given}
