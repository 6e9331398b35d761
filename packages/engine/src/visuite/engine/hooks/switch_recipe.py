"""Change data, losses and heads at given epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from visuite.engine.dataset.compose import Compose
from visuite.engine.dataset.feed import restart_workers
from visuite.engine.hooks.hook import Hook
from visuite.engine.hooks.pipeline_switch import everywhere, require_epochs, require_pipeline, switch_pipeline
from visuite.engine.model.wrapping import unwrap_model
from visuite.engine.registry import HOOKS, MODELS, config_path
from visuite.engine.utils.text import did_you_mean

if TYPE_CHECKING:
    from visuite.engine.runner.runner import Runner

#: Other names under which a recipe may name an action.
ALIASES = {"pipeline": "train_pipeline", "train_augments": "batch_augments"}
HEADS = ("head", "bbox_head", "decode_head", "roi_head", "mask_head")
LOSSES = ("loss_module", "loss", "loss_cls", "loss_decode")


@HOOKS.register_module()
class SwitchRecipeHook(Hook):
    """Change the recipe of training at given epochs.

    What an item does not name stays. Everything is built before training, so that a fault shows at once; a resumed
    run has at once what the items before it say.

    Args:
        schedule: Dicts with `action_epoch`, the number of epochs that come before, and some of

            - `train_pipeline` (or `pipeline`): the training data's new transforms;
            - `batch_augments` (or `train_augments`): the data preprocessor's augmentation of batches, None for none;
            - `loss`: the config of a loss that replaces the model's or its head's;
            - `head`: new values for attributes of the model's head, such as `dict(use_l1=True)`; a value with a
              `type` is built;
            - `skip_type_keys`: types of transforms that data sets with `update_skip_type_keys` (those that mix
              samples) leave out from now on.

    Raises:
        ValueError: an item without `action_epoch`, with an unknown action, or two of one epoch.
    """

    priority = "NORMAL"

    def __init__(self, schedule: Sequence[Mapping[str, Any]]) -> None:
        recipes: dict[int, dict[str, Any]] = {}
        for number, item in enumerate(schedule):
            recipe = {ALIASES.get(key, key): value for key, value in item.items()}
            if "action_epoch" not in recipe:
                raise ValueError(f"SwitchRecipeHook: schedule.{number} has no action_epoch")
            epoch = recipe.pop("action_epoch")
            if epoch in recipes:
                raise ValueError(f"SwitchRecipeHook: two items of the schedule are for epoch {epoch}")
            for action in recipe:
                if action not in ACTIONS:
                    hint = did_you_mean(action, [*ACTIONS, *ALIASES])
                    raise ValueError(f"SwitchRecipeHook: schedule.{number} has no action {action!r}{hint}")
            recipes[epoch] = recipe
        self.schedule = dict(sorted(recipes.items()))

    def before_train(self, runner: Runner) -> None:
        """Build everything that will be switched in."""
        require_epochs(self, runner)
        self._pending: list[tuple[int, str, Callable[[], None]]] = []
        for epoch, recipe in self.schedule.items():
            for action, value in recipe.items():
                with config_path(f"schedule.{action}"):
                    self._pending.append((epoch, action, ACTIONS[action](runner, value)))

    def before_train_epoch(self, runner: Runner) -> None:
        """Do what is due, in the order of the schedule."""
        while self._pending and self._pending[0][0] <= runner.epoch:
            epoch, action, switch = self._pending.pop(0)
            switch()
            runner.logger.info(f"{action} is switched, as scheduled for epoch {epoch + 1}")


# Each action checks and builds what it needs, and returns what does the switch.


def _switch_pipeline(runner: Runner, pipeline: Sequence[Any]) -> Callable[[], None]:
    Compose(pipeline)
    require_pipeline(runner.train_dataloader.dataset)
    return lambda: switch_pipeline(runner.train_dataloader, pipeline)


def _switch_batch_augments(runner: Runner, augments: Mapping[str, Any] | None) -> Callable[[], None]:
    preprocessor = unwrap_model(runner.model).data_preprocessor
    if not hasattr(preprocessor, "batch_augments"):
        raise TypeError(f"{type(preprocessor).__name__} augments no batches: it has no batch_augments")
    if isinstance(augments, Mapping):
        build = getattr(preprocessor, "build_batch_augments", None)
        if build is None:
            raise TypeError(f"{type(preprocessor).__name__} needs build_batch_augments(cfg) to switch to a config")
        augments = build(augments)
    return lambda: setattr(preprocessor, "batch_augments", augments)


def _switch_loss(runner: Runner, loss: Mapping[str, Any] | nn.Module) -> Callable[[], None]:
    model = unwrap_model(runner.model)
    owners = [model, *(getattr(model, name) for name in HEADS if hasattr(model, name))]
    places = [(owner, name) for owner in owners for name in LOSSES if isinstance(getattr(owner, name, None), nn.Module)]
    if not places:
        raise TypeError(f"{type(model).__name__} has no loss that could be switched ({', '.join(LOSSES)})")
    owner, name = places[0]
    return _replace(runner, owner, name, loss)


def _switch_head(runner: Runner, values: Mapping[str, Any]) -> Callable[[], None]:
    model = unwrap_model(runner.model)
    head = next((getattr(model, name) for name in HEADS if hasattr(model, name)), None)
    if head is None:
        raise TypeError(f"{type(model).__name__} has no head ({', '.join(HEADS)})")
    unknown = [name for name in values if not hasattr(head, name)]
    if unknown:
        hint = did_you_mean(unknown[0], [*vars(head), *head._modules])
        raise AttributeError(f"{type(head).__name__} has no {unknown[0]!r} that could be switched{hint}")
    switches = [_replace(runner, head, name, value) for name, value in values.items()]

    def switch() -> None:
        for one in switches:
            one()

    return switch


def _replace(runner: Runner, owner: nn.Module, name: str, value: Any) -> Callable[[], None]:
    """Build a new value for an attribute; a module must bring nothing that an optimizer or checkpoint would miss."""
    if isinstance(value, Mapping) and "type" in value:
        value = MODELS.build(value)
    for module in (getattr(owner, name), value):
        if isinstance(module, nn.Module) and module.state_dict():
            raise TypeError(
                f"{type(module).__name__} has weights or buffers of its own ({', '.join(module.state_dict())}), "
                "which can neither come nor go in the middle of a run"
            )
    if isinstance(value, nn.Module):
        value = value.to(runner.device)
    return lambda: setattr(owner, name, value)


def _switch_skip_type_keys(runner: Runner, keys: Sequence[str]) -> Callable[[], None]:
    loader = runner.train_dataloader
    able = [one for one in everywhere(loader.dataset) if hasattr(type(one), "update_skip_type_keys")]
    if not able:
        raise TypeError(f"no training data set skips transforms by type: {type(loader.dataset).__name__}")

    def switch() -> None:
        for dataset in able:
            dataset.update_skip_type_keys(keys)
        restart_workers(loader)

    return switch


ACTIONS: dict[str, Callable[[Any, Any], Callable[[], None]]] = {
    "train_pipeline": _switch_pipeline,
    "batch_augments": _switch_batch_augments,
    "loss": _switch_loss,
    "head": _switch_head,
    "skip_type_keys": _switch_skip_type_keys,
}
