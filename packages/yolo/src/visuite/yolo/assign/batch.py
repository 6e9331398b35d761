"""What assigners of a whole batch share: its priors against its objects a slice at a time, and targets from owners.

Shapes: B images, N rows of all of them, P priors, G objects of the image that has most, g objects of a slice, C
candidates of an object, M pairs of a prior and an object, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from visuite.det.assign.pairs import best_pairs
from visuite.det.assign.sweep import object_chunks


def padded(image: torch.Tensor, values: torch.Tensor, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn rows (N, D) of images (N,), in their order, into (B, G, D), 0 where there is none, and (B, G) where there is
    one.
    """
    counts = torch.bincount(image, minlength=images)
    place = torch.arange(len(image), device=image.device) - (counts.cumsum(0) - counts)[image]
    most = int(counts.max()) if len(image) else 0
    filled = values.new_zeros(images, most, values.shape[1])
    filled[image, place] = values
    return filled, torch.arange(most, device=image.device) < counts[:, None]


def object_slices(gt_bboxes: torch.Tensor, num_priors: int) -> Iterator[slice]:
    """Yield slices of the G objects (B, G, 4), such that B * g * P is bounded (see `visuite.det.assign.sweep`)."""
    return object_chunks(gt_bboxes.shape[1], len(gt_bboxes) * num_priors)


def inside_boxes(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Tell which points (P, 2) lie inside which boxes (B, g, 4): (B, g, P)."""
    x, y = points[:, :2].unbind(1)
    x1, y1, x2, y2 = boxes[..., None].unbind(-2)
    return (x > x1) & (y > y1) & (x < x2) & (y < y2)


def centre_distances(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """Return the distances of points (P, 2) from the centres of boxes (B, g, 4): (B, g, P)."""
    x, y = points[:, :2].unbind(1)
    across, down = ((boxes[..., :2] + boxes[..., 2:]) / 2)[..., None].unbind(-2)
    return ((x - across) ** 2 + (y - down) ** 2).sqrt()


def scores_of_labels(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the scores (B, g, P) of the objects' classes (B, g), of scores (B, P, K)."""
    return scores.transpose(1, 2).gather(1, labels[..., None].expand(-1, -1, scores.shape[1]))


@dataclass(frozen=True)
class Pairs:
    """Pairs of a prior and an object, of all images one after the other.

    Attributes:
        images: (M,).
        priors: (M,), numbers in 0..P-1.
        objects: (M,), numbers in 0..G-1.
        num_priors: P.
        num_objects: G.
        num_images: B.
    """

    images: torch.Tensor
    priors: torch.Tensor
    objects: torch.Tensor
    num_priors: int
    num_objects: int
    num_images: int

    @classmethod
    def of(cls, candidates: torch.Tensor, usable: torch.Tensor, num_priors: int) -> Pairs:
        """Return the usable ones of the candidates (B, G, C) of all objects; `usable` has the same shape."""
        images, objects, places = usable.nonzero(as_tuple=True)
        priors = candidates[images, objects, places]
        return cls(images, priors, objects, num_priors, candidates.shape[1], len(candidates))

    @classmethod
    def owned(cls, owners: torch.Tensor, num_objects: int) -> Pairs:
        """Return the pairs of all priors that have an object, of owners (B, P), 0 or 1 + its number."""
        images, priors = owners.nonzero(as_tuple=True)
        return cls(images, priors, owners[images, priors] - 1, owners.shape[1], num_objects, len(owners))

    def __getitem__(self, chosen: torch.Tensor) -> Pairs:
        """Return those that a mask (M,) chooses."""
        images, priors, objects = (one[chosen] for one in (self.images, self.priors, self.objects))
        return Pairs(images, priors, objects, self.num_priors, self.num_objects, self.num_images)

    def owners(self, fits: torch.Tensor) -> torch.Tensor:
        """Give each prior the object that fits best of those it is paired with: (B, P), 0 or 1 + its number.

        Args:
            fits: (M,); among equals the first object counts.
        """
        total = self.num_images * self.num_priors
        return best_pairs(self._places, self.objects, fits, total)[0].reshape(self.num_images, self.num_priors)

    def at_priors(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (M,) where their priors are (B, P), 0 elsewhere; each prior stands in one pair at most."""
        spread = values.new_zeros(self.num_images * self.num_priors).index_put((self._places,), values)
        return spread.reshape(self.num_images, self.num_priors)

    def most_of_objects(self, values: torch.Tensor) -> torch.Tensor:
        """Return for each pair the largest of the values (M,), none below 0, of its object: (M,)."""
        objects = self.images * self.num_objects + self.objects
        most = values.new_zeros(self.num_images * self.num_objects).scatter_reduce(0, objects, values, "amax")
        return most[objects]

    @property
    def _places(self) -> torch.Tensor:
        return self.images * self.num_priors + self.priors


def batch_targets(
    owners: torch.Tensor,
    fits: torch.Tensor,
    gt_labels: torch.Tensor,
    gt_bboxes: torch.Tensor,
    num_classes: int,
) -> dict[str, torch.Tensor]:
    """Return what heads over points learn.

    Args:
        owners: (B, P), 0 or 1 + the number of the prior's object.
        fits: (B, P), the score that a prior shall have in the class of its object.
        gt_labels: (B, G, 1).
        gt_bboxes: (B, G, 4).
        num_classes: K.

    Returns:
        `assigned_gt_inds` (B, P), the owners; `assigned_labels` (B, P), K for background; `assigned_bboxes` (B, P, 4),
        0 there; `assigned_scores` (B, P, K); `fg_mask_pre_prior` (B, P) bool, where there is an object.
    """
    positive = owners > 0
    if gt_bboxes.shape[1]:
        which = (owners - 1).clamp(min=0)
        labels = torch.where(positive, gt_labels[..., 0].long().gather(1, which), num_classes)
        boxes = gt_bboxes.gather(1, which[..., None].expand(-1, -1, 4)) * positive[..., None]
    else:
        labels, boxes = torch.full_like(owners, num_classes), gt_bboxes.new_zeros(*owners.shape, 4)
    return {
        "assigned_gt_inds": owners,
        "assigned_labels": labels,
        "assigned_bboxes": boxes,
        "assigned_scores": F.one_hot(labels, num_classes + 1)[..., :num_classes] * fits[..., None],
        "fg_mask_pre_prior": positive,
    }
