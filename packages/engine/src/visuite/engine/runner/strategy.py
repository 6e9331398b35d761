"""Where a model lives: one device, or one process a device with DistributedDataParallel."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from visuite.engine.dist import is_distributed
from visuite.engine.model import convert_sync_batchnorm, is_model_wrapper, revert_sync_batchnorm
from visuite.engine.registry import MODEL_WRAPPERS, STRATEGIES, config_path


@STRATEGIES.register_module()
class SingleDeviceStrategy:
    """Train on one device.

    Args:
        device: Where the model lives.
        sync_bn: Turn batch norms into `'torch'` synchronised ones where there are several ranks.
    """

    def __init__(self, device: torch.device, sync_bn: str | None = None) -> None:
        self.device = device
        self.sync_bn = sync_bn

    def place(self, model: nn.Module) -> nn.Module:
        """Move a built model to where it trains and return what the run shall call."""
        if is_model_wrapper(model):
            return model
        if self.sync_bn is not None and is_distributed():
            model = convert_sync_batchnorm(model, self.sync_bn)
        if self.device.type == "cpu":  # torch's SyncBatchNorm has no CPU kernel
            model = revert_sync_batchnorm(model)
        return self._wrap(model.to(self.device))

    def _wrap(self, model: nn.Module) -> nn.Module:
        return model


@STRATEGIES.register_module()
class DDPStrategy(SingleDeviceStrategy):
    """Train one process a device, gradients averaged by DistributedDataParallel.

    Args:
        device: Where this process's copy lives.
        sync_bn: As for one device.
        model_wrapper: The wrapper's config; `find_unused_parameters` and the like go here.
    """

    def __init__(
        self, device: torch.device, sync_bn: str | None = None, model_wrapper: dict[str, Any] | None = None
    ) -> None:
        super().__init__(device, sync_bn)
        self.model_wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False, **(model_wrapper or {})}

    def _wrap(self, model: nn.Module) -> nn.Module:
        on_gpu = self.device.type == "cuda"
        devices = dict(device_ids=[self.device.index]) if on_gpu else {}
        with config_path("model_wrapper_cfg"):
            return MODEL_WRAPPERS.build(self.model_wrapper, default_args=dict(module=model, **devices))


def choose_strategy(device: torch.device, cfg: Any) -> SingleDeviceStrategy:
    """Return the strategy that the process group and the config's top-level keys ask for.

    Args:
        device: This process's device.
        cfg: The whole config; `model_wrapper_cfg`, `find_unused_parameters` and `sync_bn` are read.
    """
    if not is_distributed():
        return SingleDeviceStrategy(device, cfg.get("sync_bn"))
    wrapper = dict(cfg.get("model_wrapper_cfg") or {})
    if "find_unused_parameters" in cfg:
        wrapper.setdefault("find_unused_parameters", cfg["find_unused_parameters"])
    return DDPStrategy(device, cfg.get("sync_bn"), wrapper)
