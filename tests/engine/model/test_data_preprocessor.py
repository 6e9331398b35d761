"""Batches against the plain definition: convert, normalise, pad."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from visuite.engine.model import BaseDataPreprocessor, ImgDataPreprocessor, merge_dict, stack_batch

Pair = namedtuple("Pair", "a b")


def plainly(images, mean, std, divisor, value, flip) -> Tensor:
    """The definition, pixel planes one by one."""
    height = -(-max(i.shape[1] for i in images) // divisor) * divisor
    width = -(-max(i.shape[2] for i in images) // divisor) * divisor
    out = torch.full((len(images), images[0].shape[0], height, width), float(value))
    for n, image in enumerate(images):
        planes = list(image)[::-1] if flip else list(image)
        for c, plane in enumerate(planes):
            normal = (plane.float() - mean[c]) / std[c] if mean else plane.float()
            out[n, c, : plane.shape[0], : plane.shape[1]] = normal
    return out


@given(
    channels=st.sampled_from([1, 3, 8]),
    sizes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    same=st.booleans(),
    divisor=st.sampled_from([1, 4, 32]),
    normalise=st.booleans(),
    dtype=st.sampled_from([torch.uint8, torch.float32]),
    flip=st.booleans(),
)
def test_a_batch_is_what_the_definition_says(channels, sizes, same, divisor, normalise, dtype, flip) -> None:
    sizes = sizes[:1] * len(sizes) if same else sizes
    images = [torch.randint(0, 255, (channels, h, w)).to(dtype) for h, w in sizes]
    mean, std = ([10.0 * c for c in range(channels)], [1.0 + c for c in range(channels)]) if normalise else (None, None)
    flip = flip and channels == 3
    prepare = ImgDataPreprocessor(mean, std, pad_size_divisor=divisor, pad_value=114, bgr_to_rgb=flip)
    before = [image.clone() for image in images]
    batch = prepare({"inputs": images, "data_samples": ["kept"] * len(images)}, training=True)
    torch.testing.assert_close(batch["inputs"], plainly(images, mean, std, divisor, 114, flip), rtol=0, atol=0)
    assert batch["data_samples"] == ["kept"] * len(images)
    assert all(torch.equal(a, b) for a, b in zip(before, images, strict=True))
    if same:
        stacked = prepare({"inputs": torch.stack(images)})
        torch.testing.assert_close(stacked["inputs"], batch["inputs"], rtol=0, atol=0)
        assert stacked["data_samples"] is None


def test_one_mean_serves_all_channels() -> None:
    prepare = ImgDataPreprocessor([1.0], [2.0])
    assert (prepare({"inputs": [torch.full((5, 2, 2), 3)]})["inputs"] == 1).all()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (dict(bgr_to_rgb=True, rgb_to_bgr=True), "set one"),
        (dict(mean=[1]), "together"),
        (dict(mean=[1, 2, 3], std=[1]), "3 channels, std 1"),
    ],
)
def test_half_given_settings_are_refused(kwargs, message) -> None:
    with pytest.raises(ValueError, match=message):
        ImgDataPreprocessor(**kwargs)


@pytest.mark.parametrize(
    ("kwargs", "data", "error", "message"),
    [
        (
            dict(mean=[1, 2, 3], std=[1, 1, 1]),
            {"inputs": [torch.ones(4, 2, 2)]},
            ValueError,
            "3 channels, these images have 4",
        ),
        (dict(bgr_to_rgb=True), {"inputs": [torch.ones(1, 2, 2)]}, ValueError, "have 1"),
        ({}, {"inputs": [torch.ones(2, 2)]}, TypeError, r"\[C, H, W\]"),
        ({}, {"inputs": torch.ones(3, 2, 2)}, TypeError, r"\[B, C, H, W\]"),
        ({}, {"inputs": "image"}, TypeError, "str"),
        ({}, {"imgs": [torch.ones(3, 2, 2)]}, TypeError, "imgs"),
        ({}, {"inputs": [torch.ones(3, 2, 2), torch.ones(1, 3, 2)]}, ValueError, "equal channels"),
    ],
)
def test_bad_batches_are_named(kwargs, data, error, message) -> None:
    with pytest.raises(error, match=message):
        ImgDataPreprocessor(**kwargs)(data)


def test_nested_data_keeps_its_structure() -> None:
    data = {"a": [torch.ones(1), "text", None, 3], "b": (torch.ones(2),), "c": Pair(torch.ones(3), b"x")}
    out = BaseDataPreprocessor().to("meta")(data)
    assert out["a"][0].is_meta
    assert out["a"][1:] == ["text", None, 3]
    assert isinstance(out["b"], tuple)
    assert isinstance(out["c"], Pair)
    assert out["c"].a.is_meta


def test_stacking_pads_all_but_the_channels() -> None:
    out = stack_batch([torch.ones(2, 1, 3, 2), torch.ones(2, 4, 1, 2)], pad_size_divisor=3, pad_value=7)
    assert out.shape == (2, 2, 6, 3, 3)
    assert (out == 1).sum() == 12 + 16
    assert (out == 7).sum() == out.numel() - 28
    with pytest.raises(TypeError):
        stack_batch(torch.ones(2))
    with pytest.raises(ValueError, match="at least one"):
        stack_batch([])


def test_dicts_merge() -> None:
    assert merge_dict({"a": 1}, {"b": 2}, {"a": 3}) == {"a": 3, "b": 2}
