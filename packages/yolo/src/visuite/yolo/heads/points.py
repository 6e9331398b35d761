"""What heads over points share: who assigns, what comes of it, and distances as distributions.

Shapes: B images, P points of all levels, K classes, R steps of a distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from visuite.engine.logging import MessageHub
from visuite.yolo.heads.truth import BatchTruth
from visuite.yolo.registry import TASK_UTILS


@dataclass(frozen=True)
class PointTargets:
    """What each point is to say.

    Attributes:
        labels: (B, P), K for background.
        boxes: (B, P, 4).
        scores: (B, P, K), how well each positive point does its class; 0 elsewhere.
        positive: (B, P) bool.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor
    positive: torch.Tensor


class PointAssigners:
    """The assigner, and perhaps another one for the first epochs.

    Args:
        train_cfg: `assigner`; `initial_assigner` and `initial_epoch`, the epoch from which on it is not used.
    """

    def __init__(self, train_cfg: Mapping[str, Any]) -> None:
        self.initial_epoch: int = train_cfg.get("initial_epoch", 0)
        self.initial = TASK_UTILS.build(train_cfg["initial_assigner"]) if "initial_assigner" in train_cfg else None
        self.main = TASK_UTILS.build(train_cfg["assigner"]) if "assigner" in train_cfg else None

    @property
    def current(self) -> Any:
        """The assigner of this epoch.

        Raises:
            ValueError: a head without `train_cfg` is asked for losses.
        """
        if self.initial is not None and (MessageHub.get_current_instance().get_info("epoch") or 0) < self.initial_epoch:
            return self.initial
        if self.main is None:
            raise ValueError("a head needs train_cfg=dict(assigner=...) of its detector to have losses")
        return self.main

    @torch.no_grad()
    def assign(
        self, boxes: torch.Tensor, scores: torch.Tensor, priors: torch.Tensor, truth: BatchTruth
    ) -> PointTargets:
        """Return the targets of boxes (B, P, 4) and scores (B, P, K) at places (P, 4)."""
        labels, valid = truth.labels[..., None], truth.valid[..., None].float()
        found = self.current(boxes.detach(), scores.detach(), priors, labels, truth.boxes, valid)
        return PointTargets(
            found["assigned_labels"],
            found["assigned_bboxes"],
            found["assigned_scores"],
            found["fg_mask_pre_prior"].bool(),
        )


def expected_steps(logits: torch.Tensor, steps: int) -> torch.Tensor:
    """Return the means (..., 4) of four distributions (..., 4 * R) over 0, 1, ..., R - 1, R being `steps`."""
    chances = logits.unflatten(-1, (4, steps)).softmax(dim=-1)
    return chances @ torch.arange(steps, dtype=chances.dtype, device=chances.device)
