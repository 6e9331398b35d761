"""Test-time augmentation: predict several versions of each image and merge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from visuite.engine.model.base_model import BaseModel
from visuite.engine.registry import MODELS


class BaseTTAModel(BaseModel):
    """Runs a model on each augmented version of a batch; a subclass merges the predictions.

    A batch of B images in A versions, as `TestTimeAug` and `pseudo_collate` make it, holds at every key a list of A
    lists of B entries.

    Args:
        module: The model, or its config.
        data_preprocessor: Put in place of the model's own.
    """

    def __init__(self, module: Mapping[str, Any] | nn.Module, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.module = MODELS.build(module)
        if not hasattr(self.module, "test_step"):
            raise TypeError(f"the model under test-time augmentation needs test_step: {type(self.module).__name__}")
        if data_preprocessor is not None:
            self.module.data_preprocessor = self.data_preprocessor

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        """Merge predictions.

        Args:
            data_samples_list: For each of the B images, the A data samples predicted for its versions.

        Returns:
            B data samples.
        """
        raise NotImplementedError(f"{type(self).__name__} needs merge_preds(data_samples_list)")

    def test_step(self, data: Any) -> list[Any]:
        """Predict every version of the batch and merge."""
        by_version = [self.module.test_step(one) for one in split_versions(data)]
        return self.merge_preds([list(of_image) for of_image in zip(*by_version, strict=True)])

    def val_step(self, data: Any) -> list[Any]:
        """Do what `test_step` does."""
        return self.test_step(data)

    def forward(self, inputs: Any, data_samples: list[Any] | None = None, mode: str = "tensor") -> Any:
        """Call the model inside, without augmentation."""
        return self.module(inputs, data_samples, mode=mode)


def split_versions(data: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
    """Turn a batch that holds A versions at every key into A batches.

    Raises:
        TypeError: the batch is neither a dict nor a sequence.
        ValueError: the keys hold different numbers of versions.
    """
    if isinstance(data, Mapping):
        columns = list(data.values())
    elif isinstance(data, (list, tuple)):
        columns = list(data)
    else:
        raise TypeError(f"a batch is a dict, list or tuple, not a {type(data).__name__}")
    numbers = {len(column) for column in columns}
    if len(numbers) != 1:
        raise ValueError(f"the parts of an augmented batch hold different numbers of versions: {sorted(numbers)}")
    versions = zip(*columns, strict=True)
    if isinstance(data, Mapping):
        return [dict(zip(data, one, strict=True)) for one in versions]
    return [list(one) for one in versions]
