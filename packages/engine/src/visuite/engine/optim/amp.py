"""Mixed precision: the forward pass in half precision, parameters and losses in float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.registry import OPTIM_WRAPPERS
from visuite.engine.utils.text import did_you_mean

_DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
_SCALER = "loss_scaler"
#: The arguments of torch.amp.GradScaler that `loss_scale=dict(...)` may have.
_SCALING = ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled")


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """An `OptimWrapper` with automatic mixed precision.

    The device is that of the parameters. Only float16 needs its loss scaled, because only its range is narrow: with
    bfloat16 (the default on CPU) the scaler is there, saves and loads, and does nothing.

    Args:
        loss_scale: 'dynamic', a fixed scale, or the arguments of `torch.amp.GradScaler`.
        dtype: 'float16', 'bfloat16' or a torch dtype; by default that of autocast on the device.
        use_fsdp: Scale with FSDP1's sharded scaler. (FSDP2 needs no scaler of its own.)
        **kwargs: The arguments of `OptimWrapper`.

    Raises:
        ValueError: `dtype` or `loss_scale` is none of these.
    """

    def __init__(
        self,
        loss_scale: str | float | dict[str, Any] = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._scaling, self._fixed_scale = _check_scale(loss_scale)
        self._dtype = _check_dtype(dtype)
        self._use_fsdp = use_fsdp

    @cached_property
    def device_type(self) -> str:
        """The kind of device that the parameters are on, 'cuda' or 'cpu' for example."""
        return next(self._parameters()).device.type

    @cached_property
    def cast_dtype(self) -> torch.dtype:
        """The precision of the forward pass."""
        return self._dtype or torch.get_autocast_dtype(self.device_type)

    @cached_property
    def loss_scaler(self) -> GradScaler:
        """What scales losses, made when first asked for: by then the parameters are where they stay."""
        kind: Any = GradScaler
        if self._use_fsdp:
            from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler as kind  # slow to import
        needed = self.cast_dtype == torch.float16
        return kind(
            device=self.device_type, **{**self._scaling, "enabled": needed and self._scaling.get("enabled", True)}
        )

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Divide a loss by the number of losses in its window, in float32."""
        return super().scale_loss(loss if loss.dtype.itemsize >= 4 else loss.float())

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Add the gradients of the scaled loss, and count it."""
        super().backward(self.loss_scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Unscale and clip the gradients where that is asked for, step unless they overflowed, and adapt the scale."""
        if self.clip_grad_type:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._fixed_scale)

    def optim_context(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Return the context for the forward pass: autocast, and no exchange of gradients until a window ends."""
        return self._autocast(super().optim_context(model))

    @contextmanager
    def _autocast(self, outer: AbstractContextManager[Any]) -> Iterator[None]:
        with outer, torch.autocast(self.device_type, dtype=self.cast_dtype):
            yield

    def state_dict(self) -> dict[str, Any]:
        """Return the wrapper's state with that of the scaler as 'loss_scaler'."""
        return {**super().state_dict(), _SCALER: self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; a state that was saved without a scaler leaves the scaler as it is."""
        state = dict(state_dict)
        scaler = state.pop(_SCALER, None)
        if scaler:
            self.loss_scaler.load_state_dict(scaler)
        super().load_state_dict(state)


def _check_scale(loss_scale: Any) -> tuple[dict[str, Any], float | None]:
    """Return the arguments of the scaler, and the scale that it is held at or None."""
    if loss_scale == "dynamic":
        return {}, None
    if isinstance(loss_scale, (int, float)) and not isinstance(loss_scale, bool) and loss_scale > 0:
        return {"init_scale": float(loss_scale)}, float(loss_scale)
    if not isinstance(loss_scale, dict):
        raise ValueError(f"loss_scale is 'dynamic', a positive number or a dict, not {loss_scale!r}")
    for name in loss_scale:
        if name not in _SCALING:
            raise ValueError(f"loss_scale has no {name!r}{did_you_mean(name, _SCALING)}")
    return dict(loss_scale), None


def _check_dtype(dtype: Any) -> torch.dtype | None:
    found: Any = _DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if found is not None and found not in _DTYPES.values():
        raise ValueError(f"dtype is one of {', '.join(_DTYPES)}, not {dtype!r}{did_you_mean(str(dtype), _DTYPES)}")
    return found
