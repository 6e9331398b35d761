"""Which modules are only wrapped around a model, and how to look through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from visuite.engine.registry import MODEL_WRAPPERS, Registry

MODEL_WRAPPERS.register_module(module=DistributedDataParallel)
MODEL_WRAPPERS.register_module(module=DataParallel)


def is_model_wrapper(model: nn.Module, registry: Registry = MODEL_WRAPPERS) -> bool:
    """Tell whether a module is a registered wrapper (DDP and the like), in this registry or one below it."""
    return isinstance(model, tuple(_wrapper_types(registry)))


def _wrapper_types(registry: Registry) -> Iterator[type]:
    yield from (one for one in registry.module_dict.values() if isinstance(one, type))
    for child in registry.children.values():
        yield from _wrapper_types(child)


def unwrap_model(model: nn.Module) -> nn.Module:
    """Return the model inside any number of wrappers, a compiled module being one."""
    while (inside := _inner_name(model)) is not None:
        model = getattr(model, inside)
    return model


def plain_names(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Return names of weights as they would be without the wrappers around the model and its parts."""
    wrappers = {path: inner for path, module in model.named_modules() if (inner := _inner_name(module)) is not None}
    return [_without(name, wrappers) for name in names]


def _inner_name(module: nn.Module) -> str | None:
    """Return under which name a wrapper holds the model; None for what is no wrapper."""
    if "_orig_mod" in module._modules:  # torch.compile
        return "_orig_mod"
    return "module" if is_model_wrapper(module) else None


def _without(name: str, wrappers: dict[str, str]) -> str:
    parts = name.split(".")
    kept = [part for i, part in enumerate(parts) if wrappers.get(".".join(parts[:i])) != part]
    return ".".join(kept)
