"""Two ranks over gloo do what one process does."""

from __future__ import annotations

import pickle
import time

import pytest
import torch

from tests.engine.runner import ranks
from tests.engine.runner.ranks import kept, losses_of, plain_config, plain_weights, run_ranks
from tests.engine.runner.toy import assert_same_bits
from visuite.engine.model import CheckpointError
from visuite.engine.runner import Runner


def test_two_ranks_train_as_one_with_the_doubled_batch(tmp_path):
    run_ranks(ranks.train_with_ddp, str(tmp_path))
    one, other = kept(tmp_path)
    runner, losses = losses_of(plain_config(tmp_path / "one", batch_size=8))
    mean = [(a + b) / 2 for a, b in zip(one["losses"], other["losses"], strict=True)]
    assert mean == pytest.approx(losses, rel=1e-4)
    assert one["losses"] != other["losses"]
    assert_same_bits(one["weights"], other["weights"])
    torch.testing.assert_close(one["weights"], plain_weights(runner), rtol=1e-4, atol=1e-5)
    # Windows of 4 batches: 30 iterations in all, the last window has 2.
    assert one["reductions"] == 8
    assert_same_bits(one["windows"], other["windows"])
    # Where ranks have seeds of their own, the weights begin equal all the same.
    assert_same_bits(one["begin"], other["begin"])
    assert one["norm"] == "AnyDimBatchNorm"  # torch has no SyncBN on CPUs


@pytest.mark.slow
def test_ranks_that_use_other_parameters_train(tmp_path):
    run_ranks(ranks.train_with_unused_parameters, str(tmp_path), True)
    one, other = kept(tmp_path)
    assert_same_bits(one["weights"], other["weights"])
    # A static graph, too, is reduced once in a window, and in the first pass, from which torch learns it.
    assert one["reductions"] == 9
    torch.testing.assert_close(one["graph"], one["plain"])
    with pytest.raises(Exception, match="find_unused_parameters=True"):
        run_ranks(ranks.train_with_unused_parameters, str(tmp_path), False)


def test_metrics_count_each_sample_once(tmp_path):
    lengths = [1, 2, 3, 8, 13]
    run_ranks(ranks.validate_any_length, str(tmp_path), lengths)
    one, other = kept(tmp_path)
    assert one == other
    for length in lengths:
        cfg = plain_config(tmp_path / "one")
        cfg["val_dataloader"] = {**cfg["val_dataloader"], "dataset": dict(type="ToyData", size=length)}
        assert one["metrics"][length] == Runner.from_cfg(cfg).val()
        assert one["metrics"][length]["toy/count"] == length


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [None, dict(type="FSDPStrategy", min_params=20)], ids=["ddp", "fsdp"])
def test_resuming_gives_the_same_bits(tmp_path, strategy):
    run_ranks(ranks.stop_and_resume, str(tmp_path), strategy)  # in the middle of a window
    one, other = kept(tmp_path)
    for rank in (one, other):
        assert rank["same"]
        assert rank["rest"] == 8
        assert_same_bits(rank["resumed"], rank["whole"])


@pytest.mark.slow
def test_a_signal_inside_a_window_changes_no_bit(tmp_path):
    run_ranks(ranks.preempt_in_a_window, str(tmp_path))
    checkpoint = torch.load(tmp_path / "parts/preempted.pth", weights_only=True)
    assert checkpoint["meta"]["iter"] == 8  # of windows of 4; rank 1 was asked in the sixth iteration
    assert checkpoint["gradients"] is None
    one, other = kept(tmp_path)
    for rank in (one, other):  # against a run that never saved anything
        assert rank["same"]
        assert rank["rest"] == 7
        assert_same_bits(rank["trained_again"], rank["trained"])
        assert_same_bits(rank["validated_again"], rank["validated"])
        assert rank["scores"][0] == rank["scores"][1]
    assert_same_bits(one["validated"], other["validated"])  # statistics too: one model is validated


@pytest.mark.slow
def test_another_number_of_ranks_goes_on_under_the_policy(tmp_path):
    losses_of(plain_config(tmp_path / "one", batch_size=2))  # 10 iterations an epoch
    path = str(tmp_path / "one/epoch_1.pth")
    run_ranks(ranks.go_on, str(tmp_path), path)
    for rank in kept(tmp_path):
        assert rank["iter"] == 9  # 3 epochs of 20 samples, 4 on each of 2 ranks
        assert len(rank["losses"]) == 6
    log = "".join(path.read_text() for path in tmp_path.glob("on/*/*.log"))
    assert "world_size: 1 -> 2" in log
    assert "batch_size: 2 -> 8" in log
    assert "the optimizer keeps its moments" in log
    runner, losses = losses_of(
        plain_config(tmp_path / "back", batch_size=4, load_from=str(tmp_path / "on/epoch_2.pth"), resume=True)
    )
    assert (runner.iter, len(losses)) == (15, 5)
    assert "world_size: 2 -> 1" in "".join(path.read_text() for path in tmp_path.glob("back/*/*.log"))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        pytest.param("raises", "LookupError: the third batch of rank 1", marks=pytest.mark.slow),
        pytest.param("blocked", "LookupError: the third batch of rank 1", marks=pytest.mark.slow),
        ("metric", "ZeroDivisionError: no area under the curve"),
    ],
)
def test_a_failing_rank_ends_all_with_its_traceback(tmp_path, how, message):
    # "blocked" waits as in a collective that nobody breaks off, deaf to SIGTERM: whoever waits for it would need 30 s.
    begin = time.monotonic()
    with pytest.raises(Exception, match=r"(?s)Process . terminated") as caught:
        run_ranks(ranks.fail_in_one_rank, str(tmp_path), how)
    assert time.monotonic() - begin < 30
    assert message in str(caught.value)


@pytest.mark.slow
def test_fsdp_trains_as_ddp_and_its_checkpoints_are_plain(tmp_path):
    run_ranks(ranks.train_with_fsdp_and_ddp, str(tmp_path), dict(blocks=["Linear"]))
    one, other = kept(tmp_path)
    for rank in (one, other):
        assert rank["fsdp"]["losses"] == pytest.approx(rank["ddp"]["losses"], rel=1e-5)
        torch.testing.assert_close(rank["fsdp"]["weights"], rank["ddp"]["weights"])
    assert one["parts"][:2] == [[4, 4], [4]]  # half of [8, 4] and [8]
    assert one["metrics"] == other["metrics"]
    parts, copies = (torch.load(tmp_path / f"{name}/epoch_2.pth", weights_only=True) for name in ("fsdp", "ddp"))
    assert parts.keys() == copies.keys()
    for name in ("state_dict", "optimizer"):
        torch.testing.assert_close(parts[name], copies[name])
    # One process goes on from it as from any other.
    adam = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.05), clip_grad=dict(max_norm=0.5))
    path = str(tmp_path / "fsdp/epoch_2.pth")
    alone, losses = losses_of(
        plain_config(tmp_path / "on", batch_size=8, optim_wrapper=adam, load_from=path, resume=True)
    )
    mean = [(a + b) / 2 for a, b in zip(one["fsdp"]["losses"], other["fsdp"]["losses"], strict=True)]
    assert losses == pytest.approx(mean[-3:], rel=1e-4)
    torch.testing.assert_close(plain_weights(alone), one["fsdp"]["weights"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_sharded_checkpoints_go_on_on_any_number_of_ranks(tmp_path):
    strategy = dict(type="FSDPStrategy", min_params=20, checkpoint="sharded")
    run_ranks(ranks.stop_and_resume, str(tmp_path), strategy)
    for rank in kept(tmp_path):
        assert rank["same"]
        assert_same_bits(rank["resumed"], rank["whole"])
    folder = tmp_path / "parts"
    files = sorted(path.name for path in folder.glob("*.pth"))
    assert files == ["iter_14.pth", "iter_15.pth"]
    assert sorted(path.name[:11] for path in folder.glob("*.shards")) == files  # none is left of older ones
    saved = torch.load(folder / "iter_15.pth", weights_only=True)
    assert "net.0.weight" not in saved["state_dict"]
    runner = Runner.from_cfg(plain_config(tmp_path / "one", load_from=str(folder / "iter_15.pth")))
    runner.load_or_resume()
    assert_same_bits(plain_weights(runner), rank["whole"])
    index = next(folder.glob("iter_15*.shards")) / ".metadata"
    index.write_bytes(pickle.dumps(print))
    with pytest.raises(CheckpointError, match=r"builtins\.print, which could run code"):
        Runner.from_cfg(plain_config(tmp_path / "bad", load_from=str(folder / "iter_15.pth"))).load_or_resume()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("average", "checkpoint"),
    [
        (dict(momentum=0.1, update_buffers=True), "gathered"),
        (dict(ema_type="StochasticWeightAverage", interval=2), "sharded"),
        (dict(ema_type="ExpMomentumEMA", gamma=5, begin_iter=3), "sharded"),
    ],
    ids=["moving", "mean", "ramped"],
)
def test_an_average_lies_in_parts_like_its_model(tmp_path, average, checkpoint):
    run_ranks(ranks.average_in_parts, str(tmp_path), average, checkpoint)
    one, other = kept(tmp_path)
    for rank in (one, other):
        torch.testing.assert_close(rank["whole_average"], rank["ddp_average"])
        assert rank["same"]
        assert_same_bits(rank["resumed_trained"], rank["whole_trained"])
        assert_same_bits(rank["resumed_average"], rank["whole_average"])
    assert one["shapes"][:2] == [[4, 4], [4]]  # half of [8, 4] and [8]
    # What was validated is what is published, and what one process gets from the file.
    assert_same_bits(one["validated"], other["validated"])
    assert not torch.equal(one["validated"]["net.0.weight"], one["whole_trained"]["net.0.weight"])
    path = tmp_path / "whole/iter_9.pth"
    runner = Runner.from_cfg(plain_config(tmp_path / "one", model=dict(type="ToyNet"), load_from=str(path)))
    runner.load_or_resume()
    assert_same_bits(plain_weights(runner), one["validated"])
    published = torch.load(next(path.parent.glob("iter_9-*.pth")), weights_only=True)["state_dict"]
    assert_same_bits(published, one["validated"])
    kept_weights = runner.checkpointer.read(str(path), ["ema_state_dict"])["ema_state_dict"]
    assert kept_weights.pop("steps") == (7 if "begin_iter" in average else 9)
    trained = {name.removeprefix("module."): value for name, value in kept_weights.items()}
    assert_same_bits(trained, one["whole_trained"])
