"""Heads: features to losses and predictions."""

from visuite.cls.heads.cls_head import ClsHead
from visuite.cls.heads.linear_head import LinearClsHead

__all__ = ["ClsHead", "LinearClsHead"]
