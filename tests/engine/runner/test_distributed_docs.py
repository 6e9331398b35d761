"""What docs/distributed.md shows, is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from visuite.engine.runner import DDPStrategy, FSDPStrategy, strategy
from visuite.engine.runner.environment import ENV_KEYS

TEXT = Path(__file__).parents[3].joinpath("docs/distributed.md").read_text()


@pytest.fixture
def shown():
    """All keys that the page's snippets set."""
    names: dict = {}
    for snippet in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(compile(snippet, "docs/distributed.md", "exec"), names)
    return names


def test_strategies_take_what_the_page_shows(shown, monkeypatch):
    monkeypatch.setattr(strategy, "is_distributed", lambda: True)
    device = torch.device("cpu")
    parts = strategy.choose_strategy(device, shown | {"model_wrapper_cfg": None})
    assert isinstance(parts, FSDPStrategy)
    assert (parts.blocks, parts.min_params, parts.compile) == (["Bottleneck"], 1_000_000, shown["compile"])
    assert parts._options()["mp_policy"].param_dtype is torch.bfloat16
    copies = strategy.choose_strategy(device, shown | {"strategy": None, "static_graph": True})
    assert isinstance(copies, DDPStrategy)
    assert copies.model_wrapper["find_unused_parameters"]
    assert not copies.model_wrapper["static_graph"]  # the wrapper's own key holds
    assert copies.sync_bn == "torch"


def test_every_setting_of_the_environment_is_explained(shown):
    assert set(shown["env_cfg"]) <= set(ENV_KEYS)
    assert {"cudnn_benchmark", "allow_tf32", "matmul_precision", "torch_backends"} <= set(shown["env_cfg"])
