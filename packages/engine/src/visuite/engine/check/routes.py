"""Which registry the `type` of a nested config belongs to, told by the key it stands under.

Nothing in a config says that `neck` is a model and `assigner` a task util: the classes that build them know. What
follows is their knowledge, and a package adds its own with `register_route`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from visuite.engine.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    ROOTS,
    TASK_UTILS,
    TRANSFORMS,
    VISBACKENDS,
    VISUALIZERS,
    WEIGHT_INITIALIZERS,
    Registry,
)
from visuite.engine.registry.scope import canonical_scope


@dataclass(frozen=True)
class Route:
    """How a nested config becomes an object.

    Args:
        registry: Where its `type` is looked up.
        default_type: Its `type` where it has none.
        supplied: Arguments that whoever builds it adds.
        taken: Keys that whoever builds it takes out.
        completed: Whether unknown arguments are added, so that none can be called missing.
        sure: Whether the registry is certain; elsewhere other registries are asked too.
        needs_type: Whether a dict there is always a config with a `type`.
        foreign: Whether the part around is unknown, so that nobody can tell what it reads.
    """

    registry: Registry
    default_type: str | None = None
    supplied: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    completed: bool = False
    sure: bool = True
    needs_type: bool = False
    foreign: bool = False

    def guess(self) -> Route:
        """Return the route of a key that nobody knows, inside of what this route leads to."""
        return Route(self.registry, completed=True, sure=False, foreign=self.foreign)


_MODEL, _UTIL = Route(MODELS, needs_type=True), Route(TASK_UTILS, needs_type=True)
_TRANSFORM = Route(TRANSFORMS, needs_type=True)
_LAYER = Route(MODELS, completed=True, taken=frozenset({"requires_grad", "fallback_on_stride", "name"}))

#: Dicts whose keys are the user's own, or another library's.
_FREE = ("*kwargs", "metainfo", "mapping", "remapping", "custom_keys", "*_mapping", "label_map")

#: (registry of the part around, pattern of the key) -> route; the first that fits counts. None: not a config.
_ROUTES: list[tuple[Registry, str, Route | None]] = [
    *((registry, key, None) for registry in ROOTS.values() for key in _FREE),
    *((MODELS, key, None) for key in ("nms", "nms_cfg", "nms_rescale", "img_norm_cfg")),
    (MODELS, "init_cfg", Route(WEIGHT_INITIALIZERS)),
    (WEIGHT_INITIALIZERS, "override", Route(WEIGHT_INITIALIZERS, taken=frozenset({"name"}), completed=True)),
    *((MODELS, key, _LAYER) for key in ("conv_cfg", "norm_cfg", "act_cfg", "dcn", "*_norm_cfg")),
    (MODELS, "upsample_cfg", replace(_LAYER, taken=frozenset({"scale_factor"}))),
    (MODELS, "loss_cls", replace(_MODEL, taken=frozenset({"bg_cls_weight"}))),
    (MODELS, "data_preprocessor", Route(MODELS, "BaseDataPreprocessor")),
    *((MODELS, key, _MODEL) for key in ("backbone", "neck", "head", "loss", "loss_module")),
    *((MODELS, key, _MODEL) for key in ("loss_*", "*_head", "*_backbone", "*_neck", "teacher", "student")),
    *((MODELS, key, _UTIL) for key in ("assigner", "bbox_coder", "match_cost*", "iou_calculator")),
    *((MODELS, key, _UTIL) for key in ("anchor_generator", "prior_generator", "point_generator", "*_assigner")),
    *((MODELS, key, _MODEL) for key in ("*_roi_extractor", "roi_layer", "head_module")),
    (MODELS, "batch_augments", Route(MODELS)),
    (MODELS, "sampler", replace(_UTIL, supplied=frozenset({"context"}))),
    *((TASK_UTILS, key, _UTIL) for key in ("iou_calculator", "match_cost*")),
    (DATASETS, "dataset", Route(DATASETS, needs_type=True)),
    (DATASETS, "datasets", Route(DATASETS, needs_type=True)),
    (DATASETS, "pipeline", _TRANSFORM),
    (MODELS, "dataset", Route(DATASETS, needs_type=True)),
    (TRANSFORMS, "transforms", _TRANSFORM),
    (TRANSFORMS, "policies", replace(_TRANSFORM, taken=frozenset({"magnitude_key"}), completed=True)),
    (TRANSFORMS, "pipeline", _TRANSFORM),
    (TRANSFORMS, "pre_transform", _TRANSFORM),
    (HOOKS, "*pipeline", _TRANSFORM),
    (HOOKS, "tta_cfg", Route(MODELS, supplied=frozenset({"module"}))),
    (HOOKS, "loss", _MODEL),
    (HOOKS, "head", Route(MODELS, completed=True, sure=False)),
    (HOOKS, "metrics", Route(METRICS, needs_type=True)),
    (HOOKS, "visualizer", Route(VISUALIZERS)),
    (VISUALIZERS, "vis_backends", Route(VISBACKENDS, needs_type=True, supplied=frozenset({"save_dir"}))),
    (OPTIMIZERS, "optimizer", Route(OPTIMIZERS, supplied=frozenset({"params"}))),
]
_scoped: dict[str, list[tuple[Registry, str, Route | None]]] = {}


def register_route(scope: str, around: Registry, key: str, route: Route | None) -> None:
    """Say for one scope what stands under a key of the configs in a registry.

    Args:
        scope: Where this holds: `'det'`.
        around: The root registry of the config that has the key: `MODELS`.
        key: The key, or a pattern such as `'*_head'`.
        route: How it is built; None: it is no config, whatever `type` it has.
    """
    _scoped.setdefault(canonical_scope(scope), []).append((around, key, route))


def route_of(key: str, around: Route, scope: str) -> Route | None:
    """Return the route of a key inside a part of the config; None: nothing of it is a config."""
    root = around.registry.root
    for registry, pattern, route in (*_scoped.get(canonical_scope(scope), ()), *_ROUTES):
        if registry is root and fnmatchcase(key, pattern):
            return route
    return around.guess()
