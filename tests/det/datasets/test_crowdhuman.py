"""CrowdHuman's `.odgt` files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visuite.cv.image import imwrite
from visuite.det.datasets import CrowdHumanDataset


def person(box: list[int], tag: str = "person", **extra: Any) -> dict[str, Any]:
    return {"tag": tag, "fbox": box, "hbox": [0, 0, 2, 2], "vbox": box, "extra": extra}


def write(folder: Path, *lines: str) -> None:
    (folder / "Images").mkdir(exist_ok=True)
    for name in ("a", "b"):
        imwrite(np.zeros((40, 60, 3), np.uint8), folder / "Images" / f"{name}.jpg")
    (folder / "ann.odgt").write_text("\n".join(lines))


LINES = [
    json.dumps({"ID": "a", "gtboxes": [person([-5, 2, 20, 30]), person([1, 1, 9, 9], ignore=1)]}),
    json.dumps({"ID": "b", "gtboxes": [person([10, 10, 20, 20], tag="mask"), person([30, 5, 10, 10], occ=1)]}),
    "",
]


def dataset(folder: Path, **options: Any) -> CrowdHumanDataset:
    return CrowdHumanDataset("ann.odgt", data_root=str(folder), data_prefix={"img": "Images"}, **options)


def test_records(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    found = dataset(tmp_path)
    assert found.metainfo["classes"] == ("person",)
    first, second = found.get_data_info(0), found.get_data_info(1)
    assert (first["img_id"], first["height"], first["width"]) == ("a", 40, 60)
    assert first["img_path"] == str(tmp_path / "Images" / "a.jpg")
    assert [(one["bbox"], one["ignore_flag"]) for one in first["instances"]] == [
        ([-5, 2, 15, 32], 0), ([1, 1, 10, 10], 1),
    ]  # fmt: skip
    assert [(one["bbox_label"], one["ignore_flag"]) for one in second["instances"]] == [(0, 1), (0, 0)]
    assert second["instances"][1]["hbox"] == [0, 0, 2, 2]


def test_sizes_of_a_file(tmp_path: Path) -> None:
    write(tmp_path, *LINES)
    (tmp_path / "sizes.json").write_text(json.dumps({"a.jpg": [400, 600]}))
    found = dataset(tmp_path, extra_ann_file="sizes.json")
    assert [found.get_data_info(i)["height"] for i in range(2)] == [400, 40]
    assert len(dataset(tmp_path, extra_ann_file="none.json")) == 2


@pytest.mark.parametrize("line", ["{", '{"gtboxes": []}', '{"ID": "a", "gtboxes": [{"tag": "person"}]}'])
def test_broken_lines_are_named(tmp_path: Path, line: str) -> None:
    write(tmp_path, LINES[0], line)
    with pytest.raises(ValueError, match=r"ann.odgt, line 2: no image of CrowdHuman"):
        dataset(tmp_path)
