from __future__ import annotations

import pytest
import torch

from tests.cv.ops.checks import random_tensor
from visuite.cv.losses import AssociativeEmbeddingLoss, associative_embedding_loss

FIRST, SECOND = random_tensor(2, 1, 4, 5), random_tensor(2, 1, 4, 5, seed=1)
MATCH = [[[[0, 1], [2, 3]], [[1, 1], [3, 4]], [[0, 0], [0, 2]]], []]


def test_by_hand():
    pairs = [(FIRST[0, 0, a, b].item(), SECOND[0, 0, c, d].item()) for (a, b), (c, d) in MATCH[0]]
    means = [(x + y) / 2 for x, y in pairs]
    pull = sum((x - m) ** 2 + (y - m) ** 2 for (x, y), m in zip(pairs, means, strict=True)) / 3
    push = sum(max(0, 1 - abs(means[i] - means[j])) for i in range(3) for j in range(3) if i != j) / 6
    found = AssociativeEmbeddingLoss(pull_weight=0.1, push_weight=0.2)(FIRST, SECOND, MATCH)
    assert [value.item() for value in found] == pytest.approx([0.1 * pull, 0.2 * push], rel=1e-5)


def test_nothing_to_compare():
    first = FIRST.clone().requires_grad_()
    pull, push = AssociativeEmbeddingLoss()(first, SECOND, [[], []])
    (pull + push).backward()
    assert pull == push == 0
    one = AssociativeEmbeddingLoss()(FIRST, SECOND, [MATCH[0][:1], []])
    assert one[0] > 0
    assert one[1] == 0


def test_gradients():
    values = random_tensor(2, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: associative_embedding_loss(*x), values)


def test_half_precision_is_computed_in_float32():
    pull, push = AssociativeEmbeddingLoss()(FIRST.half(), SECOND.half(), MATCH)
    assert pull.dtype == push.dtype == torch.float32
