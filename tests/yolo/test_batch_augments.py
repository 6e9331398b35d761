"""Training at many scales: images, boxes and sizes go together, in either form of samples, and after resuming."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.engine.runner.test_resume import Stop, StopAt
from tests.engine.runner.toy import assert_same_bits, config, weights
from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.engine.hooks import Hook
from visuite.engine.logging import MessageHub
from visuite.engine.model import BaseModel
from visuite.engine.registry import DATASETS, FUNCTIONS, DefaultScope
from visuite.engine.runner import Runner
from visuite.engine.structures import InstanceData
from visuite.yolo.batch_augments import INTERPOLATIONS, PPYOLOEBatchRandomResize, YOLOXBatchSyncRandomResize
from visuite.yolo.registry import MODELS

ROWS = torch.tensor([[0, 2, 4.0, 8.0, 12.0, 16.0], [2, 1, 0.0, 0.0, 40.0, 32.0], [0, 0, 1.0, 1.0, 2.0, 3.0]])


def collated(*sizes: tuple[int, int]) -> dict[str, Any]:
    """Samples of three images as `yolov5_collate` makes them."""
    return {"bboxes_labels": ROWS.clone(), "img_metas": [{"img_id": i, "img_shape": s} for i, s in enumerate(sizes)]}


def listed(*sizes: tuple[int, int]) -> list[DetDataSample]:
    """The same samples as a list."""
    samples = []
    for index, size in enumerate(sizes):
        mine = ROWS[ROWS[:, 0] == index]
        sample = DetDataSample(metainfo={"img_id": index, "img_shape": size})
        sample.gt_instances = InstanceData(bboxes=mine[:, 2:].clone(), labels=mine[:, 1].long())
        samples.append(sample)
    return samples


def expected_rows(scales: list[tuple[float, float]]) -> torch.Tensor:
    """The rows, each box scaled as its image is, along x and y."""
    rows = []
    for image, label, left, top, right, bottom in ROWS.tolist():
        x, y = scales[int(image)]
        rows.append([image, label, left * x, top * y, right * x, bottom * y])
    return torch.tensor(rows)


def rows_of(samples: Any) -> torch.Tensor:
    """The objects of samples in either form, in the order of `ROWS`."""
    if isinstance(samples, dict):
        return samples["bboxes_labels"]
    found = [
        [i, label, *box]
        for i, one in enumerate(samples)
        for label, box in zip(one.gt_instances.labels.tolist(), one.gt_instances.bboxes.tolist(), strict=True)
    ]
    return torch.tensor([found[0], found[2], found[1]])


def shapes_of(samples: Any, key: str = "img_shape") -> list[tuple[int, int]]:
    metas = samples["img_metas"] if isinstance(samples, dict) else [one.metainfo for one in samples]
    return [tuple(meta[key]) for meta in metas]


@pytest.fixture
def hub() -> Any:
    """The message hub of a run that does not take place."""
    hub = MessageHub.get_instance("yolo-batch-sizes")
    hub.update_info_dict({"iter": 5, "seed": 3})
    with hub.activate():
        yield hub


# ---------------------------------------------------------------------- YOLOX


@pytest.mark.parametrize("form", [collated, listed])
def test_a_batch_of_one_size_is_resized_with_its_samples(hub: MessageHub, form: Any) -> None:
    augment = YOLOXBatchSyncRandomResize((48, 96), interval=2, size_divisor=16)
    height, width = augment.size_at(5, 3, (32, 40))
    assert height in range(48, 97, 16)
    assert width == 16 * int(height / 16 * 40 / 32)
    images = torch.rand(3, 3, 32, 40)
    resized, samples = augment(images, form(*[(32, 40)] * 3))
    torch.testing.assert_close(resized, F.interpolate(images, (height, width), mode="bilinear", align_corners=False))
    torch.testing.assert_close(rows_of(samples), expected_rows([(width / 40, height / 32)] * 3))
    assert shapes_of(samples) == shapes_of(samples, "batch_input_shape") == [(height, width)] * 3


def test_before_the_first_change_and_at_the_same_size_nothing_is_touched(hub: MessageHub) -> None:
    images, samples = torch.rand(3, 3, 32, 40), collated(*[(32, 40)] * 3)
    same = YOLOXBatchSyncRandomResize((32, 32), interval=1, size_divisor=8)(images, samples)
    assert same[0] is images
    assert same[1] is samples
    hub.update_info("iter", 1)
    early = YOLOXBatchSyncRandomResize((64, 96), interval=2)(images, samples)
    assert early[0] is images
    assert early[1] is samples


def test_a_batch_without_objects(hub: MessageHub) -> None:
    empty = {"bboxes_labels": torch.zeros(0, 6), "img_metas": [{}, {}]}
    for augment in (YOLOXBatchSyncRandomResize((48, 96), 1), PPYOLOEBatchRandomResize((48, 96))):
        images, samples = augment(torch.rand(2, 3, 32, 32), empty)
        assert samples["bboxes_labels"].shape == (0, 6)
        assert samples["img_metas"][1] == {"batch_input_shape": tuple(images.shape[-2:])}


def test_masks_keep_their_share_of_the_size(hub: MessageHub) -> None:
    augment = YOLOXBatchSyncRandomResize((64, 64), interval=1)
    masks = torch.zeros(3, 8, 8, dtype=torch.uint8)
    masks[0, 2:4, 1:3] = 1
    _, samples = augment(torch.rand(3, 3, 32, 32), {**collated(*[(32, 32)] * 3), "masks": masks})
    assert samples["masks"].dtype == torch.uint8
    assert samples["masks"].shape == (3, 16, 16)
    assert samples["masks"].nonzero().tolist() == [[0, y, x] for y in range(4, 8) for x in range(2, 6)]
    one = listed((32, 32))[:1]
    one[0].gt_instances.masks = BitmapMasks(masks[:2].repeat_interleave(4, 1).repeat_interleave(4, 2).numpy(), 32, 32)
    _, resized = augment(torch.rand(1, 3, 32, 32), one)
    assert resized[0].gt_instances.masks.to_ndarray().shape == (2, 64, 64)


def test_keypoints_move_with_their_boxes(hub: MessageHub) -> None:
    points = torch.tensor([[[4.0, 8.0, 2.0]], [[0.0, 30.0, 1.0]], [[1.0, 3.0, 0.0]]])
    sizes = [(32, 40), (20, 30), (48, 24)]
    augment = PPYOLOEBatchRandomResize((96, 96))
    images = [torch.zeros(3, *size) for size in sizes]
    _, samples = augment(images, {**collated(*sizes), "keypoints": points})
    want = [[4 * 96 / 40, 8 * 96 / 32, 2.0], [0.0, 30 * 96 / 48, 1.0], [1 * 96 / 40, 3 * 96 / 32, 0.0]]
    torch.testing.assert_close(samples["keypoints"], torch.tensor(want)[:, None])
    one = listed(*sizes)[2:]
    one[0].gt_instances = InstanceData(bboxes=ROWS[1:2, 2:], keypoints=points[1:2])
    _, resized = augment(images[2:], one)
    torch.testing.assert_close(resized[0].gt_instances.keypoints, torch.tensor([[want[1]]]))


# ---------------------------------------------------------------------- PP-YOLOE

SIZES = [(32, 40), (20, 30), (48, 24)]


@pytest.mark.parametrize("form", [collated, listed])
def test_images_of_any_sizes_become_one_square(hub: MessageHub, form: Any) -> None:
    augment = PPYOLOEBatchRandomResize((64, 128), random_interp=False)
    edge, mode = augment.draw(5, 3)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in SIZES]
    resized, samples = augment(images, form(*SIZES))
    assert mode == "bilinear"
    assert resized.shape == (3, 3, edge, edge)
    for image, now in zip(images, resized, strict=True):
        want = F.interpolate(image[None].float(), (edge, edge), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(now, want)
    torch.testing.assert_close(rows_of(samples), expected_rows([(edge / w, edge / h) for h, w in SIZES]))
    assert shapes_of(samples) == [(edge, edge)] * 3


@pytest.mark.parametrize("form", [collated, listed])
def test_a_kept_ratio_makes_the_longer_edge_as_long(hub: MessageHub, form: Any) -> None:
    augment = PPYOLOEBatchRandomResize((64, 64), keep_ratio=True)
    images, samples = augment([torch.zeros(3, *size, dtype=torch.uint8) for size in SIZES], form(*SIZES))
    after = [(51, 64), (43, 64), (64, 32)]
    assert [tuple(image.shape[-2:]) for image in images] == shapes_of(samples) == after
    scales = [(new[1] / old[1], new[0] / old[0]) for old, new in zip(SIZES, after, strict=True)]
    torch.testing.assert_close(rows_of(samples), expected_rows(scales))


def test_interpolations_come_up_alike_and_cubic_ones_stay_in_range(hub: MessageHub) -> None:
    augment = PPYOLOEBatchRandomResize((64, 96), interval=2)
    drawn = [augment.draw(i, 0) for i in range(0, 1200, 2)]
    for mode in INTERPOLATIONS:
        assert 0.2 < sum(one[1] == mode for one in drawn) / 600 < 0.3
    for edge in (64, 96):
        assert 0.4 < sum(one[0] == edge for one in drawn) / 600 < 0.6
    assert augment.draw(6, 9) == augment.draw(7, 9)
    cubic = next(i for i, one in enumerate(drawn) if one[1] == "bicubic")
    hub.update_info_dict({"iter": 2 * cubic, "seed": 0})
    checks = torch.tensor([0, 255], dtype=torch.uint8).repeat(16, 8)[None]
    images, _ = augment([checks, checks.clone()], None)
    assert (images.min(), images.max()) == (0, 255)
    assert augment([checks.float()], None)[0].max() > 255


@pytest.mark.parametrize("kind", [YOLOXBatchSyncRandomResize, PPYOLOEBatchRandomResize])
def test_ranges_that_are_none(kind: Any) -> None:
    with pytest.raises(ValueError, match="random_size_range"):
        kind((64, 32))
    with pytest.raises(ValueError, match="interval 0"):
        kind((64, 96), interval=0)


# ---------------------------------------------------------------------- one key


@FUNCTIONS.register_module()
def tiny_collate(samples: list[int]) -> dict[str, Any]:
    """Noisy images and an object in each, in the collated form."""
    rows = torch.tensor([[i, index % 2, 4.0, 4.0, 20.0, 24.0] for i, index in enumerate(samples)])
    images = torch.randint(0, 256, (len(samples), 3, 32, 32), generator=torch.Generator().manual_seed(sum(samples)))
    return {
        "inputs": images.byte(),
        "data_samples": {"bboxes_labels": rows, "img_metas": [{"img_shape": (32, 32)} for _ in samples]},
    }


@DATASETS.register_module()
class Numbers:
    """Numbers, which `tiny_collate` makes images of."""

    metainfo = {"classes": ("even", "odd")}

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> int:
        return int(index)


@MODELS.register_module()
class TinyYOLO(BaseModel):
    """A map of the image, looked at in the middle of each object."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.net = nn.Conv2d(3, 2, 8, stride=8)

    def forward(self, inputs: torch.Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        maps, rows = self.net(inputs), data_samples["bboxes_labels"]
        middle = ((rows[:, 2:4] + rows[:, 4:]) / 2 / 8).long()
        scores = maps[rows[:, 0].long(), :, middle[:, 1], middle[:, 0]]
        return {"loss": F.cross_entropy(scores, rows[:, 1].long())}


class Sizes(Hook):
    """Write down the size of each batch behind the preprocessor, and that its boxes fit it."""

    def __init__(self) -> None:
        self.seen: dict[int, tuple[int, int]] = {}

    def before_train(self, runner: Any) -> None:
        self.handle = runner.model.net.register_forward_pre_hook(
            lambda _, args: self.seen.update({runner.iter: tuple(args[0].shape[-2:])})
        )


#: The one key that is not as without training at many scales.
MULTI_SCALE = [{"type": "YOLOXBatchSyncRandomResize", "random_size_range": (32, 64), "interval": 1, "size_divisor": 16}]


def run(work_dir: Any, *hooks: Hook, batch_augments: Any = MULTI_SCALE, **changes: Any) -> Runner:
    preprocessor = {"type": "YOLOv5DetDataPreprocessor", "mean": [0.0] * 3, "std": [255.0] * 3, "bgr_to_rgb": True}
    loader = {"batch_size": 3, "dataset": {"type": "Numbers"}, "sampler": {"type": "DefaultSampler", "shuffle": True}}
    cfg = config(
        work_dir,
        model={"type": "TinyYOLO", "data_preprocessor": {**preprocessor, "batch_augments": batch_augments}},
        train_dataloader={**loader, "collate_fn": {"type": "tiny_collate"}},
        default_scope="yolo",
        custom_hooks=list(hooks),
        default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1, "by_epoch": False}},
        **{"val_cfg": None, "val_dataloader": None, "val_evaluator": None, **changes},
    )
    return Runner.from_cfg(cfg)


def test_one_key_trains_at_many_scales_and_resumes_exactly(tmp_path: Any) -> None:
    whole, second, plain = Sizes(), Sizes(), Sizes()
    never_stopped = weights(run(tmp_path / "whole", whole).train())
    assert set(whole.seen.values()) == {(32, 32), (48, 48), (64, 64)}
    with pytest.raises(Stop):
        run(tmp_path / "parts", StopAt(5)).train()
    assert_same_bits(weights(run(tmp_path / "parts", second, resume=True).train()), never_stopped)
    assert second.seen == {i: size for i, size in whole.seen.items() if i >= 5}
    run(tmp_path / "plain", plain, batch_augments=None).train()
    assert set(plain.seen.values()) == {(32, 32)}


def test_both_preprocessors_normalise_what_was_resized(hub: MessageHub) -> None:
    images = [torch.full((3, *size), 51, dtype=torch.uint8) for size in SIZES]
    augments = [{"type": "PPYOLOEBatchRandomResize", "random_size_range": (64, 96), "random_interp": True}]
    with DefaultScope.overwrite_default_scope("yolo"):
        preprocessor = MODELS.build(
            {
                "type": "PPYOLOEDetDataPreprocessor", "pad_size_divisor": 32, "batch_augments": augments,
                "mean": [0.0] * 3, "std": [255.0] * 3,
            }
        )  # fmt: skip
    edge = preprocessor.batch_augments[0].draw(5, 3)[0]
    done = preprocessor({"inputs": images, "data_samples": collated(*SIZES)}, True)
    torch.testing.assert_close(done["inputs"], torch.full((3, 3, edge, edge), 0.2))
    assert shapes_of(done["data_samples"], "batch_input_shape") == [(edge, edge)] * 3
    torch.testing.assert_close(rows_of(done["data_samples"]), expected_rows([(edge / w, edge / h) for h, w in SIZES]))
