"""Which priors of one image learn, and what.

Shapes: P priors, G objects of one image, N priors that belong to objects, M that are background.
"""

from __future__ import annotations

import torch

from visuite.det.assign import AssignResult


class Choice:
    """Some of P priors, or queries, and the objects that they belong to.

    Args:
        pos_inds: (N,) long, the chosen ones that belong to objects.
        neg_inds: (M,) long, the chosen ones that are background.
        assign_result: Which object each belongs to.
        avg_factor_with_neg: Whether background counts in `avg_factor`.

    Attributes:
        num_gts: G.
        pos_assigned_gt_inds: (N,) long, the number of each one's object.
        pos_gt_labels: (N,) long, its class.
    """

    def __init__(
        self,
        pos_inds: torch.Tensor,
        neg_inds: torch.Tensor,
        *,
        assign_result: AssignResult,
        avg_factor_with_neg: bool,
    ) -> None:
        self.pos_inds = pos_inds
        self.neg_inds = neg_inds
        self.num_gts = assign_result.num_gts
        self.pos_assigned_gt_inds = assign_result.gt_inds[pos_inds] - 1
        self.pos_gt_labels = assign_result.labels[pos_inds]
        self.avg_factor_with_neg = avg_factor_with_neg

    @property
    def num_pos(self) -> int:
        """N, but at least 1: losses are divided by it."""
        return max(len(self.pos_inds), 1)

    @property
    def num_neg(self) -> int:
        """M, but at least 1."""
        return max(len(self.neg_inds), 1)

    @property
    def avg_factor(self) -> int:
        """What the losses of this image are divided by: `num_pos`, with `avg_factor_with_neg` plus `num_neg`."""
        return self.num_pos + self.num_neg * self.avg_factor_with_neg

    def __repr__(self) -> str:
        chosen = f"{len(self.pos_inds)} of objects, {len(self.neg_inds)} of background"
        return f"{type(self).__name__}({chosen}, num_gts={self.num_gts})"


class SamplingResult(Choice):
    """The priors that were chosen, and the boxes that they belong to.

    Args:
        pos_inds: (N,) long, the chosen priors that belong to objects.
        neg_inds: (M,) long, the chosen ones that are background.
        priors: (P, ...).
        gt_bboxes: (G, 4).
        assign_result: Which object each prior belongs to.
        gt_flags: (P,), 1 where a prior is an object's own box.
        avg_factor_with_neg: Whether background counts in `avg_factor`.

    Attributes:
        pos_priors: (N, ...).
        neg_priors: (M, ...).
        pos_gt_bboxes: (N, 4), each one's object.
        pos_is_gt: (N,), which of them are objects' own boxes.
    """

    def __init__(
        self,
        pos_inds: torch.Tensor,
        neg_inds: torch.Tensor,
        *,
        priors: torch.Tensor,
        gt_bboxes: torch.Tensor,
        assign_result: AssignResult,
        gt_flags: torch.Tensor,
        avg_factor_with_neg: bool = True,
    ) -> None:
        super().__init__(pos_inds, neg_inds, assign_result=assign_result, avg_factor_with_neg=avg_factor_with_neg)
        self.pos_priors = priors[pos_inds]
        self.neg_priors = priors[neg_inds]
        self.pos_gt_bboxes = gt_bboxes.reshape(-1, 4)[self.pos_assigned_gt_inds]
        self.pos_is_gt = gt_flags[pos_inds]

    @property
    def priors(self) -> torch.Tensor:
        """The chosen priors (N + M, ...), those of objects first."""
        return torch.cat((self.pos_priors, self.neg_priors))

    # the names that these bore in MMDetection 2.x

    @property
    def bboxes(self) -> torch.Tensor:
        """`priors`."""
        return self.priors

    @property
    def pos_bboxes(self) -> torch.Tensor:
        """`pos_priors`."""
        return self.pos_priors

    @property
    def neg_bboxes(self) -> torch.Tensor:
        """`neg_priors`."""
        return self.neg_priors
