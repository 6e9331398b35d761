"""Switches that make runs faster change nothing but the speed."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from tests.engine.runner.ranks import Losses, losses_of, plain_config, plain_weights
from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import ToyNet, assert_same_bits
from visuite.engine.model import BaseModel
from visuite.engine.registry import DATASETS, MODELS, BadValueError
from visuite.engine.runner import Runner
from visuite.engine.runner.environment import setup_environment

COMPILED: list[torch.fx.GraphModule] = []


def counting(graph, inputs):
    """A compiler that runs graphs as they are, and remembers them."""
    COMPILED.append(graph)
    return graph.forward


@MODELS.register_module()
class LayoutNet(BaseModel):
    """A convolution that remembers how its input lay in memory, with a loss of half precision under AMP."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.layouts: set[bool] = set()
        self.dtypes: set[torch.dtype] = set()

    def forward(self, inputs, labels, mode="tensor"):
        self.layouts.add(inputs.is_contiguous(memory_format=torch.channels_last))
        scores = self.conv(inputs).mean((2, 3))
        self.dtypes.add(scores.dtype)
        return {"loss": (scores.sum(1) - labels).abs().mean()} if mode == "loss" else list(scores)


@DATASETS.register_module()
class SmallImages:
    """Eight images of noise."""

    metainfo: dict = {}

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.randn(3, 6, 5), index % 2


def image_config(folder, **changes):
    loader = dict(batch_size=4, dataset=dict(type="SmallImages"), sampler=dict(type="DefaultSampler", shuffle=True))
    return plain_config(
        folder,
        model=dict(type="LayoutNet"),
        train_dataloader={**loader, "collate_fn": dict(type="default_collate")},
        **dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator")),
        **changes,
    )


@pytest.mark.parametrize(
    "switch",
    [dict(backend=counting), dict(backend="aot_eager", dynamic=True), pytest.param(True, marks=pytest.mark.slow)],
)
def test_training_and_validation_run_compiled_under_the_same_names(tmp_path, switch):
    torch.compiler.reset()
    COMPILED.clear()
    plain, losses = losses_of(plain_config(tmp_path / "plain"))
    runner, compiled = losses_of(plain_config(tmp_path / "fast", compile=switch))
    assert compiled == pytest.approx(losses, rel=1e-5)
    torch.testing.assert_close(plain_weights(runner), plain_weights(plain), rtol=1e-4, atol=1e-5)
    assert list(runner.model.state_dict()) == list(plain.model.state_dict())
    if switch == dict(backend=counting):
        kinds = [str(graph.graph) for graph in COMPILED]
        assert any("cross_entropy" in kind for kind in kinds)
        assert any("cross_entropy" not in kind for kind in kinds)  # the validation's


def test_another_method_can_be_compiled(tmp_path):
    torch.compiler.reset()
    COMPILED.clear()
    runner = Runner.from_cfg(plain_config(tmp_path, compile=dict(backend=counting, target="parse_losses")))
    runner.train()
    assert COMPILED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(target="forwardd"), "compile.target: PlainNet has no method 'forwardd'; did you mean 'forward'"),
        (dict(bakend="inductor"), "compile: torch.compile has no argument 'bakend'; did you mean 'backend'"),
        (dict(backend="inducto"), "compile.backend: torch has no backend 'inducto'; did you mean 'inductor'"),
    ],
)
def test_what_cannot_be_compiled_is_told_before_training(tmp_path, options, message):
    with pytest.raises(BadValueError, match=message):
        _ = Runner.from_cfg(plain_config(tmp_path, compile=options)).model


def test_channels_last(tmp_path):
    plain, losses = losses_of(image_config(tmp_path / "plain"))
    runner, other = losses_of(image_config(tmp_path / "fast", channels_last=True))
    assert (plain.model.layouts, runner.model.layouts) == ({False}, {True})
    assert runner.model.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert other == pytest.approx(losses, rel=1e-5)
    plain.load_checkpoint(str(tmp_path / "fast/epoch_3.pth"), strict=True)
    assert plain.model.conv.weight.is_contiguous()  # a checkpoint brings values, and no layout


def test_losses_and_parameters_stay_in_float32_under_amp(tmp_path):
    amp = dict(type="AmpOptimWrapper", dtype="bfloat16", optimizer=dict(type="SGD", lr=0.01))

    class Types(Losses):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            self.seen.append(outputs["loss"].dtype)

    types = Types()
    runner, _ = losses_of(image_config(tmp_path, optim_wrapper=amp), types)
    assert runner.model.dtypes == {torch.bfloat16}
    assert set(types.seen) == {torch.float32}
    assert {one.dtype for one in runner.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("switch", ["fused", "foreach"])
def test_optimizers_take_their_fast_forms(tmp_path, switch):
    def optim(**switches):
        adam = dict(type="AdamW", lr=0.05, **switches)
        return dict(optim_wrapper=dict(optimizer=adam, paramwise_cfg=dict(bias_decay_mult=0)))

    _, losses = losses_of(plain_config(tmp_path / "plain", **optim(foreach=False)))
    runner, fast = losses_of(plain_config(tmp_path / "fast", **optim(**{switch: True})))
    assert all(group[switch] is True for group in runner.optim_wrapper.optimizer.param_groups)
    assert fast == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("stop", [3, 4])
def test_all_switches_together_resume_with_the_same_bits(tmp_path, stop):
    adam = dict(type="AdamW", lr=0.01, fused=True)
    scale = dict(init_scale=64.0, growth_interval=2)
    amp = dict(type="AmpOptimWrapper", dtype="float16", loss_scale=scale, optimizer=adam, accumulative_counts=2)

    def switched(folder, *hooks, **changes):
        average = dict(type="EMAHook", momentum=0.1, update_buffers=True)
        checkpoint = dict(type="CheckpointHook", interval=1, by_epoch=False)
        cfg = image_config(tmp_path / folder, optim_wrapper={**amp, "clip_grad": dict(max_norm=0.5)}, **changes)
        switches = dict(compile=dict(backend="aot_eager"), channels_last=True)
        return {**cfg, **switches, "custom_hooks": [average, *hooks], "default_hooks": dict(checkpoint=checkpoint)}

    torch.compiler.reset()
    whole = Runner.from_cfg(switched("whole"))
    whole.train()
    with pytest.raises(Stop):
        Runner.from_cfg(switched("parts", StopAt(stop))).train()
    resumed = Runner.from_cfg(switched("parts", resume=True))
    resumed.train()
    assert resumed.optim_wrapper.loss_scaler.state_dict() == whole.optim_wrapper.loss_scaler.state_dict()
    assert resumed.model.dtypes == {torch.float16}
    one, other = (torch.load(tmp_path / folder / "iter_6.pth", weights_only=True) for folder in ("whole", "parts"))
    for key in ("state_dict", "ema_state_dict"):
        assert all(value.isfinite().all() for value in one[key].values())
        assert_same_bits(one[key], other[key])


@pytest.fixture
def backends():
    """Put back what a test sets for the whole process."""
    kept = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic)
    matmul = torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    yield
    torch.set_float32_matmul_precision(kept[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = kept[1:]
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = matmul
    torch.backends.cudnn.benchmark = False


@pytest.mark.usefixtures("backends")
def test_backends_are_set_from_env_cfg():
    nested = dict(cudnn=dict(deterministic=True), cuda=dict(matmul=dict(allow_fp16_reduced_precision_reduction=False)))
    setup_environment(dict(cudnn_benchmark=True, allow_tf32=True, torch_backends=nested), "none")
    assert torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic
    assert torch.backends.cudnn.allow_tf32
    assert torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    setup_environment(dict(allow_tf32=False), "none")
    assert not torch.backends.cuda.matmul.allow_tf32
    setup_environment(dict(matmul_precision="high"), "none")
    assert torch.get_float32_matmul_precision() == "high"


@pytest.mark.usefixtures("backends")
def test_what_torch_sets_by_functions_is_set_too():
    before = torch.backends.cuda.math_sdp_enabled()
    try:
        setup_environment(dict(torch_backends=dict(cuda=dict(enable_math_sdp=not before))), "none")
        assert torch.backends.cuda.math_sdp_enabled() != before
        assert callable(torch.backends.cuda.enable_math_sdp)
    finally:
        torch.backends.cuda.enable_math_sdp(before)
    for bad in (dict(cudnn=True), dict(cuda=dict(is_built=True))):
        with pytest.raises(BadValueError, match="nothing that could be set to True"):
            setup_environment(dict(torch_backends=bad), "none")


@pytest.mark.usefixtures("backends")
def test_unknown_settings_are_named():
    with pytest.raises(ValueError, match=r"env_cfg.torch_backends.cudnn: torch has no 'benchmrk'.*'benchmark'"):
        setup_environment(dict(torch_backends=dict(cudnn=dict(benchmrk=True))), "none")
    with pytest.warns(UserWarning, match="nobody reads 'cudnn_bench'; did you mean 'cudnn_benchmark'"):
        setup_environment(dict(cudnn_bench=True), "none")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        setup_environment(dict(cudnn_benchmark=False, mp_cfg=dict(mp_start_method=None)), "none")


def test_one_process_needs_no_strategy_for_many(tmp_path):
    runner = Runner.from_cfg(plain_config(tmp_path, strategy=dict(type="FSDPStrategy", min_params=10)))
    assert type(runner.model) is MODELS.get("PlainNet")
    assert issubclass(MODELS.get("PlainNet"), ToyNet)
    old = plain_config(tmp_path, model_wrapper_cfg=dict(type="MMFullyShardedDataParallel"))
    with pytest.raises(ValueError, match="strategy=dict"):
        _ = Runner.from_cfg(old).strategy
