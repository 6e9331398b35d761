"""Images that may have several classes."""

from __future__ import annotations

from typing import Any

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.registry import DATASETS


@DATASETS.register_module()
class MultiLabelDataset(BaseDataset):
    """Images with lists of classes, in an annotation file.

    The file holds `{"metainfo": {"classes": [...]}, "data_list": [{"img_path": "a.jpg", "gt_label": [0, 3]}, ...]}`.
    Arguments as of `BaseDataset`.

    Raises:
        ValueError: a label is not below the number of classes.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the file, and hold its labels against the classes."""
        records = super().load_data_list()
        classes = self.CLASSES
        for number, record in enumerate(records):
            wrong = [one for one in record.get("gt_label", ()) if classes is not None and not 0 <= one < len(classes)]
            if wrong:
                raise ValueError(f"{self.ann_file}: entry {number} has label {wrong[0]} among {len(classes or ())}")
        return records
