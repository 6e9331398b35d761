"""Switches that change how fast a model runs and not what it computes: compilation, memory format, backends."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.registry import BadValueError
from visuite.engine.utils.text import did_you_mean


def compile_in_place(model: nn.Module, options: bool | Mapping[str, Any]) -> None:
    """Compile a model so that every call of it runs compiled, under the same names of weights.

    Args:
        model: The model; `model(...)`, which training and validation steps call, is compiled.
        options: True, or arguments of `torch.compile` (`backend`, `mode`, `dynamic`, ...); `target` names another
            method to compile.

    Raises:
        BadValueError: the model has no such method, or torch no such argument or backend; says the nearest.
    """
    arguments: dict[str, Any] = dict(options) if isinstance(options, Mapping) else {}
    target = arguments.pop("target", "forward")
    if not callable(getattr(model, target, None)):
        hint = did_you_mean(target, [name for name in dir(model) if not name.startswith("_")])
        raise BadValueError(f"{type(model).__name__} has no method {target!r}{hint}", "compile.target")
    _check_compilation(arguments)
    if target == "forward":
        model.compile(**arguments)
    else:
        setattr(model, target, torch.compile(getattr(model, target), **arguments))


def _check_compilation(arguments: Mapping[str, Any]) -> None:
    known = list(inspect.signature(torch.compile).parameters)[1:]
    for name in arguments:
        if name not in known:
            raise BadValueError(f"torch.compile has no argument {name!r}{did_you_mean(name, known)}", "compile")
    backend = arguments.get("backend")
    if isinstance(backend, str):
        backends = torch.compiler.list_backends(exclude_tags=())
        if backend not in backends:
            raise BadValueError(f"torch has no backend {backend!r}{did_you_mean(backend, backends)}", "compile.backend")


def take_channels_last(model: nn.Module, *, weights: bool = True) -> None:
    """Let a model compute on images [B, C, H, W] whose channels lie next to each other in memory.

    Args:
        model: The model.
        weights: Lay the weights of convolutions out likewise.
    """
    if weights:
        model.to(memory_format=torch.channels_last)
    model.register_forward_pre_hook(_inputs_channels_last, with_kwargs=True)


def _inputs_channels_last(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return tuple(map(_channels_last, args)), {name: _channels_last(value) for name, value in kwargs.items()}


def _channels_last(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dim() == 4:
        return value.contiguous(memory_format=torch.channels_last)
    return value


#: What the functions of `torch.backends` that set something begin with.
_SETTERS = ("enable_", "set_", "allow_", "preferred_")


def set_backends(
    settings: Mapping[str, Any], where: Any = torch.backends, path: str = "env_cfg.torch_backends"
) -> None:
    """Set attributes of `torch.backends`: `dict(cudnn=dict(allow_tf32=True), cuda=dict(matmul=dict(...)))`.

    What torch sets by a function is called with the value: `dict(cuda=dict(enable_flash_sdp=False))`.

    Raises:
        BadValueError: torch has no such setting; says the nearest.
    """
    for name, value in settings.items():
        if not hasattr(where, name):
            known = {*dir(where), *dir(type(where))}  # some of these modules have properties
            raise BadValueError(f"torch has no {name!r}{did_you_mean(name, known)}", path)
        held = getattr(where, name)
        if isinstance(value, Mapping):
            set_backends(value, held, f"{path}.{name}")
        elif isinstance(held, ModuleType) or (callable(held) and not name.startswith(_SETTERS)):
            raise BadValueError(f"{name!r} is nothing that could be set to {value!r}", path)
        elif callable(held):
            held(value)
        else:
            setattr(where, name, value)


def allow_tf32(allow: bool) -> None:
    """Let float32 products and convolutions on GPUs run on TensorFloat-32 cores (10 bits of mantissa), or not."""
    torch.backends.cuda.matmul.allow_tf32 = allow
    torch.backends.cudnn.allow_tf32 = allow
