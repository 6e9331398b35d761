#!/usr/bin/env python
"""Show which places of a picture speak for a class: python tools/visualization/cam.py IMG CONFIG CHECKPOINT ..."""

from __future__ import annotations

import argparse

import numpy as np

from visuite.cls.cam import METHODS, ClassActivationMap, overlay
from visuite.cls.inferencer import ImageClassificationInferencer
from visuite.cv.image import imrescale, imwrite
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.config import Config, ConfigError
from visuite.engine.utils.text import did_you_mean

#: Smaller pictures are enlarged to this shorter edge in pixels.
READABLE = 224


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Show which places of a picture speak for a class.")
    parser.add_argument("img", help="picture")
    config_arguments(parser)
    parser.add_argument("checkpoint", nargs="?", help="checkpoint file (default: the config's load_from)")
    parser.add_argument("--method", choices=list(METHODS), default="gradcam")
    parser.add_argument(
        "--target-layers", nargs="+", metavar="NAME",
        help="modules such as backbone.layer4 (default: the last one whose output still has places)",
    )  # fmt: skip
    parser.add_argument("--target-category", metavar="CLASS", help="number or name (default: the predicted class)")
    parser.add_argument("--vit-like", action="store_true", default=None, help="the layers give tokens, not maps")
    parser.add_argument("--num-extra-tokens", type=int, metavar="N", help="tokens in front that are no patches")
    parser.add_argument("--opacity", type=float, default=0.5, help="how much of the map is seen, from 0 to 1")
    parser.add_argument("--save-path", metavar="FILE", help="write the picture there instead of showing it")
    parser.add_argument("--preview-model", action="store_true", help="only print the names of the modules")
    parser.add_argument("--device", help="where the model runs (default: the accelerator, if there is one)")
    return parser.parse_args()


def category(text: str, classes: tuple[str, ...] | None) -> int:
    """Return the number of a class.

    Raises:
        ConfigError: it is neither a number nor the name of a class; says the nearest.
    """
    names = classes or ()
    if text in names:
        return names.index(text)
    if text.isdigit():
        return int(text)
    raise ConfigError(f"--target-category: there is no class {text!r}{did_you_mean(text, names)}")


def draw(inferencer: ImageClassificationInferencer, args: argparse.Namespace) -> np.ndarray:
    """Return what the model was given with the map over it, RGB uint8 (H, W, 3), and print whose map it is."""
    sample = inferencer.pipeline(args.img)
    inputs = inferencer.model.data_preprocessor(inferencer.collate_fn([sample]), False)["inputs"]
    image = inferencer.picture_in(sample)
    scores = inferencer(args.img)[0]["pred_scores"]
    names = inferencer.classes
    number = int(np.argmax(scores)) if args.target_category is None else category(args.target_category, names)
    look = ClassActivationMap(
        inferencer.model,
        args.target_layers,
        method=args.method,
        vit_like=args.vit_like,
        num_extra_tokens=args.num_extra_tokens,
    )
    look.target_layers = look.target_layers or [look.find_layer(inputs)]
    (cam,) = look(inputs, number)
    print(f"class {number}{f' ({names[number]})' if names else ''}, score {scores[number]:.3f}")
    print(f"{args.method} of {', '.join(look.target_layers)}")
    return overlay(image, cam[: image.shape[0], : image.shape[1]], args.opacity)


def main() -> None:
    """Draw the map."""
    args = parse_args()
    loaded: list[Config] = []
    with one_line_errors(loaded):
        loaded.append(read_config(args))
        inferencer = ImageClassificationInferencer(loaded[0], args.checkpoint or True, args.device)
        if args.preview_model:
            print("\n".join(name for name, _ in inferencer.model.named_modules() if name))
            return
        try:
            picture = draw(inferencer, args)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        short = min(picture.shape[:2])
        picture = picture if short >= READABLE else imrescale(picture, READABLE / short)
        if args.save_path is None:
            inferencer.visualizer.show(picture)
        else:
            imwrite(picture[..., ::-1], args.save_path)


if __name__ == "__main__":
    main()
