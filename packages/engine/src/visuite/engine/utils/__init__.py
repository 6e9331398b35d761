"""Small tools that every package uses.

What needs torch is imported when it is first asked for, so that a config is read without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from visuite.engine.utils.inspection import (
    get_installed_path,
    get_object_from_string,
    has_method,
    is_installed,
    is_method_overridden,
    package_version,
)
from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.path import check_file_exist, is_filepath, mkdir_or_exist, scandir, symlink
from visuite.engine.utils.progress import (
    ProgressBar,
    track_iter_progress,
    track_parallel_progress,
    track_progress,
    track_progress_rich,
)
from visuite.engine.utils.sequences import (
    apply_to,
    concat_list,
    is_list_of,
    is_seq_of,
    is_str,
    is_tuple_of,
    iter_cast,
    list_cast,
    slice_list,
    to_1tuple,
    to_2tuple,
    to_3tuple,
    to_4tuple,
    to_ntuple,
    tuple_cast,
)
from visuite.engine.utils.text import did_you_mean, nearest
from visuite.engine.utils.timer import Timer, TimerError, check_time
from visuite.engine.utils.version import digit_version, get_git_hash

if TYPE_CHECKING:
    from visuite.engine.utils.environment import collect_env
    from visuite.engine.utils.processes import set_multi_processing
    from visuite.engine.utils.tensor_images import tensor2imgs

__all__ = [
    "ManagerMixin",
    "ProgressBar",
    "Timer",
    "TimerError",
    "apply_to",
    "check_file_exist",
    "check_time",
    "collect_env",
    "concat_list",
    "did_you_mean",
    "digit_version",
    "get_git_hash",
    "get_installed_path",
    "get_object_from_string",
    "has_method",
    "is_filepath",
    "is_installed",
    "is_list_of",
    "is_method_overridden",
    "is_seq_of",
    "is_str",
    "is_tuple_of",
    "iter_cast",
    "list_cast",
    "mkdir_or_exist",
    "nearest",
    "package_version",
    "scandir",
    "set_multi_processing",
    "slice_list",
    "symlink",
    "tensor2imgs",
    "to_1tuple",
    "to_2tuple",
    "to_3tuple",
    "to_4tuple",
    "to_ntuple",
    "track_iter_progress",
    "track_parallel_progress",
    "track_progress",
    "track_progress_rich",
    "tuple_cast",
]

_WITH_TORCH = {"collect_env": "environment", "set_multi_processing": "processes", "tensor2imgs": "tensor_images"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
