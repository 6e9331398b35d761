from __future__ import annotations

import itertools
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.engine.registry import VISUALIZERS
from visuite.engine.visualization import BaseVisBackend, LocalVisBackend, Visualizer, as_rgb
from visuite.engine.visualization.colors import parse_color
from visuite.engine.visualization.text import LabelStyle, find_font, place_label

_numbers = itertools.count()
H, W = 60, 80


@pytest.fixture
def visualizer() -> Visualizer:
    """A visualizer with a black picture of 80 x 60."""
    return Visualizer(image=np.zeros((H, W, 3), np.uint8))


def painted(visualizer: Visualizer) -> np.ndarray:
    """Where the black picture is no longer black, (H, W) boolean."""
    return visualizer.get_image().any(axis=2)


# ---------------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("image", "pixel"),
    [
        (np.full((2, 3, 3), 7, np.uint8), (7, 7, 7)),
        (np.full((2, 3), 9, np.uint8), (9, 9, 9)),
        (np.full((2, 3, 1), 9, np.uint8), (9, 9, 9)),
        (np.full((2, 3), True), (255, 255, 255)),
        (np.full((2, 3, 3), 254.6), (255, 255, 255)),
        (np.full((2, 3, 3), -5), (0, 0, 0)),
        (np.stack([np.full((2, 3), channel, np.uint8) for channel in range(6)], -1), (0, 1, 2)),
        (np.stack([np.full((2, 3), channel, np.uint8) for channel in (4, 5)], -1), (4, 4, 4)),
        (torch.full((2, 3, 3), 3, dtype=torch.uint8), (3, 3, 3)),
    ],
)
def test_any_picture_becomes_rgb(image: np.ndarray, pixel: tuple[int, int, int]) -> None:
    rgb = as_rgb(image)
    assert rgb.shape == (2, 3, 3)
    assert rgb.dtype == np.uint8
    assert (rgb == np.array(pixel)).all()


def test_what_is_no_picture() -> None:
    with pytest.raises(TypeError, match="not str"):
        as_rgb("a.png")
    with pytest.raises(ValueError, match=r"\(0, 3, 3\)"):
        as_rgb(np.zeros((0, 3, 3)))
    with pytest.raises(RuntimeError, match="set_image"):
        Visualizer().get_image()


def test_drawing_leaves_the_given_picture_alone(visualizer: Visualizer) -> None:
    image = np.zeros((H, W, 3), np.uint8)
    visualizer.set_image(image)
    assert visualizer.draw_bboxes(np.array([1, 1, 20, 20])) is visualizer
    assert not image.any()
    assert painted(visualizer).any()


# ---------------------------------------------------------------------- shapes


def test_a_box_lies_on_its_edges(visualizer: Visualizer) -> None:
    visualizer.draw_bboxes(np.array([10, 20, 40, 50]), edge_colors=(200, 100, 50), line_widths=2, alpha=1.0)
    outline = np.zeros((H, W), bool)
    outline[19:51, 9:41] = True
    outline[21:49, 11:39] = False
    np.testing.assert_array_equal(painted(visualizer), outline)
    assert (visualizer.get_image()[outline] == (200, 100, 50)).all()


def test_boxes_each_with_its_options(visualizer: Visualizer) -> None:
    boxes = torch.tensor([[2, 2, 10, 10], [20, 20, 30, 30], [60, 40, 200, 200]])
    visualizer.draw_bboxes(
        boxes,
        edge_colors=["r", "none", "#0000ff"],
        face_colors=["none", "lime", "none"],
        line_widths=[1, 1, 3],
        alpha=0.5,
    )
    image = visualizer.get_image()
    assert tuple(image[2, 2]) == (128, 0, 0)
    assert tuple(image[6, 6]) == (0, 0, 0)
    assert (image[20:30, 20:30] == (0, 128, 0)).all()
    assert tuple(image[50, 60]) == (0, 0, 128)
    assert not image[:, 31:58].any()


def test_no_boxes_draw_nothing(visualizer: Visualizer) -> None:
    visualizer.draw_bboxes(torch.zeros(0, 4)).draw_points(np.zeros((0, 2))).draw_polygons([])
    visualizer.draw_texts([], np.zeros((0, 2))).draw_binary_masks(np.zeros((0, H, W), bool))
    visualizer.draw_bboxes(np.array([-50, -50, -10, -10])).draw_circles(np.array([500, 500]), np.array([3]))
    assert not painted(visualizer).any()


def test_a_dashed_box_keeps_its_gaps(visualizer: Visualizer) -> None:
    visualizer.draw_bboxes(np.array([10, 10, 70, 50]), edge_colors="w", line_styles="--", alpha=1.0)
    length = (visualizer.get_image()[..., 0] / 255).sum() / 2
    assert length == pytest.approx(200 * 4 / 6, abs=6)


def test_thick_lines_of_a_tiny_box_do_not_overlap(visualizer: Visualizer) -> None:
    visualizer.draw_bboxes(np.array([20, 20, 21, 21]), edge_colors="w", line_widths=5, alpha=0.5)
    assert set(np.unique(visualizer.get_image())) == {0, 128}


def test_a_filled_circle_has_its_area(visualizer: Visualizer) -> None:
    visualizer.draw_circles(np.array([40, 30]), np.array([20]), edge_colors="none", face_colors="w", alpha=1.0)
    covered = visualizer.get_image()[..., 0] / 255
    assert covered.sum() == pytest.approx(np.pi * 20**2, rel=0.02)
    ys, xs = np.mgrid[:H, :W] + 0.5
    assert (covered * xs).sum() / covered.sum() == pytest.approx(40, abs=0.2)
    assert (covered * ys).sum() / covered.sum() == pytest.approx(30, abs=0.2)
    assert ((covered > 0) & (covered < 1)).sum() > 40  # a smooth edge


def test_a_ring_has_its_width(visualizer: Visualizer) -> None:
    visualizer.draw_circles(torch.tensor([[40, 30]]), torch.tensor([20]), edge_colors="w", line_widths=4, alpha=1.0)
    covered = visualizer.get_image()[..., 0] / 255
    assert covered.sum() == pytest.approx(2 * np.pi * 20 * 4, rel=0.05)
    assert not covered[25:35, 35:45].any()


@pytest.mark.parametrize("flat", [False, True])
def test_a_filled_polygon_has_its_area(visualizer: Visualizer, flat: bool) -> None:
    triangle = np.array([[10.0, 10.0], [50.0, 10.0], [10.0, 40.0]])
    polygon = triangle.reshape(-1).tolist() if flat else torch.from_numpy(triangle)
    visualizer.draw_polygons([polygon], edge_colors="none", face_colors="w", alpha=1.0)
    assert visualizer.get_image()[..., 0].sum() / 255 == pytest.approx(600, rel=0.05)


def test_lines_and_their_styles(visualizer: Visualizer) -> None:
    lengths = {}
    for style in ("-", "--", "-.", ":"):
        visualizer.set_image(np.zeros((H, W, 3), np.uint8))
        visualizer.draw_lines(
            np.array([[10, 70], [10, 70]]), torch.tensor([[10, 10], [30, 30]]), colors=["w", "r"], line_styles=style
        )
        lengths[style] = (visualizer.get_image()[:20, :, 0] / 255).sum() / 2
        assert visualizer.get_image()[25:35, :, 0].any()
    assert lengths["-"] == pytest.approx(60, abs=2)
    assert lengths["--"] == pytest.approx(40, abs=4)
    assert lengths[":"] == pytest.approx(24, abs=4)
    assert lengths["-."] == pytest.approx(60 * 5 / 8, abs=4)


@pytest.mark.parametrize("marker", [None, "o", ".", "s", "D", "^", "v", "*", "+", "x"])
def test_markers_stand_where_they_should(visualizer: Visualizer, marker: str | None) -> None:
    visualizer.draw_points(torch.tensor([40.0, 30.0]), colors="w", marker=marker, sizes=400)
    rows, columns = np.nonzero(painted(visualizer))
    assert rows.min() >= 17
    assert rows.max() <= 43
    assert columns.mean() == pytest.approx(39.5, abs=0.6)
    assert rows.mean() == pytest.approx(29.5, abs=2.6)


def test_masks_tint(visualizer: Visualizer) -> None:
    masks = np.zeros((2, H, W), bool)
    masks[0, 10:20, 10:20] = masks[1, 15:25, 15:25] = True
    visualizer.draw_binary_masks(torch.from_numpy(masks), colors=[(200, 0, 0), (0, 200, 0)], alphas=[1.0, 0.5])
    image = visualizer.get_image()
    assert tuple(image[12, 12]) == (200, 0, 0)
    assert tuple(image[17, 17]) == (100, 100, 0)
    assert tuple(image[22, 22]) == (0, 100, 0)
    np.testing.assert_array_equal(painted(visualizer), masks.any(axis=0))


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("draw_bboxes", ([20, 0, 10, 10],), "x1 <= x2"),
        ("draw_bboxes", ([1, 2, 3],), r"shape \(N, 4\)"),
        ("draw_bboxes", ([[0, 0, 1, 1], [0, 0, float("nan"), 1]],), "not finite, the first in row 1"),
        ("draw_bboxes", ([0, 0, 9, 9], "gren"), "did you mean 'green'"),
        ("draw_bboxes", ([0, 0, 9, 9], (0, 0, 300)), "three numbers"),
        ("draw_bboxes", ([[0, 0, 9, 9]] * 2, ["r"]), "edge_colors has 1 entries for 2 shapes"),
        ("draw_bboxes", ([0, 0, 9, 9], "g", "-+"), "no line style"),
        ("draw_points", ([1, 1], "g", "heart"), "no marker 'heart'"),
        ("draw_circles", ([[1, 1], [2, 2]], [3]), "2 centres and 1 radii"),
        ("draw_lines", ([1, 2], [1, 2, 3]), "differ in shape"),
        ("draw_texts", (["a", "b"], [[1, 1]]), "2 texts and 1 positions"),
        ("draw_texts", ("a", [1, 1], 10, "g", "middle"), "vertical alignment"),
        ("draw_binary_masks", (np.zeros((3, 3), bool),), r"\(3, 3\) on a picture of \(60, 80\)"),
    ],
)
def test_bad_input(visualizer: Visualizer, method: str, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(visualizer, method)(*arguments)


def test_colors() -> None:
    assert parse_color("r") == parse_color("red") == parse_color("#ff0000") == parse_color([255, 0, 0]) == (255, 0, 0)
    assert parse_color(np.array([1, 2, 3])) == (1, 2, 3)
    assert parse_color("none") is None


# ---------------------------------------------------------------------- text


@pytest.mark.parametrize("position", [(0, 0), (79, 59), (40, 30), (-30, 100)])
@pytest.mark.parametrize("vertical", ["top", "center", "bottom"])
def test_labels_stay_inside(visualizer: Visualizer, position: tuple[int, int], vertical: str) -> None:
    visualizer.draw_texts("cat", np.array(position), font_sizes=12, colors="w", vertical_alignments=vertical)
    inside = painted(visualizer).sum()
    large = Visualizer(image=np.zeros((300, 300, 3), np.uint8))
    large.draw_texts("cat", np.array([150, 150]), font_sizes=12, colors="w")
    assert inside == large.get_image().any(axis=2).sum()


def test_a_label_is_placed_by_its_alignment() -> None:
    def corner(vertical: str, horizontal: str) -> tuple[int, int]:
        style = LabelStyle(12, (0, 0, 0), vertical=vertical, horizontal=horizontal, pad=2)
        return place_label((50, 40), (20, 10), style, (100, 80))

    assert corner("top", "left") == (50, 40)
    assert corner("center", "center") == (40, 35)
    assert corner("bottom", "right") == (30, 30)
    assert place_label((95, 78), (20, 10), LabelStyle(12, (0, 0, 0), pad=2), (100, 80)) == (78, 68)
    assert place_label((5, 5), (200, 10), LabelStyle(12, (0, 0, 0), pad=2), (100, 80)) == (2, 5)


def test_a_box_behind_the_text(visualizer: Visualizer) -> None:
    visualizer.draw_texts(
        "a", np.array([20, 20]), colors="k", bboxes={"facecolor": (0, 200, 0), "alpha": 0.5, "pad": 3}
    )
    rows, columns = np.nonzero(painted(visualizer))
    assert (rows.min(), columns.min()) == (17, 17)
    assert visualizer.get_image().max() == 100


def test_letters_of_other_scripts_are_found_or_stood_for(visualizer: Visualizer) -> None:
    for text in ("Größe Ω", "пёс", "猫", "two\nlines"):
        visualizer.set_image(np.zeros((H, W, 3), np.uint8))
        visualizer.draw_texts(text, np.array([1, 1]), colors="w")
        assert painted(visualizer).any()
    assert find_font(12, "ascii") is find_font(12, "other ascii")
    with pytest.raises(OSError, match="nowhere"):
        visualizer.draw_texts("a", np.array([1, 1]), font_properties="nowhere.ttf")


# ---------------------------------------------------------------------- feature maps


def test_feature_maps() -> None:
    featmap = torch.rand(6, 8, 10)
    featmap[4] += 10
    assert Visualizer.draw_featmap(featmap).shape == (8, 10, 3)
    image = np.full((H, W, 3), 100, np.uint8)
    assert Visualizer.draw_featmap(featmap, image).shape == (H, W, 3)
    best = Visualizer.draw_featmap(featmap, channel_reduction="select_max")
    np.testing.assert_array_equal(best, Visualizer.draw_featmap(featmap[4:5], channel_reduction="squeeze_mean"))
    np.testing.assert_array_equal(Visualizer.draw_featmap(featmap, image, alpha=0.0), image)
    tiles = Visualizer.draw_featmap(featmap, channel_reduction=None, topk=4, arrangement=(2, 2), resize_shape=(20, 30))
    assert tiles.shape == (42, 62, 3)
    np.testing.assert_array_equal(
        tiles[:20, :30], Visualizer.draw_featmap(featmap[4:5], channel_reduction=None, topk=-1, resize_shape=(20, 30))
    )
    plain = Visualizer.draw_featmap(torch.tensor([[[0.0, 1.0]]] * 3), channel_reduction=None, topk=-1)
    assert plain.tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_heat_goes_from_blue_to_red() -> None:
    picture = Visualizer.draw_featmap(torch.linspace(0, 1, 101).reshape(1, 1, -1))[0]
    assert picture[0].tolist() == [0, 0, 128]
    assert picture[50].tolist() == [128, 255, 128]
    assert picture[100].tolist() == [128, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"featmap": torch.rand(2, 2)}, r"\(C, H, W\)"),
        ({"featmap": torch.rand(2, 2, 2), "channel_reduction": "mean"}, "channel_reduction is one of"),
        ({"featmap": torch.rand(2, 2, 2), "channel_reduction": None, "topk": -1}, "1 or 3 channels"),
        ({"featmap": torch.rand(2, 2, 2), "channel_reduction": None, "topk": 5, "arrangement": (2, 2)}, "no room"),
    ],
)
def test_bad_feature_maps(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Visualizer.draw_featmap(**arguments)


# ---------------------------------------------------------------------- runs and backends


class Recorder(BaseVisBackend):
    """Remembers what it is given."""

    def __init__(self, save_dir: str = "") -> None:
        super().__init__(save_dir)
        self.calls: list[tuple[object, ...]] = []

    experiment = property(lambda self: self)

    def _init_env(self) -> None: ...

    def add_image(self, name: str, image: np.ndarray, step: int = 0, **kwargs: object) -> None:
        self.calls.append(("image", name, image.shape, step))

    def add_scalars(self, scalar_dict: object, step: int = 0, file_path: str | None = None, **kwargs: object) -> None:
        self.calls.append(("scalars", scalar_dict, step, file_path))

    def close(self) -> None:
        self.calls.append(("close",))


def test_backends_are_built_and_called(tmp_path: Path) -> None:
    recorder = Recorder()
    cfg = {"type": "LocalVisBackend", "name": "files"}
    visualizer = VISUALIZERS.build(
        {
            "type": "Visualizer",
            "name": f"visualizer {next(_numbers)}",
            "vis_backends": [cfg, {"type": "LocalVisBackend", "save_dir": str(tmp_path / "own")}, recorder],
            "save_dir": str(tmp_path),
            "fig_save_cfg": {"dpi": 100},
        }
    )
    visualizer.add_scalars({"loss": 1.0}, step=3)
    visualizer.add_datasample("cat", np.zeros((4, 4, 3), np.uint8), step=2)
    visualizer.close()
    assert recorder.calls == [("scalars", {"loss": 1.0}, 3, None), ("image", "cat", (4, 4, 3), 2), ("close",)]
    assert (tmp_path / "vis_data" / "scalars.json").exists()
    assert (tmp_path / "own" / "scalars.json").exists()
    assert isinstance(visualizer.get_backend("files"), LocalVisBackend)
    assert visualizer.get_backend("Recorder") is recorder
    with pytest.raises(KeyError, match="did you mean 'files'"):
        visualizer.get_backend("file")


def test_backends_without_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    local = {"type": "LocalVisBackend"}
    Visualizer(vis_backends=local)
    assert "LocalVisBackend is left out" in capsys.readouterr().out
    with pytest.raises(ValueError, match="two backends are called 'LocalVisBackend'"):
        Visualizer(vis_backends=[local, local], save_dir=str(tmp_path))
    with pytest.raises(TypeError, match="not int"):
        Visualizer(vis_backends=[3])
    assert list(tmp_path.iterdir()) == []  # nothing is made before something is kept


def test_only_the_first_rank_keeps_anything() -> None:
    recorder = Recorder()
    visualizer = Visualizer(vis_backends=[recorder])
    with mock.patch("visuite.engine.dist.group.get_rank", return_value=1):
        visualizer.add_scalars({"loss": 1.0})
        visualizer.add_datasample("cat", np.zeros((4, 4, 3), np.uint8))
        assert visualizer.get_image().shape == (4, 4, 3)
    assert recorder.calls == []


def test_a_data_sample_goes_to_a_file_or_nowhere(tmp_path: Path) -> None:
    recorder = Recorder()
    visualizer = Visualizer(vis_backends=[recorder])
    image = np.full((4, 5, 3), 77, np.uint8)
    visualizer.add_datasample("cat", image, out_file=str(tmp_path / "a" / "cat.png"))
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a" / "cat.png")), image)
    visualizer.add_datasample("cat", image, save=False)
    assert recorder.calls == []


def test_showing_without_a_screen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visuite.engine.visualization.show.has_screen", lambda: False)
    Visualizer(image=np.zeros((4, 4, 3), np.uint8)).show(win_name="cat")
    assert "no screen to show 'cat' on" in capsys.readouterr().out


def test_the_current_visualizer_is_found_whatever_its_class() -> None:
    class Special(Visualizer):
        pass

    name = f"visualizer {next(_numbers)}"
    plain = Visualizer.get_instance(name)
    special = Special.get_instance(f"{name} special")
    assert Visualizer.get_current_instance() is special
    with plain.activate():
        assert Visualizer.get_current_instance() is plain
        assert Special.get_current_instance() is plain
    assert Visualizer.get_current_instance() is special
    other = Special.get_instance(name)
    assert isinstance(other, Special)
    assert Visualizer.get_instance(name) is other
