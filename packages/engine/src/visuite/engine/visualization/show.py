"""Showing a picture to somebody, where there is somebody."""

from __future__ import annotations

import os
import sys
import time

import numpy as np

from visuite.engine.logging import print_log


def show_picture(image: np.ndarray, title: str, wait_time: float = 0.0) -> None:
    """Show an RGB picture (H, W, 3) in the notebook that runs this, or else with the system's viewer.

    Args:
        image: The picture.
        title: The window's title.
        wait_time: Seconds to wait; 0 waits for the Enter key if a person is at the terminal.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    notebook = sys.modules.get("IPython")
    if notebook is not None and getattr(notebook.get_ipython(), "kernel", None) is not None:
        notebook.display.display(picture)
        return
    if not has_screen():
        print_log(f"no screen to show {title!r} on: write it to a file instead (out_file)", "current", level="WARNING")
        return
    picture.show(title=title)
    if wait_time > 0:
        time.sleep(wait_time)
    elif sys.stdin is not None and sys.stdin.isatty():
        input(f"{title}: press Enter to go on ")


def has_screen() -> bool:
    """Tell whether windows can open."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
