"""What the tests of batch assigners share: batches by chance, with other numbers of objects in each image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import strategies as st

from tests.det.assign.instances import CLASSES, guesses, objects, points

SEEDS = st.integers(0, 10**6)
#: How many objects the images of a batch have.
COUNTS = st.lists(st.integers(0, 5), min_size=1, max_size=2)


@dataclass
class Batch:
    """B images as an assigner takes them; `truth` has the objects of each."""

    boxes: torch.Tensor
    logits: torch.Tensor
    priors: torch.Tensor
    labels: torch.Tensor
    gt_bboxes: torch.Tensor
    flag: torch.Tensor
    truth: list

    def assign(self, assigner, logits=False):
        scores = self.logits if logits else self.logits.sigmoid()
        return assigner(self.boxes, scores, self.priors, self.labels, self.gt_bboxes, self.flag)


def batch(counts, seed=0, priors=None, size=64):
    """A batch in double precision, since plain loops are."""
    priors = points() if priors is None else priors
    truth = [objects(count, seed + index, size=size) for index, count in enumerate(counts)]
    predicted = [guesses(priors, one, seed + index) for index, one in enumerate(truth)]
    most = max(counts, default=0)
    labels = torch.randint(CLASSES, (len(counts), most, 1))
    gt_bboxes, flag = torch.rand(len(counts), most, 4) * size, torch.zeros(len(counts), most, 1)
    for index, one in enumerate(truth):
        count = len(one.bboxes)
        labels[index, :count, 0], gt_bboxes[index, :count], flag[index, :count] = one.labels, one.bboxes, 1
    boxes, logits = (torch.stack(part) for part in zip(*predicted, strict=True))
    return Batch(boxes.double(), logits.double(), priors.double(), labels, gt_bboxes.double(), flag, truth)


def check(found, batch, owners, fits, tolerance=1e-5):
    """Hold an assigner's result against the object (0: none, 1: the first) and the score of each image's priors."""
    for index, one in enumerate(batch.truth):
        labels, boxes, scores, mask = (found[name][index] for name in NAMES)
        own = torch.tensor(owners[index])
        assert mask.tolist() == (own > 0).tolist()
        assert labels[own == 0].eq(CLASSES).all()
        assert boxes[own == 0].eq(0).all()
        assert labels[own > 0].tolist() == one.labels[own[own > 0] - 1].tolist()
        assert torch.equal(boxes[own > 0].float(), one.bboxes[own[own > 0] - 1])
        want = torch.zeros(len(own), CLASSES, dtype=torch.float64)
        for prior, (owner, fit) in enumerate(zip(owners[index], fits[index], strict=True)):
            if owner:
                want[prior, one.labels[owner - 1]] = fit
        torch.testing.assert_close(scores.double(), want, rtol=tolerance, atol=tolerance)


NAMES = ("assigned_labels", "assigned_bboxes", "assigned_scores", "fg_mask_pre_prior")
