#!/usr/bin/env python
"""What detectors cost: a training step and a prediction, against torchvision's own detectors, in one run.

    python benchmarks/detectors.py [--size 320] [--batch 2] [--rounds 5] [--only retinanet]

Both have a ResNet-50 with FPN, 80 classes, and the same weights, images, objects, numbers of proposals and of samples,
overlaps of suppression and points per bin of a region. Batch norms keep their statistics, and the stem and the first
stage are not trained. A step is preprocessing, forward and backward; a prediction ends with objects in the size of the
image. torchvision is asked not to resize images, which are of the size that it would make.

Weights are random, so that no score means anything. The threshold is chosen for each side such that an image has as
many candidates with larger scores as `--candidates` says, before suppression.

Times are of the processor, by one thread: what else the machine does hardly counts. The rounds of both alternate, and
medians are compared. Memory is the most that tensors hold above what they held before, in a step of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torchvision
import torchvision.models.detection as tv
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from visuite.det.registry import MODELS
from visuite.det.roi_heads.regions import bbox2roi
from visuite.det.structures import BitmapMasks, DetDataSample
from visuite.engine.registry import init_default_scope
from visuite.engine.structures import InstanceData

CLASSES = 80
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Program = Callable[[], Any]
Cfg = dict[str, Any]


# ---------------------------------------------------------------------- ours


def body(kind: str, **neck: Any) -> Cfg:
    """Return the config of a detector without its heads."""
    return dict(
        type=kind,
        data_preprocessor=dict(
            type="DetDataPreprocessor",
            mean=[255 * x for x in MEAN],
            std=[255 * x for x in STD],
            pad_mask=True,
            pad_size_divisor=32,
        ),
        backbone=dict(type="ResNet", depth=50, frozen_stages=1, norm_eval=True),
        neck=dict(type="FPN", in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5, **neck),
    )


def retinanet() -> Cfg:
    """Return the config of RetinaNet."""
    return dict(
        **body("RetinaNet", start_level=1, add_extra_convs="on_output", relu_before_extra_convs=True),
        bbox_head=dict(
            type="RetinaHead",
            num_classes=CLASSES,
            in_channels=256,
            anchor_generator=dict(
                type="AnchorGenerator",
                octave_base_scale=4,
                scales_per_octave=3,
                ratios=[0.5, 1.0, 2.0],
                strides=[8, 16, 32, 64, 128],
            ),
            loss_cls=dict(type="FocalLoss", use_sigmoid=True),
            loss_bbox=dict(type="L1Loss"),
        ),
        train_cfg=dict(assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)),
        test_cfg=dict(nms_pre=1000, min_bbox_size=0, nms=dict(type="nms", iou_threshold=0.5), max_per_img=100),
    )


def fcos() -> Cfg:
    """Return the config of FCOS."""
    return dict(
        **body("FCOS", start_level=1, add_extra_convs="on_output", relu_before_extra_convs=True),
        bbox_head=dict(
            type="FCOSHead",
            num_classes=CLASSES,
            in_channels=256,
            strides=[8, 16, 32, 64, 128],
            center_sampling=True,
            norm_on_bbox=True,
            centerness_on_reg=True,
            conv_bias=True,
            loss_bbox=dict(type="GIoULoss"),
        ),
        test_cfg=dict(nms_pre=1000, min_bbox_size=0, nms=dict(type="nms", iou_threshold=0.6), max_per_img=100),
    )


def rcnn(*, masks: bool) -> Cfg:
    """Return the config of Faster R-CNN, or of Mask R-CNN."""

    def extractor(size: int) -> Cfg:
        layer = dict(type="RoIAlign", output_size=size, sampling_ratio=2)
        return dict(type="SingleRoIExtractor", roi_layer=layer, out_channels=256, featmap_strides=[4, 8, 16, 32])

    def sampler(num: int, part: float, *, own: bool) -> Cfg:
        return dict(type="RandomSampler", num=num, pos_fraction=part, neg_pos_ub=-1, add_gt_as_proposals=own)

    assigner = dict(type="MaxIoUAssigner", pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
    region_assigner = dict(
        type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False
    )
    proposals = dict(nms_pre=1000, max_per_img=1000, nms=dict(type="nms", iou_threshold=0.7), min_bbox_size=0)
    roi_head: Cfg = dict(
        type="StandardRoIHead",
        bbox_roi_extractor=extractor(7),
        bbox_head=dict(type="Shared2FCBBoxHead", num_classes=CLASSES),
    )
    if masks:
        roi_head |= dict(mask_roi_extractor=extractor(14), mask_head=dict(type="FCNMaskHead", num_classes=CLASSES))
    return dict(
        **body("MaskRCNN" if masks else "FasterRCNN"),
        rpn_head=dict(
            type="RPNHead",
            in_channels=256,
            anchor_generator=dict(
                type="AnchorGenerator", scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]
            ),
        ),
        roi_head=roi_head,
        train_cfg=dict(
            rpn=dict(assigner=assigner, sampler=sampler(256, 0.5, own=False), allowed_border=-1),
            rpn_proposal={**proposals, "nms_pre": 2000},
            rcnn=dict(assigner=region_assigner, sampler=sampler(512, 0.25, own=True), mask_size=28),
        ),
        test_cfg=dict(
            rpn=proposals,
            rcnn=dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=100, mask_thr_binary=0.5),
        ),
    )


# ---------------------------------------------------------------------- torchvision's


def retinanet_parts(ours: Any, theirs: Any) -> list[tuple[nn.Module, nn.Module]]:
    """Return the parts of both heads that are alike."""
    head, classes, boxes = ours.bbox_head, theirs.head.classification_head, theirs.head.regression_head
    return [
        (head.cls_convs, classes.conv),
        (head.retina_cls, classes.cls_logits),
        (head.reg_convs, boxes.conv),
        (head.retina_reg, boxes.bbox_reg),
    ]


def fcos_parts(ours: Any, theirs: Any) -> list[tuple[nn.Module, nn.Module]]:
    """Return the parts of both heads that are alike."""
    head, classes, boxes = ours.bbox_head, theirs.head.classification_head, theirs.head.regression_head
    return [
        (head.cls_convs, classes.conv),
        (head.conv_cls, classes.cls_logits),
        (head.reg_convs, boxes.conv),
        (head.conv_reg, boxes.bbox_reg),
        (head.conv_centerness, boxes.bbox_ctrness),
    ]


def rcnn_parts(ours: Any, theirs: Any) -> list[tuple[nn.Module, nn.Module]]:
    """Return the parts of both heads that are alike but for the class that stands for the background."""
    head, regions = ours.roi_head, theirs.roi_heads
    parts = [
        (ours.rpn_head, theirs.rpn.head),
        (head.bbox_head.shared_fcs, regions.box_head),
        (head.bbox_head.fc_cls, regions.box_predictor.cls_score),
        (head.bbox_head.fc_reg, regions.box_predictor.bbox_pred),
    ]
    if head.with_mask:
        parts += [
            (head.mask_head.convs, regions.mask_head),
            (head.mask_head.upsample, regions.mask_predictor.conv5_mask),
            (head.mask_head.conv_logits, regions.mask_predictor.mask_fcn_logits),
        ]
    return parts


@torch.no_grad()
def share_weights(parts: Iterable[tuple[nn.Module, nn.Module]]) -> None:
    """Give the second of each pair the weights of the first; of their classes the background is the first."""
    for ours, theirs in parts:
        for source, target in zip(ours.parameters(), theirs.parameters(), strict=True):
            if len(source) == len(target) == CLASSES + 1:
                target.copy_(source.roll(1, 0))
            else:
                target[len(target) - len(source) :] = source


class Rivals(NamedTuple):
    """How to build a detector here and there."""

    name: str
    ours: Cfg
    theirs: Callable[..., nn.Module]
    their_settings: Cfg
    parts: Callable[[Any, Any], list[tuple[nn.Module, nn.Module]]]
    masks: bool = False


_RPN = dict(num_classes=CLASSES + 1, rpn_post_nms_top_n_train=1000)
RIVALS = [
    Rivals("Faster R-CNN", rcnn(masks=False), tv.fasterrcnn_resnet50_fpn, _RPN, rcnn_parts),
    Rivals("Mask R-CNN", rcnn(masks=True), tv.maskrcnn_resnet50_fpn, _RPN, rcnn_parts, masks=True),
    Rivals("RetinaNet", retinanet(), tv.retinanet_resnet50_fpn, dict(num_classes=CLASSES), retinanet_parts),
    Rivals("FCOS", fcos(), tv.fcos_resnet50_fpn, dict(num_classes=CLASSES), fcos_parts),
]


def build(rivals: Rivals, size: int) -> tuple[Any, Any]:
    """Return both detectors, with the same weights."""
    ours = MODELS.build(rivals.ours)
    ours.init_weights()
    if rivals.name == "FCOS":
        nn.init.constant_(ours.bbox_head.conv_reg.bias, 2.0)  # else half of the boxes are nothing
    theirs: Any = rivals.theirs(
        weights=None, weights_backbone=None, min_size=size, max_size=size, _skip_resize=True, **rivals.their_settings
    )
    if rivals.name in ("RetinaNet", "FCOS"):
        settings = ours.bbox_head.test_cfg
        theirs.nms_thresh, theirs.detections_per_img = settings["nms"]["iou_threshold"], settings["max_per_img"]
        theirs.topk_candidates = settings["nms_pre"]
    network = theirs.backbone.body
    network.load_state_dict(ours.backbone.state_dict())
    share_weights([(ours.neck, theirs.backbone.fpn), *rivals.parts(ours, theirs)])
    for part in (network.conv1, network.bn1, network.layer1):
        part.requires_grad_(False)
    return ours, theirs


# ---------------------------------------------------------------------- what they work on


class Batch:
    """Images and objects, as each side wants them.

    Args:
        count: How many images.
        size: Of their edges.
        objects: How many objects an image has.
        masks: Whether objects have masks: discs.
    """

    def __init__(self, count: int, size: int, *, objects: int, masks: bool) -> None:
        rng = np.random.default_rng(0)
        self.images, self.samples, self.targets = [], [], []
        for number in range(count):
            self.images.append(torch.from_numpy(rng.integers(0, 256, (3, size, size), dtype=np.uint8)))
            sides = np.exp(rng.uniform(np.log(size / 20), np.log(size * 0.6), (objects, 2)))
            corners = rng.random((objects, 2)) * (size - sides)
            boxes = torch.from_numpy(np.concatenate((corners, corners + sides), 1)).float()
            labels = torch.from_numpy(rng.integers(0, CLASSES, objects))
            truth, theirs = InstanceData(bboxes=boxes, labels=labels), {"boxes": boxes, "labels": labels}
            if masks:
                y, x = np.mgrid[:size, :size] + 0.5
                middle, half = corners + sides / 2, sides / 2
                far = [((x - m[0]) / h[0]) ** 2 + ((y - m[1]) / h[1]) ** 2 for m, h in zip(middle, half, strict=True)]
                discs = (np.stack(far) < 1).astype(np.uint8)
                truth.masks, theirs["masks"] = BitmapMasks(discs, size, size), torch.from_numpy(discs)
            meta = dict(img_id=number, img_shape=(size, size), ori_shape=(size, size), scale_factor=(1.0, 1.0))
            none = InstanceData(bboxes=boxes[:0], labels=labels[:0])
            self.samples.append(DetDataSample(metainfo=meta, gt_instances=truth, ignored_instances=none))
            self.targets.append(theirs)

    @property
    def ours(self) -> Cfg:
        """What our preprocessor takes."""
        return {"inputs": self.images, "data_samples": self.samples}

    @property
    def theirs(self) -> list[Tensor]:
        """What torchvision's models take."""
        return [image.float() / 255 for image in self.images]


def programs(ours: Any, theirs: Any, batch: Batch, rivals: Rivals) -> dict[str, tuple[Program, Program]]:
    """Return what is raced: our program and torchvision's."""
    shift = int(hasattr(theirs, "roi_heads"))
    targets = [{**one, "labels": one["labels"] + shift} for one in batch.targets]

    def our_step() -> None:
        ours.zero_grad()
        loss, _ = ours.parse_losses(ours(**ours.data_preprocessor(batch.ours, True), mode="loss"))
        loss.backward()

    def their_step() -> None:
        theirs.zero_grad()
        sum(theirs(batch.theirs, targets).values()).backward()

    @torch.no_grad()
    def our_prediction() -> int:
        found = ours(**ours.data_preprocessor(batch.ours, False), mode="predict")
        return sum(len(one.pred_instances) for one in found)

    @torch.no_grad()
    def their_prediction() -> int:
        return sum(len(one["scores"]) for one in theirs(batch.theirs))

    return {"training step": (our_step, their_step), "prediction": (our_prediction, their_prediction)}


def set_mode(ours: Any, theirs: Any, *, training: bool) -> None:
    """Make both train or predict; batch norms keep their statistics."""
    ours.train(training)
    theirs.train(training)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def set_thresholds(ours: Any, theirs: Any, batch: Batch, candidates: int) -> None:
    """Choose the scores of both from where on there are objects, such that an image has so many candidates."""

    def least(scores: Tensor) -> float:
        return float(scores.flatten().topk(candidates * len(batch.images) + 1).values[-1])

    data = ours.data_preprocessor(batch.ours, False)
    feats = ours.extract_feat(data["inputs"])
    if hasattr(ours, "roi_head"):
        rois = bbox2roi([one.bboxes for one in ours.rpn_head.predict(feats, data["data_samples"])])
        scores = ours.roi_head.bbox_head.scores_of(ours.roi_head.bbox_forward(feats, rois)[0])[:, :CLASSES]
        ours.roi_head.test_cfg["score_thr"] = theirs.roi_heads.score_thresh = least(scores)
        return
    read = ours.bbox_head.read(*ours.bbox_head(feats))
    ours.bbox_head.test_cfg["score_thr"] = theirs.score_thresh = least(read.scores)
    if read.factors is not None:  # torchvision multiplies before it compares, and takes the root
        theirs.score_thresh = least((read.scores * read.factors[..., None]).sqrt())


# ---------------------------------------------------------------------- clock and scales


def seconds(program: Program) -> float:
    """Return the processor's time of a run."""
    start = time.process_time()
    program()
    return time.process_time() - start


def peak(program: Program) -> float:
    """Return the most MiB that tensors hold in a run, above what they held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        program()
    held = highest = 0
    for event in trace.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            highest = max(highest, held)
    return highest / 2**20


def race(pair: Sequence[Program], rounds: int) -> tuple[list[float], list[float]]:
    """Return the median seconds and the memory of both; who runs first alternates."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            times[side].append(seconds(pair[side]))
    return [statistics.median(one) for one in times], [peak(program) for program in pair]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--objects", type=int, default=10, help="in each image")
    parser.add_argument("--candidates", type=int, default=1000, help="in each image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="race only those whose name has this in it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    init_default_scope("det")
    print(f"one of {os.cpu_count()} cores, torch {torch.__version__}, torchvision {torchvision.__version__}")
    print(f"{args.batch} images of {args.size} x {args.size} with {args.objects} objects, {args.candidates} candidates")
    print(f"medians of {args.rounds} rounds; a ratio below 1 means that ours is cheaper")
    print("| detector | work | ours, s | torchvision, s | ratio | ours, MiB | torchvision, MiB | ratio | objects |")
    print("|---|---|---|---|---|---|---|---|---|")
    for rivals in RIVALS:
        if args.only.lower() not in rivals.name.lower():
            continue
        torch.manual_seed(0)
        ours, theirs = build(rivals, args.size)
        batch = Batch(args.batch, args.size, objects=args.objects, masks=rivals.masks)
        set_mode(ours, theirs, training=False)
        set_thresholds(ours, theirs, batch, args.candidates)
        for work, pair in programs(ours, theirs, batch, rivals).items():
            set_mode(ours, theirs, training=work == "training step")
            objects = [program() for program in pair]  # and all is warm
            times, memory = race(pair, args.rounds)
            cells = [rivals.name, work]
            cells += [f"{times[0]:.3f}", f"{times[1]:.3f}", f"{times[0] / times[1]:.2f}"]
            cells += [f"{memory[0]:.0f}", f"{memory[1]:.0f}", f"{memory[0] / memory[1]:.2f}"]
            cells += ["" if objects[0] is None else f"{objects[0]}, {objects[1]}"]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
