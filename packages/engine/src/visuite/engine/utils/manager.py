"""Objects that are found by name from anywhere: loggers, message hubs, visualizers, scopes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self


class ManagerMixin:
    """Give a class named instances, one of which is current.

    Every subclass keeps its own table. The newest instance is current, or, inside a block of
    `activate`, the activated one; so code deep in a model can write to "the" message hub without
    being handed one, and two runs in one process, even one inside the other, still keep apart.
    """

    _instances: ClassVar[dict[str, Any]] = {}
    _current: ClassVar[list[str]] = []
    _active: ClassVar[list[Any]] = []

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._instances = {}
        cls._current = []  # names in the order in which they were made
        cls._active = []  # whose `activate` blocks are open, the innermost last

    def __init__(self, name: str = "", **kwargs: Any) -> None:
        if not isinstance(name, str) or not name:
            raise ValueError(f"{type(self).__name__} needs a name (a non-empty string), not {name!r}")
        self._instance_name = name

    @property
    def instance_name(self) -> str:
        """The name under which this instance is found."""
        return self._instance_name

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return the instance called `name`; make it when there is none, and current unless one is activated."""
        if not isinstance(name, str):
            raise TypeError(f"the name of a {cls.__name__} is a string, not {type(name).__name__}")
        if name not in cls._instances:
            cls._instances[name] = cls(name=name, **kwargs)
            cls._current.append(name)
        return cls._instances[name]

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the current instance.

        Raises:
            RuntimeError: no instance has been made yet.
        """
        if cls._active:
            return cls._active[-1]
        if not cls._current:
            raise RuntimeError(f"no {cls.__name__} exists yet: call {cls.__name__}.get_instance(name) first")
        return cls._instances[cls._current[-1]]

    @classmethod
    def check_instance_created(cls, name: str) -> bool:
        """Tell whether `get_instance(name)` would find an instance."""
        return name in cls._instances

    @contextmanager
    def activate(self) -> Iterator[Self]:
        """Make this instance the current one inside a `with` block, found by name or not."""
        active = type(self)._active
        active.append(self)
        try:
            yield self
        finally:  # blocks of two runs need not end in turn
            del active[max(place for place, one in enumerate(active) if one is self)]
