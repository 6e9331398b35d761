"""What names of checkpoints mean: `torchvision://resnet50`, `timm://hrnet_w18`, `open-mmlab://msra/hrnetv2_w18`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import fsspec

from visuite.engine.model.checkpoint_files import PublishedFile
from visuite.engine.model.load_report import CheckpointError
from visuite.engine.model.openmmlab_files import MMCLS, OPEN_MMLAB
from visuite.engine.utils.text import did_you_mean

#: What a name stands for: another name, a local path, a file on the web, or the checkpoint itself.
Found = str | os.PathLike[str] | PublishedFile | Mapping[str, Any]
Resolver = Callable[[str], Found]

_resolvers: dict[str, Resolver] = {}


def register_checkpoint_resolver(prefix: str, resolver: Resolver) -> None:
    """Say where checkpoint names that begin with `prefix` (`'torchvision://'`) are found.

    Args:
        prefix: The beginning of the name, with `://` where it is a scheme.
        resolver: Called with the whole name; returns another name, a path, a `PublishedFile`, or the checkpoint.
    """
    _resolvers[prefix] = resolver


def resolve_checkpoint(name: str) -> Any:
    """Follow resolvers until a name is a path, a URL, a file on the web, or a checkpoint itself.

    Raises:
        CheckpointError: the name is of a kind that is known, and there is none such.
    """
    for _ in range(8):
        matching = [prefix for prefix in _resolvers if name.startswith(prefix)]
        if not matching:
            _check_scheme(name)
            return name
        found = _resolvers[max(matching, key=len)](name)
        if isinstance(found, (Mapping, PublishedFile)):
            return found
        name = os.fspath(found)
    raise CheckpointError(f"checkpoint {name!r}: its resolvers send it in a circle")


def _check_scheme(name: str) -> None:
    scheme, separator, _ = name.partition("://")
    if separator and scheme not in (protocols := fsspec.available_protocols()):
        known = [prefix.partition("://")[0] for prefix in _resolvers]
        hint = did_you_mean(scheme, [*known, *protocols])
        raise CheckpointError(f"checkpoint {name!r}: no place is called {scheme!r}{hint}")


def _below(name: str) -> str:
    return name.partition("://")[2]


def _torchvision(name: str) -> PublishedFile:
    """`resnet50`, `resnet50.IMAGENET1K_V2` or `ResNet50_Weights.IMAGENET1K_V2`.

    The model's name alone means the first weights that there were for it, as in all configs that were written before
    torchvision had more than one.
    """
    try:
        from torchvision import models
    except ImportError as error:
        raise CheckpointError(f"{name!r} needs torchvision: pip install 'visuite-engine[published]'") from error
    model, _, tag = _below(name).partition(".")
    known = {one: one for one in models.list_models()}
    by_class = {models.get_model_weights(one).__name__: one for one in known}
    if model not in known and model not in by_class:
        raise CheckpointError(f"{name!r}: torchvision has no model {model!r}{did_you_mean(model, known)}")
    weights: Mapping[str, Any] = models.get_model_weights(known.get(model) or by_class[model]).__members__
    tag = tag.upper() or ("IMAGENET1K_V1" if "IMAGENET1K_V1" in weights else "DEFAULT")
    if tag not in weights:
        raise CheckpointError(f"{name!r}: torchvision's weights of {model} are {', '.join(weights)}")
    return PublishedFile(weights[tag].url)


def _timm(name: str) -> PublishedFile | str:
    """`hrnet_w18`, or with a tag, `hrnet_w18.ms_aug_in1k`."""
    try:
        import timm
        from timm.models import get_pretrained_cfg
    except ImportError as error:
        raise CheckpointError(f"{name!r} needs timm: pip install 'visuite-engine[published]'") from error
    model = _below(name)
    base = model.partition(".")[0]
    if not timm.is_model(base):
        raise CheckpointError(f"{name!r}: timm has no model {base!r}{did_you_mean(base, timm.list_models())}")
    try:
        cfg: Any = get_pretrained_cfg(model)
    except RuntimeError as error:
        known = [one.partition(".")[2] for one in timm.list_pretrained(f"{base}.*")]
        raise CheckpointError(f"{name!r}: timm's weights of {base} are {', '.join(known)}") from error
    if cfg is None or not cfg.has_weights:
        raise CheckpointError(f"{name!r}: timm has no weights of {base}")
    return _on_the_hub(cfg) if cfg.hf_hub_id else PublishedFile(cfg.url)


def _on_the_hub(cfg: Any) -> PublishedFile | str:
    """Return timm's file on the Hugging Face hub, or its copy in that hub's own cache."""
    from huggingface_hub import hf_hub_url, try_to_load_from_cache  # timm depends on it

    file = cfg.hf_hub_filename or "model.safetensors"
    cached = try_to_load_from_cache(cfg.hf_hub_id, file)
    if isinstance(cached, str):
        return cached
    name = f"{cfg.architecture}.{cfg.tag}" if cfg.tag else cfg.architecture
    return PublishedFile(hf_hub_url(cfg.hf_hub_id, file), f"{name}{os.path.splitext(file)[1]}")


def _listed(table: Mapping[str, str]) -> Resolver:
    def resolve(name: str) -> PublishedFile:
        key = _below(name)
        if key not in table:
            raise CheckpointError(f"no checkpoint is called {name!r}{did_you_mean(key, table)}")
        return PublishedFile(table[key])

    return resolve


register_checkpoint_resolver("torchvision://", _torchvision)
register_checkpoint_resolver("modelzoo://", _torchvision)  # an older name of it
register_checkpoint_resolver("timm://", _timm)
register_checkpoint_resolver("open-mmlab://", _listed(OPEN_MMLAB))
register_checkpoint_resolver("openmmlab://", _listed(OPEN_MMLAB))
register_checkpoint_resolver("mmcls://", _listed(MMCLS))
