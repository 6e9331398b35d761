"""Draws *Shapes*: a data set small enough to make and rich enough to train classifiers, detectors and segmentors on.

    python tools/make_shapes.py data/shapes --images 2000 --seed 0

Scenes of textured discs, squares, triangles and stars that hide one another, on textured grounds, behind bars, blurred
and noisy. Colour, texture, turn and size say nothing about the class; only the outline does. Every fifth scene is for
validation, and a few hold nothing at all.

    OUT/images/{train,val}/000000.jpg
    OUT/annotations/instances_{train,val}.json     COCO: polygons where a shape is whole, RLE where it is cut or a crowd
    OUT/semantic/{train,val}/000000.png            palette map: 0 ground, 1..4 the classes
    OUT/cls/{train,val}/<class>/000000_00.jpg      square crops, one object in the middle, as many of each class
    OUT/meta.json                                  classes, palette, counts and the arguments; written last

Masks cover what is visible, so no two overlap, and the semantic map is their union. Scene i depends on (seed, size, i)
alone: the same seed gives the same bytes, and more images only add to them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

CLASSES = ("disc", "square", "triangle", "star")
PALETTE = ((0, 0, 0), (230, 80, 60), (70, 160, 230), (90, 200, 90), (240, 200, 60))
CROP_SIZE = 64
LEAST_VISIBLE = 0.3  # share of its outline that every labelled object shows
CLEARLY_VISIBLE = 0.65  # share from which an object may stand for its class alone
LEAST_PIXELS = 30
TRIES = 12

Rng = np.random.Generator


@dataclass
class Thing:
    """A labelled object, or a crowd of small ones of a single class.

    Attributes:
        label: Index into `CLASSES`.
        outlines: One (N, 2) array of corners in pixels for each shape; pixel (x, y) covers [x, x+1) x [y, y+1).
        full: (H, W) bool, what it would cover if nothing lay above it.
        area: Pixels of all outlines, also of the part outside the picture.
        crowd: Whether it is labelled as a crowd.
        visible: (H, W) bool, `full` without what was drawn later.
    """

    label: int
    outlines: list[np.ndarray]
    full: np.ndarray
    area: float
    crowd: bool = False
    visible: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.visible = self.full.copy()

    @property
    def seen(self) -> float:
        """The visible share of the outline."""
        return float(self.visible.sum()) / self.area


@dataclass
class Scene:
    """A picture, (H, W, 3) uint8 RGB, and the things in it, lowest first."""

    image: np.ndarray
    things: list[Thing]

    @property
    def semantic(self) -> np.ndarray:
        """(H, W) uint8: 0 for the ground, 1 + label where a thing is visible."""
        labels = np.zeros(self.image.shape[:2], np.uint8)
        for thing in self.things:
            labels[thing.visible] = thing.label + 1
        return labels


# Outlines -----------------------------------------------------------------------------------------------------------


def unit_outline(label: int) -> np.ndarray:
    """Corners (N, 2) of a class within the unit circle."""
    name = CLASSES[label]
    corners = {"disc": 36, "square": 4, "triangle": 3, "star": 10}[name]
    angles = np.arange(corners) * (2 * np.pi / corners)
    radii = np.where(np.arange(corners) % 2, 0.42, 1.0) if name == "star" else np.ones(corners)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def place_outline(rng: Rng, label: int, centre: np.ndarray, radius: float) -> np.ndarray:
    """Turn, stretch and move the outline of a class; corners to 1/100 pixel, as the annotations store them."""
    turn = rng.uniform(0, 2 * np.pi)
    stretch = rng.uniform(0.85, 1.0)
    corners = unit_outline(label) * (radius, radius * stretch)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.round(corners @ rotation.T + centre, 2)


def outline_area(outline: np.ndarray) -> float:
    """Area of a polygon in pixels (shoelace formula)."""
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def rasterise(outlines: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Pixels (H, W) bool of a union of polygons, by COCO's own rasteriser, so that every reader sees the same mask."""
    polygons = [outline.ravel().tolist() for outline in outlines]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))).astype(bool)


# Textures and paint -------------------------------------------------------------------------------------------------


def texture(rng: Rng, height: int, width: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """An (H, W, 3) float32 mix of two colours: plain, gradient, stripes, chequers or clouds."""
    turn = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    along = x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))
    across = y * np.float32(np.cos(turn)) - x * np.float32(np.sin(turn))
    period = rng.uniform(4, 18)
    kind = rng.integers(5)
    if kind == 0:
        weight = np.full((height, width), rng.uniform(0, 0.25), np.float32)
    elif kind == 1:
        weight = (along - along.min()) / max(float(np.ptp(along)), 1.0)
    elif kind == 2:
        weight = 0.5 + 0.5 * np.sin(along * (2 * np.pi / period))
    elif kind == 3:
        weight = (((along // period) + (across // period)) % 2).astype(np.float32)
    else:
        weight = clouds(rng, height, width)
    return first + weight[..., None] * (second - first)


def clouds(rng: Rng, height: int, width: int) -> np.ndarray:
    """Smooth noise (H, W) in [0, 1] with detail at three scales."""
    total = np.zeros((height, width), np.float32)
    for cells, share in ((4, 0.5), (9, 0.3), (24, 0.2)):
        grid = rng.random((cells, cells), dtype=np.float32)
        total += share * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(total, 0, 1)


def colour_pair(rng: Rng, unlike: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two RGB colours whose mean differs visibly from `unlike`."""
    for _ in range(TRIES):
        first = rng.uniform(10, 245, 3).astype(np.float32)
        second = np.clip(first + rng.normal(0, 55, 3), 5, 250).astype(np.float32)
        if unlike is None or np.linalg.norm((first + second) / 2 - unlike) > 75:
            break
    return first, second


def paint(rng: Rng, canvas: np.ndarray, outlines: list[np.ndarray]) -> None:
    """Fill outlines on an (H, W, 3) float32 canvas with one texture; some get a dark or light rim."""
    height, width = canvas.shape[:2]
    corners = [np.round((outline - 0.5) * 16).astype(np.int32) for outline in outlines]
    low = np.clip(np.floor(np.min([o.min(0) for o in outlines], axis=0)).astype(int) - 3, 0, (width, height))
    high = np.clip(np.ceil(np.max([o.max(0) for o in outlines], axis=0)).astype(int) + 4, 0, (width, height))
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    alpha = np.zeros((height, width), np.uint8)
    for corner in corners:
        cv2.fillPoly(alpha, [corner], 255, lineType=cv2.LINE_AA, shift=4)
    cover = alpha[part].astype(np.float32)[..., None] / 255
    below = canvas[part]
    first, second = colour_pair(rng, below.reshape(-1, 3).mean(0))
    fill = texture(rng, below.shape[0], below.shape[1], first, second)
    below += cover * (fill - below)
    if rng.random() < 0.35:
        rim = np.zeros((height, width), np.uint8)
        cv2.polylines(rim, corners, True, 255, thickness=int(rng.integers(1, 3)), lineType=cv2.LINE_AA, shift=4)
        edge = rim[part].astype(np.float32)[..., None] / 255 * cover
        below += edge * (below * rng.choice([0.35, 1.5]) - below)


def develop(rng: Rng, canvas: np.ndarray) -> np.ndarray:
    """What light and camera do to a picture: uneven light, blur and noise; gives (H, W, 3) uint8."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.5:
        dark, light = np.full(3, rng.uniform(0.55, 0.9), np.float32), np.full(3, rng.uniform(1.0, 1.25), np.float32)
        canvas = canvas * cv2.resize(texture(rng, 16, 16, dark, light), (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.4:
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.4, 1.3))
    grain = rng.standard_normal((height, width, 3), dtype=np.float32) * rng.uniform(1, 12)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


# Scenes -------------------------------------------------------------------------------------------------------------


def stays_visible(things: list[Thing], cover: np.ndarray) -> bool:
    """Whether every thing would still show enough of itself below `cover`, (H, W) bool."""
    for thing in things:
        left = int((thing.visible & ~cover).sum())
        if left < LEAST_VISIBLE * thing.area or left < LEAST_PIXELS:
            return False
    return True


def lay(things: list[Thing], cover: np.ndarray) -> None:
    """Take what `cover` hides from the things below it."""
    for thing in things:
        thing.visible &= ~cover


def propose(rng: Rng, height: int, width: int, unit: float) -> Thing:
    """One object somewhere, of a size between small and large (uniform in its logarithm)."""
    label = int(rng.integers(len(CLASSES)))
    radius = unit * float(np.exp(rng.uniform(np.log(0.07), np.log(0.27))))
    inset = 0.5 * radius
    centre = rng.uniform((inset, inset), (width - inset, height - inset))
    outline = place_outline(rng, label, centre, radius)
    return Thing(label, [outline], rasterise([outline], height, width), outline_area(outline))


def propose_crowd(rng: Rng, height: int, width: int, unit: float) -> Thing:
    """A dozen or two small shapes of one class, close together."""
    label = int(rng.integers(len(CLASSES)))
    middle = rng.uniform((0.25 * width, 0.25 * height), (0.75 * width, 0.75 * height))
    radius = unit * 0.035
    places = [middle + rng.normal(0, 0.09 * unit, 2) for _ in range(rng.integers(12, 25))]
    outlines = [place_outline(rng, label, place, radius) for place in places]
    full = rasterise(outlines, height, width)
    return Thing(label, outlines, full, max(float(full.sum()), 1.0), crowd=True)


def add_thing(rng: Rng, canvas: np.ndarray, things: list[Thing], crowd: bool = False) -> None:
    """Draw one more thing where all, it too, stay visible enough; nothing where no such place is found."""
    height, width = canvas.shape[:2]
    for _ in range(TRIES):
        thing = (propose_crowd if crowd else propose)(rng, height, width, float(min(height, width)))
        if stays_visible([thing], np.zeros_like(thing.full)) and stays_visible(things, thing.full):
            lay(things, thing.full)
            things.append(thing)
            for outline in thing.outlines:
                paint(rng, canvas, [outline])
            return


def add_bar(rng: Rng, canvas: np.ndarray, things: list[Thing]) -> None:
    """Draw a bar across the picture: ground that lies in front of things."""
    height, width = canvas.shape[:2]
    for _ in range(TRIES):
        centre = rng.uniform((0, 0), (width, height))
        turn, half = rng.uniform(0, np.pi), rng.uniform(1.5, 5)
        ahead = np.array([np.cos(turn), np.sin(turn)]) * (height + width)
        aside = np.array([-np.sin(turn), np.cos(turn)]) * half
        bar = np.round(centre + np.stack([ahead + aside, ahead - aside, -ahead - aside, -ahead + aside]), 2)
        cover = rasterise([bar], height, width)
        if stays_visible(things, cover):
            lay(things, cover)
            paint(rng, canvas, [bar])
            return


def draw_scene(seed: int, index: int, size: int = 160) -> Scene:
    """Draw scene `index`: at least `size` pixels on each side, 0 to 8 objects, now and then a crowd or bars."""
    rng = np.random.default_rng([seed, size, index])
    height, width = (size, size + size // 3)[:: rng.choice([1, -1])] if rng.random() < 0.6 else (size, size)
    canvas = np.ascontiguousarray(texture(rng, height, width, *colour_pair(rng)), np.float32)
    things: list[Thing] = []
    if rng.random() > 0.02:
        if rng.random() < 0.05:
            add_thing(rng, canvas, things, crowd=True)
        for _ in range(rng.integers(1, 9)):
            add_thing(rng, canvas, things)
    for _ in range(rng.integers(1, 3) if rng.random() < 0.3 else 0):
        add_bar(rng, canvas, things)
    return Scene(develop(rng, canvas), things)


# Labels and files ---------------------------------------------------------------------------------------------------


def is_whole(thing: Thing) -> bool:
    """Whether the visible pixels are exactly those of a single outline that lies inside the picture."""
    height, width = thing.full.shape
    inside = all((o >= 0).all() and (o <= (width, height)).all() for o in thing.outlines)
    return not thing.crowd and inside and bool((thing.visible == thing.full).all())


def segmentation_of(thing: Thing) -> Any:
    """COCO's three kinds: a polygon for a whole shape, packed RLE for a partly hidden one, plain counts for a crowd."""
    if is_whole(thing):
        return [thing.outlines[0].ravel().tolist()]
    if thing.crowd:
        return {"size": list(thing.visible.shape), "counts": run_lengths(thing.visible)}
    rle = coco_mask.encode(np.asfortranarray(thing.visible, np.uint8))
    return {"size": list(thing.visible.shape), "counts": rle["counts"].decode("ascii")}


def run_lengths(mask: np.ndarray) -> list[int]:
    """Lengths of the runs of 0, 1, 0, ... down the columns of an (H, W) mask."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    starts = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], starts, [mask.size]])).tolist()


def box_of(mask: np.ndarray) -> list[int]:
    """The box [x, y, width, height] of an (H, W) mask's pixels."""
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [int(xs[0]), int(ys[0]), int(xs[-1] - xs[0] + 1), int(ys[-1] - ys[0] + 1)]


def annotate(thing: Thing, annotation_id: int, image_id: int) -> dict[str, Any]:
    """The COCO annotation of one thing."""
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": thing.label + 1,
        "bbox": box_of(thing.visible),
        "area": int(thing.visible.sum()),
        "iscrowd": int(thing.crowd),
        "segmentation": segmentation_of(thing),
    }


def crop_of(scene: Scene, thing: Thing) -> np.ndarray | None:
    """A square crop (CROP_SIZE, CROP_SIZE, 3) around a clearly visible object with a margin; None for any other."""
    if thing.crowd or thing.seen < CLEARLY_VISIBLE:
        return None
    height, width = scene.image.shape[:2]
    low, high = thing.outlines[0].min(0), thing.outlines[0].max(0)
    side = min(int((high - low).max() * 1.3), height, width)
    x, y = np.clip(((low + high - side) / 2).astype(int), 0, (width - side, height - side))
    square = scene.image[y : y + side, x : x + side]
    shrinks = side > CROP_SIZE
    return cv2.resize(square, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


class Writer:
    """Writes the scenes of one split (`train` or `val`)."""

    def __init__(self, root: Path, split: str) -> None:
        self.root, self.split = root, split
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []
        self.crops: list[list[tuple[str, np.ndarray]]] = [[] for _ in CLASSES]
        for folder in ("images", "semantic"):
            (root / folder / split).mkdir(parents=True)

    def add(self, scene: Scene, index: int) -> None:
        """Write the picture and the map of scene `index`, and keep its labels and crops."""
        stem, (height, width) = f"{index:06d}", scene.image.shape[:2]
        save_jpeg(self.root / "images" / self.split / f"{stem}.jpg", scene.image)
        save_map(self.root / "semantic" / self.split / f"{stem}.png", scene.semantic)
        self.images.append({"id": index + 1, "file_name": f"{stem}.jpg", "height": height, "width": width})
        for position, thing in enumerate(scene.things):
            self.annotations.append(annotate(thing, len(self.annotations) + 1, index + 1))
            crop = crop_of(scene, thing)
            if crop is not None:
                self.crops[thing.label].append((f"{stem}_{position:02d}.jpg", crop))

    def close(self) -> dict[str, int]:
        """Write the labels and the class folders, and tell how much there is."""
        categories = [{"id": i + 1, "name": name, "supercategory": "shape"} for i, name in enumerate(CLASSES)]
        labels = {"images": self.images, "annotations": self.annotations, "categories": categories}
        write_json(self.root / "annotations" / f"instances_{self.split}.json", labels)
        each = min(len(crops) for crops in self.crops)
        for name, crops in zip(CLASSES, self.crops, strict=True):
            folder = self.root / "cls" / self.split / name
            folder.mkdir(parents=True)
            for file, crop in crops[:each]:
                save_jpeg(folder / file, crop)
        return {"images": len(self.images), "objects": len(self.annotations), "crops": each * len(CLASSES)}


def save_jpeg(path: Path, image: np.ndarray) -> None:
    """Write an (H, W, 3) RGB picture."""
    Image.fromarray(image).save(path, quality=92)


def save_map(path: Path, labels: np.ndarray) -> None:
    """Write an (H, W) map of classes as a PNG that shows them in the palette's colours."""
    picture = Image.fromarray(labels)
    picture.putpalette([channel for colour in PALETTE for channel in colour])
    picture.save(path)


def write_json(path: Path, content: dict[str, Any], indent: int | None = None) -> None:
    """Write JSON in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=indent) + "\n", encoding="utf-8")


def make_shapes(out: Path, *, images: int, seed: int, size: int = 160) -> dict[str, Any]:
    """Make the whole data set in `out` and give what its `meta.json` says.

    The files come to lie in `out` when all are written, so a run that was stopped leaves nothing that looks finished.

    Raises:
        FileExistsError: `out` holds something else than Shapes.
    """
    if out.exists() and any(out.iterdir()) and not (out / "meta.json").exists():
        raise FileExistsError(f"{out} is not empty and holds no Shapes data set; choose another folder")
    work = out.with_name(out.name + ".partial")
    shutil.rmtree(work, ignore_errors=True)
    writers = {split: Writer(work, split) for split in ("train", "val")}
    for index in range(images):
        writers["val" if index % 5 == 4 else "train"].add(draw_scene(seed, index, size), index)
    meta = {
        "name": "Shapes",
        "arguments": {"images": images, "seed": seed, "size": size},
        "classes": CLASSES,
        "semantic_classes": ["ground", *CLASSES],
        "palette": PALETTE,
        "splits": {split: writer.close() for split, writer in writers.items()},
    }
    write_json(work / "meta.json", meta, indent=1)
    shutil.rmtree(out, ignore_errors=True)
    work.rename(out)
    return meta


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw the Shapes data set.")
    parser.add_argument("out", type=Path, help="folder to make; one that holds Shapes already is replaced")
    parser.add_argument("--images", type=int, default=2000, help="number of scenes, at least 5 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes (default: %(default)s)")
    parser.add_argument("--size", type=int, default=160, help="shorter side in pixels (default: %(default)s)")
    args = parser.parse_args(arguments)
    if args.images < 5 or args.size < 64 or args.seed < 0:
        parser.error("--images must be at least 5, --size at least 64 and --seed not negative")
    return args


def main() -> int:
    """Make the data set and say what lies in it."""
    args = parse_args()
    try:
        meta = make_shapes(args.out, images=args.images, seed=args.seed, size=args.size)
    except OSError as error:
        print(f"make_shapes: {error}", file=sys.stderr)
        return 1
    for split, counts in meta["splits"].items():
        print(f"{args.out} {split}: " + ", ".join(f"{number} {what}" for what, number in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
