"""A data set with a pipeline whose samples tell which one made them."""

from __future__ import annotations

from typing import Any

import torch

from visuite.engine.dataset import BaseDataset
from visuite.engine.hooks import Hook
from visuite.engine.registry import DATASETS, TRANSFORMS


@TRANSFORMS.register_module()
class ToPoint:
    """Make a noisy point, marked with `tag`, its label and the record it is from."""

    def __init__(self, tag: int = 0) -> None:
        self.tag = tag

    def __call__(self, record: dict[str, Any]) -> tuple[torch.Tensor, int]:
        point = torch.randn(4) * (1 + 0.1 * self.tag)
        return torch.cat([point[:3], torch.tensor([100.0 * self.tag])]), record["sample_idx"] % 2


@DATASETS.register_module()
class PipedData(BaseDataset):
    """Records without content."""

    METAINFO = {"classes": ("even", "odd")}

    def __init__(self, size: int = 20, **kwargs: Any) -> None:
        self.size = size
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"img_path": f"{i}.png"} for i in range(self.size)]


@DATASETS.register_module()
class MixedData:
    """A data set that mixes samples of another, in the manner of mosaics: it has a pipeline of its own."""

    metainfo = PipedData.METAINFO

    def __init__(self, dataset: Any, pipeline: list[Any]) -> None:
        self.dataset = DATASETS.build(dataset)
        self.pipeline = [TRANSFORMS.build(one) for one in pipeline]
        self.skipped: tuple[str, ...] = ()

    def update_skip_type_keys(self, keys: list[str]) -> None:
        self.skipped = tuple(keys)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        sample = {"sample_idx": int(index)}
        for transform in self.pipeline:
            sample = transform(sample) if type(transform).__name__ not in self.skipped else sample
        return sample if isinstance(sample, tuple) else ToPoint(7)(sample)


class Tags(Hook):
    """Write down the tags of every batch by epoch."""

    def __init__(self) -> None:
        self.seen: dict[int, set[int]] = {}
        self.count = 0

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        tags = {round(float(point[3]) / 100) for point in data_batch[0]}
        self.seen.setdefault(runner.epoch, set()).update(tags)
        self.count += len(data_batch[0])
