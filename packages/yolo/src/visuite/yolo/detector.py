"""The detector that all YOLOs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from visuite.det.detectors.base import Part
from visuite.det.detectors.single_stage import SingleStageDetector
from visuite.engine import dist
from visuite.engine.model import convert_sync_batchnorm
from visuite.yolo.registry import MODELS


@MODELS.register_module()
class YOLODetector(SingleStageDetector):
    """A backbone, a neck and a dense head; batch norms of several processes share their statistics.

    Args:
        backbone: Images to maps.
        neck: Maps to maps.
        bbox_head: Maps to losses and boxes.
        train_cfg: Settings of the head while training.
        test_cfg: Its settings while predicting.
        data_preprocessor: Config or object.
        init_cfg: How weights are initialised.
        use_syncbn: Share the statistics of batch norms, where there are several processes.
    """

    def __init__(
        self,
        backbone: Part,
        neck: Part | None = None,
        *,
        bbox_head: Part,
        train_cfg: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        data_preprocessor: Part | None = None,
        init_cfg: Any = None,
        use_syncbn: bool = True,
    ) -> None:
        super().__init__(
            backbone,
            neck,
            bbox_head=bbox_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        if use_syncbn and dist.get_world_size() > 1:
            for name, part in list(self.named_children()):
                setattr(self, name, convert_sync_batchnorm(part))
