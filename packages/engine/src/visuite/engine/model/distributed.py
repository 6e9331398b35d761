"""Models on several processes, with the steps that loops call."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import Any

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from visuite.engine.logging import print_log
from visuite.engine.model.base_model import OptimStep, train_step_through
from visuite.engine.registry import MODEL_WRAPPERS

_DDP_ARGUMENTS = inspect.signature(DistributedDataParallel.__init__).parameters


@MODEL_WRAPPERS.register_module()
class MMDistributedDataParallel(DistributedDataParallel):
    """torch's DDP around a `BaseModel`, whose training step goes through DDP's forward.

    Args:
        module: The model.
        detect_anomalous_params: Log, at every step, the parameters that the loss does not depend on: those that
            make DDP wait. A tool for debugging, as it walks the whole graph.
        **kwargs: Arguments of torch's DDP (`find_unused_parameters`, `static_graph`, ...).
    """

    def __init__(self, module: nn.Module, detect_anomalous_params: bool = False, **kwargs: Any) -> None:
        if "broadcast_buffers" in kwargs and "forward_sync_buffers" in _DDP_ARGUMENTS:  # what newer torch calls it
            kwargs["forward_sync_buffers"] = kwargs.pop("broadcast_buffers")
        super().__init__(module, **kwargs)
        self.detect_anomalous_params = detect_anomalous_params
        self._stepped = False

    def no_sync(self) -> Any:
        """Return a context without an exchange of gradients; torch learns a static graph from a first one with it.

        What is exchanged too early is equal on all ranks afterwards, so that its mean at the end of a window is itself.
        """
        return nullcontext() if self.static_graph and not self._stepped else super().no_sync()

    def train_step(self, data: Any, optim_wrapper: OptimStep) -> dict[str, Tensor]:
        """Take a training step; gradients are averaged over the ranks."""
        detect = (lambda loss: detect_anomalous_params(loss, self)) if self.detect_anomalous_params else None
        logged = train_step_through(self, self.module, data, optim_wrapper, before_update=detect)
        self._stepped = True
        return logged

    def val_step(self, data: Any) -> list[Any]:
        """Predict with the model inside; no communication."""
        return self.module.val_step(data)

    def test_step(self, data: Any) -> list[Any]:
        """Predict with the model inside; no communication."""
        return self.module.test_step(data)


def detect_anomalous_params(loss: Tensor, model: nn.Module) -> list[str]:
    """Log and return the names of trainable parameters that a loss does not depend on."""
    reached, stack = set(), [loss.grad_fn]
    seen = set()
    while stack:
        node: Any = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):  # where a gradient ends up in a leaf
            reached.add(id(node.variable))
        stack.extend(above for above, _ in node.next_functions)
    unused = [name for name, one in model.named_parameters() if one.requires_grad and id(one) not in reached]
    if unused:
        print_log(f"the loss does not depend on {len(unused)} parameters: {', '.join(unused)}", "current", "WARNING")
    return unused
