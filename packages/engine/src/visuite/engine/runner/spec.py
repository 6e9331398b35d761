"""What a run is made of: the arguments of `Runner`, held against each other before anything is built."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Self

from visuite.engine.registry import BadValueError, MissingKeyError
from visuite.engine.utils.text import did_you_mean

#: Which arguments are of use only together.
TRIPLES = {
    "training": ("train_dataloader", "train_cfg", "optim_wrapper"),
    "validation": ("val_dataloader", "val_cfg", "val_evaluator"),
    "testing": ("test_dataloader", "test_cfg", "test_evaluator"),
}


def copy_containers(value: Any) -> Any:
    """Copy nested dicts, lists and tuples, so that what parts do to their configs leaves the user's alone.

    Ready-made objects in them stay the very objects.
    """
    if isinstance(value, dict):
        fresh = type(value)()
        for key, item in value.items():
            fresh[key] = copy_containers(item)
        return fresh
    return type(value)(map(copy_containers, value)) if type(value) in (list, tuple) else value


@dataclass
class RunnerSpec:
    """The 27 documented arguments of a run, each a config or a ready-made object.

    Raises:
        ValueError: a half-given triple (data loader, loop config, and optimizer or evaluator), or a
            scheduler without an optimizer; says what is missing.
    """

    model: Any
    work_dir: str
    train_dataloader: Any = None
    val_dataloader: Any = None
    test_dataloader: Any = None
    train_cfg: Any = None
    val_cfg: Any = None
    test_cfg: Any = None
    auto_scale_lr: dict[str, Any] | None = None
    optim_wrapper: Any = None
    param_scheduler: Any = None
    val_evaluator: Any = None
    test_evaluator: Any = None
    default_hooks: dict[str, Any] | None = None
    custom_hooks: list[Any] | None = None
    data_preprocessor: Any = None
    load_from: str | None = None
    resume: bool | str = False
    launcher: str = "none"
    env_cfg: dict[str, Any] = field(default_factory=dict)
    log_processor: Any = None
    log_level: str | int = "INFO"
    visualizer: Any = None
    default_scope: str = "engine"
    randomness: dict[str, Any] = field(default_factory=dict)
    experiment_name: str | None = None
    cfg: Any = None

    def __post_init__(self) -> None:
        for purpose, names in TRIPLES.items():
            given = [name for name in names if getattr(self, name) is not None]
            if given and len(given) < len(names):
                missing = [name for name in names if name not in given]
                raise BadValueError(
                    f"{purpose} needs {', '.join(names)}: {' and '.join(missing)} missing "
                    f"beside {' and '.join(given)} (give all of them, or set all to None)"
                )
        if self.param_scheduler is not None and self.optim_wrapper is None:
            raise BadValueError("param_scheduler is given, but optim_wrapper, whose values it changes, is None")

    @classmethod
    def from_cfg(cls, cfg: Any) -> Self:
        """Read a run's arguments from a whole config; keys that are not arguments stay in `cfg`.

        Raises:
            KeyError: `model` or `work_dir` is missing.
        """
        names = [one.name for one in fields(cls) if one.name != "cfg"]
        for needed in ("model", "work_dir"):
            if needed not in cfg:
                hint = did_you_mean(needed, cfg.keys())
                raise MissingKeyError(f"the config has no {needed!r}{hint}")
        given = {name: copy_containers(cfg[name]) for name in names if name in cfg and cfg[name] is not None}
        return cls(**given, cfg=cfg)
