"""Dicts with attribute access that know where in a file each of their values was set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.limits import Budget
from visuite.engine.utils.text import did_you_mean

DELETE_KEY = "_delete_"


class MarkedDict(dict[Any, Any]):
    """A plain dict whose keys bear the place they were set at.

    `marks` is None for a dict that no file set, and otherwise has an entry for each key of a file.
    """

    __slots__ = ("marks",)
    marks: dict[Any, Location] | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "marks", None)
        super().__init__(*args, **kwargs)

    def mark(self, key: Any, location: Location | None) -> None:
        """Note where a key was set; None: not in a file."""
        if location is not None:
            if self.marks is None:
                object.__setattr__(self, "marks", {})
            self.marks[key] = location  # type: ignore[index]
        elif self.marks is not None:
            self.marks.pop(key, None)

    def mark_of(self, key: Any) -> Location | None:
        """Return where a key was set, if a file did."""
        return None if self.marks is None else self.marks.get(key)

    def mark_like(self, other: object, default: Location | None = None) -> None:
        """Take over the places of another dict's keys; `default` for those it does not know."""
        if isinstance(other, Mapping):
            known = getattr(other, "marks", None) or {}
            for key in other:
                self.mark(key, known.get(key, default))


class ConfigDict(MarkedDict):
    """A dict whose keys are attributes too: `cfg.model.backbone.depth`.

    Dicts put into it become `ConfigDict`, also inside lists and tuples. `update` merges nested
    dicts instead of replacing them.

    Example:
        >>> cfg = ConfigDict(model=dict(depth=50))
        >>> cfg.model.depth
        50
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key, value in self.items():
            dict.__setitem__(self, key, wrap(value))
        if args:
            self.mark_like(args[0])

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            if name.startswith("__"):
                raise AttributeError(name) from None
            hint = did_you_mean(name, [key for key in self if isinstance(key, str)])
            raise AttributeError(f"the config has no key {name!r}{hint}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"the config has no key {name!r}")
        del self[name]

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, wrap(value))
        self.mark(key, None)

    def __or__(self, other: Any) -> ConfigDict:
        return ConfigDict(dict(self) | dict(other))

    def __ior__(self, other: Any) -> ConfigDict:
        for key, value in dict(other).items():
            self[key] = value
        return self

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, after setting it to `default` where it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or `default` as a `ConfigDict` would hold it."""
        return self[key] if key in self else wrap(default)

    def pop(self, key: Any, *default: Any) -> Any:
        """Take a key out and return its value, or `default` as a `ConfigDict` would hold it."""
        return super().pop(key, *map(wrap, default))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Merge another dict into this: nested dicts merge, unless the other has `_delete_=True`."""
        for source in (*args, kwargs):
            child = ConfigDict(source)
            merge(self, clone(child), loose=True)

    merge = update

    def copy(self) -> ConfigDict:
        """Return a shallow copy."""
        return self.__copy__()

    def __copy__(self) -> ConfigDict:
        new = ConfigDict()
        dict.update(new, self)
        new.mark_like(self)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigDict:
        new = ConfigDict()
        memo[id(self)] = new
        for key, value in self.items():
            dict.__setitem__(new, key, deepcopy(value, memo))
        new.mark_like(self)
        return new

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (dict(self), self.marks))

    def to_dict(self) -> dict[Any, Any]:
        """Return plain nested dicts; lazy references become their dotted path."""
        return to_plain(self)


def _restore(values: dict[Any, Any], marks: dict[Any, Location] | None) -> ConfigDict:
    new = ConfigDict()
    dict.update(new, values)
    object.__setattr__(new, "marks", marks)
    return new


def wrap(value: Any) -> Any:
    """Return a value with every dict in it a `ConfigDict`; what holds no dict is returned as it is."""
    if isinstance(value, ConfigDict):
        return value
    if isinstance(value, dict):
        return ConfigDict(value)
    if type(value) in (list, tuple):
        items = [wrap(item) for item in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return type(value)(items)
    return value


def clone(value: Any, budget: Budget | None = None, depth: int = 0) -> Any:
    """Copy a tree of containers, dicts as `ConfigDict` with their marks; leaves are shared.

    Raises:
        LimitError: the tree is deeper than `MAX_NESTING`, or larger than the budget.
    """
    if budget is not None:
        budget.spend()
    if isinstance(value, dict):
        Budget.nests(depth)
        new = ConfigDict()
        for key, item in value.items():
            dict.__setitem__(new, key, clone(item, budget, depth + 1))
        marks = getattr(value, "marks", None)
        object.__setattr__(new, "marks", None if marks is None else dict(marks))
        return new
    if type(value) in (list, tuple):
        Budget.nests(depth)
        return type(value)([clone(item, budget, depth + 1) for item in value])
    return set(value) if type(value) is set else value


def to_plain(value: Any) -> Any:
    """Return a value with plain dicts in place of `ConfigDict`, and plain text for lazy references."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(to_plain(item) for item in value)
    if isinstance(value, str) and type(value) is not str and hasattr(value, "dotted_path"):
        return str.__str__(value)
    return value


def merge(base: Any, child: ConfigDict, *, allow_list_keys: bool = False, loose: bool = False, path: str = "") -> None:
    """Merge `child` into `base`, in place; the child's values win.

    A dict in the child merges with the dict in the base, unless it bears `_delete_=True`.

    Args:
        base: A ConfigDict, or with `allow_list_keys` a list, whose keys are then indices.
        child: Belongs to the caller alone: its parts become parts of `base`.
        allow_list_keys: Whether `'0'` names an item where the base has a list.
        loose: Whether a dict simply replaces a value that is no dict.
        path: Where `base` stands, for messages.

    Raises:
        ConfigError: a dict meets a value that is no dict, or an index is out of range.
    """
    for key, value in child.items():
        mark = child.mark_of(key)
        place = f"{path}.{key}" if path else str(key)
        slot = _list_index(base, key, place, mark) if isinstance(base, list) else key
        present = isinstance(base, list) or slot in base
        if present and isinstance(value, dict) and not value.pop(DELETE_KEY, False):
            target = base[slot]
            if isinstance(target, dict) or (allow_list_keys and isinstance(target, list)):
                merge(target, cast(ConfigDict, value), allow_list_keys=allow_list_keys, loose=loose, path=place)
                _note(base, slot, mark)
                continue
            if not loose:
                kind = type(target).__name__
                raise ConfigError(
                    f"{place} is a dict here but {_article(kind)} in the base, so they cannot be merged; "
                    "_delete_=True in the dict replaces the base's value",
                    mark,
                )
        _put(base, slot, value)
        _note(base, slot, mark)


def _list_index(items: list[Any], key: Any, place: str, mark: Location | None) -> int:
    if not str(key).isdecimal():
        raise ConfigError(f"{place}: the base has a list here, which needs an index, not {key!r}", mark)
    index = int(key)
    if index >= len(items):
        raise ConfigError(f"{place}: the list has only {len(items)} items", mark)
    return index


def _put(base: Any, slot: Any, value: Any) -> None:
    if isinstance(base, dict):
        dict.__setitem__(base, slot, value)
    else:
        base[slot] = value


def _note(base: Any, slot: Any, mark: Location | None) -> None:
    if isinstance(base, MarkedDict):
        base.mark(slot, mark)


def _article(kind: str) -> str:
    return "None" if kind == "NoneType" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def locate(tree: Any, keys: Iterable[str]) -> Location | None:
    """Return where the value at a path of keys was set, or the nearest part around it that a file set.

    Raises:
        KeyError: there is no value at the path.
    """
    found, rest = None, list(keys)
    while rest:
        if isinstance(tree, (list, tuple)):
            tree = tree[_index_or_key_error(tree, rest.pop(0))]
            continue
        key, rest = _longest_key(tree, rest)
        if isinstance(tree, MarkedDict) and tree.marks is not None:
            found = tree.marks.get(key)
        tree = tree[key]
    return found


def _index_or_key_error(items: list[Any] | tuple[Any, ...], key: str) -> int:
    if not key.isdecimal() or int(key) >= len(items):
        raise KeyError(key)
    return int(key)


def _longest_key(tree: Any, keys: list[str]) -> tuple[Any, list[str]]:
    """Split off the first key of a path; a key may have dots of its own (`custom_keys`)."""
    if isinstance(tree, dict):
        texts = {str(key): key for key in tree}
        for count in range(len(keys), 0, -1):
            joined = ".".join(keys[:count])
            if joined in texts:
                return texts[joined], keys[count:]
    raise KeyError(keys[0])
