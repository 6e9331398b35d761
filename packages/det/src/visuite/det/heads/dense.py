"""What all dense heads do: say something at each place of each level, and make objects of it.

Shapes: B images, L levels, A priors at each place, P priors of all levels (see `levels.py`), K classes, D numbers that
a box is written in, N objects kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from visuite.cv.ops import batched_nms
from visuite.det.structures import DetDataSample, unpack_gt_instances
from visuite.engine.model import BaseModule
from visuite.engine.structures import InstanceData

Cfg = Mapping[str, Any]
Meta = Mapping[str, Any]
Features = Sequence[torch.Tensor]


@dataclass(frozen=True)
class DenseOutputs:
    """A batch of a head's maps, read.

    Attributes:
        scores: (B, P, K), between 0 and 1.
        boxes: (B, P, D), as `DenseHead.decode_boxes` takes them.
        priors: (P, ...), where they stand.
        level_sizes: How many of the P belong to each level.
        factors: (B, P) or None: what scores are multiplied by once the candidates are chosen.
        more: What else is said at each place, (B, P, ...), and goes with the candidates under its name.
    """

    scores: torch.Tensor
    boxes: torch.Tensor
    priors: torch.Tensor
    level_sizes: Sequence[int]
    factors: torch.Tensor | None = None
    more: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def along(self, index: int, places: torch.Tensor) -> dict[str, Any]:
        """Return what else is said at places (N,) of an image."""
        return {name: values[index, places] for name, values in self.more.items()}


class DenseHead(BaseModule):
    """Features to losses and to objects.

    A head writes `forward`, which returns one list of maps (an entry for each level) or several; `loss_by_feat`, which
    makes losses of them; and `read`, which makes `DenseOutputs` of them. It has a `bbox_coder`, or writes
    `decode_boxes`.

    Args:
        train_cfg: Settings while training, given by the detector.
        test_cfg: Settings while predicting: `nms_pre`, `score_thr`, `min_bbox_size`, `nms`, `max_per_img`.
        init_cfg: How weights are initialised.
    """

    bbox_coder: Any
    #: `(*maps, batch_gt_instances=, batch_img_metas=, batch_gt_instances_ignore=)` to a dict of losses.
    loss_by_feat: Callable[..., dict[str, torch.Tensor]]
    #: `(*maps)` to what they say.
    read: Callable[..., DenseOutputs]

    def __init__(self, *, train_cfg: Cfg | None = None, test_cfg: Cfg | None = None, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.train_cfg = dict(train_cfg or {})
        self.test_cfg = dict(test_cfg or {})

    def decode_boxes(
        self, priors: torch.Tensor, boxes: torch.Tensor, max_shape: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Return boxes (..., N, 4) in pixels of the input.

        Args:
            priors: Those of each box (N, ...).
            boxes: As the head writes them, (..., N, D).
            max_shape: (h, w) that boxes are clipped to.
        """
        return self.bbox_coder.decode(priors, boxes, max_shape=max_shape)

    # ------------------------------------------------------------------ what a detector asks for

    def loss(self, x: Features, batch_data_samples: Sequence[DetDataSample]) -> dict[str, torch.Tensor]:
        """Return the losses of features (B, C, H_l, W_l)."""
        return self.loss_by_feat(*self(x), **_truth_of(batch_data_samples))

    def predict(
        self, x: Features, batch_data_samples: Sequence[DetDataSample], rescale: bool = False
    ) -> list[InstanceData]:
        """Return the objects of each image: `bboxes` (N, 4), `scores` (N,) and `labels` (N,), the best first.

        Args:
            x: Features (B, C, H_l, W_l).
            batch_data_samples: Their `img_shape` and `scale_factor` are used.
            rescale: Give boxes in the size of the image file.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        return self.predict_by_feat(*self(x), batch_img_metas=metas, rescale=rescale)

    def loss_and_predict(
        self, x: Features, batch_data_samples: Sequence[DetDataSample], proposal_cfg: Cfg | None = None
    ) -> tuple[dict[str, torch.Tensor], list[InstanceData]]:
        """Return the losses, and the objects as proposals in the size of the input, for a head that works on them.

        Args:
            x: Features (B, C, H_l, W_l).
            batch_data_samples: Truth and sizes.
            proposal_cfg: Settings in place of `test_cfg`.
        """
        maps = self(x)
        metas = [sample.metainfo for sample in batch_data_samples]
        losses = self.loss_by_feat(*maps, **_truth_of(batch_data_samples))
        return losses, self.predict_by_feat(*maps, batch_img_metas=metas, cfg=proposal_cfg)

    @torch.no_grad()
    def predict_by_feat(
        self,
        *maps: Any,
        batch_img_metas: Sequence[Meta],
        cfg: Cfg | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """Return the objects of each image in what `forward` returned.

        Args:
            *maps: What `forward` returned.
            batch_img_metas: `img_shape`, and with `rescale` `scale_factor` (w, h), of each image.
            cfg: Settings in place of `test_cfg`.
            rescale: Give boxes in the size of the image file.
            with_nms: Suppress, and keep `max_per_img`; else all candidates are returned.
        """
        settings = self.test_cfg if cfg is None else cfg
        outputs = self.read(*maps)
        found = []
        for index, meta in enumerate(batch_img_metas):
            candidates = self.candidates(outputs, index, meta, settings)
            found.append(self.result(candidates, settings, meta, rescale=rescale, with_nms=with_nms))
        return found

    def candidates(self, outputs: DenseOutputs, index: int, meta: Meta, cfg: Cfg) -> InstanceData:
        """Return the best scores of one image with their boxes: `nms_pre` of each level above `score_thr`."""
        scores = outputs.scores[index]
        score, prior, label = best_of_levels(
            scores, outputs.level_sizes, score_thr=cfg.get("score_thr", 0.0), nms_pre=cfg.get("nms_pre", -1)
        )
        boxes = self.decode_boxes(outputs.priors[prior], outputs.boxes[index, prior], max_shape=meta["img_shape"])
        if outputs.factors is not None:
            score = score * outputs.factors[index, prior]
        return InstanceData(bboxes=boxes, scores=score, labels=label, **outputs.along(index, prior))

    def result(
        self, candidates: InstanceData, cfg: Cfg, meta: Meta, *, rescale: bool = False, with_nms: bool = True
    ) -> InstanceData:
        """Make the result of an image of its candidates; see `finish`."""
        return finish(candidates, cfg, meta, rescale=rescale, with_nms=with_nms)


def _truth_of(samples: Sequence[DetDataSample]) -> dict[str, Any]:
    """Return what `loss_by_feat` takes besides the maps."""
    objects, ignored, metas = unpack_gt_instances(samples)
    return {"batch_gt_instances": objects, "batch_img_metas": metas, "batch_gt_instances_ignore": ignored}


def best_of_levels(
    scores: torch.Tensor, level_sizes: Sequence[int], *, score_thr: float, nms_pre: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Choose the best of each level among the scores (P, K) of an image.

    Args:
        scores: All scores.
        level_sizes: How many priors belong to each level.
        score_thr: Scores up to this are not chosen.
        nms_pre: How many of a level are chosen at most; any number if not positive.

    Returns:
        Scores, priors and labels (N,) each; within a level the best come first.
    """
    chosen, start = [], 0
    for level in scores.split(list(level_sizes)):
        flat = level.flatten()
        places = (flat > score_thr).nonzero().squeeze(1)
        values = flat[places]
        most = len(values) if nms_pre <= 0 else min(nms_pre, len(values))
        best, order = values.topk(most)
        places = places[order]
        chosen.append((best, start + places // level.shape[1], places % level.shape[1]))
        start += level.shape[0]
    score, prior, label = (torch.cat(column) for column in zip(*chosen, strict=True))
    return score, prior, label


def finish(
    candidates: InstanceData,
    cfg: Cfg,
    meta: Meta,
    *,
    rescale: bool = False,
    with_nms: bool = True,
    groups: str = "labels",
) -> InstanceData:
    """Make the result of an image: boxes in its own size, small ones away, the suppressed away, the best kept.

    Args:
        candidates: `bboxes` (N, 4), `scores` (N,), `labels` (N,), and whatever goes with them.
        cfg: `min_bbox_size`, `nms`, `max_per_img`.
        meta: `scale_factor` (w, h), for `rescale`.
        rescale: Divide the boxes by the scale factor.
        with_nms: Suppress, and keep `max_per_img`.
        groups: The field whose values are groups that leave each other alone.
    """
    if rescale:
        candidates.bboxes = rescale_boxes(candidates.bboxes, meta)
    least = cfg.get("min_bbox_size", -1)
    if least >= 0:
        w, h = (candidates.bboxes[:, 2:] - candidates.bboxes[:, :2]).unbind(dim=1)
        candidates = candidates[(w > least) & (h > least)]
    if not with_nms:
        return candidates
    dets, kept = batched_nms(candidates.bboxes, candidates.scores, candidates[groups], cfg.get("nms"))
    most = cfg.get("max_per_img", -1)
    dets, kept = (dets[:most], kept[:most]) if most > 0 else (dets, kept)
    result = candidates[kept]
    result.scores = dets[:, 4]  # a soft suppression changes them
    return result


def rescale_boxes(boxes: torch.Tensor, meta: Meta) -> torch.Tensor:
    """Return boxes (N, 4) of the input in the size of the image file, by `scale_factor` (w, h), if there is one."""
    factor = meta.get("scale_factor")
    return boxes if factor is None else boxes / boxes.new_tensor(tuple(factor)[:2]).repeat(2)
