"""The schedules of learning rate and momentum: each generic schedule with its parameter's name filled in."""

from __future__ import annotations

from inspect import signature
from typing import Any

from visuite.engine.optim.schedule import schedulers as generic
from visuite.engine.optim.schedule.driver import MOMENTUM, ParamScheduler
from visuite.engine.optim.schedule.plateau import ReduceOnPlateauParamScheduler
from visuite.engine.registry import PARAM_SCHEDULERS

Kind = type[ParamScheduler]


def _bound(kind: Kind, suffix: str, param_name: str) -> Kind:
    """Make and register the class that schedules one parameter: `LinearParamScheduler` -> `LinearLR`."""

    def __init__(self: ParamScheduler, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        kind.__init__(self, optimizer, param_name, *args, **kwargs)

    name = kind.__name__.removesuffix("ParamScheduler") + suffix
    lines = [line for line in (kind.__doc__ or "").splitlines() if not line.strip().startswith("param_name:")]
    doc = "\n".join(lines).replace("a parameter", f"the {'learning rate' if suffix == 'LR' else 'momentum'}", 1)
    twin = type(name, (kind,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})
    shown = signature(kind)
    twin.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[p for p in shown.parameters.values() if p.name != "param_name"]
    )
    return PARAM_SCHEDULERS.register_module(module=twin)


def _twins(kind: Kind) -> tuple[Kind, Kind]:
    return _bound(kind, "LR", "lr"), _bound(kind, "Momentum", MOMENTUM)


ConstantLR, ConstantMomentum = _twins(generic.ConstantParamScheduler)
CosineAnnealingLR, CosineAnnealingMomentum = _twins(generic.CosineAnnealingParamScheduler)
CosineRestartLR, CosineRestartMomentum = _twins(generic.CosineRestartParamScheduler)
ExponentialLR, ExponentialMomentum = _twins(generic.ExponentialParamScheduler)
LinearLR, LinearMomentum = _twins(generic.LinearParamScheduler)
MultiStepLR, MultiStepMomentum = _twins(generic.MultiStepParamScheduler)
OneCycleLR = _bound(generic.OneCycleParamScheduler, "LR", "lr")
PolyLR, PolyMomentum = _twins(generic.PolyParamScheduler)
QuadraticWarmupLR, QuadraticWarmupMomentum = _twins(generic.QuadraticWarmupParamScheduler)
ReduceOnPlateauLR, ReduceOnPlateauMomentum = _twins(ReduceOnPlateauParamScheduler)
StepLR, StepMomentum = _twins(generic.StepParamScheduler)

# The name under which segmentation configs ask for a floor that is a share of the initial value.
PARAM_SCHEDULERS.register_module(name="PolyLRRatio", module=PolyLR)
