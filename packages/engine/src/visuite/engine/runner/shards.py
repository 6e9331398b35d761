"""Checkpoints in parts: what every rank holds goes into a folder beside the file, through torch's own format for it.

The file holds all else and names the folder, and it appears last: until then the checkpoint of that name is the old
one. Any number of ranks reads what any number wrote; one process alone reads whole tensors.
"""

from __future__ import annotations

import pickle
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PosixPath
from typing import Any

import torch
from torch import Tensor
from torch.serialization import _get_layout

from visuite.engine.dist import broadcast_object_list, is_distributed, is_main_process
from visuite.engine.fileio.location import is_url
from visuite.engine.model.load_report import CheckpointError
from visuite.engine.model.sharding import is_part, parts_in

#: The key of a checkpoint that says where its parts are: `dict(folder=..., paths=[[key, key, ...], ...])`.
KEY = "shards"
_SUFFIX = ".shards"
#: Modules whose classes the index of a folder, a pickle, may name; anything else in it could run code.
_INDEX_MODULES = ("torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.filesystem")


def write_parts(path: str | Path, checkpoint: dict[str, Any]) -> None:
    """Move the parts in a checkpoint into a new folder beside its file; every rank must call it.

    Args:
        path: The checkpoint's file, which is written afterwards.
        checkpoint: Loses its parts, and gets the entry `shards` if it had any.

    Raises:
        ValueError: `path` is a URL, where torch cannot write parts.
    """
    parts = dict(parts_in(checkpoint))
    if not parts:
        return
    if is_url(str(path)):
        raise ValueError(f"sharded checkpoints go to a folder that all ranks see, not to {path}; use 'gathered'")
    import torch.distributed.checkpoint as dcp  # slow to import

    token = [secrets.token_hex(3)]
    broadcast_object_list(token)
    folder = Path(path).with_name(f"{Path(path).name}.{token[0]}{_SUFFIX}")
    dcp.save({str(n): part for n, part in enumerate(parts.values())}, checkpoint_id=folder)
    for section in {keys[0] for keys in parts}:
        checkpoint[section] = _without_parts(checkpoint[section])
    checkpoint[KEY] = {"folder": folder.name, "paths": [list(keys) for keys in parts]}


def _without_parts(tree: Any) -> Any:
    """Return nested dicts without the parts in them; new ones, as an optimizer's state is the one it goes on with."""
    if not isinstance(tree, Mapping):
        return tree
    return {key: _without_parts(value) for key, value in tree.items() if not is_part(value)}


def remove_stale(path: str | Path, checkpoint: Mapping[str, Any]) -> None:
    """Remove folders of parts that no file names any longer, after the file of a checkpoint has been written."""
    if is_url(str(path)) or not is_main_process():
        return
    path = Path(path)
    current = checkpoint.get(KEY, {}).get("folder")
    for folder in path.parent.glob(f"*.pth.*{_SUFFIX}"):
        file = folder.name.removesuffix(_SUFFIX).rpartition(".")[0]
        if (file == path.name and folder.name != current) or not (path.parent / file).exists():
            shutil.rmtree(folder, ignore_errors=True)


def read_parts(
    path: str | Path,
    checkpoint: dict[str, Any],
    section: str,
    like: Callable[[tuple[Any, ...]], Tensor | None] | None = None,
) -> None:
    """Put the parts of one section of a checkpoint back into it.

    Args:
        path: The checkpoint's file.
        checkpoint: As read from the file.
        section: 'state_dict', 'ema_state_dict', 'optimizer' or 'gradients'.
        like: Given the keys to a tensor, returns the parameter here that it belongs to, or None; every rank must then
            call this. Without `like` this process reads whole tensors, alone.

    Raises:
        CheckpointError: the folder is missing, incomplete or names what could run code.
    """
    where = checkpoint.get(KEY, {"paths": []})
    wanted = {str(n): tuple(keys) for n, keys in enumerate(where["paths"]) if keys[0] == section}
    if not wanted:
        return
    import torch.distributed.checkpoint as dcp  # slow to import

    folder = Path(path).with_name(Path(where["folder"]).name)
    _check_index(folder)
    stored = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
    parts = {n: _room(stored[n], like(keys) if like is not None else None) for n, keys in wanted.items()}
    try:
        dcp.load(parts, checkpoint_id=folder, no_dist=like is None or not is_distributed())
    except Exception as error:
        raise CheckpointError(f"{folder}: cannot be read: {type(error).__name__}: {error}") from error
    for n, keys in wanted.items():
        _owner(checkpoint, keys)[keys[-1]] = parts[n]


def _room(stored: Any, like: Tensor | None) -> Tensor:
    """Return a tensor to read into: this rank's part where the parameter is in parts, else all of it on the CPU."""
    if like is not None and is_part(like) and tuple(like.shape) == tuple(stored.size):
        return torch.empty_like(like, dtype=stored.properties.dtype, requires_grad=False)
    return torch.empty(stored.size, dtype=stored.properties.dtype)


def _owner(checkpoint: dict[str, Any], keys: Any) -> dict[Any, Any]:
    owner = checkpoint
    for key in keys[:-1]:
        owner = owner.setdefault(key, {})
    return owner


class _Index(pickle.Unpickler):
    """Read an index only as long as it names nothing but its own classes, sizes and types of numbers."""

    def find_class(self, module: str, name: str) -> Any:
        known = "." not in name and module.partition(".")[0] in ("torch", "pathlib")
        found = super().find_class(module, name) if known else None
        own = isinstance(found, type) and found.__module__ == module and module in _INDEX_MODULES
        if own or isinstance(found, torch.dtype) or found in (torch.Size, _get_layout, Path, PosixPath):
            return found
        raise CheckpointError(f"it names {module}.{name}, which could run code")


def _check_index(folder: Path) -> None:
    """Refuse a folder whose index is missing or could run code."""
    try:
        with open(folder / ".metadata", "rb") as file:
            _Index(file).load()
    except Exception as error:
        raise CheckpointError(f"{folder}: the parts of the checkpoint cannot be read: {error}") from error
