"""One place through which the parts of a run tell each other things."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Self

from visuite.engine.logging.history_buffer import HistoryBuffer, Scalar
from visuite.engine.logging.logger import print_log
from visuite.engine.logging.plain import from_plain, to_plain
from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.text import did_you_mean

DEFAULT_NAME = "visuite"


class MessageHub(ManagerMixin):
    """Hold the history of scalars (`'train/loss'`) and the newest of any other object (`'iter'`).

    Args:
        name: The name of the hub; a run's is its experiment name.
        log_scalars: Histories to begin with.
        runtime_info: Objects to begin with.
        resumed_keys: Which of both a checkpoint keeps.
    """

    #: How many values of a scalar stay, and go into checkpoints.
    HISTORY_LENGTH = 10_000

    def __init__(
        self,
        name: str,
        log_scalars: Mapping[str, HistoryBuffer] | None = None,
        runtime_info: Mapping[str, Any] | None = None,
        resumed_keys: Mapping[str, bool] | None = None,
    ) -> None:
        super().__init__(name)
        self._log_scalars: dict[str, HistoryBuffer] = OrderedDict(log_scalars or {})
        self._runtime_info: dict[str, Any] = OrderedDict(runtime_info or {})
        self._resumed_keys: dict[str, bool] = OrderedDict(resumed_keys or {})
        self._told: set[str] = set()  # keys that a warning has named
        for key, value in self._log_scalars.items():
            if not isinstance(value, HistoryBuffer):
                raise TypeError(f"log_scalars[{key!r}] is a HistoryBuffer, not {type(value).__name__}")
        for key in (*self._log_scalars, *self._runtime_info):
            self._resumed_keys.setdefault(key, True)

    @classmethod
    def get_current_instance(cls) -> Self:
        """Return the current hub; make one called 'visuite' when there is none."""
        return super().get_current_instance() if cls._active or cls._current else cls.get_instance(DEFAULT_NAME)

    # ------------------------------------------------------------------ writing

    def update_scalar(self, key: str, value: Scalar, count: int = 1, resumed: bool = True) -> None:
        """Append to the history of a scalar.

        Args:
            key: Its name; `'train/'`, `'val/'` and `'test/'` in front make it part of the log lines.
            value: A number, or an array or tensor of one element. A tensor on an accelerator is not read now.
            count: How many observations `value` is the sum of.
            resumed: Whether checkpoints keep the history. It cannot change.
        """
        if self._resumed_keys.get(key) is not resumed:
            self._set_resumed(key, resumed)
        buffer = self._log_scalars.get(key)
        if buffer is None:
            buffer = HistoryBuffer(max_length=self.HISTORY_LENGTH)
        try:
            buffer.update(value, count)
        except (TypeError, ValueError) as error:
            error.add_note(f"while logging the scalar {key!r}")
            raise
        self._log_scalars[key] = buffer

    def update_scalars(self, log_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Append to several scalars: `{name: value}`, or `{name: dict(value=..., count=...)}`.

        Raises:
            TypeError: `log_dict` is not a mapping.
            KeyError: an entry is a dict without 'value'.
        """
        if not isinstance(log_dict, Mapping):
            raise TypeError(f"update_scalars takes a dict of scalars, not {type(log_dict).__name__}")
        for key, value in log_dict.items():
            if isinstance(value, Mapping):
                if "value" not in value:
                    raise KeyError(f"the scalar {key!r} is a dict without 'value' (it has {sorted(value)})")
                self.update_scalar(key, value["value"], value.get("count", 1), resumed)
            else:
                self.update_scalar(key, value, resumed=resumed)

    def update_info(self, key: str, value: Any, resumed: bool = True) -> None:
        """Keep any object, in place of what the key held."""
        self._set_resumed(key, resumed)
        self._runtime_info[key] = value

    def update_info_dict(self, info_dict: Mapping[str, Any], resumed: bool = True) -> None:
        """Keep several objects.

        Raises:
            TypeError: `info_dict` is not a mapping.
        """
        if not isinstance(info_dict, Mapping):
            raise TypeError(f"update_info_dict takes a dict, not {type(info_dict).__name__}")
        for key, value in info_dict.items():
            self.update_info(key, value, resumed)

    def _set_resumed(self, key: str, resumed: bool) -> None:
        if self._resumed_keys.setdefault(key, resumed) != resumed:
            raise ValueError(f"{key!r} was logged with resumed={not resumed}, which cannot change to {resumed}")

    # ------------------------------------------------------------------ reading

    @property
    def log_scalars(self) -> dict[str, HistoryBuffer]:
        """The histories by name."""
        return self._log_scalars

    @property
    def runtime_info(self) -> dict[str, Any]:
        """The objects by name."""
        return self._runtime_info

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Return the history of a scalar.

        Raises:
            KeyError: nothing was logged under this name; says the nearest.
        """
        if key not in self._log_scalars:
            raise KeyError(f"the message hub has no scalar {key!r}{did_you_mean(key, self._log_scalars)}")
        return self._log_scalars[key]

    def get_info(self, key: str, default: Any = None) -> Any:
        """Return the object of this name, or `default`."""
        return self._runtime_info.get(key, default)

    def pop_info(self, key: str, default: Any = None) -> Any:
        """Return the object of this name, or `default`, and forget it."""
        return self._runtime_info.pop(key, default)

    # ------------------------------------------------------------------ saving

    def state_dict(self) -> dict[str, Any]:
        """Return what checkpoints keep: keys with `resumed`, as numbers, strings, tensors and containers of them."""
        infos: dict[str, Any] = {}
        left_out: list[str] = []
        for key, value in self._runtime_info.items():
            if self._resumed_keys.get(key, True):
                try:
                    infos[key] = to_plain(value)
                except TypeError as error:
                    left_out.append(f"{key} ({error})")
        self._tell_once("a checkpoint cannot keep these entries of the message hub", left_out)
        scalars = {k: b.state_dict() for k, b in self._log_scalars.items() if self._resumed_keys.get(k, True)}
        kept = dict.fromkeys((*scalars, *infos), True)
        return {"log_scalars": scalars, "runtime_info": infos, "resumed_keys": kept}

    def load_state_dict(self, state_dict: MessageHub | Mapping[str, Any]) -> None:
        """Take over saved histories and objects; keys that the state does not name stay as they are.

        Args:
            state_dict: What `state_dict` returned, another hub, or the attributes of one in a checkpoint of
                OpenMMLab's runner. Entries of no use are left out with one warning.

        Raises:
            TypeError: the state is neither a hub nor a mapping.
        """
        if isinstance(state_dict, MessageHub):
            state_dict = state_dict.state_dict()
        state = _attributes(state_dict)
        if state is None:
            raise TypeError(f"a message hub is restored from a dict or a hub, not {type(state_dict).__name__}")
        useless: list[str] = []
        for key, saved in _part(state, "log_scalars").items():
            try:
                self._log_scalars[key] = _read_buffer(saved)
            except (KeyError, TypeError, ValueError):
                useless.append(key)
        self._runtime_info.update({key: from_plain(value) for key, value in _part(state, "runtime_info").items()})
        self._resumed_keys.update(_part(state, "resumed_keys"))
        self._tell_once("these entries of a saved message hub cannot be read", useless)

    def _tell_once(self, what: str, entries: list[str]) -> None:
        new = [entry for entry in entries if entry not in self._told]
        if new:
            self._told.update(new)
            print_log(f"{what}: {', '.join(new)}", "current", level="WARNING")


def _part(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = state[name] if name in state else state.get(f"_{name}")
    return dict(_attributes(found) or {})


def _read_buffer(saved: Any) -> HistoryBuffer:
    if isinstance(saved, HistoryBuffer):
        saved = saved.state_dict()
    attributes = _attributes(saved)
    if attributes is None:
        raise TypeError(f"a history is a dict, not {type(saved).__name__}")
    return HistoryBuffer.from_state(attributes)


def _attributes(saved: Any) -> dict[str, Any] | None:
    """Return items and attributes of a dict or of what stands in for an object that was pickled."""
    found = {**(saved if isinstance(saved, Mapping) else {}), **getattr(saved, "__dict__", {})}
    return found if found or isinstance(saved, Mapping) else None
