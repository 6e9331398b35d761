"""Toy parts that the checks look at, in a scope of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.engine.runner.toy import ToyNet
from visuite.engine.model import BaseModel
from visuite.engine.registry import DATASETS, MODELS, TRANSFORMS


class Plain:
    def __init__(self, depth: int, width: int = 8) -> None: ...


class Forwards(Plain):
    def __init__(self, *, extra: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class FillsIn(Plain):
    def __init__(self, size: int, **kwargs: Any) -> None:
        kwargs.pop("old", None)
        super().__init__(size, **kwargs)


class FillsInByName(Forwards):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(width=3, **kwargs)


class Keeps(Plain):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(1)
        self.kwargs = kwargs


class Unwritten(nn.Module):
    pass


@MODELS.register_module(force=True)
class CheckedNet(ToyNet):
    """A model with nested parts."""

    def __init__(self, backbone: Any = None, head: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = None if backbone is None else MODELS.build(backbone)


@MODELS.register_module(force=True)
class CheckedBackbone(nn.Module):
    def __init__(self, depth: int, norm_cfg: Any = None, init_cfg: Any = None) -> None:
        super().__init__()


@MODELS.register_module(force=True)
class ReadsValues(BaseModel):
    """Asks tensors for numbers: of its weights too, where told to, and then it must have them."""

    def __init__(self, of_weights: bool = False) -> None:
        super().__init__()
        self.rates = [one.item() for one in torch.linspace(0, 1, 3)]
        self.layer = nn.Linear(1, 1)
        nn.init.trunc_normal_(self.layer.weight)
        if of_weights:
            self.rates.append(self.layer.weight.sum().item())

    def forward(self, inputs: Tensor, mode: str = "tensor") -> Any:
        return inputs


@DATASETS.register_module(force=True)
class Absent:
    METAINFO = {"classes": ("a", "b", "c")}

    def __init__(self, root: str = "nowhere") -> None:
        raise FileNotFoundError(f"no folder {root}")


@TRANSFORMS.register_module(force=True)
class CheckedRename:
    def __init__(self, mapping: dict[str, str], strict: bool = True) -> None: ...

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return results
