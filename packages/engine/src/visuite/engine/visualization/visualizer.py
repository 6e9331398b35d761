"""Draw on pictures, and hand pictures, scalars and configs to the backends of a run.

N: number of shapes. Coordinates are (x, y) in pixels, continuous: the picture spans [0, W] x [0, H].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from visuite.engine.dist import master_only
from visuite.engine.logging import print_log
from visuite.engine.registry import VISBACKENDS, VISUALIZERS
from visuite.engine.utils.manager import ManagerMixin
from visuite.engine.utils.text import did_you_mean
from visuite.engine.visualization.arguments import per_shape, to_array, to_floats
from visuite.engine.visualization.backend import BaseVisBackend
from visuite.engine.visualization.canvas import Canvas, as_rgb
from visuite.engine.visualization.colors import Color, parse_color
from visuite.engine.visualization.featmap import feature_picture
from visuite.engine.visualization.show import show_picture
from visuite.engine.visualization.text import box_style, label_style

Array = np.ndarray | torch.Tensor
Colors = Color | list[Color]
Numbers = float | list[float]


@VISUALIZERS.register_module()
class Visualizer(ManagerMixin):
    """Draw shapes on a picture, one call after another, and keep what a run shows.

    Options that say how shapes look are one value for all, or a list of one for each. Colours are names, letters
    ('g'), '#rrggbb', tuples of 0..255, or 'none'.

    Args:
        name: Under which `Visualizer.get_instance` finds it, whatever its class.
        image: The picture to begin with, RGB (H, W, 3).
        vis_backends: Configs or objects, one or several; a config's `name` is what `get_backend` is asked for.
        save_dir: The run's folder; backends write to `vis_data` in it. Without one, backends that have no `save_dir`
            of their own are left out, with a warning.
        fig_save_cfg, fig_show_cfg: Accepted for configs that set a plotting window up; there is none.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # One table for all kinds: who asks `Visualizer` for the current one gets the detector's.
        cls._instances, cls._current, cls._active = Visualizer._instances, Visualizer._current, Visualizer._active

    def __init__(
        self,
        name: str = "visualizer",
        image: np.ndarray | None = None,
        vis_backends: Any = None,
        save_dir: str | None = None,
        fig_save_cfg: Mapping[str, Any] | None = None,
        fig_show_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(name)
        self._dataset_meta: dict[str, Any] | None = None
        self._canvas: Canvas | None = None
        self._vis_backends = _build_backends(vis_backends, save_dir)
        if image is not None:
            self.set_image(image)

    @classmethod
    def get_instance(cls, name: str = "visualizer", **kwargs: Any) -> Self:
        """Return the visualizer called `name`; make it, and make it current, when there is none of this class."""
        found = cls._instances.get(name)
        if found is not None and not isinstance(found, cls):
            del cls._instances[name]
            cls._current[:] = [other for other in cls._current if other != name]
        return super().get_instance(name, **kwargs)

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """What is known of the data set: classes, palette."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict[str, Any] | None) -> None:
        self._dataset_meta = meta

    # ------------------------------------------------------------------ the picture

    def set_image(self, image: np.ndarray) -> None:
        """Begin with a picture, RGB (H, W, 3) uint8; it is copied."""
        self._canvas = Canvas(image)

    def get_image(self) -> np.ndarray:
        """Return the picture as it is drawn by now, RGB (H, W, 3) uint8.

        Raises:
            RuntimeError: no picture has been set.
        """
        return self._need_canvas().to_array()

    def _need_canvas(self) -> Canvas:
        if self._canvas is None:
            raise RuntimeError(f"{type(self).__name__} has no picture yet: call set_image(image) first")
        return self._canvas

    @property
    def _size(self) -> float:
        width, height = self._need_canvas().image.size
        return math.sqrt(width * height)

    @master_only
    def show(
        self,
        drawn_img: np.ndarray | None = None,
        win_name: str = "image",
        wait_time: float = 0.0,
        continue_key: str = " ",
        backend: str = "matplotlib",
    ) -> None:
        """Show the picture in a notebook or with the system's viewer; where there is neither, a warning says so.

        Args:
            drawn_img: Another picture, RGB (H, W, 3).
            win_name: The window's title.
            wait_time: Seconds to wait; 0 waits for the Enter key where somebody can press it.
            continue_key, backend: Accepted for code that names a key or a plotting program; neither is used.
        """
        show_picture(as_rgb(self.get_image() if drawn_img is None else drawn_img), win_name, wait_time)

    # ------------------------------------------------------------------ shapes

    def draw_bboxes(
        self,
        bboxes: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Numbers = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw boxes (N, 4) or (4,): x1, y1, x2, y2.

        Raises:
            ValueError: a box's second corner lies before its first.
        """
        boxes = to_array(bboxes, 4, "bboxes")
        if (boxes[:, :2] > boxes[:, 2:]).any():
            raise ValueError("bboxes are (x1, y1, x2, y2) with x1 <= x2 and y1 <= y2")
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        canvas = self._need_canvas()
        for box, points, edge, style, width, face in zip(
            boxes,
            corners,
            *_styles(len(boxes), edge_colors, line_styles, line_widths, face_colors),
            strict=True,
        ):
            if face is not None:
                canvas.fill_box(box, face, alpha=alpha)
            if edge is None:
                continue
            if style in ("-", "solid"):
                canvas.box(box, edge, width=width, alpha=alpha)
            else:
                canvas.line(points, edge, width=width, style=style, alpha=alpha, closed=True)
        return self

    def draw_polygons(
        self,
        polygons: Array | list[Array],
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Numbers = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw polygons, each (M, 2) or flat (x1, y1, x2, y2, ...); one, or a list of them."""
        listed = polygons if isinstance(polygons, (list, tuple)) else [polygons]
        shapes = [to_array(_as_pairs(polygon), 2, "a polygon") for polygon in listed]
        canvas = self._need_canvas()
        for points, edge, style, width, face in zip(
            shapes, *_styles(len(shapes), edge_colors, line_styles, line_widths, face_colors), strict=True
        ):
            if not len(points):
                continue
            if face is not None:
                canvas.fill_polygon(points, face, alpha=alpha)
            if edge is not None:
                canvas.line(points, edge, width=width, style=style, alpha=alpha, closed=True)
        return self

    def draw_circles(
        self,
        center: Array,
        radius: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Numbers = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw circles with centres (N, 2) or (2,) and radii (N,).

        Raises:
            ValueError: there are more centres than radii, or fewer.
        """
        centers = to_array(center, 2, "center")
        radii = to_array(to_floats(radius).reshape(-1, 1), 1, "radius")[:, 0]
        if len(radii) != len(centers):
            raise ValueError(f"draw_circles: {len(centers)} centres and {len(radii)} radii")
        canvas = self._need_canvas()
        for middle, size, edge, style, width, face in zip(
            centers,
            radii,
            *_styles(len(centers), edge_colors, line_styles, line_widths, face_colors),
            strict=True,
        ):
            if face is not None:
                canvas.circle(middle, size, face, alpha=alpha)
            if edge is not None:
                canvas.line(_ring(middle, size), edge, width=width, style=style, alpha=alpha)
        return self

    def draw_lines(
        self,
        x_datas: Array,
        y_datas: Array,
        colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Numbers = 2,
    ) -> Self:
        """Draw N lines through the points whose x are in `x_datas` (N, M) or (M,) and whose y in `y_datas`.

        Raises:
            ValueError: the two differ in shape.
        """
        xs, ys = np.atleast_2d(to_floats(x_datas)), np.atleast_2d(to_floats(y_datas))
        if xs.shape != ys.shape:
            raise ValueError(f"x_datas and y_datas differ in shape: {xs.shape} and {ys.shape}")
        lines = np.stack([xs, ys], axis=-1)
        to_array(lines.reshape(-1, 2), 2, "x_datas, y_datas")
        canvas = self._need_canvas()
        for points, color, style, width, _ in zip(
            lines, *_styles(len(lines), colors, line_styles, line_widths, "none"), strict=True
        ):
            if color is not None:
                canvas.line(points, color, width=width, style=style)
        return self

    def draw_points(
        self,
        positions: Array,
        colors: Colors = "g",
        marker: str | None = None,
        sizes: Array | Numbers | None = None,
    ) -> Self:
        """Draw points (N, 2) or (2,).

        Args:
            positions: Where.
            colors: In which colours.
            marker: 'o' (by default), '.', 's', 'D', '^', 'v', '*', '+' or 'x'.
            sizes: The square of a marker's width, as plotting programs count; by default 1/90 of the picture's side.
        """
        points = to_array(positions, 2, "positions")
        default = max(self._size / 90, 4.0) ** 2
        areas = per_shape(default if sizes is None else to_floats(sizes).tolist(), len(points), "sizes")
        canvas = self._need_canvas()
        for point, color, area in zip(points, per_shape(colors, len(points), "colors"), areas, strict=True):
            rgb = parse_color(color)
            if rgb is not None:
                canvas.marker(point, math.sqrt(area), rgb, marker or "o")
        return self

    def draw_texts(
        self,
        texts: str | list[str],
        positions: Array,
        font_sizes: int | list[int] | None = None,
        colors: Colors = "g",
        vertical_alignments: str | list[str] = "top",
        horizontal_alignments: str | list[str] = "left",
        font_families: str | list[str] = "sans-serif",
        bboxes: dict[str, Any] | list[dict[str, Any]] | None = None,
        font_properties: Any = None,
    ) -> Self:
        """Write texts; each is moved as little as needed to stay inside the picture.

        Args:
            texts: One or several; lines are parted by line feeds.
            positions: (N, 2) or (2,), the points that the texts are aligned to.
            font_sizes: In pixels; by default they grow with the picture.
            colors: Of the letters.
            vertical_alignments: Whether a position is the 'top', 'center' or 'bottom' of its text.
            horizontal_alignments: Whether it is the 'left', 'center' or 'right'.
            font_families: 'sans-serif', 'serif' or 'monospace'; letters that it lacks are looked for in other fonts.
            bboxes: Boxes behind the texts: `facecolor`, `edgecolor`, `alpha`, `pad`.
            font_properties: A font file, or an object whose `get_file()` names one.

        Raises:
            ValueError: there are more texts than positions, or fewer.
        """
        words = [texts] if isinstance(texts, str) else list(texts)
        places = to_array(positions, 2, "positions")
        if len(words) != len(places):
            raise ValueError(f"draw_texts: {len(words)} texts and {len(places)} positions")
        usual = round(min(max(self._size / 40, 11), 40))
        options = {
            "font_sizes": usual if font_sizes is None else font_sizes,
            "colors": colors,
            "vertical_alignments": vertical_alignments,
            "horizontal_alignments": horizontal_alignments,
            "font_families": font_families,
            "bboxes": bboxes,
            "font_properties": font_properties,
        }
        each = zip(*(per_shape(option, len(words), name) for name, option in options.items()), strict=True)
        canvas = self._need_canvas()
        for text, place, (size, color, vertical, horizontal, family, box, font) in zip(
            words, places, each, strict=True
        ):
            path = font.get_file() if hasattr(font, "get_file") else font
            style = label_style(
                size, color, vertical=vertical, horizontal=horizontal, family=family, font_path=path, **box_style(box)
            )
            canvas.label(text, (place[0], place[1]), style)
        return self

    def draw_binary_masks(self, binary_masks: Array, colors: Colors = "g", alphas: Numbers = 0.8) -> Self:
        """Tint the pixels of masks (N, H, W) or (H, W), boolean or 0 and 1.

        Raises:
            ValueError: the masks have another size than the picture.
        """
        masks = torch.as_tensor(binary_masks).detach().cpu().numpy()
        masks = (masks if masks.ndim == 3 else masks[None]).astype(bool)
        canvas = self._need_canvas()
        each = zip(per_shape(colors, len(masks), "colors"), per_shape(alphas, len(masks), "alphas"), strict=True)
        for mask, (color, alpha) in zip(masks, each, strict=True):
            rgb = parse_color(color)
            if rgb is not None:
                canvas.mask(mask, rgb, alpha=alpha)
        return self

    @staticmethod
    def draw_featmap(
        featmap: torch.Tensor,
        overlaid_image: np.ndarray | None = None,
        channel_reduction: str | None = "squeeze_mean",
        topk: int = 20,
        arrangement: tuple[int, int] = (4, 5),
        resize_shape: tuple[int, int] | None = None,
        alpha: float = 0.5,
    ) -> np.ndarray:
        """Return a picture of a feature map (C, H, W); see `featmap.feature_picture`."""
        return feature_picture(featmap, overlaid_image, channel_reduction, topk, arrangement, resize_shape, alpha)

    # ------------------------------------------------------------------ the backends

    def get_backend(self, name: str) -> BaseVisBackend:
        """Return the backend of this name: what its config says, or its class.

        Raises:
            KeyError: there is none.
        """
        if name not in self._vis_backends:
            raise KeyError(f"the visualizer has no backend {name!r}{did_you_mean(name, self._vis_backends)}")
        return self._vis_backends[name]

    @master_only
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Give the run's config to all backends."""
        for backend in self._vis_backends.values():
            backend.add_config(config, **kwargs)

    @master_only
    def add_graph(self, model: nn.Module, data_batch: Sequence[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        """Give the model to all backends."""
        for backend in self._vis_backends.values():
            backend.add_graph(model, data_batch, **kwargs)

    @master_only
    def add_image(self, name: str, image: np.ndarray, step: int = 0) -> None:
        """Give an RGB picture (H, W, 3) to all backends."""
        for backend in self._vis_backends.values():
            backend.add_image(name, image, step)

    @master_only
    def add_scalar(self, name: str, value: int | float, step: int = 0, **kwargs: Any) -> None:
        """Give a number to all backends."""
        for backend in self._vis_backends.values():
            backend.add_scalar(name, value, step, **kwargs)

    @master_only
    def add_scalars(
        self, scalar_dict: Mapping[str, Any], step: int = 0, file_path: str | None = None, **kwargs: Any
    ) -> None:
        """Give several numbers of one step to all backends; `file_path` names a file that gets them besides."""
        for backend in self._vis_backends.values():
            backend.add_scalars(scalar_dict, step, file_path, **kwargs)

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        save: bool = True,
    ) -> None:
        """Draw a data sample. What it looks like is the business of a subclass; here it is its picture alone.

        Args:
            name: The picture's name.
            image: RGB (H, W, 3).
            data_sample: What is known and predicted of it.
            draw_gt, draw_pred: Draw what is known, what is predicted.
            show, wait_time: Show it, for so many seconds.
            out_file: Write it there instead of to the backends.
            step: The step of the run.
            save: Keep it at all, or leave it for `get_image`.
        """
        self.set_image(image)
        self.deliver(name, show=show, wait_time=wait_time, out_file=out_file, step=step, save=save)

    @master_only
    def deliver(
        self,
        name: str,
        *,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
        save: bool = True,
    ) -> None:
        """Show what is drawn, and write it to `out_file` or else to the backends: the end of every `add_datasample`."""
        if show:
            self.show(win_name=name, wait_time=wait_time)
        if out_file is not None:
            Path(out_file).parent.mkdir(parents=True, exist_ok=True)
            self._need_canvas().image.save(out_file)
        elif save:
            self.add_image(name, self.get_image(), step)

    @master_only
    def state_dict(self) -> dict[str, Any]:
        """Return {name of a backend: what a checkpoint keeps of it}."""
        return {name: backend.state_dict() for name, backend in self._vis_backends.items()}

    @master_only
    def resume(self, state: Mapping[str, Any], iteration: int) -> None:
        """Let all backends go on where a checkpoint of that iteration left them."""
        for name in state.keys() & self._vis_backends.keys():
            self._vis_backends[name].resume(state[name], iteration)

    @master_only
    def close(self) -> None:
        """Close all backends."""
        for backend in self._vis_backends.values():
            backend.close()


def _build_backends(given: Any, save_dir: str | None) -> dict[str, BaseVisBackend]:
    """Return {name: backend} for configs and objects."""
    built: dict[str, BaseVisBackend] = {}
    for one in [] if given is None else given if isinstance(given, (list, tuple)) else [given]:
        name = None
        if isinstance(one, Mapping):
            cfg = dict(one)
            name = cfg.pop("name", None)
            if save_dir is not None:
                cfg.setdefault("save_dir", str(Path(save_dir, "vis_data")))
            elif "save_dir" not in cfg:
                print_log(f"{cfg.get('type')} is left out: the visualizer has no save_dir", "current", level="WARNING")
                continue
            one = VISBACKENDS.build(cfg)
        if not isinstance(one, BaseVisBackend):
            raise TypeError(f"a backend is a config or a BaseVisBackend, not {type(one).__name__}")
        name = name or type(one).__name__
        if name in built:
            raise ValueError(f"two backends are called {name!r}: give one of them a name=...")
        built[name] = one
    return built


def _styles(count: int, edges: Any, styles: Any, widths: Any, faces: Any) -> tuple[list[Any], ...]:
    """Return edge colours, line styles, line widths and face colours, one of each for every shape."""
    return (
        [parse_color(color) for color in per_shape(edges, count, "edge_colors")],
        per_shape(styles, count, "line_styles"),
        per_shape(widths, count, "line_widths"),
        [parse_color(color) for color in per_shape(faces, count, "face_colors")],
    )


def _ring(center: np.ndarray, radius: float) -> np.ndarray:
    """Return a circle as a closed line whose segments are about a pixel and a half long."""
    count = int(np.clip(4 * radius, 16, 720))
    angles = np.linspace(0, 2 * math.pi, count + 1)
    return center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _as_pairs(polygon: Any) -> np.ndarray:
    array = to_floats(polygon)
    return array.reshape(-1, 2) if array.ndim == 1 and array.size % 2 == 0 else array
