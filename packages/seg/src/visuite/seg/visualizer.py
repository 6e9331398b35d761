"""Pictures of what a segmentor says, beside what is true.

Shapes: H rows, W columns, h and w of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from visuite.cv.image import imresize
from visuite.engine.structures import PixelData
from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization import Visualizer, class_palette
from visuite.engine.visualization.colors import parse_color
from visuite.seg import datasets
from visuite.seg.registry import VISUALIZERS
from visuite.seg.structures import SegDataSample

_SHORT_NAMES = {
    "ade": "ADE20KDataset",
    "cocostuff164k": "COCOStuffDataset",
    "pcontext": "PascalContextDataset",
    "pcontext59": "PascalContextDataset59",
    "vaihingen": "ISPRSDataset",
    "voc": "PascalVOCDataset",
    "voc12": "PascalVOCDataset",
}


@VISUALIZERS.register_module()
class SegLocalVisualizer(Visualizer):
    """Lay the colours of classes over an image, and name those that are there.

    Args:
        name: The visualizer's name.
        image: What to begin with.
        classes: Names of the classes; by default those of the data set.
        palette: Their colours; likewise.
        dataset_name: Of a data set that `visuite.seg.datasets` knows, such as `cityscapes`, whose names and colours are
            taken.
        alpha: How opaque colours are.
        **kwargs: As of the engine's `Visualizer`.
    """

    def __init__(
        self,
        name: str = "visualizer",
        image: np.ndarray | None = None,
        *,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
        alpha: float = 0.8,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, image, **kwargs)
        self.alpha = alpha
        self.set_dataset_meta(classes, palette, dataset_name)

    def set_dataset_meta(
        self,
        classes: Sequence[str] | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        dataset_name: str | None = None,
    ) -> None:
        """Set names and colours of classes, of a known data set or given; what is None stays as it is."""
        known = {} if dataset_name is None else facts_about(dataset_name)
        given = {key: value for key, value in (("classes", classes), ("palette", palette)) if value is not None}
        if known or given:
            self.dataset_meta = {**(self.dataset_meta or {}), **known, **given}

    def add_datasample(  # type: ignore[override]
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        *,
        out_file: str | None = None,
        step: int = 0,
        with_labels: bool = True,
        save: bool = True,
    ) -> None:
        """Draw and keep one sample; where both are known, the truth stands to the left of the prediction.

        Args:
            name: The picture's name.
            image: RGB (H, W, 3); maps of another size are fitted to it.
            data_sample: Truth and prediction.
            draw_gt: Draw the truth, where it is known.
            draw_pred: Draw the prediction, where there is one.
            show: Open a window.
            wait_time: How long it stays, in seconds.
            out_file: Where to write the picture, instead of to the backends.
            step: The step of the run.
            with_labels: Name the classes below the picture.
            save: Keep the picture at all, or leave it for `get_image`.
        """
        maps = []
        if data_sample is not None:
            for wanted, field in ((draw_gt, "gt_sem_seg"), (draw_pred, "pred_sem_seg")):
                if wanted and data_sample.get(field) is not None:
                    maps.append(_labels(data_sample.get(field)))
        self.set_image(self.side_by_side(image, maps, with_labels=with_labels))
        self.deliver(name, show=show, wait_time=wait_time, out_file=out_file, step=step, save=save)

    def draw_sem_seg(self, image: np.ndarray, sem_seg: PixelData, *, with_labels: bool = True) -> np.ndarray:
        """Return the picture of an image (H, W, 3) with one map, as of `side_by_side`."""
        return self.side_by_side(image, [_labels(sem_seg)], with_labels=with_labels)

    def side_by_side(self, image: np.ndarray, maps: Sequence[np.ndarray], *, with_labels: bool = True) -> np.ndarray:
        """Return an RGB image (H, W, 3) once for each map (h, w), with the colours of its classes laid over it.

        The classes that are in any of the maps are named below, where there is something to name. Pixels whose value is
        no class stay as they are.
        """
        if not maps:
            return np.ascontiguousarray(image)
        fitted = [_fitted(one, image.shape) for one in maps]
        picture = np.concatenate([self._overlaid(image, one) for one in fitted], axis=1)
        labels = sorted(
            {int(label) for one in fitted for label in np.unique(one)} & set(range(self._num_classes(fitted)))
        )
        return np.concatenate([picture, self._legend(labels, picture.shape[1])]) if with_labels and labels else picture

    def _num_classes(self, maps: Sequence[np.ndarray]) -> int:
        """Return how many classes there are: as many as have names, else as the maps tell."""
        classes = (self.dataset_meta or {}).get("classes")
        if classes is not None:
            return len(classes)
        return 1 + max((int(one[one != 255].max(initial=0)) for one in maps), default=0)

    def _colors(self, count: int) -> np.ndarray:
        """Return the colours (K, 3) of K classes."""
        palette = (self.dataset_meta or {}).get("palette") or ()
        own = [parse_color(color) or (0, 0, 0) for color in palette[:count]]
        return np.array(own + class_palette(count)[len(own) :], np.uint8).reshape(-1, 3)

    def _overlaid(self, image: np.ndarray, labels: np.ndarray) -> np.ndarray:
        colors = self._colors(self._num_classes([labels]))
        known = (labels >= 0) & (labels < len(colors))
        painted = colors[np.where(known, labels, 0)]
        mixed = cv2.addWeighted(np.ascontiguousarray(image), 1 - self.alpha, painted, self.alpha, 0)
        return np.where(known[..., None], mixed, image)

    def _legend(self, labels: Sequence[int], width: int) -> np.ndarray:
        """Return a strip (h, width, 3) with a patch of colour and the name of each class."""
        size = int(np.clip(width / 45, 10, 22))
        names = [self._name_of(label) for label in labels]
        line, cell = round(1.7 * size), round(size * (0.62 * max(map(len, names)) + 2.6))
        columns = max(1, width // cell)
        rows = -(-len(labels) // columns)
        self.set_image(np.full((rows * line + size // 2, width, 3), 255, np.uint8))
        places = [(index % columns * cell, index // columns * line) for index in range(len(labels))]
        colors = self._colors(max(labels) + 1)
        corners = np.array([[x + size / 2, y + size / 2, x + 1.5 * size, y + 1.5 * size] for x, y in places])
        faces: list[Any] = [(int(r), int(g), int(b)) for r, g, b in colors[list(labels)]]
        self.draw_bboxes(corners, edge_colors=(120, 120, 120), face_colors=faces, line_widths=1, alpha=1.0)
        starts = corners[:, [2, 1]] + (size / 3, -size / 8)
        self.draw_texts(names, starts, font_sizes=size, colors=(20, 20, 20))
        return self.get_image()

    def _name_of(self, label: int) -> str:
        classes = (self.dataset_meta or {}).get("classes")
        return str(classes[label]) if classes is not None and label < len(classes) else f"class {label}"


def facts_about(dataset_name: str) -> dict[str, Any]:
    """Return the names and colours of classes of a known data set.

    Args:
        dataset_name: Its class, such as `ADE20KDataset`, or that name in small letters without `dataset`, or one of the
            short names that are in use, such as `ade`.

    Raises:
        ValueError: no data set is called so.
    """
    kinds = {name.lower(): getattr(datasets, name) for name in datasets.__all__ if name != "BaseSegDataset"}
    kinds |= {name.removesuffix("dataset"): kind for name, kind in kinds.items()}
    kinds |= {short: getattr(datasets, name) for short, name in _SHORT_NAMES.items()}
    if dataset_name.lower() not in kinds:
        raise ValueError(f"no data set is called {dataset_name!r}{did_you_mean(dataset_name.lower(), list(kinds))}")
    return dict(kinds[dataset_name.lower()].METAINFO)


def class_map_image(classes: np.ndarray, palette: Sequence[Sequence[int]] = ()) -> Any:
    """Return classes (H, W) as an image of Pillow's: 8 bits with the colours of a palette, or 16 for 256 and more.

    Args:
        classes: Not negative.
        palette: Colours (red, green, blue) of the first classes; the others get those of `class_palette`.
    """
    from PIL import Image

    if classes.max(initial=0) > 255:
        return Image.fromarray(classes.astype(np.uint16))
    picture = Image.fromarray(classes.astype(np.uint8))  # grey pixels keep their values when they get a palette
    own = [tuple(color) for color in palette[:256]]
    colors = own + class_palette(256)[len(own) :]  # all of them, as a short palette makes files of fewer bits
    picture.putpalette([int(value) for color in colors for value in color])
    return picture


def _labels(field: PixelData) -> np.ndarray:
    """Return the classes (h, w) of a field of a sample."""
    return field.data[0].cpu().numpy()


def _fitted(labels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Return a map (h, w) in the size of an image (H, W, ...), each pixel the nearest."""
    if labels.shape == tuple(shape[:2]):
        return labels
    return imresize(labels.astype(np.int32), (shape[1], shape[0]), interpolation="nearest")
