"""LARS and LAMB against their papers' formulas, one number list at a time; torch's optimizers by name."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from visuite.engine.optim import LARS, Lamb
from visuite.engine.registry import OPTIMIZERS

START = [[0.5, -1.0, 2.0], [0.0, 0.0], [3.0]]


def gradient(step: int, layer: int) -> list[float]:
    return [math.sin(1.7 * step + layer + i) * (layer != 2 or step != 1) for i in range(len(START[layer]))]


def run(optimizer_of, steps: int) -> list[list[float]]:
    layers = [nn.Parameter(torch.tensor(values, dtype=torch.float64)) for values in START]
    optimizer = optimizer_of(layers)
    for step in range(steps):
        for layer, parameter in enumerate(layers):
            parameter.grad = torch.tensor(gradient(step, layer), dtype=torch.float64)
        optimizer.step()
    return [p.tolist() for p in layers]


def norm(values: list[float]) -> float:
    return math.sqrt(sum(v * v for v in values))


def lars_by_hand(steps, lr, momentum, decay, dampening, eta, nesterov, exclude):
    weights, buffers = [list(w) for w in START], [None] * len(START)
    for step in range(steps):
        for k, w in enumerate(weights):
            g = gradient(step, k)
            trust = eta * norm(w) / (norm(g) + decay * norm(w) + 1e-8) if norm(w) and norm(g) and not exclude else 1.0
            move = [trust * (gi + decay * wi) for gi, wi in zip(g, w, strict=True)]
            if momentum:
                old = buffers[k]
                buffers[k] = (
                    move
                    if old is None
                    else [momentum * b + (1 - dampening) * m for b, m in zip(old, move, strict=True)]
                )
                move = [m + momentum * b for m, b in zip(move, buffers[k], strict=True)] if nesterov else buffers[k]
            weights[k] = [wi - lr * m for wi, m in zip(w, move, strict=True)]
    return weights


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize(
    ("momentum", "dampening", "nesterov"), [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.3, False), (0.9, 0.0, True)]
)
def test_lars(momentum, dampening, nesterov, exclude):
    arguments = dict(lr=0.3, momentum=momentum, weight_decay=0.1, dampening=dampening, eta=0.02, nesterov=nesterov)
    found = run(lambda layers: LARS([dict(params=layers, lars_exclude=exclude)], **arguments), 4)
    expected = lars_by_hand(4, 0.3, momentum, 0.1, dampening, 0.02, nesterov, exclude)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def lamb_by_hand(steps, lr, decay, correct, averaging, limit, clip, adapt, betas=(0.9, 0.99), eps=1e-6):
    weights = [list(w) for w in START]
    first, second = [[0.0] * len(w) for w in START], [[0.0] * len(w) for w in START]
    for step in range(steps):
        gradients = [gradient(step, k) for k in range(len(START))]
        total = norm([g for one in gradients for g in one])
        shrink = limit / total if limit and total > limit else 1.0
        for k, w in enumerate(weights):
            moves = []
            for i, g in enumerate(gradients[k]):
                g *= shrink
                first[k][i] = betas[0] * first[k][i] + (1 - betas[0] if averaging else 1.0) * g
                second[k][i] = betas[1] * second[k][i] + (1 - betas[1]) * g * g
                m = first[k][i] / (1 - betas[0] ** (step + 1) if correct else 1.0)
                v = second[k][i] / (1 - betas[1] ** (step + 1) if correct else 1.0)
                moves.append(m / (math.sqrt(v) + eps) + decay * w[i])
            trust = norm(w) / norm(moves) if (decay or adapt) and norm(w) and norm(moves) else 1.0
            weights[k] = [wi - lr * (min(trust, 1.0) if clip else trust) * m for wi, m in zip(w, moves, strict=True)]
    return weights


@pytest.mark.parametrize(
    ("decay", "correct", "averaging", "limit", "clip", "adapt"),
    [
        (0.01, True, True, 1.0, False, False),
        (0.01, False, False, None, True, False),
        (0.0, True, True, 0.5, False, False),
        (0.0, True, False, 0, False, True),
    ],
)
def test_lamb(decay, correct, averaging, limit, clip, adapt):
    switches = dict(grad_averaging=averaging, max_grad_norm=limit, trust_clip=clip, always_adapt=adapt)
    arguments = dict(lr=0.1, betas=(0.9, 0.99), weight_decay=decay, bias_correction=correct, **switches)
    found = run(lambda layers: Lamb(layers, **arguments), 4)
    expected = lamb_by_hand(4, 0.1, decay, correct, averaging, limit, clip, adapt)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-8, abs=1e-12)


def test_the_limit_holds_over_all_groups():
    one = run(lambda layers: Lamb(layers, lr=0.1), 3)
    split = run(lambda layers: Lamb([dict(params=[layer]) for layer in layers], lr=0.1), 3)
    for together, apart in zip(one, split, strict=True):
        assert together == pytest.approx(apart, rel=1e-9)


@pytest.mark.parametrize("kind", [lambda p: LARS(p, lr=0.1, momentum=0.9), lambda p: Lamb(p)])
def test_state_round_trip_is_exact(kind):
    def model():
        torch.manual_seed(0)
        return nn.Linear(3, 2)

    def train(net, optimizer, steps):
        for step in steps:
            net(torch.full((1, 3), step + 1.0)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    whole, optimizer = model(), None
    optimizer = kind(whole.parameters())
    train(whole, optimizer, range(4))
    half, again = model(), model()
    first, second = kind(half.parameters()), kind(again.parameters())
    train(half, first, range(2))
    again.load_state_dict(half.state_dict())
    second.load_state_dict(first.state_dict())
    train(again, second, range(2, 4))
    assert torch.equal(again.weight, whole.weight)


def test_closures_are_evaluated():
    parameter = nn.Parameter(torch.ones(2))

    def closure():
        loss = parameter.sum()
        loss.backward()
        return loss

    assert LARS([parameter], lr=0.1).step(closure).item() == 2.0
    assert not torch.equal(parameter, torch.ones(2))


def test_bad_arguments_are_told():
    parameters = [nn.Parameter(torch.ones(1))]
    with pytest.raises(ValueError, match="momentum is not negative"):
        LARS(parameters, lr=0.1, momentum=-1)
    with pytest.raises(ValueError, match="nesterov needs momentum"):
        LARS(parameters, lr=0.1, nesterov=True)
    with pytest.raises(ValueError, match="betas lie in"):
        Lamb(parameters, betas=(1.0, 0.9))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adadelta", "TorchAdafactor"])
def test_torchs_optimizers_are_registered(name):
    parameters = list(nn.Linear(2, 2).parameters())
    assert isinstance(OPTIMIZERS.build(dict(type=name, params=parameters, lr=0.1)), torch.optim.Optimizer)


def test_zero_redundancy_names_the_nearest():
    with pytest.raises(ValueError, match="'AdamW'"):
        OPTIMIZERS.build(dict(type="ZeroRedundancyOptimizer", params=[], optimizer_type="AdamWW"))
