"""A registry maps names in configs to classes and functions."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from visuite.engine.registry.build import Entry, build_from_cfg
from visuite.engine.registry.scope import (
    ROOT_SCOPES,
    DefaultScope,
    canonical_scope,
    import_root_packages,
    import_scope,
    is_known_scope,
    resolve_dotted,
)
from visuite.engine.utils.text import did_you_mean

T = TypeVar("T")


class Registry:
    """A node of the tree of registries.

    Args:
        name: What it holds, in the singular: `'model'`.
        build_func: Called as `build_func(cfg, *args, registry=self, **kwargs)` by `build`.
        parent: Where a look-up goes on when this node does not know a name.
        scope: The scope that prefixes names of this node; by default that of the calling module.
        locations: Modules to import before a name is called unknown.

    Raises:
        KeyError: the parent already has a child of this scope.
    """

    def __init__(
        self,
        name: str,
        build_func: Callable[..., Any] | None = None,
        parent: Registry | None = None,
        scope: str | None = None,
        locations: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._entries: dict[str, Entry] = {}
        self._children: dict[str, Registry] = {}
        self._scope = canonical_scope(scope if scope is not None else self.infer_scope())
        self._locations = list(locations)
        self._imported = False
        self._by_prefix: dict[str, str] = {}
        self.parent = parent
        if parent is not None:
            parent._add_child(self)
        inherited = build_from_cfg if parent is None else parent.build_func
        self.build_func: Callable[..., Any] = build_func or inherited

    # ------------------------------------------------------------------ what it is

    @property
    def name(self) -> str:
        """What the registry holds."""
        return self._name

    @property
    def scope(self) -> str:
        """The scope of this node."""
        return self._scope

    @property
    def module_dict(self) -> dict[str, Any]:
        """The names registered in this very node, and their objects."""
        return {name: entry.obj for name, entry in self._entries.items()}

    @property
    def children(self) -> dict[str, Registry]:
        """The child nodes by scope."""
        return self._children

    @property
    def root(self) -> Registry:
        """The topmost node of this tree."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __repr__(self) -> str:
        return f"Registry(name={self._name!r}, scope={self._scope!r}, {len(self)} entries)"

    @staticmethod
    def infer_scope() -> str:
        """Return the scope of the module that calls: its first package name, `visuite.det.x` being `det`."""
        here = __name__
        frame = sys._getframe(1)
        while frame is not None and frame.f_globals.get("__name__") == here:
            frame = frame.f_back  # type: ignore[assignment]
        parts = str(frame.f_globals.get("__name__", "")).split(".")
        return parts[1] if parts[0] == "visuite" and len(parts) > 1 else parts[0]

    @staticmethod
    def split_scope_key(key: str) -> tuple[str | None, str]:
        """Split `'det.RetinaNet'` into `('det', 'RetinaNet')`, `'RetinaNet'` into `(None, 'RetinaNet')`."""
        scope, _, name = key.partition(".")
        return (scope, name) if name else (None, key)

    def _add_child(self, child: Registry) -> None:
        if child.scope in self._children:
            raise KeyError(f"registry {self._name!r} already has a child with scope {child.scope!r}")
        self._children[child.scope] = child

    # ------------------------------------------------------------------ registering

    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False, module: Any | None = None
    ) -> Any:
        """Register a class or function; a decorator unless `module` is given.

        Args:
            name: One name or several; by default the object's own.
            force: Replace what already bears the name.

        Raises:
            KeyError: the name is taken and `force` is not set.
            TypeError: `name` or `module` is of the wrong type.
        """
        if not isinstance(force, bool):
            raise TypeError(f"force is True or False, not {force!r}; write @{self._name.upper()}.register_module()")
        names = [name] if isinstance(name, str) else name
        if names is not None and not (isinstance(names, Sequence) and all(isinstance(one, str) for one in names)):
            raise TypeError(f"name is a string or a list of strings, not {name!r}")

        def register(obj: T) -> T:
            if not callable(obj):
                raise TypeError(f"only classes and functions can be registered, not {type(obj).__name__}")
            for one in names or [obj.__name__]:  # type: ignore[attr-defined]
                self._set(one, Entry(obj), force=force)
            return obj

        return register if module is None else register(module)

    def register_defaults(self, cls: Any, name: str | None = None, **defaults: Any) -> None:
        """Register a class that stands elsewhere under this scope, with other default arguments."""
        self._set(name or cls.__name__, Entry(cls, defaults), force=False)

    def register_location(self, module: str, prefix: str) -> None:
        """Say which module registers the names with a prefix; it is imported when such a name is first looked up."""
        self._by_prefix[prefix] = module

    def _set(self, name: str, entry: Entry, *, force: bool) -> None:
        taken = self._entries.get(name)
        if taken is not None and not force and taken.obj is not entry.obj:
            where = getattr(taken.obj, "__module__", "?")
            raise KeyError(f"{name!r} is already registered in {self._name!r} at {where}; force=True replaces it")
        self._entries[name] = entry

    # ------------------------------------------------------------------ looking up

    def get(self, key: str) -> Any | None:
        """Return what a name stands for, or None: own node first, then the parents; `'scope.Name'` names another."""
        entry = self.find(key)
        return None if entry is None else entry.obj

    def find(self, key: str) -> Entry | None:
        """Like `get`, with the default arguments of the scope it was found in."""
        if not isinstance(key, str):
            raise TypeError(f"a registry is asked by name, not with {type(key).__name__}")
        scope, rest = self.split_scope_key(key)
        if scope is None:
            return self._find_upwards(key)
        node = self._node_of(scope)
        if node is not None:
            # New-style names bear a module path (`det.models.RetinaNet`); the class name decides.
            return node._find_upwards(rest) or node._find_upwards(rest.rpartition(".")[2])
        found = resolve_dotted(key)
        return None if found is None else Entry(found)

    def known_names(self) -> list[str]:
        """All names that a look-up from this node finds without a prefix."""
        node, names = self, set(self._entries)
        while node.parent is not None:
            node = node.parent
            names |= set(node._entries)
        return sorted(names)

    def _find_upwards(self, name: str) -> Entry | None:
        node: Registry | None = self
        while node is not None:
            if name not in node._entries:
                node.import_from_location()
                node._import_by_prefix(name)
            if name in node._entries:
                return node._entries[name]
            node = node.parent
        return None

    def _import_by_prefix(self, name: str) -> None:
        for prefix, module in list(self._by_prefix.items()):
            if name.startswith(prefix):
                del self._by_prefix[prefix]
                importlib.import_module(module)

    def import_from_location(self) -> None:
        """Import the modules that fill this node, once."""
        if self._imported:
            return
        self._imported = True
        for location in self._locations:
            importlib.import_module(location)
        if self.parent is None:
            import_root_packages()

    def _node_of(self, scope: str) -> Registry | None:
        """Return this tree's node for a scope, importing its package when it is first named."""
        name = canonical_scope(scope)
        root = self.root
        if name in ROOT_SCOPES:
            import_scope(name)
            return root
        if name not in root._all_scopes() and is_known_scope(name):
            import_scope(scope)
        return root._all_scopes().get(name)

    def _all_scopes(self) -> dict[str, Registry]:
        """This node and all below it, by scope."""
        nodes = {self._scope: self}
        for child in self._children.values():
            nodes |= child._all_scopes()
        return nodes

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Iterator[Registry]:
        """Yield the node of a scope (None: of the default scope), which is the default inside the block.

        A package's own node stays where the default scope is the root's, which knows less.
        """
        with DefaultScope.overwrite_default_scope(scope):
            current = DefaultScope.get_current_instance()
            node = None if current is None else self._node_of(current.scope_name)
            yield self if node is None or (scope is None and node.parent is None) else node

    # ------------------------------------------------------------------ building

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from a config; return anything that is not a config unchanged."""
        return self.build_func(cfg, *args, **kwargs, registry=self)

    def explain_missing(self, key: str) -> str:
        """Say why a name was not found, and what may have been meant."""
        scope, rest = self.split_scope_key(key)
        node = self._node_of(scope) if scope is not None else self
        if node is None:
            return f"{key!r} is not a registered {self._name}, and {scope!r} is no known scope or trusted package"
        elsewhere = [s for s, other in self.root._all_scopes().items() if rest in other._entries and other is not node]
        hint = (
            f"; it is registered under {elsewhere[0]}.{rest}" if elsewhere else did_you_mean(rest, node.known_names())
        )
        return f"{rest!r} is not a registered {self._name} (looked in scope {node.scope!r} and above){hint}"
