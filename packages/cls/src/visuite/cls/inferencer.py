"""Classes of pictures that are no data set.

Shapes: C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from visuite.cls.registry import DATASETS, INFERENCERS
from visuite.cls.structures import DataSample
from visuite.cv.image import bgr2gray
from visuite.engine.config import Config
from visuite.engine.hooks.visualization import to_rgb
from visuite.engine.infer import BaseInferencer, InferencePipeline
from visuite.engine.infer.zoo import tested_dataset
from visuite.engine.logging import print_log


@INFERENCERS.register_module()
class ImageClassificationInferencer(BaseInferencer):
    """Classify files, folders, globs, arrays, videos and URLs; a call returns a list with a dict for each picture.

        {"pred_scores": [0.1, 0.9], "pred_label": 1, "pred_score": 0.9, "pred_class": "dog"}

    Where a picture may have several classes, label, score and class are lists. Without names of classes there is no
    `pred_class`.

    Args:
        model: A config file, a `Config`, the name of one among `list_models()`, the `work_dir` of a run, or a built
            model. Without one, the config in the checkpoint is used.
        pretrained: The checkpoint. True: the config's `load_from`, or the best one of the `work_dir`; False: none.
        device: Where the model runs; by default the accelerator, if there is one.
        classes: The names of the classes; by default those in the checkpoint, else those of the config's data.
        weights: Another name of `pretrained`.
        scope: The scope of unprefixed names; by default the config's `default_scope`, else `cls`.
        show_progress: Show how far a call with more than one picture is.

    Raises:
        ValueError: neither model nor checkpoint, or other `classes` than the model has scores.
    """

    own_scope = "cls"
    own_visualizer = "UniversalVisualizer"
    visualize_kwargs: ClassVar[set[str]] = {
        "show", "wait_time", "draw_pred", "draw_score", "resize", "rescale_factor", "text_cfg",
    }  # fmt: skip

    def __init__(
        self,
        model: str | Path | Config | Mapping[str, Any] | nn.Module | None = None,
        pretrained: bool | str = True,
        device: str | torch.device | None = None,
        classes: Sequence[str] | None = None,
        *,
        weights: str | None = None,
        scope: str | None = None,
        show_progress: bool = True,
    ) -> None:
        self._loads = pretrained is not False or weights is not None
        self._given_classes = classes
        weights = weights or (pretrained if isinstance(pretrained, str) else None)
        super().__init__(model, weights, device, scope, show_progress)

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        *,
        out_dir: str | None = None,
        show_dir: str | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> list[Any]:
        """Classify.

        Args:
            inputs: As of `BaseInferencer`; arrays are (H, W, 3) in BGR order.
            return_datasamples: Give data samples instead of dicts.
            batch_size: How many pictures go through the model at once.
            out_dir: Where pictures (`vis/NAME.png`) and predictions (`preds/NAME.json`) are written; a URL too.
            show_dir: In its place: write the pictures alone.
            strict: Stop at the first input that cannot be used, as the list would otherwise be shorter than `inputs`.
                If not strict, these are left out, and named in `failures`.
            **kwargs: `show`, `wait_time`, `draw_pred`, `draw_score`, `resize`, `rescale_factor` and `text_cfg` of the
                visualizer; `print_result`, `no_save_vis` and `no_save_pred`.

        Returns:
            One dict (or `DataSample`) for each picture.
        """
        if show_dir is not None:
            if out_dir is not None:
                raise ValueError("either out_dir or show_dir, which is out_dir with no_save_pred=True")
            out_dir, kwargs["no_save_pred"] = show_dir, True
        return super().__call__(inputs, return_datasamples, batch_size, out_dir=out_dir, strict=strict, **kwargs)

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names of the classes, where they are known."""
        names = self.model.dataset_meta.get("classes")
        return None if names is None else tuple(names)

    def postprocess(
        self,
        preds: Sequence[DataSample],
        visualization: list[np.ndarray] | None,
        return_datasamples: bool = False,
        print_result: bool = False,
    ) -> list[Any]:
        """Return the predictions of a batch as a list; the pictures are only written and shown."""
        return super().postprocess(preds, visualization, return_datasamples, print_result)["predictions"]

    def pred2dict(self, data_sample: DataSample) -> dict[str, Any]:
        """Return a prediction as numbers, strings and lists."""
        scores: list[float] = data_sample.pred_score.tolist()
        labels: list[int] = data_sample.pred_label.tolist()
        result: dict[str, Any] = {"pred_label": labels, "pred_score": [scores[label] for label in labels]}
        if self.classes is not None:
            result["pred_class"] = [self.classes[label] for label in labels]
        if not self._several:
            result = {name: values[0] for name, values in result.items()}
        return {"pred_scores": scores, **result}

    def picture_in(self, sample: Mapping[str, Any]) -> np.ndarray:
        """Return the picture in a sample that `pipeline` gave, before it is normalised: RGB uint8 (H, W, 3)."""
        return to_rgb(sample["inputs"], self._order)

    @property
    def _several(self) -> bool:
        """Whether a picture may have several classes."""
        return hasattr(getattr(self.model, "head", None), "chosen")

    def _init_model(self, model: Config | nn.Module, weights: str | None, device: torch.device) -> nn.Module:
        """Build the model, load its weights and tell it its classes."""
        if not self._loads:
            weights = None
        elif weights is None and not isinstance(model, nn.Module):
            weights = model.get("load_from")
        built: Any = super()._init_model(model, weights, device)
        built.dataset_meta = {**built.dataset_meta, "classes": self._names_for(built)}
        return built

    def _names_for(self, model: Any) -> Sequence[str] | None:
        """Return the names of the model's classes.

        Raises:
            ValueError: the caller gave other names than the model has scores.
        """
        count = getattr(getattr(model, "head", None), "num_classes", None)
        names = self._given_classes if self._given_classes is not None else model.dataset_meta.get("classes")
        if names is None or count is None or len(names) == count:
            return names
        said = f"{len(names)} names of classes for a model with {count} scores"
        if self._given_classes is not None:
            raise ValueError(said)
        print_log(f"{said}; predictions will bear no names, unless you give `classes`", "current", level="WARNING")
        return None

    def _init_pipeline(self, cfg: Config) -> Any:
        """Return the test data's pipeline, which gets arrays with the channels that the data set has them in."""
        dataset = tested_dataset(cfg)
        kind = dataset.get("type")
        self._order = getattr(DATASETS.get(kind) if isinstance(kind, str) else kind, "channel_order", "bgr")
        return InferencePipeline(dataset.get("pipeline") or [{"type": "PackInputs"}], _FROM_BGR[self._order])


def rgb_order(results: dict[str, Any]) -> dict[str, Any]:
    """Turn the order of the channels of a loaded image (H, W, 3)."""
    return {**results, "img": np.ascontiguousarray(results["img"][..., ::-1])}


def grey(results: dict[str, Any]) -> dict[str, Any]:
    """Turn a loaded image (H, W, 3) to grey (H, W)."""
    image = results["img"]
    return {**results, "img": bgr2gray(image) if image.ndim == 3 else image}


_FROM_BGR = {"bgr": [], "rgb": [rgb_order], "grey": [grey]}
