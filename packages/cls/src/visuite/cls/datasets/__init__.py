"""Data sets for classification."""

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.datasets.cifar import CIFAR10, CIFAR100
from visuite.cls.datasets.custom import CustomDataset

__all__ = ["CIFAR10", "CIFAR100", "BaseDataset", "CustomDataset"]
