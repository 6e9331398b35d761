"""Which object each prior belongs to.

Shapes: P priors, G objects of one image.
"""

from __future__ import annotations

from typing import Any

import torch

#: What `gt_inds` says of a prior that belongs to no object, and of one that does not count.
BACKGROUND, IGNORED = 0, -1


class AssignResult:
    """What an assigner found out about the priors of one image.

    Args:
        num_gts: G.
        gt_inds: (P,) long: 0 background, -1 neither object nor background, else 1 + the number of the object.
        max_overlaps: (P,), how well each prior fits what it belongs to, in the assigner's own measure; None where
            there is no such thing.
        labels: (P,) long, the class of each prior's object, -1 where there is none.

    Attributes:
        assign_metrics: (P,), how well priors and objects are aligned, where the assigner measures that.
    """

    assign_metrics: torch.Tensor

    def __init__(
        self,
        num_gts: int,
        gt_inds: torch.Tensor,
        max_overlaps: torch.Tensor | None,
        labels: torch.Tensor,
    ) -> None:
        self.num_gts = num_gts
        self.gt_inds = gt_inds
        self.max_overlaps = max_overlaps
        self.labels = labels
        self._extra_properties: dict[str, Any] = {}

    @classmethod
    def of(
        cls, gt_inds: torch.Tensor, gt_labels: torch.Tensor, max_overlaps: torch.Tensor | None = None
    ) -> AssignResult:
        """Make a result of numbers (P,) and the objects' classes (G,)."""
        labels = torch.full_like(gt_inds, -1)
        found = gt_inds > 0
        if len(gt_labels):
            labels = torch.where(found, gt_labels[(gt_inds - 1).clamp(min=0)], labels)
        return cls(len(gt_labels), gt_inds, max_overlaps, labels)

    @property
    def num_preds(self) -> int:
        """P."""
        return len(self.gt_inds)

    @property
    def pos_inds(self) -> torch.Tensor:
        """The numbers (N,) of the priors that belong to objects, rising."""
        return (self.gt_inds > 0).nonzero().squeeze(1)

    @property
    def neg_inds(self) -> torch.Tensor:
        """The numbers (N,) of the priors that are background, rising."""
        return (self.gt_inds == BACKGROUND).nonzero().squeeze(1)

    def set_extra_property(self, key: str, value: Any) -> None:
        """Keep something more under a name.

        Raises:
            ValueError: the name is one of the documented attributes.
        """
        if key in ("num_gts", "gt_inds", "max_overlaps", "labels"):
            raise ValueError(f"{key!r} is an attribute of every result, not an extra property")
        self._extra_properties[key] = value

    def get_extra_property(self, key: str) -> Any:
        """Return what is kept under a name, or None."""
        return self._extra_properties.get(key)

    @property
    def info(self) -> dict[str, Any]:
        """All there is, by name."""
        return {
            "num_gts": self.num_gts,
            "num_preds": self.num_preds,
            "gt_inds": self.gt_inds,
            "max_overlaps": self.max_overlaps,
            "labels": self.labels,
            **self._extra_properties,
        }

    def add_gt_(self, gt_labels: torch.Tensor) -> None:
        """Put the objects' own boxes before the priors, each belonging to itself.

        Args:
            gt_labels: (G,).
        """
        own = torch.arange(1, len(gt_labels) + 1, dtype=torch.long, device=self.gt_inds.device)
        self.gt_inds = torch.cat((own, self.gt_inds))
        if self.max_overlaps is not None:
            self.max_overlaps = torch.cat((self.max_overlaps.new_ones(len(gt_labels)), self.max_overlaps))
        self.labels = torch.cat((gt_labels.to(self.labels), self.labels))

    def to(self, device: torch.device) -> AssignResult:
        """Move the numbers to a device; what was set beside them stays where it is."""
        self.gt_inds = self.gt_inds.to(device)
        self.max_overlaps = None if self.max_overlaps is None else self.max_overlaps.to(device)
        self.labels = self.labels.to(device)
        return self

    def __repr__(self) -> str:
        found = int((self.gt_inds > 0).sum())
        return f"{type(self).__name__}(num_gts={self.num_gts}, num_preds={self.num_preds}, positive={found})"
