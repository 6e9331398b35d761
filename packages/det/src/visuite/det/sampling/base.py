"""What samplers share: how many priors are wanted, and drawing them.

Shapes: P priors, G objects of one image, N priors that belong to objects, M that are background.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch

from visuite.det.assign import AssignResult
from visuite.det.sampling.result import SamplingResult
from visuite.engine.structures import InstanceData


def random_choice(gallery: torch.Tensor, num: int) -> torch.Tensor:
    """Draw `num` different elements of a gallery (N,), or all of it where it has no more; torch's generator decides."""
    if len(gallery) <= num:
        return gallery
    return gallery[torch.randperm(len(gallery), device=gallery.device)[:num]]


def top_up(chosen: torch.Tensor, gallery: torch.Tensor, num: int) -> torch.Tensor:
    """Add elements of a gallery (N,) to those chosen of it, by chance, until there are `num`, or all."""
    left = gallery[~torch.isin(gallery, chosen)]
    return torch.cat((chosen, random_choice(left, num - len(chosen))))


class BaseSampler(ABC):
    """Choose a number of priors, a part of them belonging to objects.

    A subclass says which: of the positive in `_sample_pos`, of the negative in `_sample_neg`.

    Args:
        num: How many priors to choose.
        pos_fraction: The part of them that may belong to objects; where fewer do, background takes their place.
        neg_pos_ub: Background priors to each of an object at most; less than 0: any number.
        add_gt_as_proposals: Put the objects' own boxes before the priors.
        context: The head that the sampler works for.

    Raises:
        ValueError: a fraction outside [0, 1].
    """

    def __init__(
        self,
        num: int,
        pos_fraction: float,
        *,
        neg_pos_ub: float = -1,
        add_gt_as_proposals: bool = True,
        context: Any = None,
    ) -> None:
        if not 0 <= pos_fraction <= 1:
            raise ValueError(f"{type(self).__name__}: pos_fraction is a part, from 0 to 1, not {pos_fraction}")
        self.num = num
        self.pos_fraction = pos_fraction
        self.neg_pos_ub = neg_pos_ub
        self.add_gt_as_proposals = add_gt_as_proposals
        self.context = context

    @abstractmethod
    def _sample_pos(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        """Return the numbers (N,) of at most `num_expected` priors that belong to objects."""

    @abstractmethod
    def _sample_neg(self, assign_result: AssignResult, num_expected: int, **kwargs: Any) -> torch.Tensor:
        """Return the numbers (M,) of at most `num_expected` priors that are background."""

    def sample(
        self, assign_result: AssignResult, pred_instances: InstanceData, gt_instances: InstanceData, **kwargs: Any
    ) -> SamplingResult:
        """Choose among the priors of one image.

        Args:
            assign_result: Which object each prior belongs to; with `add_gt_as_proposals` it is told of theirs.
            pred_instances: `priors` (P, 4).
            gt_instances: `bboxes` (G, 4) and `labels` (G,).
            kwargs: What a subclass needs to choose: `feats`, the features (1, C, h, w) of each level.

        Returns:
            The chosen priors, by rising number; with the objects' boxes, these are the first G.
        """
        priors, boxes = pred_instances.priors[:, :4], gt_instances.bboxes
        own = 0
        if self.add_gt_as_proposals and len(boxes):
            own = len(boxes)
            priors = torch.cat((boxes.to(priors), priors))
            assign_result.add_gt_(gt_instances.labels)
        wanted = {**kwargs, "priors": priors}
        pos_inds = self._sample_pos(assign_result, int(self.num * self.pos_fraction), **wanted).unique()
        num_neg = self.num - len(pos_inds)
        if self.neg_pos_ub >= 0:
            num_neg = min(num_neg, int(self.neg_pos_ub * max(1, len(pos_inds))))
        neg_inds = self._sample_neg(assign_result, num_neg, **wanted).unique()
        return SamplingResult(
            pos_inds,
            neg_inds,
            priors=priors,
            gt_bboxes=boxes,
            assign_result=assign_result,
            gt_flags=(torch.arange(len(priors), device=priors.device) < own).to(torch.uint8),
        )
