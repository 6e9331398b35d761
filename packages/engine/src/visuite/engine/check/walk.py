"""From config to classes without building anything: types are looked up, arguments held against signatures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from visuite.engine.check.finding import Findings
from visuite.engine.check.kinds import wrong_kind
from visuite.engine.check.routes import Route, route_of
from visuite.engine.check.signatures import Rest, Signature, name_of, signature_of, unknown_arguments
from visuite.engine.check.words import is_mentioned, like
from visuite.engine.registry import ROOTS
from visuite.engine.registry.build import Entry
from visuite.engine.registry.scope import import_scope
from visuite.engine.utils.text import did_you_mean, nearest

#: Keys of a config that are no arguments.
_ABOUT = ("type", "_scope_")
_LIKENESS = 0.8  # of a slip to what was meant


class Walker:
    """Goes through a config as building it would.

    Args:
        findings: Takes what is wrong.
        scope: The default scope.
    """

    def __init__(self, findings: Findings, scope: str) -> None:
        self.findings = findings
        self.scope = scope

    def walk(self, value: Any, path: str, route: Route | None) -> None:
        """Check whatever stands somewhere: a config, lists and dicts that hold some, or plain values."""
        if route is None:
            return
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                if isinstance(item, (dict, list, tuple)):
                    self.walk(item, f"{path}.{index}", route)
        elif isinstance(value, dict):
            if "type" in value or route.default_type is not None:
                self.check(value, path, route)
            elif route.needs_type and not _holds_configs(value):
                keys = ", ".join(map(repr, value)) or "nothing"
                said = f"a {route.registry.name} config needs the key 'type', this has {keys}"
                self.findings.error(path, said, at=_first_key(value, path))
            else:
                if not route.foreign:
                    self.read(value, path)
                self._children(value, path, route)
        elif route.needs_type and isinstance(value, (bool, int, float, str)):
            self.findings.error(path, f"is {value!r}, and a {route.registry.name} is a config with the key 'type'")

    def check(self, cfg: Mapping[str, Any], path: str, route: Route) -> None:
        """Check one config of an object, and those in its arguments."""
        scope = cfg.get("_scope_")
        if scope is not None and not self._importable(str(scope), path):
            return
        with self._within(scope, route) as route:
            found = self._resolve(cfg.get("type", route.default_type), path, route)
            if found is None:
                self._children(cfg, path, replace(route.guess(), foreign=True))
                return
            entry, route = found
            self._arguments(entry, cfg, path, route)
            self._children(cfg, path, route)

    # ------------------------------------------------------------------ types

    def _importable(self, scope: str, path: str) -> bool:
        """Import the package of the scope that a config names for itself, or tell why that cannot be done."""
        try:
            import_scope(scope)
        except ImportError as error:
            self.findings.error(path, str(error), at=f"{path}._scope_")
            return False
        return True

    @contextmanager
    def _within(self, scope: Any, route: Route) -> Iterator[Route]:
        """Look up in the scope that a config names for itself and all in it, or else in the default one."""
        outer = self.scope
        self.scope = str(scope) if scope is not None else outer
        try:
            with route.registry.switch_scope_and_registry(self.scope) as node:
                yield replace(route, registry=node)
        finally:
            self.scope = outer

    def _resolve(self, kind: Any, path: str, route: Route) -> tuple[Entry, Route] | None:
        """Find what a `type` names, and tell of one that names nothing."""
        kind, place = getattr(kind, "dotted_path", kind), f"{path}.type"
        if not isinstance(kind, str):
            if callable(kind):
                return Entry(kind), route
            if route.sure:
                said = f"'type' is a name or a class, not {type(kind).__name__}"
                self.findings.error(path, said, at=place)
            return None
        try:
            found = self._find(kind, route)
            if found is None:
                self._tell_unknown(kind, path, route)
        except ImportError as error:
            self.findings.error(path, str(error), at=place)
            return None
        return found

    def _find(self, kind: str, route: Route) -> tuple[Entry, Route] | None:
        """Look a name up where it belongs; where that is a guess, also in all other registries."""
        entry = route.registry.find(kind)
        if entry is not None or route.sure:
            return None if entry is None else (entry, route)
        for root in ROOTS.values():
            with root.switch_scope_and_registry(self.scope) as node:
                entry = node.find(kind)
            if entry is not None:
                return entry, replace(route, registry=node)
        return None

    def _tell_unknown(self, kind: str, path: str, route: Route) -> None:
        """A name that no registry has is a fault, unless a class may read this `type` by itself."""
        registry, place = route.registry, f"{path}.type"
        if route.sure:
            self.findings.error(path, registry.explain_missing(kind), at=place)
        elif kind[:1].isupper() and nearest(kind, registry.known_names()):
            self.findings.warn(path, registry.explain_missing(kind), at=place)

    # ------------------------------------------------------------------ arguments

    def _arguments(self, entry: Entry, cfg: Mapping[str, Any], path: str, route: Route) -> None:
        given = [key for key in cfg if key not in _ABOUT and key not in route.taken]
        signature = signature_of(entry.obj)
        rest = self._rest(signature.rest, cfg, path, route)
        unknown = unknown_arguments(entry.obj, given, besides=route.taken, rest=rest)
        for name, said in unknown.items():
            self.findings.error(path, said, at=f"{path}.{name}")
        if signature.anything and rest is None:
            self.resembling(entry.obj, given, path)
        annotated = {**(rest.kinds if rest else {}), **signature.kinds}
        self.kinds({name: cfg[name] for name in given}, annotated, path, sure=_is_well_annotated(entry.obj))
        if route.completed:
            return
        there = {*given, *route.supplied, *entry.defaults}
        missing = [name for name in signature.names if name in signature.needed and name not in there]
        if missing:
            self.findings.error(
                path, f"{name_of(entry.obj)} needs {', '.join(map(repr, missing))}", at=_first_key(cfg, path)
            )

    def _rest(self, rest: Rest | None, cfg: Mapping[str, Any], path: str, route: Route) -> Signature | None:
        """Return the arguments of the part that a class hands the rest of its own on to."""
        if rest is None:
            return None
        kind = cfg.get(rest.by, rest.default)
        part = replace(route, registry=rest.registry or route.registry, sure=rest.registry is not None)
        kind = getattr(kind, "dotted_path", kind)
        try:
            with part.registry.switch_scope_and_registry(self.scope) as node:
                found = self._find(kind, replace(part, registry=node)) if isinstance(kind, str) else None
                if found is None and isinstance(kind, str):
                    said = f"{rest.by} is {node.explain_missing(kind)}"
                    self.findings.error(path, said.replace("is not", "not"), at=f"{path}.{rest.by}")
        except ImportError as error:
            self.findings.error(path, str(error), at=f"{path}.{rest.by}")
            return None
        return signature_of(found[0].obj).behind(0, rest.given) if found is not None else None

    def resembling(self, target: Any, given: Collection[Any], path: str) -> None:
        """Warn of arguments that are taken as any other would be, and that resemble one with a meaning."""
        known = signature_of(target).names
        free = {*known} - {*given}
        for name in given:
            if name not in known and get_close_matches(str(name), free, 1, _LIKENESS):
                said = f"{name_of(target)} takes {name!r} as it takes anything{did_you_mean(str(name), free)}"
                self.findings.warn(path, said, at=f"{path}.{name}")

    def kinds(self, given: Mapping[str, Any], annotated: Mapping[str, Any], path: str, *, sure: bool = True) -> None:
        """Hold the values of arguments against their annotations, which need not be `sure` to say all that is taken."""
        for name, value in given.items():
            said = wrong_kind(value, annotated[name]) if name in annotated else None
            if said is not None:
                self.findings.add("error" if sure else "warning", f"{path}.{name}", said)

    def read(self, cfg: Mapping[Any, Any], path: str) -> None:
        """Warn of the keys of a plain dict that nobody reads."""
        for key in cfg:
            if isinstance(key, str) and key.isidentifier() and not is_mentioned(key):
                self.findings.warn(f"{path}.{key}", f"nobody reads {key!r}{did_you_mean(key, like(key))}")

    def _children(self, cfg: Mapping[Any, Any], path: str, route: Route) -> None:
        for key, value in cfg.items():
            if isinstance(value, (dict, list, tuple)):
                self.walk(value, f"{path}.{key}", route_of(str(key), route, self.scope))


def _is_well_annotated(target: Any) -> bool:
    """Whether annotations say all that a class takes: those of others may be narrower than their code."""
    return getattr(target, "__module__", "").partition(".")[0] in ("visuite", "torch")


def _holds_configs(value: Mapping[Any, Any]) -> bool:
    """Whether a dict is no config, but has some, each under a name."""
    return bool(value) and all(isinstance(one, Mapping) and "type" in one for one in value.values())


def _first_key(cfg: Mapping[Any, Any], path: str) -> str:
    """Return the path of what stands first in a config: in a list, only what is in it knows its line."""
    key = "type" if "type" in cfg else next(iter(cfg), None)
    return path if key is None else f"{path}.{key}"
