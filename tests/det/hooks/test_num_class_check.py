"""Heads and data have to agree on the number of classes."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from visuite.det.hooks import NumClassCheckHook


class Head(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes
        self.loss_cls = nn.Module()
        self.loss_cls.num_classes = 99


def runner(*, roi=(3, 3), data=3, rpn=1, **facts):
    model = nn.Module()
    model.rpn_head = Head(rpn)
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = nn.ModuleList(Head(count) for count in roi)
    classes = tuple("abcdefghij"[:data])
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo={"classes": classes, **facts}))
    return SimpleNamespace(model=model, train_dataloader=loader, val_dataloader=loader)


def test_heads_that_agree():
    for one in (runner(), runner(data=5, thing_classes=("a", "b", "c"))):
        NumClassCheckHook().before_train(one)
        NumClassCheckHook().before_val_epoch(one)
    nothing_known = runner()
    nothing_known.train_dataloader.dataset = [1, 2]
    NumClassCheckHook().before_train(nothing_known)


def test_heads_that_do_not():
    message = r"roi_head\.bbox_head\.1\.num_classes is 4, and the training data has 3 classes: a, b, c"
    with pytest.raises(ValueError, match=message):
        NumClassCheckHook().before_train(runner(roi=(3, 4)))
    with pytest.raises(ValueError, match="the validation data has 7 classes"):
        NumClassCheckHook().before_val_epoch(runner(data=7))
