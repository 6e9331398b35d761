"""ImageNet, with 1000 classes and with all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from visuite.cls.datasets.custom import CustomDataset
from visuite.cls.registry import DATASETS
from visuite.engine.fileio import exists, join_path


class _Names:
    """`METAINFO` with the names of the 1000 classes, read from torchvision when somebody asks: it loads slowly."""

    def __get__(self, instance: Any, owner: Any) -> dict[str, Any]:
        from torchvision.models import ResNet18_Weights

        return {"classes": tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])}


@DATASETS.register_module()
class ImageNet(CustomDataset):
    """ImageNet's 1000 classes: a folder for each in `train`, `val` and `test`, or lists of files in `meta`.

    Folders bear the codes of their classes, whose alphabetical order is that of the labels. Should `meta/<split>.txt`
    exist, it is read instead: the images of `val` need not lie in class folders then.

    Args:
        data_root: Where the folders lie.
        split: `train`, `val` or `test`, which has no labels. Empty: `data_prefix` and `ann_file` say all.
        data_prefix: Folder of the images; by default named like the split.
        ann_file: A list of paths and labels.
        metainfo: Facts about the whole set.
        **kwargs: As of `CustomDataset`.

    Raises:
        ValueError: an unknown split.
    """

    METAINFO = _Names()
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    def __init__(
        self,
        data_root: str = "",
        split: str = "",
        *,
        data_prefix: str | Mapping[str, str] = "",
        ann_file: str = "",
        metainfo: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if split and split not in self.splits:
            raise ValueError(f"{type(self).__name__} has the splits {list(self.splits)}, not {split!r}")
        self.split = split
        if split and not ann_file and exists(join_path(data_root, "meta", f"{split}.txt")):
            ann_file = f"meta/{split}.txt"
        kwargs.setdefault("with_label", split != "test")
        super().__init__(
            data_root, data_prefix or split, ann_file=ann_file, metainfo=metainfo, **kwargs
        )  # fmt: skip


@DATASETS.register_module()
class ImageNet21k(ImageNet):
    """All of ImageNet: a folder for each class, whose alphabetical order is that of the labels.

    Args:
        data_root: Where the folders lie.
        split: `train` or `val`. Empty: `data_prefix` and `ann_file` say all.
        data_prefix: Folder of the images; by default named like the split.
        ann_file: A list of paths and labels.
        metainfo: Facts about the whole set, such as `classes`.
        **kwargs: As of `CustomDataset`.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
