"""Several optimizers, by name: a generator's and a discriminator's, for example."""

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from typing import Any, NoReturn

from torch import Tensor, nn

from visuite.engine.optim.wrapper import OptimWrapper
from visuite.engine.registry import OPTIM_WRAPPERS
from visuite.engine.utils.text import did_you_mean


@OPTIM_WRAPPERS.register_module()
class OptimWrapperDict(OptimWrapper):
    """A dict of `OptimWrapper`s that saves, loads and reports them together.

    Which loss belongs to which optimizer only the model's `train_step` knows, so updates are made one by one:
    `optim_wrapper['generator'].update_params(loss)`.

    Args:
        **optim_wrapper_dict: The wrappers by name.

    Raises:
        TypeError: one of them is not an `OptimWrapper`.
    """

    def __init__(self, **optim_wrapper_dict: OptimWrapper) -> None:
        for name, wrapper in optim_wrapper_dict.items():
            if not isinstance(wrapper, OptimWrapper):
                raise TypeError(f"{name} is an OptimWrapper, not {type(wrapper).__name__}")
        self.optim_wrappers = optim_wrapper_dict

    def _one_by_one(self, verb: str) -> NoReturn:
        names = ", ".join(self.optim_wrappers)
        raise NotImplementedError(
            f"{verb} belongs to one optimizer: call it on optim_wrapper[name], name being one of {names}"
        )

    def update_params(
        self, loss: Tensor, step_kwargs: dict[str, Any] | None = None, zero_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Refuse: a loss belongs to one optimizer."""
        self._one_by_one("update_params")

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Refuse: a loss belongs to one optimizer."""
        self._one_by_one("backward")

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Refuse: a loss belongs to one optimizer."""
        self._one_by_one("scale_loss")

    def step(self, **kwargs: Any) -> None:
        """Refuse: optimizers step one by one."""
        self._one_by_one("step")

    def should_update(self) -> bool:
        """Refuse: each optimizer counts its own losses."""
        self._one_by_one("should_update")

    def should_sync(self) -> bool:
        """Refuse: each optimizer counts its own losses."""
        self._one_by_one("should_sync")

    def optim_context(self, model: nn.Module) -> NoReturn:
        """Refuse: a forward pass belongs to one optimizer."""
        self._one_by_one("optim_context")

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients of all optimizers."""
        for wrapper in self.optim_wrappers.values():
            wrapper.zero_grad(**kwargs)

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Do nothing: how often each optimizer is updated in an iteration is not known here."""

    # ------------------------------------------------------------------ all together

    @property
    def param_groups(self) -> dict[str, list[dict[str, Any]]]:  # type: ignore[override]
        """The parameter groups of each optimizer, by its name."""
        return {name: wrapper.param_groups for name, wrapper in self.items()}

    @property
    def defaults(self) -> dict[str, dict[str, Any]]:
        """The defaults of each optimizer, by its name."""
        return {name: wrapper.defaults for name, wrapper in self.items()}

    @property
    def inner_count(self) -> NoReturn:
        """Refuse: each optimizer counts its own losses."""
        self._one_by_one("inner_count")

    def get_lr(self) -> dict[str, list[float]]:
        """Return the learning rates as `'<name>.lr'`."""
        return {f"{name}.{key}": v for name, wrapper in self.items() for key, v in wrapper.get_lr().items()}

    def get_momentum(self) -> dict[str, list[float]]:
        """Return the momenta as `'<name>.momentum'`."""
        return {f"{name}.{key}": v for name, wrapper in self.items() for key, v in wrapper.get_momentum().items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each optimizer, by its name."""
        return {name: wrapper.state_dict() for name, wrapper in self.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore each optimizer.

        Raises:
            KeyError: a name of the state is none of ours, or one of ours is missing.
        """
        for name in state_dict:
            self[name]
        for name, wrapper in self.items():
            if name not in state_dict:
                raise KeyError(f"the saved state has no optimizer {name!r}, only {', '.join(state_dict)}")
            wrapper.load_state_dict(state_dict[name])

    def pending_gradients(self) -> dict[str, Any] | None:  # type: ignore[override]
        """Return the gradients of open windows, by the name of the optimizer, or None where none is open."""
        found = {name: g for name, w in self.items() if (g := w.pending_gradients()) is not None}
        return found or None

    def restore_gradients(self, gradients: Mapping[str, Any] | None) -> None:  # type: ignore[override]
        """Take over what `pending_gradients` returned."""
        for name, own in (gradients or {}).items():
            self[name].restore_gradients(own)

    # ------------------------------------------------------------------ as a dict

    def keys(self) -> KeysView[str]:
        """Return the names."""
        return self.optim_wrappers.keys()

    def values(self) -> ValuesView[OptimWrapper]:
        """Return the wrappers."""
        return self.optim_wrappers.values()

    def items(self) -> ItemsView[str, OptimWrapper]:
        """Return names and wrappers."""
        return self.optim_wrappers.items()

    def __getitem__(self, name: str) -> OptimWrapper:
        if name not in self.optim_wrappers:
            raise KeyError(f"there is no optimizer {name!r}{did_you_mean(name, self.optim_wrappers)}")
        return self.optim_wrappers[name]

    def __contains__(self, name: object) -> bool:
        return name in self.optim_wrappers

    def __len__(self) -> int:
        return len(self.optim_wrappers)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {wrapper!r}" for name, wrapper in self.items())
