#!/usr/bin/env python
"""The training loop without a Runner, to read and to change: python tools/plain_train.py CONFIG.

It trains the model of a config on its data with its optimizer and schedulers, one process, one device,
and gives the very losses that `tools/train.py` gives.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config
from visuite.engine.dataset import epoch_batches
from visuite.engine.optim import build_optim_wrapper, each_scheduler
from visuite.engine.registry import MODELS, init_default_scope
from visuite.engine.runner import build_dataloader, build_param_schedulers, set_randomness
from visuite.engine.runner.environment import run_device


def train(cfg: Config) -> Iterator[tuple[int, int, float]]:
    """Train for the epochs of a config; yields (epoch, batch, loss)."""
    init_default_scope(cfg.get("default_scope", "engine"))
    seed = set_randomness(cfg.get("randomness", {}).get("seed"))

    loader = build_dataloader(cfg.train_dataloader, seed=seed)
    model = MODELS.build(cfg.model, default_args={"data_preprocessor": cfg.get("data_preprocessor")})
    model.to(run_device())
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    epochs = cfg.train_cfg.max_epochs
    optim_wrapper.initialize_count_status(model, 0, epochs * len(loader))
    schedulers = build_param_schedulers(
        cfg.get("param_scheduler"), optim_wrapper, max_epochs=epochs, epoch_length=len(loader)
    )
    if hasattr(model, "init_weights"):
        model.init_weights()

    model.train()
    for epoch in range(epochs):
        for index, batch in enumerate(epoch_batches(loader, epoch)):
            with optim_wrapper.optim_context(model):
                data = model.data_preprocessor(batch, True)
                losses = model(**data, mode="loss") if isinstance(data, dict) else model(*data, mode="loss")
            loss, _ = model.parse_losses(losses)
            optim_wrapper.update_params(loss)
            yield epoch, index, float(loss)
            step(schedulers, by_epoch=False)
        step(schedulers, by_epoch=True)


def step(schedulers: Any, *, by_epoch: bool) -> None:
    """Step the schedulers that go by epoch, or those that go by iteration."""
    for scheduler in each_scheduler(schedulers):
        if scheduler.by_epoch == by_epoch:
            scheduler.step()


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description="Train without a Runner.")
    config_arguments(parser)
    args = parser.parse_args()
    with one_line_errors():
        for epoch, index, loss in train(read_config(args)):
            if index % 50 == 0:
                print(f"epoch {epoch + 1}  batch {index}  loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    main()
