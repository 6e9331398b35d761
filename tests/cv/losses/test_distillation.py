from __future__ import annotations

import math

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import KnowledgeDistillationKLDivLoss

STUDENT, TEACHER = random_tensor(4, 3), random_tensor(4, 3, seed=1).requires_grad_()


def softened(row, temperature):
    exps = [math.exp(x / temperature) for x in row]
    return [e / sum(exps) for e in exps]


def test_by_hand():
    want = []
    for a, b in zip(STUDENT.tolist(), TEACHER.tolist(), strict=True):
        pairs = zip(softened(a, 4), softened(b, 4), strict=True)
        want.append(16 * sum(t * math.log(t / s) for s, t in pairs) / 3)
    loss = KnowledgeDistillationKLDivLoss(T=4, reduction="none")
    torch.testing.assert_close(loss(STUDENT, TEACHER), torch.tensor(want), rtol=1e-4, atol=1e-6)


def test_the_teacher_learns_nothing():
    student = STUDENT.clone().requires_grad_()
    KnowledgeDistillationKLDivLoss()(student, TEACHER).backward()
    assert student.grad.abs().sum() > 0
    assert TEACHER.grad is None


def test_bad_input():
    with pytest.raises(ValueError, match="T is at least 1"):
        KnowledgeDistillationKLDivLoss(T=0.5)
    with pytest.raises(ValueError, match="different shapes"):
        KnowledgeDistillationKLDivLoss()(STUDENT, TEACHER[:2])
