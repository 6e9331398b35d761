"""Parameters in parts, one part a rank (FSDP2), and how parts and whole tensors become each other.

A part is a `DTensor`. Nothing here imports torch's distributed tensors before they are used: that takes seconds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.utils.text import did_you_mean

#: Modules that only hold others, without a forward of their own to gather parameters in.
_HOLDERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


def is_part(value: Any) -> bool:
    """Tell whether a value is this rank's part of a tensor."""
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")


def blocks_to_shard(model: nn.Module, names: Sequence[str] = (), min_params: int | None = None) -> list[nn.Module]:
    """Choose the modules whose parameters are gathered and freed one after the other, inner ones first.

    Args:
        model: Where to look; it is not a block itself.
        names: Classes (`'Bottleneck'`) or paths (`'backbone.layer4'`).
        min_params: Also the smallest members of `nn.Sequential` and `nn.ModuleList` with at least so many parameters.

    Raises:
        ValueError: a name that nothing in the model has; says the nearest.
    """
    inside = [(path, module) for path, module in model.named_modules() if path]
    known = {path for path, _ in inside} | {type(module).__name__ for _, module in inside}
    for name in names:
        if name not in known:
            raise ValueError(f"nothing in the model is called {name!r}{did_you_mean(name, known)}")
    large = _large_members(model, min_params) if min_params else set()
    return [
        module
        for path, module in reversed(inside)  # parents stand before their children
        if (path in names or type(module).__name__ in names or module in large) and not isinstance(module, _HOLDERS)
    ]


def _large_members(model: nn.Module, min_params: int) -> set[nn.Module]:
    taken: set[int] = set()
    large: set[nn.Module] = set()
    lists = [one for one in model.modules() if isinstance(one, (nn.Sequential, nn.ModuleList))]
    for member in (child for one in reversed(lists) for child in one.children()):
        rest = {id(p): p.numel() for p in member.parameters() if id(p) not in taken}
        if sum(rest.values()) >= min_params and not isinstance(member, _HOLDERS):
            large.add(member)
            taken |= rest.keys()
    return large


def shard(model: nn.Module, blocks: Iterable[nn.Module], device_type: str, **options: Any) -> None:
    """Cut the parameters of a model into one part for each rank, in place.

    `copy.deepcopy` of the model, which torch has not, gives one that is cut in the same way: see `Cut`.

    Args:
        model: The model; what is in no block is gathered for the whole of a step.
        blocks: As `blocks_to_shard` gives them.
        device_type: 'cuda' or 'cpu', where the ranks exchange.
        **options: For `fully_shard`.
    """
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(device_type, (torch.distributed.get_world_size(),))
    path_of = {module: path for path, module in model.named_modules()}
    Cut(_without_data(model), [path_of[block] for block in blocks], {"mesh": mesh, **options}).apply_to(model)


@dataclass(frozen=True)
class Cut:
    """How a model was cut into parts, so that copies of it (averages of weights) can be cut alike.

    Args:
        uncut: The model as it was before, without data.
        paths: The blocks, in order.
        options: Of `fully_shard`.
    """

    uncut: nn.Module
    paths: list[str]
    options: dict[str, Any]

    def apply_to(self, model: nn.Module) -> None:
        """Cut a whole model, and let it be copied."""
        from torch.distributed.fsdp import fully_shard

        for path in self.paths:
            fully_shard(model.get_submodule(path), **self.options)
        fully_shard(model, **self.options)
        # On the object: its class is torch's, and refuses.
        model.__deepcopy__ = lambda memo: self.copy_of(model)  # type: ignore[assignment]

    @torch.no_grad()
    def copy_of(self, model: nn.Module) -> nn.Module:
        """Return a copy of a cut model with parts and buffers of its own; ranks need not exchange anything."""
        twin = copy.deepcopy(self.uncut)
        self.apply_to(twin)
        gather_no_longer(model)
        for name, part in model.named_parameters():
            twin.get_parameter(name).requires_grad_(part.requires_grad)
        twin.to_empty(device=next(model.parameters()).device)
        for mine, theirs in zip(twin.parameters(), model.parameters(), strict=True):
            local(mine).copy_(local(theirs))
        known: dict[int, Any] = {}
        for copied, module in zip(twin.modules(), model.modules(), strict=True):
            copied._buffers = copy.deepcopy(module._buffers, known)
            copied.training = module.training
        return twin


def _without_data(model: nn.Module) -> nn.Module:
    """Return a copy whose parameters and buffers have shapes only; those that were shared still are."""
    shapes: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    for parameter in model.parameters():
        shapes[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    return copy.deepcopy(model, shapes)


def gather_no_longer(model: nn.Module) -> None:
    """Free what is still gathered, as after a forward pass without a backward one: all parameters are parts again."""
    for module in model.modules():
        if hasattr(module, "reshard"):  # of torch's FSDPModule
            reshard: Any = module.reshard
            reshard()


# ---------------------------------------------------------------------- parts and whole tensors


def whole(tree: Any, *, keep: bool = True) -> Any:
    """Return nested dicts and lists with whole tensors on the CPU in place of parts; every rank must call it.

    Args:
        tree: What is searched for parts.
        keep: Whether this rank wants them; where not, None stands in their place and takes no memory.
    """
    if is_part(tree):
        full = tree.full_tensor()
        return full.cpu() if keep else None
    if isinstance(tree, Mapping):
        return {key: whole(value, keep=keep) for key, value in tree.items()}
    return [whole(value, keep=keep) for value in tree] if isinstance(tree, list) else tree


def local(tensor: Tensor) -> Tensor:
    """Return what of a tensor lies on this rank, in the same memory: a part as a plain tensor, another as it is."""
    return tensor.detach().to_local() if is_part(tensor) else tensor  # type: ignore[attr-defined]


def part_like(value: Any, like: Tensor) -> Any:
    """Return this rank's part of a whole tensor, where `like` is a part of one of that shape; else `value` itself."""
    if not is_part(like) or is_part(value) or not isinstance(value, Tensor) or value.shape != like.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh: Any = like.device_mesh  # type: ignore[attr-defined]
    # Every rank holds the whole, so nobody has to send.
    return distribute_tensor(value, mesh, like.placements, src_data_rank=None)  # type: ignore[attr-defined]


def loading(model: nn.Module) -> AbstractContextManager[Any]:
    """Return a context in which `model.load_state_dict` takes whole tensors for parameters that are in parts."""
    if not any(is_part(parameter) for parameter in model.parameters()):
        return nullcontext()
    from torch.distributed.tensor.experimental import implicit_replication

    return implicit_replication()


def parts_in(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
    """Go through the parts in nested dicts, each with the keys that lead to it."""
    if is_part(tree):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from parts_in(value, (*path, key))
