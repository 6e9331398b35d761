"""Reading checkpoints: from wherever a config names them, without running what is in them."""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.logging import print_log
from visuite.engine.model.checkpoint_files import PublishedFile, open_checkpoint
from visuite.engine.model.checkpoint_names import resolve_checkpoint
from visuite.engine.model.key_maps import convert_state_dict, known_sources
from visuite.engine.model.load_report import CheckpointError, LoadReport, load_into
from visuite.engine.model.safe_pickle import named_globals, substitutes_for, unknown_globals
from visuite.engine.model.wrapping import plain_names, unwrap_model

# ---------------------------------------------------------------------- reading


def read_checkpoint(
    path: str | os.PathLike[str], map_location: Any = "cpu", mirror: str | os.PathLike[str] | None = None
) -> dict[str, Any]:
    """Read a checkpoint file: torch's formats, or safetensors.

    Files of OpenMMLab hold, beside tensors, objects of packages that need not be installed (message hub,
    config). They come back as inert stand-ins: an `OrderedDict` with the object's items, and its state as
    attributes. No code of the file runs.

    Args:
        path: A local file, a URL, or a name that a registered resolver knows (`torchvision://resnet50`).
        map_location: The device for the tensors; as for `torch.load`.
        mirror: A folder or URL that has the files of such names and URLs; by default `$VISUITE_CHECKPOINTS`.

    Raises:
        CheckpointError: the file cannot be had, is damaged, or names something that could run code.
    """
    found = resolve_checkpoint(str(path))
    if isinstance(found, Mapping):
        return dict(found)
    name = found.name if isinstance(found, PublishedFile) else str(found)
    file = open_checkpoint(found, mirror)
    if name.endswith(".safetensors"):
        return {"state_dict": _read_safetensors(file, map_location)}
    checkpoint = _read_torch(file, name, map_location)
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(f"{name}: a checkpoint is a dict, this file holds a {type(checkpoint).__name__}")
    return checkpoint  # type: ignore[return-value]


def _read_safetensors(source: Path | io.BytesIO, map_location: Any) -> dict[str, Tensor]:
    try:
        from safetensors.torch import load, load_file
    except ImportError:
        raise CheckpointError("safetensors is missing: pip install visuite-engine[safetensors]") from None
    try:
        state = load(source.getvalue()) if isinstance(source, io.BytesIO) else load_file(source)
    except Exception as error:
        raise CheckpointError(f"{source}: damaged or not a safetensors file: {error}") from error
    return {name: tensor.to(map_location) if map_location is not None else tensor for name, tensor in state.items()}


def _read_torch(source: Path | io.BytesIO, name: str, map_location: Any) -> Any:
    """Load with `weights_only`, admitting what is known to be harmless where torch alone would not."""
    try:
        return torch.load(source, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        pass  # names a global beyond torch's own: look which
    except Exception as error:
        raise CheckpointError(f"{name}: damaged or not a checkpoint: {_first_line(error)}") from error
    _rewind(source)
    try:
        named = named_globals(source)
    except Exception as error:
        raise CheckpointError(f"{name}: damaged or not a checkpoint: {_first_line(error)}") from error
    _rewind(source)
    if unknown := unknown_globals(named):
        raise CheckpointError(
            f"{name}: not read, for it names {', '.join(unknown[:3])}, which could run code; if you trust the file, "
            f"torch.serialization.add_safe_globals([{unknown[0]}]) before reading it admits that"
        )
    try:
        with torch.serialization.safe_globals(substitutes_for(named)):
            return torch.load(source, map_location=map_location, weights_only=True)
    except Exception as error:
        raise CheckpointError(f"{name}: cannot be read safely: {_first_line(error)}") from error


def _rewind(source: Path | io.BytesIO) -> None:
    if isinstance(source, io.BytesIO):
        source.seek(0)


def _first_line(error: Exception) -> str:
    """Return the last telling line of an error; torch's begin with advice to load unsafely."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "WeightsUnpickler error" in line or "Unsupported" in line]
    return f"{type(error).__name__}: {(telling or lines or [''])[0][:200]}"


# ---------------------------------------------------------------------- weights


def find_state_dict(checkpoint: Mapping[str, Any], *, prefix: str | None = None) -> OrderedDict[str, Tensor]:
    """Return the weights in a checkpoint, wherever they lie in it.

    Args:
        checkpoint: A file of ours or OpenMMLab's (`state_dict`), of others (`model`, `module`), or plain weights.
        prefix: Keep only what is below this module (`'backbone'`), and drop that part of the names.

    Raises:
        CheckpointError: there are no weights, or none below the prefix.
    """
    state: Mapping[str, Any] = checkpoint
    for key in ("module", "model", "state_dict"):
        state = checkpoint[key] if _is_state(checkpoint.get(key)) else state
    if not _is_state(state):
        raise CheckpointError(f"the checkpoint has no weights; its keys: {', '.join(map(str, list(checkpoint)[:8]))}")
    if all(name.startswith("module.") for name in state):  # written from inside a distributed wrapper
        state = revise_keys(state)
    if prefix is None:
        return _like(state, state.items())
    start = prefix if prefix.endswith(".") else f"{prefix}."
    kept = [(name[len(start) :], value) for name, value in state.items() if name.startswith(start)]
    if not kept:
        tops = sorted({name.split(".")[0] for name in state})
        raise CheckpointError(f"the checkpoint has nothing below {prefix!r}; it has {', '.join(tops[:10])}")
    return OrderedDict(kept)


def _is_state(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and any(isinstance(one, Tensor) for one in value.values())


def revise_keys(
    state_dict: Mapping[str, Tensor], rules: Iterable[tuple[str, str]] = ((r"^module\.", ""),)
) -> OrderedDict[str, Tensor]:
    """Rename weights by regular expressions `(pattern, replacement)`, applied in order.

    Raises:
        CheckpointError: two weights get the same name.
    """
    renamed: OrderedDict[str, Tensor] = _like(state_dict, ())
    for name, value in state_dict.items():
        new = name
        for pattern, replacement in rules:
            new = re.sub(pattern, replacement, new)
        if new in renamed:
            raise CheckpointError(f"revise_keys gives two weights the name {new!r}, one of them {name!r}")
        renamed[new] = value
    return renamed


def _like(state: Mapping[str, Any], items: Iterable[tuple[str, Any]]) -> OrderedDict[str, Any]:
    """Make a state dict of `items`, with the versions that torch keeps beside the weights of `state`."""
    new = OrderedDict(items)
    if hasattr(state, "_metadata"):
        new._metadata = state._metadata  # type: ignore[attr-defined]
    return new


def load_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Tensor],
    strict: bool = False,
    logger: Any = None,
    key_map: str | None = None,
) -> LoadReport:
    """Put weights into a module and tell in a few lines what was mapped, and what did not fit.

    Args:
        module: Where they go; a wrapper such as DDP is looked through.
        state_dict: The weights.
        strict: Raise unless every weight fits and none is missing.
        logger: Where the summary goes, unless all fits as it is; the current logger by default.
        key_map: As for `convert_state_dict`.

    Raises:
        CheckpointError: `strict` and something does not fit, or nothing at all fits.
    """
    converted = convert_state_dict(unwrap_model(module), state_dict, key_map)
    report = load_into(module, converted.state_dict)
    report = replace(report, sources=converted.sources, left_out=converted.left_out)
    if not report.complete and (strict or not report.loaded):
        raise CheckpointError(f"{report}{_other_names(module) if not report.loaded else ''}")
    if not report.complete or report.sources:
        level = logging.INFO if report.complete else logging.WARNING
        print_log(str(report), logger=logger or "current", level=level)
    return report


def _other_names(module: nn.Module) -> str:
    """Return a line that says whose names the module would have understood."""
    sources = known_sources(unwrap_model(module))
    return f"\n  names also understood: those of {', '.join(sources)}" if sources else ""


def load_checkpoint(
    model: nn.Module,
    filename: str | os.PathLike[str],
    map_location: Any = "cpu",
    strict: bool = False,
    logger: Any = None,
    revise_keys: Iterable[tuple[str, str]] = ((r"^module\.", ""),),
    key_map: str | None = None,
    mirror: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Read a checkpoint, put its weights into a model and return it.

    Args:
        model: Where the weights go.
        filename: As for `read_checkpoint`.
        map_location: As for `torch.load`.
        strict: Raise unless every weight fits and none is missing.
        logger: Where the summary goes, unless all fits as it is.
        revise_keys: Renaming rules, as for the function of that name.
        key_map: As for `convert_state_dict`.
        mirror: As for `read_checkpoint`.

    Raises:
        CheckpointError: the file cannot be had or read, or its weights do not fit.
    """
    checkpoint = read_checkpoint(filename, map_location, mirror)
    try:
        load_state_dict(model, _revised(find_state_dict(checkpoint), revise_keys), strict, logger, key_map)
    except CheckpointError as error:
        raise CheckpointError(f"{filename}: {error}") from None
    return checkpoint


_revised = revise_keys  # the argument of load_checkpoint bears the documented name too


def get_state_dict(module: nn.Module) -> OrderedDict[str, Tensor]:
    """Return a module's weights under their plain names, whatever wrappers (DDP, compile) stand around parts of it."""
    state = module.state_dict()
    return _like(state, zip(plain_names(module, state), state.values(), strict=True))


def weights_to_cpu(state_dict: Mapping[str, Tensor]) -> OrderedDict[str, Tensor]:
    """Return the same weights on the CPU."""
    return _like(state_dict, ((name, value.cpu()) for name, value in state_dict.items()))
