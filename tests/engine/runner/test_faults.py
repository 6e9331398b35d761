"""What goes wrong around a run, and what is left afterwards."""

from __future__ import annotations

import errno
import io

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from tests.engine.runner.test_resume import run_config
from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.engine.dataset import BaseDataset, SampleError
from visuite.engine.hooks import Hook
from visuite.engine.registry import DATASETS
from visuite.engine.runner import Runner


class DiskFills(Hook):
    """Let the disk be full from an iteration on: a write beyond the first kilobyte fails."""

    priority = "HIGHEST"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, iteration: int) -> None:
        self.monkeypatch, self.iteration = monkeypatch, iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter != self.iteration:
            return
        plain_save = torch.save

        def save(obj, file, *args, **kwargs):
            content = io.BytesIO()
            plain_save(obj, content, *args, **kwargs)
            file.write(content.getvalue()[:1024])
            raise OSError(errno.ENOSPC, "No space left on device")

        self.monkeypatch.setattr(torch, "save", save)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    never_stopped = weights(Runner.from_cfg(run_config(tmp_path / "whole")).train())
    work = tmp_path / "parts"
    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"No space left on device.*iter_8\.pth"):
        Runner.from_cfg(run_config(work, custom_hooks=[DiskFills(patch, 7)])).train()
    assert sorted(path.name for path in work.glob("*.pth")) == [f"iter_{i}.pth" for i in range(1, 8)]
    assert not list(work.glob(".*"))  # nothing half-written is left
    resumed = Runner.from_cfg(run_config(work, resume=True))
    assert resumed.resume_from.endswith("iter_7.pth")
    assert_same_bits(weights(resumed.train()), never_stopped)


@DATASETS.register_module(force=True)
class BrokenAt(BaseDataset):
    """Files of which one cannot be read."""

    def load_data_list(self):
        return [dict(img_path=f"images/{i}.jpg") for i in range(20)]

    def prepare_data(self, index):
        if index == 13:
            raise ValueError("not a picture")
        return torch.zeros(4), 0


@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_that_fails_names_the_sample(tmp_path, workers):
    cfg = config(tmp_path)
    cfg["train_dataloader"] = {
        **cfg["train_dataloader"], "dataset": dict(type="BrokenAt"), "num_workers": workers,
    }  # fmt: skip
    with pytest.raises(RuntimeError) as caught:
        Runner.from_cfg(cfg).train()
    for part in ("BrokenAt", "13", "images/13.jpg", "not a picture"):
        assert part in str(caught.value)


class Unread(Exception):
    """Its constructor takes what no message gives."""

    def __init__(self, code: int, *, path: str) -> None:
        super().__init__(f"{path}: code {code}")


@DATASETS.register_module(force=True)
class OthersBrokenAt(Dataset):
    """Somebody else's data set, which knows nothing of ours."""

    samples = [(f"images/{i}.jpg", 0) for i in range(20)]

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index == 13:
            raise Unread(3, path="header")
        return torch.zeros(4), 0


class StreamBrokenAt(IterableDataset):
    def __len__(self):
        return 20

    def __iter__(self):
        return (OthersBrokenAt()[i] for i in range(20))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", ["config", "loader", "stream"])
@pytest.mark.parametrize("verb", ["train", "val"])
def test_so_do_data_sets_of_others(tmp_path, kind, workers, verb):
    loader = config(tmp_path)["train_dataloader"]
    given = {
        "config": {**loader, "dataset": dict(type="OthersBrokenAt"), "num_workers": workers},
        "loader": DataLoader(OthersBrokenAt(), batch_size=4, num_workers=workers),
        "stream": DataLoader(StreamBrokenAt(), batch_size=4, num_workers=workers),
    }
    with pytest.raises(SampleError) as caught:
        getattr(Runner.from_cfg(config(tmp_path, **{f"{verb}_dataloader": given[kind]})), verb)()
    wanted = "sample 13 of the stream" if kind == "stream" else "sample 13 of OthersBrokenAt (path='images/13.jpg')"
    for part in (wanted, "Unread: header: code 3"):
        assert part in str(caught.value)


def test_a_stream_in_a_config_is_an_error_that_says_what_to_do(tmp_path):
    cfg = config(tmp_path)
    DATASETS.register_module(name="StreamBrokenAt", module=StreamBrokenAt, force=True)
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "dataset": dict(type="StreamBrokenAt")}
    with pytest.raises(ValueError, match=r"StreamBrokenAt .*no indices.*hand a DataLoader of it to Runner"):
        Runner.from_cfg(cfg).train()


def test_a_schedule_that_ends_early_holds_its_last_value(tmp_path):
    rates = []

    class Rates(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            rates.append(runner.optim_wrapper.get_lr()["lr"][0])

    schedule = dict(type="LinearLR", start_factor=1.0, end_factor=0.5, by_epoch=False, begin=0, end=4)
    Runner.from_cfg(config(tmp_path, custom_hooks=[Rates()], param_scheduler=schedule)).train()
    assert rates[0] == pytest.approx(0.1)
    assert rates[3:] == pytest.approx([0.05] * 12)


def test_an_empty_training_set_is_an_error(tmp_path):
    cfg = config(tmp_path, train_cfg=dict(by_epoch=False, max_iters=3), param_scheduler=None)
    cfg["train_dataloader"] = {**cfg["train_dataloader"], "drop_last": True, "batch_size": 64}
    with pytest.raises(ValueError, match="no batch: the data set is empty, or smaller than a batch with drop_last"):
        Runner.from_cfg(cfg).train()
