import getpass
import os
import socket

import torch

from visuite.engine.utils import collect_env


def test_the_report_names_what_matters():
    report = collect_env()
    assert report["PyTorch"] == torch.__version__
    assert {"System", "Python", "Devices", "NumPy", "visuite-engine"} <= set(report)
    assert all(isinstance(value, str) and "\n" not in value for value in report.values())
    line = collect_env(short=True)
    assert torch.__version__ in line
    assert report["Devices"] in line


def test_the_report_tells_neither_who_nor_where(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "secret-of-mine")
    text = repr(collect_env())
    for private in (os.getcwd(), os.path.expanduser("~") + "/", socket.gethostname(), "secret-of-mine"):
        assert private not in text
    assert f"/{getpass.getuser()}/" not in text
