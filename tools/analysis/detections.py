#!/usr/bin/env python
"""See what a detector confuses and misses: python tools/analysis/detections.py CONFIG PREDICTIONS.pkl [--out-dir DIR].

PREDICTIONS.pkl comes from `tools/test.py CONFIG CHECKPOINT --out PREDICTIONS.pkl`. Draws the confusion matrix of boxes
and the curves of precision over recall, and prints a table of the classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from visuite.det.metrics import PrecisionRecall, confusion_matrix, precision_recall_curves, read_predictions
from visuite.engine.analysis import Curve, Line, line_chart, matrix_chart
from visuite.engine.analysis.chart import COLORS
from visuite.engine.analysis.logs import choose
from visuite.engine.cli import config_arguments, one_line_errors, read_config
from visuite.engine.registry import DATASETS, DefaultScope
from visuite.engine.utils.table import text_table


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw what a detector confuses, and its precision over recall.")
    config_arguments(parser)
    parser.add_argument("predictions", help="pickle of tools/test.py --out")
    parser.add_argument("--out-dir", default=".", help="folder of the pictures (default: this one)")
    parser.add_argument("--score-thr", type=float, default=0.3, help="least score in the confusion matrix (0.3)")
    parser.add_argument("--iou-thr", type=float, default=0.5, help="least IoU of what belongs together (0.5)")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="whose curves to draw (default: the worst)")
    parser.add_argument("--most", type=int, default=10, help="how many confusions to print (10)")
    return parser.parse_args()


def table_of_classes(names: Sequence[str], curves: Sequence[PrecisionRecall]) -> str:
    """Lay out the precision of each class, and the score that suits it best."""
    rows = [("class", "objects", "AP", "best F1", "at score")]
    for name, curve in zip(names, curves, strict=True):
        score, f1 = curve.best_score()
        numbers = (f"{100 * curve.average_precision:.1f}", f"{100 * f1:.1f}", f"{score:.2f}")
        rows.append((name, str(curve.num_objects), *(numbers if curve.num_objects else ("-", "-", "-"))))
    return text_table(rows, right=range(1, 5))


def table_of_confusions(names: Sequence[str], counts: np.ndarray, most: int) -> str:
    """Lay out the most frequent errors: of which class, detected as which."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(one), len(counts)) for one in order if wrong.flat[one]]
    rows = [("is", "detected as", "times")]
    rows += [(names[row], names[column], str(wrong[row, column])) for row, column in places]
    return text_table(rows, right={2})


def curve_chart(chosen: dict[str, Curve], iou_thr: float) -> np.ndarray:
    """Draw curves of precision over recall; return a picture (H, W, 3) RGB."""
    lines = [Line(name, curve) for name, curve in chosen.items()]
    return line_chart(lines, title=f"precision over recall, IoU {iou_thr:g}", x_label="recall", size=(720, 480))


def main() -> None:
    """Draw and print."""
    args = parse_args()
    with one_line_errors():
        cfg = read_config(args)
        with DefaultScope.overwrite_default_scope(str(cfg.get("default_scope") or "det")):
            dataset = DATASETS.build(cfg.test_dataloader.dataset)
        names = [str(name) for name in dataset.metainfo["classes"]]
        images = list(read_predictions(args.predictions, dataset))
        curves = precision_recall_curves(images, len(names), iou_thr=args.iou_thr)
        counts = confusion_matrix(images, len(names), score_thr=args.score_thr, iou_thr=args.iou_thr)
        worst = sorted(
            (label for label, curve in enumerate(curves) if curve.num_objects),
            key=lambda label: curves[label].average_precision,
        )
        shown = {
            name: Curve(one.recall.tolist(), one.precision.tolist()) for name, one in zip(names, curves, strict=True)
        }
        chosen = choose(shown, args.classes or [names[label] for label in worst[: len(COLORS)]])
        folder = Path(args.out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        both = [*names, "background"]
        title = f"IoU {args.iou_thr:g}, score {args.score_thr:g}"
        picture = matrix_chart(counts, both, both, title=title, row_label="truth", column_label="detected as")
        Image.fromarray(picture).save(folder / "confusion_matrix.png")
        Image.fromarray(curve_chart(chosen, args.iou_thr)).save(folder / "pr_curves.png")
    print(f"{table_of_classes(names, curves)}\n\n{table_of_confusions(both, counts, args.most)}\n")
    print(f"drawn in {folder / 'confusion_matrix.png'} and {folder / 'pr_curves.png'}")


if __name__ == "__main__":
    main()
