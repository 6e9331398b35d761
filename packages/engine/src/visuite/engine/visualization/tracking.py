"""What the trackers share: which numbers can be plotted, a config as hyper-parameters, what a missing package says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from visuite.engine.logging import print_log
from visuite.engine.visualization.local import to_number


@contextmanager
def needs_extra(extra: str, backend: str) -> Iterator[None]:
    """Turn a failing `import` of the tracker's package into an error that names the extra.

    Raises:
        ModuleNotFoundError: the package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != extra:  # the package is there, and lacks something of its own
            raise
        message = f'{backend} needs {extra}, which is not installed: pip install "visuite-engine[{extra}]"'
        raise ModuleNotFoundError(message, name=error.name) from None


class Plottable:
    """Picks the numbers that a tracker can plot; tells once of each other value that it is kept elsewhere.

    Args:
        backend: Who the line speaks of.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._told: set[str] = set()

    def numbers(self, scalars: Mapping[str, Any], step: int) -> tuple[dict[str, float], int]:
        """Return the numbers, and their step: a `step` among them, or else the one given.

        Raises:
            TypeError: `scalars` is no mapping.
        """
        if not isinstance(scalars, Mapping):
            raise TypeError(f"add_scalars takes a dict of numbers, not {type(scalars).__name__}")
        values = {name: to_number(value) for name, value in scalars.items()}
        step = int(values.pop("step", step))
        numbers = {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}
        self._tell({name: value for name, value in values.items() if name not in numbers})
        return numbers, step

    def _tell(self, others: Mapping[str, Any]) -> None:
        for name in others.keys() - self._told:
            self._told.add(name)
            kind = type(others[name]).__name__
            print_log(f"{self._backend} plots numbers and leaves out {name!r}, a {kind}", "current", level="WARNING")


def config_text(config: Any) -> str:
    """Return the text of a `Config`; a text is returned unchanged.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(config, str):
        return config
    if hasattr(config, "pretty_text"):
        return str(config.pretty_text)
    raise TypeError(f"add_config takes a Config or its text, not {type(config).__name__}")


def config_values(config: Any) -> dict[str, Any]:
    """Return a `Config` as plain data; a text has no values that could be told apart."""
    return config.to_dict() if hasattr(config, "to_dict") else {}


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings on one level: `{"optim_wrapper.optimizer.lr": 0.1, "custom_hooks.0.type": "EMAHook"}`."""
    return dict(_leaves(settings, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        children = value.items()
    elif isinstance(value, (list, tuple)) and any(isinstance(one, Mapping) for one in value):
        children = dict(enumerate(value)).items()
    else:
        if path:
            yield path, value
        return
    for key, child in children:
        yield from _leaves(child, f"{path}.{key}" if path else str(key))
