"""Mixing the images of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from visuite.cls.batch_mixing import BatchMixing, CutMix, Mix, Mixup, ResizeMix
from visuite.cls.preprocessor import ClsDataPreprocessor
from visuite.cls.registry import BATCH_AUGMENTS
from visuite.cls.structures import DataSample


def batch(n: int = 4, h: int = 12, w: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    """Image i has the value i everywhere, and the class i."""
    images = torch.arange(n, dtype=torch.float32)[:, None, None, None].expand(n, 3, h, w)
    return images, torch.eye(n)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        [Mixup(0.8), CutMix(1.0), CutMix(1.0, (0.2, 0.7)), ResizeMix(1.0), ResizeMix(2.0, 0.0, lam_max=1.0)]
    ),
)
def test_labels_tell_what_is_in_the_images(seed: int, mixing: BatchMixing) -> None:
    np.random.seed(seed)
    inputs, scores = batch()
    kept = inputs.clone()
    mixed, labels = mixing(inputs, scores)
    torch.testing.assert_close(inputs, kept)
    assert mixed.shape == inputs.shape
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(4))
    torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), labels @ torch.arange(4.0), atol=1e-4, rtol=0)


def test_by_hand() -> None:
    inputs, _ = batch(2)
    partner = np.array([1, 0])
    np.testing.assert_allclose(Mixup(1.0).mix(inputs, Mix(partner, 0.75))[:, 0, 0, 0], [0.25, 0.75])
    cut = CutMix(1.0).mix(inputs, Mix(partner, 0.9, (2, 3, 6, 5)))
    assert (cut[0, :, 3:5, 2:6] == 1).all()
    assert cut[0].sum() == 3 * 2 * 4
    ramp = torch.arange(16.0).expand(2, 3, 12, 16).clone()
    small = ResizeMix(1.0).mix(ramp, Mix(partner, 0.9, (0, 0, 8, 6)))[0, :, :6, :8]
    torch.testing.assert_close(small, F.avg_pool2d(ramp[0], 2))
    nearest = ResizeMix(1.0, interpolation="nearest").mix(ramp, Mix(partner, 0.9, (0, 0, 8, 6)))
    assert nearest[0, 0, 0, :8].tolist() == list(range(0, 16, 2))


def test_shares() -> None:
    np.random.seed(0)
    shares = [ResizeMix(1.0, 0.1, lam_max=0.8, correct_lam=False).draw((4, 3, 64, 64)).share for _ in range(2000)]
    assert 0.1 <= min(shares) < 0.12 < 0.78 < max(shares) <= 0.8
    shares = [Mixup(0.2).draw((4, 3, 8, 8)).share for _ in range(4000)]
    assert (np.mean(shares), np.var(shares)) == (pytest.approx(0.5, abs=0.03), pytest.approx(0.25 / 1.4, abs=0.01))
    areas = [CutMix(1.0).draw((4, 3, 50, 50)).box for _ in range(500)]
    assert all(0 <= x1 <= x2 <= 50 and 0 <= y1 <= y2 <= 50 for x1, y1, x2, y2 in areas)  # type: ignore[misc]
    uncorrected = CutMix(1.0, correct_lam=False).draw((4, 3, 50, 50))
    assert uncorrected.share not in (0.0, 1.0)


def test_wrong_arguments() -> None:
    for build in (lambda: Mixup(0), lambda: CutMix(1.0, (0.7, 0.2)), lambda: ResizeMix(1.0, 0.9)):
        with pytest.raises(ValueError, match=r"alpha|cutmix_minmax|lam_min"):
            build()


def test_in_the_preprocessor() -> None:
    preprocessor = ClsDataPreprocessor(
        num_classes=2, batch_augments={"augments": [{"type": "Mixup", "alpha": 0.8}, {"type": "CutMix", "alpha": 1.0}]}
    )
    data = {"inputs": [torch.zeros(3, 8, 8), torch.ones(3, 8, 8)], "data_samples": None}
    data["data_samples"] = [DataSample().set_gt_label(i) for i in range(2)]  # type: ignore[assignment]
    done = preprocessor(data, True)
    for image, sample in zip(done["inputs"], done["data_samples"], strict=True):
        assert float(image.mean()) == pytest.approx(float(sample.gt_score[1]), abs=1e-5)
    assert isinstance(BATCH_AUGMENTS.build({"type": "ResizeMix", "alpha": 1.0}), ResizeMix)


def test_augments_may_be_built_later() -> None:
    preprocessor = ClsDataPreprocessor(num_classes=2)
    preprocessor.batch_augments = preprocessor.build_batch_augments({"augments": {"type": "Mixup", "alpha": 1.0}})
    assert isinstance(preprocessor.batch_augments.draw(), Mixup)
    with pytest.raises(ValueError, match="num_classes"):
        ClsDataPreprocessor().build_batch_augments({"augments": {"type": "Mixup", "alpha": 1.0}})
