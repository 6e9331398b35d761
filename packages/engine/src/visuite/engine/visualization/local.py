"""Scalars, pictures and the config as files in the run's folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
import torch
from torch import nn

from visuite.engine.registry import VISBACKENDS
from visuite.engine.visualization.backend import BaseVisBackend, force_init_env
from visuite.engine.visualization.canvas import as_rgb


class JsonLines:
    """A file of one JSON object a line, appended to; it is opened at the first line.

    Single lines are held back for up to `FLUSH_SECONDS`, which is what a killed run can lose.
    """

    FLUSH_SECONDS = 1.0

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._flushed = 0.0

    def write(self, record: Mapping[str, Any], *, flush: bool = False) -> None:
        """Append a line."""
        file = self._open()
        file.write(json.dumps(record, default=str) + "\n")
        now = time.monotonic()
        if flush or now - self._flushed >= self.FLUSH_SECONDS:
            file.flush()
            self._flushed = now

    def _open(self) -> TextIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torn = _lacks_newline(self.path)
            self._file = self.path.open("a", encoding="utf-8")
            if torn:  # the run before was killed while it wrote: its half line must not swallow ours
                self._file.write("\n")
        return self._file

    def close(self) -> None:
        """Write what is held back; a later line opens the file again."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lacks_newline(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"


@VISBACKENDS.register_module()
class LocalVisBackend(BaseVisBackend):
    """Keep a run in files: `scalars.json` (an object a line), `config.py`, `model.txt`, `vis_image/NAME_STEP.png`.

    A run that is resumed in the same folder appends.

    Args:
        save_dir: The folder.
        img_save_dir: The pictures' folder in it.
        config_save_file: The config's file; its ending (`.py`, `.yaml`, `.json`) is its format.
        scalar_save_file: The scalars' file.

    Raises:
        ValueError: a file has an ending that is not its format.
    """

    def __init__(
        self,
        save_dir: str,
        img_save_dir: str = "vis_image",
        config_save_file: str = "config.py",
        scalar_save_file: str = "scalars.json",
    ) -> None:
        if not config_save_file.endswith((".py", ".yaml", ".yml", ".json")):
            raise ValueError(f"config_save_file ends in .py, .yaml or .json, not as {config_save_file!r}")
        super().__init__(save_dir)
        self._config_path = Path(save_dir, config_save_file)
        self._image_dir = Path(save_dir, img_save_dir)
        self._scalars = JsonLines(_json_path(Path(save_dir, scalar_save_file)))
        self._others: dict[Path, JsonLines] = {}

    @property
    @force_init_env
    def experiment(self) -> Self:
        """This backend: there is nothing behind it."""
        return self

    def _init_env(self) -> None:
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)

    @force_init_env
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Write a `Config`, or the text of one.

        Raises:
            TypeError: it is neither.
        """
        if isinstance(config, str):
            self._config_path.write_text(config, encoding="utf-8")
        elif hasattr(config, "dump"):
            config.dump(str(self._config_path))
        else:
            raise TypeError(f"add_config takes a Config or its text, not {type(config).__name__}")

    @force_init_env
    def add_graph(self, model: nn.Module, data_batch: Sequence[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        """Write the tree of the model's modules."""
        Path(self._save_dir, "model.txt").write_text(f"{model}\n", encoding="utf-8")

    @force_init_env
    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:
        """Write an RGB picture (H, W, 3) as PNG; a `/` in the name makes a folder.

        Raises:
            ValueError: the name leads out of the folder.
        """
        from PIL import Image

        path = self._image_dir / f"{name}_{step}.png"
        if not path.resolve().is_relative_to(self._image_dir.resolve()):
            raise ValueError(f"a picture's name stays in its folder, unlike {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(as_rgb(image)).save(path)

    @force_init_env
    def add_scalar(
        self, name: str, value: int | float | torch.Tensor | np.ndarray, step: int = 0, **kwargs: Any
    ) -> None:
        """Append a number, as `{name: value, "step": step}`."""
        self._scalars.write({name: to_number(value), "step": step})

    @force_init_env
    def add_scalars(
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Append several numbers in one line, which is on the disk when this returns.

        Args:
            scalar_dict: `{name: number}`; a `step` among them is kept.
            step: The step otherwise.
            file_path: A `.json` file in the folder that gets the line too.

        Raises:
            TypeError: `scalar_dict` is no mapping.
            ValueError: `file_path` does not end in `.json`, or is the scalars' file itself.
        """
        if not isinstance(scalar_dict, Mapping):
            raise TypeError(f"add_scalars takes a dict of numbers, not {type(scalar_dict).__name__}")
        record = {"step": step, **{name: to_number(value) for name, value in scalar_dict.items()}}
        record["step"] = record.pop("step")  # last, as in lines of one number
        if file_path is not None:
            self._other(file_path).write(record, flush=True)
        self._scalars.write(record, flush=True)

    def _other(self, file_path: str) -> JsonLines:
        path = _json_path(Path(self._save_dir, file_path))
        if path == self._scalars.path:
            raise ValueError(f"file_path {file_path!r} is the file that all scalars go to")
        return self._others.setdefault(path, JsonLines(path))

    def close(self) -> None:
        """Write what is held back."""
        for file in (self._scalars, *self._others.values()):
            file.close()


def to_number(value: Any) -> Any:
    """Return a tensor or array of one element as a number, a larger one as a list, and anything else unchanged."""
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        size = value.numel() if isinstance(value, torch.Tensor) else value.size
        return value.item() if size == 1 else value.tolist()
    return value


def _json_path(path: Path) -> Path:
    if path.suffix != ".json":
        raise ValueError(f"scalars are written to a .json file, not to {path.name!r}")
    return path
