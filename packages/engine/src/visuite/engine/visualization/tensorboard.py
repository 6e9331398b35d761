"""A run as TensorBoard's event files."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from visuite.engine.logging import print_log
from visuite.engine.registry import VISBACKENDS
from visuite.engine.visualization.backend import BaseVisBackend, force_init_env
from visuite.engine.visualization.canvas import as_rgb
from visuite.engine.visualization.tracking import Plottable, config_text, config_values, flat, needs_extra

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVENT_FILES = "events.out.tfevents.*"


@VISBACKENDS.register_module()
class TensorboardVisBackend(BaseVisBackend):
    """Keep scalars, pictures, the config, hyper-parameters and the graph as events: `tensorboard --logdir WORK_DIR`.

    Args:
        save_dir: The folder of the event files.
    """

    FLUSH_SECONDS = 10  # what a killed run can lose

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir)
        self._plottable = Plottable(type(self).__name__)
        self._hyperparameters: dict[str, Any] = {}
        self._resumed: tuple[Mapping[str, Any], int] | None = None
        self._there: set[tuple[str, int]] = set()

    def _init_env(self) -> None:
        with needs_extra("tensorboard", type(self).__name__):
            from torch.utils.tensorboard import SummaryWriter
        purge_step = None
        if self._resumed is not None:
            state, iteration = self._resumed
            purge_step = iteration + 1  # readers forget what a run that broke off had written from there on
            self._there = {point for point in points_behind(self._save_dir, state["sizes"]) if point[1] < purge_step}
        self._writer = SummaryWriter(self._save_dir, purge_step=purge_step, flush_secs=self.FLUSH_SECONDS)

    def state_dict(self) -> dict[str, Any]:
        """Return the folder, and how large its files are."""
        if not self._env_initialized:
            return {}
        self._writer.flush()
        sizes = {path.name: path.stat().st_size for path in Path(self._save_dir).glob(EVENT_FILES)}
        return {"save_dir": self._save_dir, "sizes": sizes}

    def resume(self, state: Mapping[str, Any], iteration: int) -> None:
        """Go on in the folder of a checkpoint, if it is still there."""
        if state and not self._env_initialized and Path(state["save_dir"]).is_dir():
            self._save_dir = state["save_dir"]
            self._resumed = state, iteration
            print_log(f"{type(self).__name__} goes on in {self._save_dir}", "current")

    @property
    def _began_at(self) -> int:
        """The iteration with which this process begins."""
        return 0 if self._resumed is None else self._resumed[1]

    @property
    @force_init_env
    def experiment(self) -> SummaryWriter:
        """The `SummaryWriter`, for histograms, sounds and whatever else it can write."""
        return self._writer

    @force_init_env
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Keep a `Config`, or the text of one, as text, and its values as hyper-parameters.

        Raises:
            TypeError: it is neither.
        """
        text = textwrap.indent(config_text(config), "    ")  # markdown's block of code
        self._writer.add_text("config", text, self._began_at)
        values = {name: _hyperparameter(value) for name, value in flat(config_values(config)).items()}
        if values and values != self._hyperparameters:
            self._hyperparameters = values
            self._write_session(values)

    def _write_session(self, values: dict[str, Any]) -> None:
        """Write the hyper-parameters into the run's own events: `add_hparams` would open a second run for them."""
        from torch.utils.tensorboard.summary import hparams

        _, start, end = hparams(values, {})
        events: Any = self._writer.file_writer  # which torch annotates as None
        events.add_summary(start)
        events.add_summary(end)

    @force_init_env
    def add_graph(self, model: nn.Module, data_batch: Sequence[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        """Keep the tree of the model's modules as text, and, given a batch, the graph of `mode='tensor'`.

        A model that cannot be traced costs a line of warning.
        """
        self._writer.add_text("model", textwrap.indent(str(model), "    "))
        if len(data_batch) == 0:
            return
        forward, inputs = _traceable(model, data_batch)
        training, device = model.training, next((p.device for p in model.parameters()), torch.device("cpu"))
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the tracer, about itself and about shapes read as numbers
                self._writer.add_graph(forward.eval(), inputs.to(device), use_strict_trace=False)
        except Exception as error:  # what a tracer meets in a model has no common type
            print_log(f"the graph of {type(model).__name__} is left out: {error}", "current", level="WARNING")
        finally:
            model.train(training)

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Keep an RGB picture (H, W, 3)."""
        if (name, step) not in self._there:
            self._writer.add_image(name, as_rgb(image), step, dataformats="HWC")

    @force_init_env
    def add_scalar(
        self, name: str, value: int | float | torch.Tensor | np.ndarray, step: int = 0, **kwargs: Any
    ) -> None:
        """Keep a number."""
        self.add_scalars({name: value}, step)

    @force_init_env
    def add_scalars(
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Keep several numbers of one step, each a curve; what is no number is left out, and told of once.

        Raises:
            TypeError: `scalar_dict` is no mapping.
        """
        numbers, step = self._plottable.numbers(scalar_dict, step)
        for name, number in numbers.items():
            if (name, step) not in self._there:
                self._writer.add_scalar(name, number, step)

    def close(self) -> None:
        """Write what is held back; what comes later goes to a new file of the same folder."""
        if self._env_initialized:
            self._writer.close()


class _TensorForward(nn.Module):
    """A model's `mode='tensor'` as a function of its inputs alone, the rest of the batch held fast."""

    def __init__(self, model: nn.Module, rest: Mapping[str, Any] | Sequence[Any]) -> None:
        super().__init__()
        self.model = model
        self.rest = rest

    def forward(self, inputs: Tensor) -> Any:
        if isinstance(self.rest, Mapping):
            return self.model(inputs=inputs, **self.rest, mode="tensor")
        return self.model(inputs, *self.rest, mode="tensor")


def points_behind(folder: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield the name and the step of what the event files of a folder hold behind these sizes.

    A record is its length (8 bytes), a checksum of that (4), the event, and a checksum of it (4).
    """
    from tensorboard.compat.proto.event_pb2 import Event

    for path in sorted(Path(folder).glob(EVENT_FILES)):
        with path.open("rb") as file:
            file.seek(sizes.get(path.name, 0))
            while len(head := file.read(12)) == 12:
                length = int.from_bytes(head[:8], "little")
                if len(data := file.read(length + 4)) < length + 4:  # what a killed run did not finish
                    break
                event = Event.FromString(data[:length])
                yield from ((value.tag, event.step) for value in event.summary.value)


def _traceable(model: nn.Module, data_batch: Any) -> tuple[nn.Module, Tensor]:
    """Return a module of one tensor, and the tensor, for a model and a batch as the loader gives it."""
    preprocess = getattr(model, "data_preprocessor", None)
    if preprocess is None:
        return model, data_batch if isinstance(data_batch, Tensor) else data_batch[0]
    data = preprocess(data_batch, False)
    if isinstance(data, Mapping):
        return _TensorForward(model, {key: value for key, value in data.items() if key != "inputs"}), data["inputs"]
    return _TensorForward(model, data[1:]), data[0]


def _hyperparameter(value: Any) -> float | str:
    """Return a value as TensorBoard's table shows it: numbers can be ordered, anything else is a word ("True")."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
