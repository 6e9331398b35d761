"""Putting weights into a module, and a summary of what did not fit that a person can read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.utils.text import nearest

SHOWN = 3


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be had, read, or put into the model."""


@dataclass
class LoadReport:
    """What became of the weights of a checkpoint.

    Args:
        loaded: Number of weights now in the module.
        missing: Names that the module has and the checkpoint lacks.
        unexpected: Names that the checkpoint has and the module lacks.
        mismatched: (name, shape in the checkpoint, shape in the module) of those left as they were.
        sources: Whose names were mapped to those of the module.
        left_out: Names of weights that were known to have no place in the module, such as those of a classifier.
    """

    loaded: int = 0
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything fits that was not left out."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        lines = [f"{self.loaded} weights loaded, {self._counts()}"]
        if self.sources:
            lines.append(f"  names mapped: those of {' and of '.join(self.sources)}")
        if self.left_out:
            lines.append(f"  left out: {_first(self.left_out, len(self.left_out))}")
        if self.mismatched:
            shapes = (f"{name} {list(theirs)} in the file, {list(ours)} here" for name, theirs, ours in self.mismatched)
            lines.append(f"  other shape: {_first(shapes, len(self.mismatched))}")
        if self.missing:
            lines.append(f"  not in the file: {_first(self.missing, len(self.missing))}")
        if self.unexpected:
            near = (self._with_hint(name) for name in self.unexpected[:SHOWN])
            lines.append(f"  not in the model: {_first(near, len(self.unexpected))}")
        return "\n".join(lines)

    def _counts(self) -> str:
        groups: Sequence[tuple[str, Sequence[object]]] = (
            ("of another shape", self.mismatched),
            ("not in the file", self.missing),
            ("not in the model", self.unexpected),
        )
        return ", ".join(f"{len(names)} {what}" for what, names in groups if names) or "all fit"

    def _with_hint(self, name: str) -> str:
        # Thousands of missing names would take seconds to compare; those with the same ending come first anyway.
        tail = name.rpartition(".")[2]
        near = nearest(name, [one for one in self.missing if one.rpartition(".")[2] == tail][:300], count=1)
        return f"{name} (the model has {near[0]})" if near else name


def _first(items: Iterable[str], total: int) -> str:
    shown = [item for item, _ in zip(items, range(SHOWN), strict=False)]
    return "; ".join(shown) + (f"; and {total - SHOWN} more" if total > SHOWN else "")


def load_into(module: nn.Module, state_dict: Mapping[str, Tensor]) -> LoadReport:
    """Load what fits and report the rest; modules' own hooks see the weights first (renaming, resizing).

    Raises:
        CheckpointError: a weight could not be copied for another reason than its shape.
    """
    module = unwrap_model(module)
    given: OrderedDict[str, Tensor] = OrderedDict(state_dict)
    if hasattr(state_dict, "_metadata"):
        given._metadata = state_dict._metadata  # type: ignore[attr-defined]
    missing: list[str] = []
    unexpected: list[str] = []
    problem = ""

    def keep(_: nn.Module, keys: Any) -> None:
        missing.extend(keys.missing_keys)
        unexpected.extend(keys.unexpected_keys)

    handle = module.register_load_state_dict_post_hook(keep)  # their lists do not come with an error
    try:
        module.load_state_dict(given, strict=False)
    except RuntimeError as error:  # torch has loaded all that fits before it complains of shapes
        problem = str(error)
    finally:
        handle.remove()
    return _report(module, given, missing, unexpected, problem)


def _report(
    module: nn.Module, given: Mapping[str, Tensor], missing: list[str], unexpected: list[str], problem: str
) -> LoadReport:
    own = module.state_dict()
    mismatched = [
        (name, tuple(given[name].shape), tuple(own[name].shape))
        for name in own
        if name in given and f"size mismatch for {name}:" in problem
    ]
    if problem and not mismatched:
        raise CheckpointError(problem.splitlines()[-1].strip())
    # Batch counters came with torch 0.4.1; older files lack them and lose nothing.
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    return LoadReport(len(given) - len(unexpected) - len(mismatched), missing, unexpected, mismatched)
