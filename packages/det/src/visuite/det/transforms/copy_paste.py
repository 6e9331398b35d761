"""Objects of one image put into another. Ghiasi et al., Simple Copy-Paste, arXiv:2012.07177."""

from __future__ import annotations

from typing import Any

import numpy as np

from visuite.cv.transforms import RandomTransform, keep_objects
from visuite.cv.transforms.mosaic import mixed_in
from visuite.cv.transforms.objects import join_objects
from visuite.det.registry import TRANSFORMS
from visuite.det.structures import BitmapMasks


@TRANSFORMS.register_module()
class CopyPaste(RandomTransform):
    """Paste objects of another image of the same size, by their masks; a `MultiImageMixDataset` hands it over.

    Masks of objects underneath lose what is covered, and their boxes are fitted to what is left; those that are mostly
    covered are dropped. Masks become bitmaps.

    Args:
        max_num_pasted: The most objects that are pasted.
        bbox_occluded_thr: An object underneath stays if no side of its box moved by more pixels than this,
        mask_occluded_thr: or if more pixels than this are left of its mask.
        selected: Let chance choose among the other image's objects; else all are pasted.
        paste_by_box: Where images have no masks, paste the boxes, and give no masks either.

    Raises:
        KeyError: an image has neither masks nor leave to paste by boxes.
        ValueError: the images differ in size.
    """

    def __init__(
        self,
        max_num_pasted: int = 100,
        bbox_occluded_thr: float = 10,
        *,
        mask_occluded_thr: float = 300,
        selected: bool = True,
        paste_by_box: bool = False,
    ) -> None:
        self.max_num_pasted = max_num_pasted
        self.bbox_occluded_thr = bbox_occluded_thr
        self.mask_occluded_thr = mask_occluded_thr
        self.selected = selected
        self.paste_by_box = paste_by_box

    def get_indexes(self, dataset: Any) -> int:
        """Draw which sample of a data set the objects come from."""
        return int(np.random.randint(len(dataset)))

    def draw(self, results: dict[str, Any]) -> np.ndarray:
        """Return the numbers of the other image's objects that are pasted, (n,)."""
        count = len(mixed_in(results, 1, type(self).__name__)[0]["gt_bboxes"])
        if not self.selected:
            return np.arange(count)
        pasted = np.random.randint(min(count, self.max_num_pasted) + 1)
        return np.random.choice(count, pasted, replace=False)

    def apply(self, results: dict[str, Any], drawn: np.ndarray) -> dict[str, Any]:
        """Paste the objects."""
        source = dict(mixed_in(results, 1, type(self).__name__)[0])
        if source["img"].shape != results["img"].shape:
            raise ValueError(
                f"CopyPaste mixes images of one size, not {source['img'].shape} and {results['img'].shape}: "
                "crop and pad both first"
            )
        by_mask = results.get("gt_masks") is not None and source.get("gt_masks") is not None
        source["gt_masks"] = self._masks(source, by_mask)
        results["gt_masks"] = self._masks(results, by_mask)
        keep_objects(source, np.asarray(drawn, np.int64))
        covered = source["gt_masks"].masks.any(axis=0)
        if covered.any():
            shape = (*covered.shape, *[1] * (results["img"].ndim - 2))
            results["img"] = np.where(covered.reshape(shape), source["img"], results["img"])
            self._uncover(results, covered)
            join_objects(results, [source])
        if not by_mask:
            del results["gt_masks"]
        return results

    def _masks(self, results: dict[str, Any], by_mask: bool) -> BitmapMasks:
        """Return the masks of a sample's objects, or their boxes as masks."""
        h, w = results["img"].shape[:2]
        if by_mask:
            masks = results["gt_masks"]
            return BitmapMasks(masks if isinstance(masks, np.ndarray) else masks.to_ndarray(), h, w)
        if not self.paste_by_box:
            raise KeyError("CopyPaste needs gt_masks in both images: load them, or set paste_by_box=True")
        drawn = np.zeros((len(results["gt_bboxes"]), h, w), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(drawn, np.round(results["gt_bboxes"]).astype(int).clip(0), strict=True):
            mask[y1:y2, x1:x2] = 1
        return BitmapMasks(drawn, h, w)

    def _uncover(self, results: dict[str, Any], covered: np.ndarray) -> None:
        """Take what is covered away from the objects underneath, and drop those of which too little is left."""
        left = BitmapMasks(results["gt_masks"].masks * ~covered, *covered.shape)
        boxes = left.get_bboxes().numpy()
        moved = np.abs(boxes - results["gt_bboxes"]).max(axis=1, initial=0)
        touched = left.areas < results["gt_masks"].areas
        results["gt_masks"] = left
        results["gt_bboxes"] = np.where(touched[:, None], boxes, results["gt_bboxes"])
        keep_objects(
            results,
            ~touched | (left.areas > 0) & ((moved <= self.bbox_occluded_thr) | (left.areas > self.mask_occluded_thr)),
        )
