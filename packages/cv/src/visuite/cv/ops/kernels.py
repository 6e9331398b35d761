"""The operators of torchvision that ours are made of."""

from __future__ import annotations

from types import ModuleType


def kernels() -> ModuleType:
    """Return `torchvision.ops`.

    It is loaded at the first call, for it brings torch's compiler along: a second that whoever only reads configs,
    or trains a classifier, need not wait.
    """
    import torchvision.ops

    return torchvision.ops
