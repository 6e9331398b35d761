"""From a trained YOLO to one that only predicts, with fewer layers and the same numbers."""

from __future__ import annotations

from torch import nn

from visuite.cv.layers import fuse_conv_bn, switch_to_deploy


def deploy(model: nn.Module) -> nn.Module:
    """Return the model, changed for good: branches become one convolution each, and no batch norm stands behind one.

    Features stay the same but for rounding. The model is in evaluation mode, and has nothing left to train.

    Args:
        model: A detector, or a part of one.
    """
    return fuse_conv_bn(switch_to_deploy(model.eval())).requires_grad_(False)
