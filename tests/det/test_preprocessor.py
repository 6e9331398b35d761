"""The data preprocessor of detection, and the augmentations of its batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from visuite.det.batch_augments import BatchFixedSizePad, BatchResize, BatchSyncRandomResize
from visuite.det.preprocessor import DetDataPreprocessor
from visuite.det.registry import MODELS
from visuite.det.structures import BitmapMasks, DetDataSample, PolygonMasks
from visuite.engine.logging import MessageHub
from visuite.engine.structures import InstanceData, PixelData


class Boxes:
    """A stranger's boxes."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor

    def __len__(self) -> int:
        return len(self.tensor)


def sample(h: int, w: int, boxes: list[list[float]], *, polygons: bool = False) -> DetDataSample:
    """Objects that are rectangles, and a map of ones."""
    array = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    drawn = np.zeros((len(boxes), h, w), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(drawn, array.int().tolist(), strict=True):
        mask[y1:y2, x1:x2] = 1
    corners = [[np.array([x1, y1, x2, y1, x2, y2, x1, y2])] for x1, y1, x2, y2 in boxes]
    masks = PolygonMasks(corners, h, w) if polygons else BitmapMasks(drawn, h, w)
    objects = InstanceData(bboxes=array, labels=torch.arange(len(boxes)), masks=masks)
    done = DetDataSample(metainfo={"img_shape": (h, w), "ori_shape": (h, w)}, gt_instances=objects)
    done.ignored_instances = InstanceData(bboxes=array[:1].clone(), labels=torch.arange(len(boxes))[:1])
    done.gt_sem_seg = PixelData(sem_seg=torch.ones(1, h, w, dtype=torch.long))
    return done


def batch(**options: Any) -> dict[str, Any]:
    shapes = [(20, 30), (24, 18)]
    images = [torch.full((3, h, w), 10 * i + 1, dtype=torch.uint8) for i, (h, w) in enumerate(shapes)]
    samples = [sample(h, w, [[2, 4, 10, 16], [0, 0, 8, 8]], **options) for h, w in shapes]
    return {"inputs": images, "data_samples": samples}


def test_pads_normalises_and_tells_sizes() -> None:
    given = batch()
    done = DetDataPreprocessor(mean=[1, 2, 3], std=[2, 2, 2], pad_size_divisor=16, pad_value=7, bgr_to_rgb=True)(given)
    assert done["inputs"].shape == (2, 3, 32, 32)
    assert done["inputs"][1, :, 0, 0].tolist() == [5, 4.5, 4]
    assert done["inputs"][0, 0, 19, 29] == 0
    assert (done["inputs"][0, :, 20:] == 7).all()
    first, second = done["data_samples"]
    assert (first.batch_input_shape, second.batch_input_shape) == ((32, 32), (32, 32))
    assert (first.pad_shape, second.pad_shape) == ((32, 32), (32, 32))
    assert (first.img_shape, second.img_shape) == ((20, 30), (24, 18))
    assert "pad_shape" not in given["data_samples"][0]  # what was given stays as it was


def test_pad_shape_is_that_of_an_image_alone() -> None:
    samples = DetDataPreprocessor(pad_size_divisor=4)(batch())["data_samples"]
    assert [one.pad_shape for one in samples] == [(20, 32), (24, 20)]
    assert [one.batch_input_shape for one in samples] == [(24, 32)] * 2


def test_a_stacked_batch_will_do() -> None:
    images = torch.zeros(2, 3, 20, 30, dtype=torch.uint8)
    done = DetDataPreprocessor(pad_size_divisor=16)({"inputs": images, "data_samples": [sample(20, 30, [])] * 2})
    assert done["inputs"].shape == (2, 3, 32, 32)
    assert done["data_samples"][1].batch_input_shape == (32, 32)
    assert DetDataPreprocessor()({"inputs": images})["data_samples"] is None
    with pytest.raises(ValueError, match=r"2 images.*1"):
        DetDataPreprocessor()({"inputs": images, "data_samples": [sample(20, 30, [])]})


@pytest.mark.parametrize("polygons", [False, True])
def test_masks_and_maps_are_padded_while_training(polygons: bool) -> None:
    preprocessor = DetDataPreprocessor(pad_mask=True, pad_seg=True, seg_pad_value=9)
    done = preprocessor(batch(polygons=polygons), True)["data_samples"]
    for one, (h, w) in zip(done, [(20, 30), (24, 18)], strict=True):
        assert one.gt_instances.masks.to_ndarray().shape == (2, 24, 30)
        assert one.gt_instances.masks.areas.tolist() == [96, 64]
        seg = one.gt_sem_seg.sem_seg
        assert seg.shape == (1, 24, 30)
        assert (seg[:, :h, :w] == 1).all()
        assert (seg == 9).sum() == 24 * 30 - h * w
    plain = preprocessor(batch(), False)["data_samples"][0]
    assert plain.gt_instances.masks.to_ndarray().shape == (2, 20, 30)
    assert plain.gt_sem_seg.shape == (20, 30)


def test_boxes_are_unwrapped() -> None:
    given = batch()
    for one in given["data_samples"]:
        one.gt_instances.bboxes = Boxes(one.gt_instances.bboxes)
    done = DetDataPreprocessor()(given)["data_samples"]
    assert done[0].gt_instances.bboxes.tolist()[0] == [2, 4, 10, 16]
    kept = DetDataPreprocessor(boxtype2tensor=False)(given)["data_samples"]
    assert isinstance(kept[0].gt_instances.bboxes, Boxes)


def resized(size: tuple[int, int], **options: Any) -> tuple[torch.Tensor, list[DetDataSample]]:
    """A batch after a resize that is drawn to be of this size."""
    augment = BatchSyncRandomResize((32, 64), interval=1, size_divisor=8)
    augment.size_at = lambda *_: size  # type: ignore[method-assign]
    preprocessor = DetDataPreprocessor(pad_mask=True, pad_seg=True, batch_augments=[augment])
    done = preprocessor(batch(**options), True)
    return done["inputs"], done["data_samples"]


@pytest.mark.parametrize("polygons", [False, True])
def test_all_is_resized_together(polygons: bool) -> None:
    inputs, samples = resized((48, 45), polygons=polygons)
    plain = DetDataPreprocessor(pad_mask=True, pad_seg=True)(batch(), True)
    want = F.interpolate(plain["inputs"], (48, 45), mode="bilinear", align_corners=False)
    torch.testing.assert_close(inputs, want)
    first = samples[0]
    assert first.gt_instances.bboxes.tolist() == [[3, 8, 15, 32], [0, 0, 12, 16]]
    assert first.ignored_instances.bboxes.tolist() == [[3, 8, 15, 32]]
    assert (first.batch_input_shape, first.img_shape, first.pad_shape) == ((48, 45), (40, 45), (40, 45))
    assert first.gt_instances.masks.to_ndarray().shape == (2, 48, 45)
    np.testing.assert_allclose(first.gt_instances.masks.get_bboxes(), first.gt_instances.bboxes, atol=1)
    assert first.gt_sem_seg.shape == (48, 45)
    assert first.gt_sem_seg.sem_seg.dtype == torch.long
    assert (first.gt_sem_seg.sem_seg[:, :40, :45] == 1).all()
    assert samples[1].img_shape == (48, 27)


@given(st.integers(0, 2**31), st.integers(0, 500), st.integers(8, 90), st.integers(8, 90))
def test_sizes_hold_for_an_interval_and_follow_from_seed_and_iteration(seed: int, it: int, h: int, w: int) -> None:
    augment = BatchSyncRandomResize((64, 128), interval=5, size_divisor=16)
    size = augment.size_at(it, seed, (h, w))
    assert size == BatchSyncRandomResize((64, 128), interval=5, size_divisor=16).size_at(it // 5 * 5, seed, (h, w))
    if it < 5:
        assert size == (h, w)
    else:
        assert size[0] % 16 == size[1] % 16 == 0
        assert 64 <= size[0] <= 128
        assert abs(size[1] - max(size[0] * w / h, 16)) < 16


def test_every_size_comes_up_and_seeds_differ() -> None:
    augment = BatchSyncRandomResize((64, 128), interval=5, size_divisor=16)
    sizes = [augment.size_at(5 * i, 3, (64, 64))[0] for i in range(1, 400)]
    shares = [sizes.count(edge) / len(sizes) for edge in (64, 80, 96, 112, 128)]
    np.testing.assert_allclose(shares, 0.2, atol=0.06)
    assert sizes != [augment.size_at(5 * i, 4, (64, 64))[0] for i in range(1, 400)]


def test_the_iteration_comes_from_the_run() -> None:
    hub = MessageHub.get_instance("batch-sizes")
    augment = MODELS.build(dict(type="BatchSyncRandomResize", random_size_range=(32, 96), interval=2, size_divisor=8))
    inputs = torch.zeros(1, 3, 16, 16)
    with hub.activate():
        assert augment(inputs, [])[0].shape[-2:] == (16, 16)
        hub.update_info_dict({"iter": 7, "seed": 11})
        assert tuple(augment(inputs, [])[0].shape[-2:]) == augment.size_at(7, 11, (16, 16)) != (16, 16)


def test_ranges_that_are_none() -> None:
    for bad in (dict(random_size_range=(64, 32)), dict(random_size_range=(8, 64)), dict(interval=0)):
        with pytest.raises(ValueError, match="random_size_range"):
            BatchSyncRandomResize(**{"random_size_range": (64, 96), **bad})


def test_fixed_size() -> None:
    cfg = dict(type="BatchFixedSizePad", size=(50, 40), img_pad_value=3, pad_mask=True, pad_seg=True, seg_pad_value=9)
    done = DetDataPreprocessor(batch_augments=[cfg])(batch(), True)
    assert done["inputs"].shape == (2, 3, 40, 50)
    assert (done["inputs"][..., 24:, :] == 3).all()
    assert (done["inputs"][0, :, :20, :30] == 1).all()
    one = done["data_samples"][1]
    assert (one.batch_input_shape, one.pad_shape) == ((40, 50), (40, 50))
    assert one.gt_instances.masks.to_ndarray().shape == (2, 40, 50)
    assert (one.gt_sem_seg.sem_seg == 9).sum() == 40 * 50 - 24 * 18
    assert BatchFixedSizePad((4, 4))(done["inputs"], [])[0].shape == (2, 3, 40, 50)
    assert DetDataPreprocessor(batch_augments=[cfg])(batch(), False)["inputs"].shape == (2, 3, 24, 30)


def test_batch_resize() -> None:
    inputs, samples = BatchResize((100, 48), pad_size_divisor=32, pad_value=5)(
        torch.ones(1, 3, 24, 30), [sample(24, 30, [[2, 4, 10, 16]])]
    )
    assert inputs.shape == (1, 3, 64, 64)  # 48 x 60, padded
    assert (inputs[..., 48:, :] == 5).all()
    assert (inputs[..., :48, :60] == 1).all()
    assert samples[0].gt_instances.bboxes.tolist() == [[4, 8, 20, 32]]
    assert (samples[0].img_shape, samples[0].batch_input_shape) == ((48, 60), (64, 64))


def test_a_batch_without_objects() -> None:
    given = {"inputs": [torch.zeros(3, 24, 30)], "data_samples": [sample(24, 30, [])]}
    augments = [BatchFixedSizePad((50, 40), pad_mask=True, pad_seg=True), BatchResize((100, 80))]
    done = DetDataPreprocessor(pad_mask=True, batch_augments=augments)(given, True)["data_samples"][0]
    assert done.gt_instances.bboxes.shape == (0, 4)
    assert done.gt_instances.masks.to_ndarray().shape == (0, 80, 100)
