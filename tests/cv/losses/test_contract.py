"""What every loss promises: weights and reductions, and what it does with nothing, half precision and gradients."""

from __future__ import annotations

import pytest
import torch

from tests.cv.losses.cases import CASES
from visuite.cv import losses
from visuite.cv.losses import CrossEntropyLoss, WeightedLoss

every = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
BY_ELEMENT = [case for case in CASES if case.config["type"] != "SeesawLoss"]
by_element = pytest.mark.parametrize("case", BY_ELEMENT, ids=lambda case: case.name)
weighed = pytest.mark.parametrize("case", [case for case in BY_ELEMENT if not case.density], ids=lambda case: case.name)
whole = pytest.mark.parametrize("case", [case for case in BY_ELEMENT if not case.detached], ids=lambda case: case.name)


def with_gradient(inputs):
    return inputs[0].detach().clone().requires_grad_(), inputs[1]


def test_every_loss_has_a_case():
    told = {getattr(losses, name) for name in losses.__all__}
    kinds = {kind for kind in told if isinstance(kind, type) and issubclass(kind, WeightedLoss)} - {WeightedLoss}
    assert kinds | {CrossEntropyLoss} <= {type(case.make()) for case in CASES}


@by_element
def test_reductions_agree(case):
    pred, target = case.inputs()
    loss = case.make()
    none = loss(pred, target, reduction_override="none")
    assert len(none) == len(pred)
    assert (none >= 0).all()
    assert none.sum() > 0
    torch.testing.assert_close(loss(pred, target, reduction_override="sum"), none.sum())
    torch.testing.assert_close(case.make(reduction="sum")(pred, target), none.sum())
    if not case.own_mean and not case.density:
        torch.testing.assert_close(loss(pred, target), none.mean())


@weighed
def test_avg_factor_divides_the_sum(case):
    pred, target = case.inputs()
    loss = case.make()
    total = loss(pred, target, reduction_override="sum")
    torch.testing.assert_close(loss(pred, target, avg_factor=7.0), total / 7)
    torch.testing.assert_close(loss(pred, target, avg_factor=torch.tensor(7)), total / 7)
    assert loss(pred, target, avg_factor=0.0).isfinite()
    with pytest.raises(ValueError, match="avg_factor"):
        loss(pred, target, avg_factor=7.0, reduction_override="sum")


@weighed
def test_weights_multiply_rows(case):
    pred, target = case.inputs()
    loss = case.make()
    weight = torch.tensor([0.0, 1, 2, 0.5, 0, 3])
    none = loss(pred, target, reduction_override="none")
    rows = weight.reshape(-1, *(1,) * (none.ndim - 1))
    torch.testing.assert_close(loss(pred, target, weight, reduction_override="none"), none * rows)
    torch.testing.assert_close(loss(pred, target, weight, avg_factor=2.0), (none * rows).sum() / 2)
    assert loss(pred, target, weight * 0) == 0


@every
def test_loss_weight_scales(case):
    pred, target = case.inputs()
    torch.testing.assert_close(case.make(loss_weight=2.5)(pred, target), 2.5 * case.make()(pred, target))


@every
def test_places_of_arguments(case):
    pred, target = case.inputs()
    weight = torch.ones(len(pred))
    told = case.make()(pred, target, weight=weight, avg_factor=3.0, reduction_override="mean")
    torch.testing.assert_close(case.make()(pred, target, weight, 3.0, "mean"), told)


@every
@pytest.mark.parametrize("weighted", [False, True])
def test_nothing_costs_nothing_and_has_gradients(case, weighted):
    pred, target = with_gradient(case.inputs(0))
    loss = case.make()(pred, target, torch.zeros(0) if weighted else None)
    assert loss.shape == ()
    assert loss.item() == 0
    loss.backward()
    assert pred.grad.shape == pred.shape


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(case, dtype):
    pred, target = with_gradient(case.inputs())
    half = pred.detach().to(dtype).requires_grad_()
    loss = case.make()(half, target)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, case.make()(half.detach().float(), target))
    loss.backward()
    assert half.grad.isfinite().all()


@whole
def test_gradients(case):
    pred, target = with_gradient(case.inputs(3, torch.float64))
    loss = case.make()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, reduction_override="none"), pred)
    assert loss(pred, target).dtype == torch.float64


@every
def test_extreme_predictions_stay_finite(case):
    pred, target = case.inputs()
    if case.kind == "heat":
        pred = pred.round()
    elif case.kind not in ("boxes", "numbers"):
        pred = pred.sign() * 1e3
    else:
        pred = pred * 1e4
    pred.requires_grad_()
    loss = case.make()(pred, target)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad.isfinite().all()


@every
def test_a_wrong_reduction_is_an_error(case):
    with pytest.raises(ValueError, match="average"):
        case.make(reduction="average")
    pred, target = case.inputs()
    with pytest.raises(ValueError, match="average"):
        case.make()(pred, target, reduction_override="average")


@every
def test_no_learnt_state(case):
    assert not list(case.make().parameters())
    assert set(case.make().state_dict()) <= {"edges", "acc_sum", "cum_samples"}
