"""A pipeline: transforms applied one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from visuite.engine.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Compose:
    """Apply transforms in order; a None on the way ends the pipeline with None.

    Args:
        transforms: Configs of registered transforms, or callables that take and return the sample.

    Raises:
        TypeError: a transform is neither a config nor callable.
    """

    def __init__(self, transforms: Iterable[Mapping[str, Any] | Callable[..., Any]] | None = ()) -> None:
        if isinstance(transforms, (Mapping, str)) or not isinstance(transforms, (Iterable, type(None))):
            raise TypeError(f"a pipeline is a list of transforms, not one {type(transforms).__name__}")
        self.transforms = [_as_transform(position, one) for position, one in enumerate(transforms or ())]

    def __call__(self, data: dict[str, Any]) -> dict[str, Any] | None:
        """Run a sample through all transforms; an error tells in a note which of them raised it."""
        result: dict[str, Any] | None = data
        for position, transform in enumerate(self.transforms):
            try:
                result = transform(result)
            except Exception as error:
                error.add_note(f"in transform {position} of the pipeline, {name_of(transform)}")
                raise
            if result is None:
                return None
        return result

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        return iter(self.transforms)

    def __len__(self) -> int:
        return len(self.transforms)

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


def _as_transform(position: int, one: Any) -> Callable[..., Any]:
    """Build a transform's config, or check that a ready-made one can be called."""
    transform = TRANSFORMS.build(one) if isinstance(one, Mapping) else one
    if not callable(transform):
        raise TypeError(f"transform {position} of the pipeline is neither a config nor callable: {transform!r}")
    return transform


def name_of(transform: Any) -> str:
    """Return the name of a transform's class, or of the function itself."""
    return getattr(transform, "__qualname__", type(transform).__qualname__)
