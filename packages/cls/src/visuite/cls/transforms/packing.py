"""From the dict of the pipeline to what a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from visuite.cls.registry import TRANSFORMS
from visuite.cls.structures import DataSample
from visuite.cv.transforms import image_to_tensor
from visuite.engine.dataset.transform_base import BaseTransform

_META_KEYS = ("sample_idx", "img_path", "ori_shape", "img_shape", "scale_factor", "flip", "flip_direction")


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Return `inputs` (C, H, W), a tensor, and `data_samples` with the truth and meta information.

    Args:
        input_key: Where the image is.
        algorithm_keys: Further keys that go into the sample.
        meta_keys: Keys of its meta information, where the dict has them.
    """

    def __init__(
        self,
        input_key: str = "img",
        algorithm_keys: Sequence[str] = (),
        *,
        meta_keys: Sequence[str] = _META_KEYS,
    ) -> None:
        self.input_key = input_key
        self.algorithm_keys = tuple(algorithm_keys)
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack the sample.

        Raises:
            KeyError: a key among `algorithm_keys` is missing.
        """
        sample = DataSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        if results.get("gt_label") is not None:
            sample.set_gt_label(results["gt_label"])
        if results.get("gt_score") is not None:
            sample.set_gt_score(results["gt_score"])
        for key in self.algorithm_keys:
            if key not in results:
                raise KeyError(f"PackInputs was told to pack {key!r}; there are {sorted(results)}")
            sample.set_field(results[key], key)
        packed: dict[str, Any] = {"data_samples": sample}
        if self.input_key in results:
            packed = {"inputs": image_to_tensor(results[self.input_key]), **packed}
        return packed
