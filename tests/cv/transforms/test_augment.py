"""Automatic augmentation: chances, strengths and policies."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import AutoAugment as PublishedPolicies
from torchvision.transforms import AutoAugmentPolicy

from visuite.cv.transforms import (
    AutoAugment,
    AutoContrast,
    Brightness,
    Cutout,
    EfficientNetRandomCrop,
    Invert,
    Posterize,
    RandAugment,
    Rotate,
    Shear,
    Solarize,
    Translate,
)
from visuite.cv.transforms.augment_geometry import Hole
from visuite.cv.transforms.auto_augment import imagenet_policies
from visuite.engine.registry import TRANSFORMS, Registry


class Other(Invert):
    """What bears the name of another transform."""


def sample(value: int = 100) -> dict[str, Any]:
    return {"img": np.full((20, 30, 3), value, np.uint8), "img_shape": (20, 30)}


def test_chance_and_sign() -> None:
    np.random.seed(0)
    rotate = Rotate(30.0, prob=0.6, random_negative_prob=0.25)
    drawn = [rotate.draw({}) for _ in range(4000)]
    shares = [drawn.count(one) / len(drawn) for one in (30.0, -30.0, None)]
    np.testing.assert_allclose(shares, [0.45, 0.15, 0.4], atol=0.03)
    assert Invert(prob=0.0)(sample())["img"].max() == 100
    assert Invert(prob=1.0)(sample())["img"].max() == 155


def test_strengths_come_from_levels() -> None:
    def draw(**level: Any) -> list[float]:
        bright = Brightness(magnitude_range=(2, 4), prob=1, random_negative_prob=0, **level)
        return [bright.draw({}) for _ in range(3000)]

    assert set(draw(magnitude_level=5)) == {3.0}
    assert set(draw(magnitude_level=5, total_level=20)) == {2.5}
    np.random.seed(0)
    noisy = draw(magnitude_level=5, magnitude_std=1)
    assert np.mean(noisy) == pytest.approx(3, abs=0.02)
    assert np.std(noisy) == pytest.approx(0.2, abs=0.02)
    assert max(draw(magnitude_level=9.9, magnitude_std=5)) == 4.0
    even = draw(magnitude_level=5, magnitude_std="inf")
    assert 2 <= min(even) < 2.05 < 2.95 < max(even) <= 3
    assert Posterize(magnitude_range=(4, 0), magnitude_level=10, prob=1).draw({}) == 0


def test_wrong_arguments() -> None:
    for wrong in ({}, {"thr": 3, "magnitude_range": (1, 2)}):
        with pytest.raises(ValueError, match="either thr or magnitude_range"):
            Solarize(**wrong)
    with pytest.raises(ValueError, match="chance"):
        AutoContrast(prob=1.2)
    with pytest.raises(ValueError, match="sideways"):
        Shear(0.1, direction="sideways")
    with pytest.raises(ValueError, match="9"):
        Posterize(9)
    with pytest.raises(TypeError, match="magnitude_lvel"):
        TRANSFORMS.build({"type": "Shear", "magnitude_range": (0, 1), "magnitude_lvel": 3})


def test_given_images_are_not_written_to() -> None:
    np.random.seed(0)
    for transform in RandAugment("timm_increasing", 1, magnitude_level=9).transforms:
        before = sample()
        transform(dict(before))
        assert (before["img"] == 100).all()


def test_translate_takes_shares_of_the_image() -> None:
    before = sample() | {"gt_bboxes": np.array([[3, 4, 9, 12]], np.float32)}
    got = Translate(0.5, prob=1, random_negative_prob=0, direction="vertical", pad_val=(1, 2, 3))(before)
    assert (got["img"][:10] == (1, 2, 3)).all()
    assert got["gt_bboxes"].tolist() == [[3, 14, 9, 20]]


def test_a_single_number_fills_the_first_channel_of_a_rotated_image() -> None:
    corner = [Rotate(45.0, pad_val=pad, prob=1)(sample())["img"][0, 0].tolist() for pad in (7, (7, 8, 9))]
    assert corner == [[7, 0, 0], [7, 8, 9]]


def test_cutout_draws_a_place() -> None:
    got = Cutout((4, 6), pad_val=0, prob=1).augment(before := sample(), Hole((15, 10), (4, 6)))
    assert got is None
    assert (before["img"] == 0).sum() == 4 * 6 * 3
    drawn = Cutout(magnitude_range=(0, 8), magnitude_level=5, prob=1).draw(sample())
    assert drawn is not None
    assert drawn.shape == (4, 4)
    assert Cutout(3, prob=0).draw(sample()) is None


def test_imagenet_policies_are_the_published_ones() -> None:
    names = {"ColorTransform": "Color", "Shear": "ShearX", "AutoContrast": "AutoContrast"}
    published = PublishedPolicies(AutoAugmentPolicy.IMAGENET)
    space = published._augmentation_space(10, (224, 224))
    for policy, theirs in zip(imagenet_policies(), published.policies, strict=True):
        for step, (name, prob, level) in zip(policy, theirs, strict=True):
            kind = step["type"].__name__
            assert (names.get(kind, kind), step["prob"]) == (name, prob)
            magnitudes, _ = space[name]
            if magnitudes.ndim:
                drawn = TRANSFORMS.build({**step, "prob": 1.0}).draw(sample())
                assert abs(drawn) == pytest.approx(float(magnitudes[level]), abs=1)


@given(st.integers(0, 2**32 - 1))
def test_policies_change_the_image_and_nothing_else(seed: int) -> None:
    img = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    for transform in (AutoAugment("imagenet"), RandAugment("timm_increasing", 2, magnitude_level=7, magnitude_std=0.5)):
        np.random.seed(seed)
        first = transform({"img": img, "gt_label": 3})
        np.random.seed(seed)
        again = transform({"img": img, "gt_label": 3})
        assert first is not None
        assert again is not None
        assert first["img"].shape == img.shape
        assert first["img"].dtype == np.uint8
        assert first["gt_label"] == 3
        np.testing.assert_array_equal(first["img"], again["img"])


def test_rand_augment_takes_some_at_its_level() -> None:
    policies = [{"type": "Posterize", "magnitude_range": (8, 0), "prob": 1.0}, {"type": "Invert", "prob": 1.0}]
    kept = copy.deepcopy(policies)
    transform = RandAugment(policies, 3, magnitude_level=5)
    assert policies == kept
    assert transform.transforms[0].draw({}) == 4
    np.random.seed(0)
    assert len(transform.draw({})) == 3
    got = transform.apply(sample(0b01100100), [1, 1, 0])
    assert got is not None
    assert (got["img"] == 0b01100000).all()


def test_shared_arguments_go_where_they_are_known() -> None:
    hparams = {"pad_val": (9, 9, 9), "interpolation": "bicubic"}
    policies = [{"type": "Rotate", "magnitude_range": (0, 30)}, {"type": "Invert"}, {"type": "Shear", "magnitude": 0.1,
                "pad_val": 3}]  # fmt: skip
    rotate, _, shear = RandAugment(policies, 1, magnitude_level=5, hparams=hparams).transforms
    assert (rotate.pad_val, rotate.interpolation) == ((9, 9, 9), "bicubic")
    assert shear.pad_val == 3


def test_named_policies_are_the_same_in_every_scope() -> None:
    scope = Registry("transform", parent=TRANSFORMS, scope="other_rules")
    scope.register_module("Rotate", module=Other)
    with scope.switch_scope_and_registry("other_rules"):
        transforms = RandAugment("timm_increasing", 1, magnitude_level=5).transforms
    assert any(isinstance(one, Rotate) for one in transforms)


@given(st.integers(0, 2**32 - 1), st.integers(3, 200), st.integers(3, 200))
def test_efficientnet_crop_keeps_its_ranges(seed: int, h: int, w: int) -> None:
    np.random.seed(seed)
    crop = EfficientNetRandomCrop(16, crop_ratio_range=(0.2, 0.9), aspect_ratio_range=(0.5, 2.0), max_attempts=100)
    x1, y1, x2, y2 = crop.draw({"img": np.empty((h, w, 3), np.uint8)})
    assert 0 <= x1 < x2 <= w
    assert 0 <= y1 < y2 <= h
    assert (x2 - x1) * (y2 - y1) <= 0.9 * h * w + 1


def test_unknown_policies() -> None:
    with pytest.raises(ValueError, match="did you mean 'imagenet'"):
        AutoAugment("imagnet")
    with pytest.raises(ValueError, match="at least one"):
        RandAugment([], 2, magnitude_level=3)
    with pytest.raises(ValueError, match="11"):
        RandAugment("timm_increasing", 2, magnitude_level=11)
