"""The documented place of what concerns torch; each lives in a file named after it."""

import torch

from visuite.engine.utils.environment import collect_env
from visuite.engine.utils.processes import set_multi_processing
from visuite.engine.utils.tensor_images import tensor2imgs

TORCH_VERSION = torch.__version__

__all__ = ["TORCH_VERSION", "collect_env", "set_multi_processing", "tensor2imgs"]
