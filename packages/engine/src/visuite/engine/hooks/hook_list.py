"""The hooks of a run in the order in which they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from visuite.engine.hooks.hook import POINTS, Hook, overrides
from visuite.engine.hooks.priority import get_priority
from visuite.engine.registry import HOOKS, config_path
from visuite.engine.utils.text import did_you_mean

#: The hooks that every run has unless `default_hooks` replaces or removes them.
DEFAULT_HOOKS: dict[str, str] = {
    "runtime_info": "RuntimeInfoHook",
    "timer": "IterTimerHook",
    "sampler_seed": "DistSamplerSeedHook",
    "logger": "LoggerHook",
    "param_scheduler": "ParamSchedulerHook",
    "checkpoint": "CheckpointHook",
    "progress": "ProgressHook",
    "preemption": "PreemptionHook",
}


class HookList:
    """Hooks by priority; among equals, in the order in which they were added.

    Args:
        default_hooks: Replaces default hooks by key, adds others, removes one with None.
        custom_hooks: Further hooks, as configs or objects.
    """

    def __init__(
        self, default_hooks: Mapping[str, Any] | None = None, custom_hooks: Iterable[Any] | None = None
    ) -> None:
        self.hooks: list[Hook] = []
        self._priorities: list[int] = []
        self._at: dict[str, list[Callable[..., None]]] = {}
        defaults: dict[str, Any] = {key: {"type": kind} for key, kind in DEFAULT_HOOKS.items()}
        for key, hook in {**defaults, **(default_hooks or {})}.items():
            if hook is not None:
                with config_path(f"default_hooks.{key}"):
                    self.add(hook)
        for index, hook in enumerate(custom_hooks or ()):
            with config_path(f"custom_hooks.{index}"):
                self.add(hook)

    def add(self, hook: Hook | dict[str, Any], priority: str | int | None = None) -> None:
        """Add a hook, at `priority`, or that of its config, or its class's.

        Raises:
            TypeError: not a hook.
            ValueError: no such priority.
        """
        if isinstance(hook, dict):
            hook = dict(hook)
            priority = hook.pop("priority", None) if priority is None else priority
            hook = HOOKS.build(hook)
        if not isinstance(hook, Hook):
            raise TypeError(f"a hook is a config or an object of a class derived from Hook, not {type(hook).__name__}")
        level = get_priority(hook.priority if priority is None else priority)
        position = sum(one <= level for one in self._priorities)
        self.hooks.insert(position, hook)
        self._priorities.insert(position, level)
        self._at.clear()

    def at(self, point: str) -> list[Callable[..., None]]:
        """Return the methods to call at a point; hooks that do nothing there cost nothing."""
        methods = self._at.get(point)
        if methods is None:
            if point not in POINTS and not any(hasattr(hook, point) for hook in self.hooks):
                raise AttributeError(f"hooks have no point {point!r}{did_you_mean(point, POINTS)}")
            methods = [
                getattr(hook, point)
                for hook in self.hooks
                if hasattr(hook, point) and (point not in POINTS or overrides(type(hook), point))
            ]
            self._at[point] = methods
        return methods

    def describe(self) -> str:
        """Return a table of the points and the hooks called there."""
        lines = ["hooks in the order in which they are called:"]
        for point in POINTS:
            names = [f"{type(m.__self__).__name__} ({self._level(m.__self__)})" for m in self.at(point)]  # type: ignore[attr-defined]
            if names:
                lines.append(f"  {point}: {', '.join(names)}")
        return "\n".join(lines)

    def _level(self, hook: Hook) -> int:
        return self._priorities[self.hooks.index(hook)]
