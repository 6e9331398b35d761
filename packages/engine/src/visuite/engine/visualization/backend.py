"""What a place for scalars, pictures and configs is."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

Method = TypeVar("Method", bound=Callable[..., Any])


def force_init_env(method: Method) -> Method:
    """Make a backend's method open the backend first, once (`_init_env`)."""

    @functools.wraps(method)
    def opened(self: BaseVisBackend, *args: Any, **kwargs: Any) -> Any:
        if not self._env_initialized:
            # Before the call: what `_init_env` itself calls must not open the backend again.
            self._env_initialized = True
            try:
                self._init_env()
            except BaseException:
                self._env_initialized = False
                raise
        return method(self, *args, **kwargs)

    return opened  # type: ignore[return-value]


class BaseVisBackend(ABC):
    """Keep what a run shows. A subclass opens itself in `_init_env`, on first use,
    and overrides what it can keep; the rest passes it by.

    Args:
        save_dir: The run's folder for it.
    """

    def __init__(self, save_dir: str) -> None:
        self._save_dir = save_dir
        self._env_initialized = False

    @property
    @abstractmethod
    def experiment(self) -> Any:
        """The object behind the backend, for what this interface does not offer."""

    @abstractmethod
    def _init_env(self) -> None:
        """Open the backend."""

    def add_config(self, config: Any, **kwargs: Any) -> None:  # noqa: B027
        """Keep the run's config."""

    def add_graph(self, model: nn.Module, data_batch: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:  # noqa: B027
        """Keep the model's graph."""

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: Any) -> None:  # noqa: B027
        """Keep an RGB picture (H, W, 3)."""

    def add_scalar(  # noqa: B027
        self, name: str, value: int | float | torch.Tensor | np.ndarray, step: int = 0, **kwargs: Any
    ) -> None:
        """Keep a number."""

    def add_scalars(  # noqa: B027
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Keep several numbers of one step."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: which run this is, and how far it is; nothing for what begins anew."""
        return {}

    def resume(self, state: Mapping[str, Any], iteration: int) -> None:  # noqa: B027
        """Go on in the run of a checkpoint, before anything is kept; what is there already is not kept twice.

        Args:
            state: What `state_dict` returned then.
            iteration: How many iterations were done then.
        """

    def close(self) -> None:  # noqa: B027
        """Write what is pending and let go."""
