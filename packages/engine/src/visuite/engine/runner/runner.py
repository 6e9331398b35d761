"""The run: parts, built once when first used, and verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from visuite.engine.config import Config
from visuite.engine.dataset.feed import restart_workers
from visuite.engine.dist import get_dist_info, is_distributed, is_main_process
from visuite.engine.fileio import join_path
from visuite.engine.hooks import Hook, HookList
from visuite.engine.logging import MessageHub, MMLogger, print_log
from visuite.engine.model import unwrap_model
from visuite.engine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from visuite.engine.registry import (
    LOG_PROCESSORS,
    MODELS,
    RUNNERS,
    DefaultScope,
    config_path,
    init_default_scope,
)
from visuite.engine.runner.build import (
    build_dataloader,
    build_evaluator,
    build_loop,
    build_param_schedulers,
    build_train_loop,
    build_visualizer,
    scale_lr,
)
from visuite.engine.runner.checkpointer import Checkpointer
from visuite.engine.runner.environment import (
    OwnGenerators,
    claim_log_dir,
    run_device,
    set_randomness,
    setup_environment,
    unique_name,
)
from visuite.engine.runner.failure import ends_together
from visuite.engine.runner.log_processor import LogProcessor
from visuite.engine.runner.plan import Plan, hyper_parameters
from visuite.engine.runner.spec import RunnerSpec
from visuite.engine.runner.strategy import SingleDeviceStrategy, choose_strategy
from visuite.engine.utils.environment import collect_env
from visuite.engine.visualization import Visualizer


def part(build: Callable[[Runner], Any]) -> Any:
    """Make a property of a part that is built once, on first use, with the run's own randomness and logger."""

    @wraps(build)
    def built(runner: Runner) -> Any:
        with runner._current():
            return build(runner)

    return cached_property(built)


def _of_loop(mode: str, name: str, doc: str) -> Any:
    """Make a property that is the loop's of that mode."""
    return property(lambda self: getattr(getattr(self, f"{mode}_loop"), name), doc=doc)


@RUNNERS.register_module()
class Runner:
    """Train, validate and test a model.

    Every argument is a config or a ready-made object. What a verb needs is built when it is first
    needed, in a fixed order; see `RunnerSpec` for how the arguments depend on each other.

    Args:
        model: A model, or its config.
        work_dir: Where logs, checkpoints and pictures go.
        train_dataloader, val_dataloader, test_dataloader: The data.
        train_cfg: `dict(by_epoch=True, max_epochs=...)`, `dict(by_epoch=False, max_iters=...)` or `dict(type=...)`.
        val_cfg, test_cfg: Loop configs; `dict()` is the plain loop.
        auto_scale_lr: `dict(enable=True, base_batch_size=...)` scales learning rates with the batch size.
        optim_wrapper: The optimizer and how it is stepped.
        param_scheduler: A scheduler config or a list.
        val_evaluator, test_evaluator: Metrics.
        default_hooks: Replaces default hooks by key; None removes one.
        custom_hooks: Further hooks.
        data_preprocessor: Used where the model's config has none.
        load_from: A checkpoint to start from, or with `resume` to continue.
        resume: Continue from `load_from`, or from the newest good checkpoint in `work_dir`.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        env_cfg: `cudnn_benchmark`, `mp_cfg`, `dist_cfg`.
        log_processor, log_level, visualizer: How the run tells of itself.
        default_scope: The scope of unprefixed names.
        randomness: `dict(seed=None, diff_rank_seed=False, deterministic=False)`.
        experiment_name: By default the config file's name; the start time is added.
        cfg: The whole config, kept in checkpoints and shown to trackers.
    """

    def __init__(
        self,
        model: nn.Module | dict[str, Any],
        work_dir: str,
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        test_dataloader: Any = None,
        train_cfg: Any = None,
        val_cfg: Any = None,
        test_cfg: Any = None,
        auto_scale_lr: dict[str, Any] | None = None,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        val_evaluator: Any = None,
        test_evaluator: Any = None,
        default_hooks: dict[str, Any] | None = None,
        custom_hooks: list[Any] | None = None,
        data_preprocessor: Any = None,
        load_from: str | None = None,
        resume: bool | str = False,
        launcher: str = "none",
        env_cfg: dict[str, Any] | None = None,
        log_processor: Any = None,
        log_level: str | int = "INFO",
        visualizer: Any = None,
        default_scope: str = "engine",
        randomness: dict[str, Any] | None = None,
        experiment_name: str | None = None,
        cfg: dict[str, Any] | Config | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self._start(RunnerSpec(**{**given, "env_cfg": env_cfg or {}, "randomness": randomness or {}}))

    @classmethod
    def from_cfg(cls, cfg: dict[str, Any] | Config) -> Self:
        """Make a run from a whole config."""
        if isinstance(cfg, Config):
            cfg.import_custom_modules()
        return cls(**vars(RunnerSpec.from_cfg(cfg)))

    def _start(self, spec: RunnerSpec) -> None:
        """Set up the process and what others write to while the parts are built."""
        self.spec = spec
        self.cfg = spec.cfg if isinstance(spec.cfg, Config) else Config(dict(spec.cfg or {}))
        self.launcher = spec.launcher
        setup_environment(spec.env_cfg, spec.launcher)
        self.rank, self.world_size = get_dist_info()
        self.distributed = is_distributed()
        self._inside = False
        self._generators = OwnGenerators()
        self.seed_was_given = spec.randomness.get("seed") is not None
        self.set_randomness(**{"seed": None, **spec.randomness})
        self.work_dir = str(Path(spec.work_dir).expanduser().absolute())
        self.log_dir = claim_log_dir(self.work_dir)
        self.timestamp = Path(self.log_dir).name
        name = spec.experiment_name or (Path(self.cfg.filename).stem if self.cfg.filename else "run")
        self.experiment_name = unique_name(f"{name}_{self.timestamp}", MessageHub)
        init_default_scope(spec.default_scope)
        self.default_scope = DefaultScope.get_instance(self.experiment_name, scope_name=spec.default_scope)
        log_file = str(Path(self.log_dir, f"{self.timestamp}.log"))
        self.logger = MMLogger.get_instance(self.experiment_name, log_level=spec.log_level, log_file=log_file)
        self.message_hub = MessageHub.get_instance(self.experiment_name)
        self.checkpointer = Checkpointer(self)
        self._loaded = False
        with self._current():
            self._hooks = HookList(spec.default_hooks, spec.custom_hooks)
            self.logger.info(f"environment: {collect_env(short=True)}; seed: {self.seed}")
            self.logger.debug(f"config:\n{self.cfg.pretty_text}")
            self.logger.debug(self.get_hooks_info())
        self.dump_config()

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Make this run's generators, logger, hub, scope and visualizer the current ones, whatever other runs exist."""
        if self._inside:  # parts are built while verbs run
            yield
            return
        with ExitStack() as self._surroundings:
            self._surroundings.enter_context(self._generators)
            for one in (self.default_scope, self.logger, self.message_hub):
                self._surroundings.enter_context(one.activate())
            if "visualizer" in self.__dict__:
                self._surroundings.enter_context(self.visualizer.activate())
            self._inside = True
            self._surroundings.callback(setattr, self, "_inside", False)
            yield

    @contextmanager
    def _verb(self) -> Iterator[None]:
        """Surround a verb: hooks put into `at_end` what must be undone however it ends."""
        with ends_together(), self._current(), ExitStack() as self.at_end:
            self.at_end.callback(self._release_workers)
            yield

    def _release_workers(self) -> None:
        """End the workers that loaders keep; left to the garbage collector, each would hang for seconds."""
        for name in ("train_loop", "val_loop", "test_loop"):
            if name in self.__dict__ and self.__dict__[name] is not None:
                restart_workers(self.__dict__[name].dataloader)

    # ------------------------------------------------------------------ parts

    @cached_property
    def device(self) -> torch.device:
        """This process's device."""
        return run_device(self.cfg.get("device"))

    @part
    def strategy(self) -> SingleDeviceStrategy:
        """What puts the model on its device or devices."""
        return choose_strategy(self.device, self.cfg)

    @part
    def model(self) -> nn.Module:
        """The model, on its device, wrapped where the strategy wraps."""
        defaults = {} if self.spec.data_preprocessor is None else {"data_preprocessor": self.spec.data_preprocessor}
        with config_path("model"):
            return self.strategy.place(MODELS.build(self.spec.model, default_args=defaults))

    @part
    def train_loop(self) -> Any:
        """The training loop."""
        self._require("train_cfg", "training")
        with config_path("train_dataloader"):
            return build_train_loop(self, self.spec.train_cfg, self.spec.train_dataloader)

    @part
    def val_loop(self) -> Any:
        """The validation loop, or None."""
        if self.spec.val_cfg is None:
            return None
        with config_path("val_dataloader"):
            return build_loop(
                self, self.spec.val_cfg, self.spec.val_dataloader, "ValLoop", evaluator=self.spec.val_evaluator
            )

    @part
    def test_loop(self) -> Any:
        """The test loop."""
        self._require("test_cfg", "testing")
        with config_path("test_dataloader"):
            return build_loop(
                self, self.spec.test_cfg, self.spec.test_dataloader, "TestLoop", evaluator=self.spec.test_evaluator
            )

    @part
    def optim_wrapper(self) -> OptimWrapper | OptimWrapperDict:
        """The optimizer and how it is stepped, its learning rates scaled to the batch size where asked."""
        self._require("optim_wrapper", "training")
        with config_path("optim_wrapper"):
            wrapper = build_optim_wrapper(self.model, self.spec.optim_wrapper)
        scale = self.spec.auto_scale_lr or {}
        if scale.get("enable", False):
            scale_lr(wrapper, scale, self.train_dataloader.batch_sampler.batch_size * self.world_size)
        return wrapper

    @part
    def param_schedulers(self) -> list[Any] | dict[str, list[Any]]:
        """The schedulers of learning rates and the like."""
        return build_param_schedulers(
            self.spec.param_scheduler,
            self.optim_wrapper,
            max_epochs=self.max_epochs,
            max_iters=self.max_iters,
            epoch_length=len(self.train_dataloader),
        )

    @part
    def plan(self) -> Plan:
        """What the run intends, as it stood before its first step."""
        return Plan.of(self, hyper_parameters(self.optim_wrapper))

    @part
    def log_processor(self) -> LogProcessor:
        """What turns the hub's history into log lines."""
        cfg = self.spec.log_processor
        return LOG_PROCESSORS.build({"type": "LogProcessor", **cfg} if isinstance(cfg, dict) else cfg or LogProcessor())

    @part
    def visualizer(self) -> Visualizer:
        """What draws, and hands scalars and pictures to trackers."""
        with config_path("visualizer"):
            visualizer = build_visualizer(self.spec.visualizer, name=self.experiment_name, save_dir=self.log_dir)
        self._surroundings.enter_context(visualizer.activate())  # for the rest of the verb that asked for it
        return visualizer

    def _require(self, name: str, purpose: str) -> None:
        if getattr(self.spec, name) is None:
            raise RuntimeError(f"this run was made without {name}, which {purpose} needs")

    train_dataloader = _of_loop("train", "dataloader", "The training data's loader.")
    val_dataloader = _of_loop("val", "dataloader", "The validation data's loader.")
    test_dataloader = _of_loop("test", "dataloader", "The test data's loader.")
    val_evaluator = _of_loop("val", "evaluator", "The validation's metrics.")
    test_evaluator = _of_loop("test", "evaluator", "The test's metrics.")
    val_interval = _of_loop("train", "val_interval", "Epochs (iterations) from one validation to the next.")
    val_begin = _of_loop("train", "val_begin", "The first epoch (iteration) that may be followed by validation.")
    max_epochs = _of_loop("train", "max_epochs", "How many epochs the training has.")
    max_iters = _of_loop("train", "max_iters", "How many iterations the training has.")

    @property
    def epoch(self) -> int:
        """Finished epochs; 0 before training."""
        return self.train_loop.epoch if "train_loop" in self.__dict__ else 0

    @property
    def iter(self) -> int:
        """Finished iterations; 0 before training."""
        return self.train_loop.iter if "train_loop" in self.__dict__ else 0

    @property
    def hooks(self) -> list[Hook]:
        """The hooks in the order in which they are called."""
        return self._hooks.hooks

    @property
    def model_name(self) -> str:
        """The class of the model inside its wrappers."""
        return type(unwrap_model(self.model)).__name__

    @property
    def seed(self) -> int:
        """The seed of this run."""
        return self._seed

    build_dataloader = staticmethod(build_dataloader)
    build_evaluator = staticmethod(build_evaluator)

    def set_randomness(self, seed: int | None, diff_rank_seed: bool = False, deterministic: bool = False) -> None:
        """Seed the run; the generators of the process outside it stay as they are."""
        self.diff_rank_seed = diff_rank_seed
        self.deterministic = deterministic
        with nullcontext() if self._inside else self._generators:
            self._seed = set_randomness(seed, diff_rank_seed=diff_rank_seed, deterministic=deterministic)

    # ------------------------------------------------------------------ verbs

    def train(self) -> nn.Module:
        """Train and return the model."""
        self._require("train_cfg", "training")
        with self._verb():
            self._adopt_seed()
            _ = self.param_schedulers, self.plan, self.val_loop  # what is wrong with them is told before any work
            if self.resume_from is not None and not self._loaded:
                self.checkpointer.resume_trackers(self.resume_from)  # before hooks tell them anything
            self.call_hook("before_run")
            self.strategy.init_weights(self.model)
            self.load_or_resume()
            self.optim_wrapper.initialize_count_status(self.model, self.iter, self.max_iters)
            model = self.train_loop.run()
            self.call_hook("after_run")
        return model

    def val(self) -> dict[str, float]:
        """Validate and return the metrics."""
        self._require("val_cfg", "validation")
        return self._evaluate("val_loop")

    def test(self) -> dict[str, float]:
        """Test and return the metrics."""
        return self._evaluate("test_loop")

    def _evaluate(self, loop: str) -> dict[str, float]:
        with self._verb():
            run = getattr(self, loop).run
            self.call_hook("before_run")
            if self.spec.load_from is not None and not self._loaded:
                self.load_checkpoint(self.spec.load_from)
            metrics = run()
            self.call_hook("after_run")
        return metrics

    # ------------------------------------------------------------------ checkpoints

    @cached_property
    def resume_from(self) -> str | None:
        """The checkpoint to continue from: the one named, else the newest good one in `work_dir`."""
        if not self.spec.resume:
            return None
        if isinstance(self.spec.resume, str) and self.spec.resume != "auto":
            return self.spec.resume
        return self.spec.load_from or self.checkpointer.find_latest()

    def _adopt_seed(self) -> None:
        """Go on under the checkpoint's seed unless the config fixes another, before anything is shuffled."""
        if self.resume_from is not None and not self._loaded:
            seed = self.checkpointer.seed_of(self.resume_from)
            if seed is not None and not self.seed_was_given:
                self.set_randomness(seed, self.diff_rank_seed, self.deterministic)

    def load_or_resume(self) -> None:
        """Load or resume once, as the arguments say."""
        if self._loaded:
            return
        if self.resume_from is not None:
            self.resume(self.resume_from)
        elif self.spec.load_from is not None:
            self.load_checkpoint(self.spec.load_from)
        elif self.spec.resume:
            print_log(f"no checkpoint in {self.work_dir}: training starts from the beginning", self.logger)

    def load_checkpoint(
        self,
        filename: str,
        map_location: Any = "cpu",
        strict: bool = False,
        revise_keys: Sequence[tuple[str, str]] = ((r"^module\.", ""),),
    ) -> dict[str, Any]:
        """Load weights and return the whole checkpoint."""
        self._loaded = True
        return self.checkpointer.load(filename, map_location=map_location, strict=strict, revise_keys=revise_keys)

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = "cpu",
    ) -> None:
        """Continue a run from its checkpoint."""
        self._loaded = True
        self.checkpointer.resume_trackers(filename)
        self.checkpointer.resume(
            filename,
            resume_optimizer=resume_optimizer,
            resume_param_scheduler=resume_param_scheduler,
            map_location=map_location,
        )

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict[str, Any] | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        """Write a checkpoint of this moment; `by_epoch` is accepted, the loop itself knows where it stands."""
        self.checkpointer.save(
            join_path(out_dir, filename),
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
            meta=meta,
            backend_args=backend_args or file_client_args,
        )

    # ------------------------------------------------------------------ hooks

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call one point of every hook, in order of priority."""
        for method in self._hooks.at(fn_name):
            method(self, **kwargs)

    def register_hook(self, hook: Hook | dict[str, Any], priority: str | int | None = None) -> None:
        """Add a hook; among equals, later ones come later."""
        self._hooks.add(hook, priority)

    def get_hooks_info(self) -> str:
        """Return which hooks are called at each point."""
        return self._hooks.describe()

    def dump_config(self) -> None:
        """Write the whole config to `work_dir`."""
        if is_main_process():
            name = Path(self.cfg.filename).name if self.cfg.filename else f"{self.timestamp}.py"
            self.cfg.dump(str(Path(self.work_dir, name)))
