"""Transforms made of transforms."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform
from visuite.cv.transforms.wrappers import Transforms, as_pipeline
from visuite.det.registry import TRANSFORMS
from visuite.engine.dataset import Compose
from visuite.engine.dataset.transform_base import BaseTransform

# Proposals move with every geometric transform (visuite.cv.transforms.moves): what the name asks for is done already.
TRANSFORMS.register_module("ProposalBroadcaster", module=Compose)


@TRANSFORMS.register_module()
class RandomOrder(RandomTransform):
    """Run transforms in random order.

    Args:
        transforms: Each a transform or a list of them.
    """

    def __init__(self, transforms: Sequence[Any]) -> None:
        self.transforms = [as_pipeline(one) for one in transforms]

    def draw(self, results: dict[str, Any]) -> list[int]:
        """Return the order."""
        return np.random.permutation(len(self.transforms)).tolist()

    def apply(self, results: dict[str, Any], drawn: Sequence[int]) -> dict[str, Any] | None:
        """Run them in this order."""
        return Compose([self.transforms[number] for number in drawn])(results)


@TRANSFORMS.register_module()
class MultiBranch(BaseTransform):
    """Run several pipelines on copies of a sample, as semi-supervised models need: weakly and strongly augmented.

    Packed results are sorted by branch: `inputs` and `data_samples` are dicts with an entry for each of `branch_field`,
    None for branches that this data set does not have, so that samples of several data sets can be collated.

    Args:
        branch_field: The names of all branches.
        **branch_pipelines: The pipeline of each branch of this data set.

    Raises:
        ValueError: a pipeline for an unknown branch.
    """

    def __init__(self, branch_field: Sequence[str], **branch_pipelines: Transforms) -> None:
        unknown = sorted(branch_pipelines.keys() - set(branch_field))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no branch: branch_field names {list(branch_field)}")
        self.branch_field = tuple(branch_field)
        self.branch_pipelines = {name: as_pipeline(pipeline) for name, pipeline in branch_pipelines.items()}

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Return `{key: {branch: value}}`, or None when a pipeline drops the sample."""
        packed: dict[str, dict[str, Any]] = {}
        for name, pipeline in self.branch_pipelines.items():
            done = pipeline(copy.deepcopy(results))
            if done is None:
                return None
            for key, value in done.items():
                packed.setdefault(key, dict.fromkeys(self.branch_field))[name] = value
        return packed
