"""What the heads of all YOLOs do: a module of convolutions, losses over the whole batch, objects of all levels.

Shapes: B images, P priors of all levels (see `visuite.det.heads.levels`), K classes, N objects kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from visuite.det.boxes.coder import clip_boxes
from visuite.det.heads.dense import Cfg, DenseHead, DenseOutputs, Features, Meta, finish
from visuite.det.heads.levels import Maps, map_sizes
from visuite.engine import dist
from visuite.engine.structures import InstanceData
from visuite.yolo.heads.truth import Samples, batch_truth
from visuite.yolo.registry import MODELS, TASK_UTILS


class YOLODense(DenseHead):
    """Features to losses and to objects.

    A head writes `loss_by_feat(*maps, truth=)` and `read(*maps)`, whose factors, where there are any, say how surely
    there is an object at all.

    Args:
        head_module: The convolutions, config or object: features to lists of maps, an entry for each level.
        prior_generator: Where priors stand, config or object.
        bbox_coder: How boxes are written, config or object.
        train_cfg: `assigner`; perhaps `initial_assigner`, which assigns before `initial_epoch`.
        test_cfg: `multi_label`: an object may be of several classes (by default); `nms_pre`: candidates of an image;
            `score_thr`, `min_bbox_size`, `nms`, `max_per_img`; `yolox_style`: keep all that suppression leaves,
            whatever `max_per_img` says, as YOLOX does.
        init_cfg: How weights are initialised.
    """

    #: Whether it learns from masks.
    with_masks: ClassVar[bool] = False
    #: `(*maps, truth=)` to a dict of losses.
    loss_by_feat: Callable[..., dict[str, torch.Tensor]]

    def __init__(
        self,
        head_module: Any,
        *,
        prior_generator: Any,
        bbox_coder: Any,
        train_cfg: Cfg | None = None,
        test_cfg: Cfg | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(train_cfg=train_cfg, test_cfg=test_cfg, init_cfg=init_cfg)
        self.head_module = MODELS.build(head_module)
        self.num_classes: int = self.head_module.num_classes
        self.in_channels: int | Sequence[int] = self.head_module.in_channels
        self.featmap_strides: Sequence[int] = self.head_module.featmap_strides
        self.prior_generator = TASK_UTILS.build(prior_generator)
        self.bbox_coder = TASK_UTILS.build(bbox_coder)

    def forward(self, feats: Features) -> tuple[list[torch.Tensor], ...]:
        """Turn features (B, C_l, H_l, W_l) into the lists of maps that the head module makes."""
        return self.head_module(feats)

    def loss(self, x: Features, batch_data_samples: Samples) -> dict[str, torch.Tensor]:
        """Return the losses of features (B, C_l, H_l, W_l), for samples in either form."""
        truth = batch_truth(batch_data_samples, x[0].device, with_masks=self.with_masks)
        return self.loss_by_feat(*self(x), truth=truth)

    def places(self, maps: Maps) -> torch.Tensor:
        """Return the place and the stride of each prior, (P, 4) float32: x, y, and the stride twice."""
        generator = self.prior_generator
        at: dict[str, Any] = {"dtype": torch.float32, "device": maps[0].device, "with_stride": True}
        return torch.cat(generator.grid_priors(map_sizes(maps), **at))

    def candidates(self, outputs: DenseOutputs, index: int, meta: Meta, cfg: Cfg) -> InstanceData:
        """Return the best `nms_pre` scores of an image above `score_thr`, with their boxes."""
        scores = outputs.scores[index]
        if outputs.factors is not None:
            scores = scores * outputs.factors[index][:, None]
        several = cfg.get("multi_label", True) and self.num_classes > 1
        best, label = (scores, None) if several else scores.max(dim=1, keepdim=True)
        place, column = (best > cfg.get("score_thr", 0.0)).nonzero(as_tuple=True)
        score = best[place, column]
        most = cfg.get("nms_pre", -1)
        if 0 < most < len(score):
            score, order = score.topk(most)
            place, column = place[order], column[order]
        boxes = self.decode_boxes(outputs.priors[place], outputs.boxes[index, place])
        labels = column if label is None else label[place, column]
        return InstanceData(bboxes=boxes, scores=score, labels=labels, **outputs.along(index, place))

    def result(
        self, candidates: InstanceData, cfg: Cfg, meta: Meta, *, rescale: bool = False, with_nms: bool = True
    ) -> InstanceData:
        """Make the result of an image; boxes of the file's size are freed of the padding around the image first."""
        if rescale and meta.get("pad_param") is not None:
            top, _, left, _ = (float(edge) for edge in meta["pad_param"])
            candidates.bboxes = candidates.bboxes - candidates.bboxes.new_tensor([left, top, left, top])
        settings = {**cfg, "max_per_img": -1} if cfg.get("yolox_style", False) else cfg
        found = finish(candidates, settings, meta, rescale=rescale, with_nms=with_nms)
        found.bboxes = clip_boxes(found.bboxes, meta["ori_shape"] if rescale else meta["img_shape"])
        return found


def images_of_all(images: int) -> int:
    """Return the images of all processes, if each has so many: what the losses of a batch are multiplied by."""
    return images * dist.get_world_size()
