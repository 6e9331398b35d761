"""The operators of torchvision that ours are made of."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import ModuleType
from typing import Any

import torch


def kernels() -> ModuleType:
    """Return `torchvision.ops`.

    It is loaded at the first call, for it brings torch's compiler along: a second that whoever only reads configs,
    or trains a classifier, need not wait.
    """
    if torch.jit.is_tracing() and "torchvision.ops" not in sys.modules:
        with ThreadPoolExecutor(1) as apart:  # the tracer would stumble over what torchvision asks torch while it loads
            apart.submit(import_module, "torchvision.ops").result()
    import torchvision.ops

    return torchvision.ops


class _LoadedWhenAsked(ModuleType):
    """Stands for `torch.ops.torchvision` until somebody asks it for an operator, and loads torchvision then.

    An exporter collects the operators that it can write before it runs a model, and a saved program names some that it
    takes for loaded: for both, `kernels` in the model would come too late.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if vars(torch.ops).get("torchvision") is self:
            del vars(torch.ops)["torchvision"]
        if "torchvision" not in sys.modules:  # else it is loaded, or just now asking for its own operators
            kernels()
        return getattr(torch.ops.torchvision, name)


if "torchvision" not in sys.modules:
    vars(torch.ops)["torchvision"] = _LoadedWhenAsked("torchvision")
