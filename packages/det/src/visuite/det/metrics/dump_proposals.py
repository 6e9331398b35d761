"""Proposals of one model, for the training of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from visuite.det.metrics.image_results import detections_of
from visuite.det.registry import METRICS
from visuite.engine.evaluator import BaseMetric
from visuite.engine.fileio import dump, join_path
from visuite.engine.logging import print_log


@METRICS.register_module()
class DumpProposals(BaseMetric):
    """Write proposals to a pickle `{'folder/file name': dict(bboxes (n, 4), scores (n,))}`, as data sets read them.

    Args:
        output_dir: The folder to write to.
        proposals_file: The name of the file.
        num_max_proposals: How many of the best of an image are kept; by default all.
        collect_device: Where the results of several processes are gathered: `cpu` or `gpu`.
        prefix: Accepted; there are no numbers to name.
    """

    default_prefix: str | None = "dump_proposals"

    def __init__(
        self,
        output_dir: str = "",
        proposals_file: str = "proposals.pkl",
        *,
        num_max_proposals: int | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.path = join_path(output_dir, proposals_file) if output_dir else proposals_file
        self.num_max_proposals = num_max_proposals

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep the proposals of a batch, best first.

        Raises:
            KeyError: a sample has no `img_path` or no predictions.
        """
        for sample in data_samples:
            found = detections_of(sample)
            best = np.argsort(-found.scores, kind="stable")[: self.num_max_proposals]
            path = PurePath(sample["img_path"])
            kept = {"bboxes": found.boxes[best], "scores": found.scores[best]}
            self.results.append((f"{path.parent.name}/{path.name}", kept))

    def compute_metrics(self, results: list[tuple[str, dict[str, np.ndarray]]]) -> dict[str, float]:
        """Write the file; there is nothing to measure."""
        dump(dict(results), self.path)
        print_log(f"the proposals of {len(results)} images are written to {self.path}", "current")
        return {}
