"""Reading a config costs no more than the reading: nothing large is imported for it."""

from __future__ import annotations

import subprocess
import sys

LARGE = ("torch", "numpy", "yaml", "rich", "fsspec", "PIL", "importlib.metadata", "multiprocessing")


def test_a_config_is_read_without_large_packages(tmp_path):
    path = tmp_path / "config.py"
    path.write_text("model = dict(type='ResNet', depth=50)\nname = f'depth {model[\"depth\"]}'\n")
    code = (
        "import sys\n"
        "from visuite.engine.config import Config\n"
        f"assert Config.fromfile({str(path)!r}).name == 'depth 50'\n"
        f"print([name for name in {LARGE} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_tools_that_need_torch_come_when_asked_for():
    code = (
        "import sys\n"
        "from visuite.engine import utils\n"
        "assert 'torch' not in sys.modules\n"
        "assert utils.collect_env.__name__ == 'collect_env' and 'torch' in sys.modules\n"
        "assert all(hasattr(utils, name) for name in utils.__all__)\n"
        "assert not hasattr(utils, 'no_such_tool')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
