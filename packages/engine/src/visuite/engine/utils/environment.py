"""What a run runs on, for logs and bug reports; nothing that tells who or where you are."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from typing import Literal, overload

import torch

from visuite.engine.utils.inspection import package_version

_PACKAGES = {
    "TorchVision": ("torchvision",),
    "NumPy": ("numpy",),
    "OpenCV": ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"),
    "Pillow": ("pillow",),
    **{f"visuite-{name}": (f"visuite-{name}",) for name in ("engine", "cv", "cls", "det", "seg", "yolo")},
}


@overload
def collect_env(*, short: Literal[False] = False) -> dict[str, str]: ...
@overload
def collect_env(*, short: Literal[True]) -> str: ...
def collect_env(*, short: bool = False) -> dict[str, str] | str:
    """Return the versions of Python, torch and the packages that matter, and the devices.

    Args:
        short: Return one line with the most important instead.
    """
    if short:
        return f"Python {platform.python_version()}, torch {torch.__version__}, {_devices()}"
    report = {
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": sys.version.replace("\n", ""),
        "PyTorch": torch.__version__,
        "Devices": _devices(),
        "Threads": str(torch.get_num_threads()),
    }
    if torch.cuda.is_available():
        report |= {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}
    versions = {title: _first_version(names) for title, names in _PACKAGES.items()}
    return report | {title: version for title, version in versions.items() if version}


def _devices() -> str:
    if torch.cuda.is_available():
        kinds = Counter(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return "Apple GPU" if torch.backends.mps.is_available() else "CPU"


def _first_version(distributions: tuple[str, ...]) -> str | None:
    return next((version for name in distributions if (version := package_version(name))), None)
