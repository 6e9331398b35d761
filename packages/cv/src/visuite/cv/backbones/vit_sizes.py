"""The sizes of vision transformers, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.cv.backbones.base import architecture, custom_architecture

Cfg = Mapping[str, Any]
_KEYS = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
_BY_SIZE: Mapping[tuple[int, int, int, int], tuple[str, ...]] = {
    (768, 8, 8, 768 * 3): ("s", "small"),
    (768, 12, 12, 3072): ("b", "base", "deit-b", "deit-base", "dinov2-b", "dinov2-base"),
    (1024, 24, 16, 4096): ("l", "large", "dinov2-l", "dinov2-large"),
    (1280, 32, 16, 5120): ("h", "huge"),
    (1408, 40, 16, 6144): ("eva-g", "eva-giant"),
    (192, 12, 3, 192 * 4): ("deit-t", "deit-tiny"),
    (384, 12, 6, 384 * 4): ("deit-s", "deit-small", "dinov2-s", "dinov2-small"),
    (1536, 40, 24, 6144): ("dinov2-g", "dinov2-giant"),
}
SIZES: Mapping[str, Cfg] = {
    name: dict(zip(_KEYS, size, strict=True)) for size, names in _BY_SIZE.items() for name in names
}


def sizes_of(
    table: Mapping[str, Cfg],
    arch: str | Cfg,
    embed_dims: int | None,
    num_layers: int | None,
    num_heads: int | None,
    mlp_ratio: float | None,
) -> dict[str, int]:
    """Return the four sizes of an architecture, after what is said beside its name.

    Raises:
        ValueError: the table lacks the name, or a dict lacks a size.
    """
    if isinstance(arch, str):
        sizes = dict(architecture(table, arch.lower(), "VisionTransformer"))
    else:
        sizes = dict(custom_architecture(arch, _KEYS, "VisionTransformer"))
    ratio = sizes["feedforward_channels"] / sizes["embed_dims"] if mlp_ratio is None else mlp_ratio
    said = {"embed_dims": embed_dims, "num_layers": num_layers, "num_heads": num_heads}
    sizes.update({key: value for key, value in said.items() if value is not None})
    sizes["feedforward_channels"] = round(ratio * sizes["embed_dims"])
    return sizes
