"""Where a model lives and how it runs: one device, a copy on each rank (DDP), a part on each rank (FSDP2).

A strategy owns what surrounds the model (memory format, compilation, wrapper) and what follows for its weights, its
optimizer's state and its gradients: how they begin equal, what of them a checkpoint holds, how they come back.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from visuite.engine.dist import all_gather_object, all_reduce, broadcast, is_distributed, is_main_process
from visuite.engine.logging import print_log
from visuite.engine.model import convert_sync_batchnorm, is_model_wrapper, revert_sync_batchnorm, unwrap_model
from visuite.engine.model.checkpoint_io import get_state_dict, weights_to_cpu
from visuite.engine.model.sharding import blocks_to_shard, is_part, loading, part_like, shard, whole
from visuite.engine.optim import OptimWrapper, OptimWrapperDict
from visuite.engine.registry import MODEL_WRAPPERS, STRATEGIES, config_path
from visuite.engine.runner.speed import compile_in_place, take_channels_last


@STRATEGIES.register_module()
class SingleDeviceStrategy:
    """Train on one device.

    Args:
        device: Where the model lives.
        sync_bn: Turn batch norms into `'torch'` synchronised ones where there are several ranks.
        channels_last: Lay images and the weights of convolutions out as [B, H, W, C] in memory.
        compile: Compile the model: True, or the arguments of `torch.compile`, and `target`, the method ('forward').
    """

    needs_group = False

    def __init__(
        self,
        device: torch.device,
        sync_bn: str | None = None,
        channels_last: bool = False,
        compile: bool | dict[str, Any] = False,
    ) -> None:
        self.device = device
        self.sync_bn = sync_bn
        self.channels_last = channels_last
        self.compile = compile

    def place(self, model: nn.Module) -> nn.Module:
        """Move a built model to where it trains and return what the run shall call."""
        if is_model_wrapper(model):
            return model
        if self.sync_bn is not None and is_distributed():
            model = convert_sync_batchnorm(model, self.sync_bn)
        if self.device.type == "cpu":
            model = _without_sync(model)
        if self.channels_last:
            take_channels_last(model, weights=self._may_permute)
        model = self._spread(model)
        if self.compile:
            with config_path("compile"):
                compile_in_place(unwrap_model(model), self.compile)
        return model

    _may_permute = True  # whether weights need not be contiguous

    def _spread(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, or the devices."""
        return model.to(self.device)

    def init_weights(self, model: nn.Module) -> None:
        """Initialise a placed model, on all ranks alike."""
        inside = unwrap_model(model)
        init: Any = getattr(inside, "init_weights", None)
        if init is not None:
            init()
        share_weights(inside)

    # ------------------------------------------------------------------ checkpoints

    def agree(self, model: nn.Module, optim_wrapper: OptimWrapper | OptimWrapperDict) -> None:
        """Let every rank hold what one file can: the buffers of rank 0, the mean of gradients in flight.

        A checkpoint is one for all ranks. If ranks kept what it does not hold, a run that goes on after saving and
        one that resumes would differ.
        """
        self.agree_on_buffers(model)
        if is_distributed():
            for one in each_wrapper(optim_wrapper):
                average_pending(one)

    def agree_on_buffers(self, model: nn.Module) -> None:
        """Let every rank have the buffers of rank 0, such as the statistics of batch norm.

        Ranks then validate one model, the one that a checkpoint holds.
        """
        if is_distributed():
            for buffer in unwrap_model(model).buffers():
                broadcast(buffer)

    def is_exact(self, optim_wrapper: OptimWrapper | OptimWrapperDict) -> bool:
        """Tell whether writing a checkpoint now changes no bit of what follows: no mean of gradients is taken."""
        return not is_distributed() or all(one.pending_gradients() is None for one in each_wrapper(optim_wrapper))

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the weights under their plain names, as a checkpoint holds them."""
        return weights_to_cpu(get_state_dict(unwrap_model(model)))

    def saved(self, state: Any) -> Any:
        """Return the state of optimizers, or gradients, as a checkpoint holds it."""
        return state

    def restored(self, state: Any, optim_wrapper: OptimWrapper | OptimWrapperDict) -> Any:
        """Return a saved state of optimizers, or gradients, as the parameters lie here."""
        return state


@STRATEGIES.register_module()
class DDPStrategy(SingleDeviceStrategy):
    """Train one process a device, gradients averaged by DistributedDataParallel.

    Args:
        device: Where this process's copy lives.
        model_wrapper: The wrapper's config; `find_unused_parameters`, `static_graph` and the like go here.
        **options: As for one device.
    """

    needs_group = True

    def __init__(self, device: torch.device, model_wrapper: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(device, **options)
        self.model_wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False, **(model_wrapper or {})}

    def _spread(self, model: nn.Module) -> nn.Module:
        on_gpu = self.device.type == "cuda"
        devices = dict(device_ids=[self.device.index]) if on_gpu else {}
        with config_path("model_wrapper_cfg"):
            return MODEL_WRAPPERS.build(self.model_wrapper, default_args=dict(module=super()._spread(model), **devices))


@STRATEGIES.register_module()
class FSDPStrategy(SingleDeviceStrategy):
    """Train one process a device, each with a part of the parameters, gradients and optimizer state (FSDP2).

    Between the batches of an accumulation window gradients stay in parts too, which is what saves memory.

    Args:
        device: Where this process's part lives.
        blocks: Classes or paths of modules that are gathered one at a time; they must be called as `module(x)`.
        min_params: Also gather singly the smallest members of `nn.Sequential` and `nn.ModuleList` of that size.
        reshard_after_forward: Free a block after its forward pass and gather it again for the backward pass.
        mixed_precision: `dict(param_dtype='bfloat16', reduce_dtype='float32')`, as of torch's MixedPrecisionPolicy.
        cpu_offload: Keep the parts on the CPU between uses.
        checkpoint: 'gathered' writes files in the plain layout; 'sharded' lets every rank write its parts, into a
            folder beside the file.
        **options: As for one device.

    Raises:
        ValueError: an unknown kind of checkpoint.
    """

    needs_group = True
    _may_permute = False

    def __init__(
        self,
        device: torch.device,
        blocks: Sequence[str] = (),
        min_params: int | None = None,
        reshard_after_forward: bool = True,
        mixed_precision: dict[str, Any] | None = None,
        cpu_offload: bool = False,
        checkpoint: str = "gathered",
        **options: Any,
    ) -> None:
        super().__init__(device, **options)
        if checkpoint not in ("gathered", "sharded"):
            raise ValueError(f"checkpoint is 'gathered' or 'sharded', not {checkpoint!r}")
        self.blocks, self.min_params = [blocks] if isinstance(blocks, str) else list(blocks), min_params
        self.reshard_after_forward = reshard_after_forward
        self.mixed_precision = mixed_precision
        self.cpu_offload = cpu_offload
        self.gathers = checkpoint == "gathered"
        self._unsharded: nn.Module | None = None

    def _spread(self, model: nn.Module) -> nn.Module:
        # Initialisers look at whole tensors: a copy is kept for them until they have run.
        self._unsharded = copy.deepcopy(model)
        model = model.to(self.device)
        shard(model, blocks_to_shard(model, self.blocks, self.min_params), self.device.type, **self._options())
        return model

    def _options(self) -> dict[str, Any]:
        from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy  # slow to import

        options: dict[str, Any] = {"reshard_after_forward": self.reshard_after_forward}
        if self.mixed_precision:
            named = {k: getattr(torch, v) if isinstance(v, str) else v for k, v in self.mixed_precision.items()}
            options["mp_policy"] = MixedPrecisionPolicy(**named)
        if self.cpu_offload:
            options["offload_policy"] = CPUOffloadPolicy()
        return options

    def init_weights(self, model: nn.Module) -> None:
        """Initialise whole weights, and give every rank its part of them."""
        if self._unsharded is not None:
            super().init_weights(self._unsharded)
            with loading(model):
                model.load_state_dict(self._unsharded.state_dict())
            self._unsharded = None

    def is_exact(self, optim_wrapper: OptimWrapper | OptimWrapperDict) -> bool:
        """Tell that any moment is exact: gradients in flight are in parts, which the checkpoint holds as they are."""
        return True

    def weights(self, model: nn.Module) -> dict[str, Tensor]:
        """Return the weights, whole (on rank 0) or in parts."""
        state = get_state_dict(model)
        return whole(state, keep=is_main_process()) if self.gathers else state

    def saved(self, state: Any) -> Any:
        """Return a state whole (on rank 0), or in parts."""
        return whole(state, keep=is_main_process()) if self.gathers else state

    def restored(self, state: Any, optim_wrapper: OptimWrapper | OptimWrapperDict) -> Any:
        """Return this rank's parts of a state (`{'state': {number: {...}}}`) or of gradients (`{number: tensor}`)."""
        if state is None:
            return None
        if isinstance(optim_wrapper, OptimWrapperDict):
            return {name: self.restored(one, optim_wrapper[name]) for name, one in state.items()}
        parameters = parameters_of(optim_wrapper)
        if "state" not in state:
            return {n: part_like(one, parameters[n]) for n, one in state.items()}
        by_number = {
            n: {key: part_like(value, parameters[n]) for key, value in values.items()}
            for n, values in state["state"].items()
        }
        return {**state, "state": by_number}


def choose_strategy(device: torch.device, cfg: Any) -> SingleDeviceStrategy:
    """Return the strategy that the process group and the config's top-level keys ask for.

    Args:
        device: This process's device.
        cfg: The whole config; `strategy`, `compile`, `channels_last` and `sync_bn` are read, and for DDP
            `model_wrapper_cfg`, `find_unused_parameters` and `static_graph`.

    Raises:
        ValueError: the old FSDP wrapper is asked for; says what is in its place.
    """
    options = dict(device=device, sync_bn=cfg.get("sync_bn"))
    options.update(channels_last=bool(cfg.get("channels_last")), compile=cfg.get("compile") or False)
    asked, wrapper = cfg.get("strategy"), _wrapper_options(cfg)
    if asked is None:
        asked = {"type": "DDPStrategy" if is_distributed() else "SingleDeviceStrategy"}
    if not isinstance(asked, Mapping):
        return asked
    kind = STRATEGIES.get(asked["type"]) if isinstance(asked.get("type"), str) else asked.get("type")
    if getattr(kind, "needs_group", False) and not is_distributed():
        print_log(f"{asked['type']} is for several processes: this single one trains without", "current")
        return SingleDeviceStrategy(**options)
    if kind is DDPStrategy:
        options["model_wrapper"] = {**wrapper, **(asked.get("model_wrapper") or {})}
        asked = {key: value for key, value in asked.items() if key != "model_wrapper"}
    with config_path("strategy"):
        return STRATEGIES.build(dict(asked), default_args=options)


def _wrapper_options(cfg: Any) -> dict[str, Any]:
    wrapper = dict(cfg.get("model_wrapper_cfg") or {})
    if str(wrapper.get("type", "")).endswith("FullyShardedDataParallel"):
        raise ValueError("model_wrapper_cfg: FSDP is asked for by strategy=dict(type='FSDPStrategy', min_params=...)")
    for key in ("find_unused_parameters", "static_graph"):
        if key in cfg:
            wrapper.setdefault(key, cfg[key])
    return wrapper


def _without_sync(model: nn.Module) -> nn.Module:
    found = sum(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    if found and is_distributed():
        print_log(f"{found} SyncBatchNorm layers are plain batch norms here: torch has them on GPUs only", "current")
    return revert_sync_batchnorm(model)


# ---------------------------------------------------------------------- what ranks agree on


def share_weights(model: nn.Module) -> None:
    """Give every rank the parameters and buffers of rank 0."""
    if is_distributed():
        with torch.no_grad():
            for tensor in (*model.parameters(), *model.buffers()):
                broadcast(tensor)


def average_pending(wrapper: OptimWrapper) -> None:
    """Replace the gradients of an open window, each rank's own so far, by their mean over the ranks.

    The mean of what follows is added to it at the end of the window, so the step stays the same.
    """
    pending = wrapper.pending_gradients()
    if pending is None:
        return
    parameters = parameters_of(wrapper)
    # Ranks may have met different parameters.
    for number in sorted({one for some in all_gather_object(list(pending)) for one in some}):
        parameter = parameters[number]
        if is_part(parameter.grad):  # reduced already
            continue
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        all_reduce(gradient, "mean")
        parameter.grad = gradient


def each_wrapper(optim_wrapper: OptimWrapper | OptimWrapperDict) -> Iterable[OptimWrapper]:
    """Return the wrapper, or all of several."""
    return optim_wrapper.values() if isinstance(optim_wrapper, OptimWrapperDict) else [optim_wrapper]


def parameters_of(wrapper: OptimWrapper) -> list[Tensor]:
    """Return the parameters in the order of their numbers in the optimizer's state."""
    return [parameter for group in wrapper.optimizer.param_groups for parameter in group["params"]]
