"""Data sets for classification."""

from visuite.cls.datasets.base import BaseDataset
from visuite.cls.datasets.cifar import CIFAR10, CIFAR100
from visuite.cls.datasets.cub import CUB
from visuite.cls.datasets.custom import CustomDataset
from visuite.cls.datasets.imagenet import ImageNet, ImageNet21k
from visuite.cls.datasets.kfold import KFoldDataset
from visuite.cls.datasets.mnist import MNIST, FashionMNIST
from visuite.cls.datasets.multi_label import MultiLabelDataset
from visuite.cls.datasets.repeat_aug_sampler import RepeatAugSampler
from visuite.cls.datasets.voc import VOC

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "CUB",
    "MNIST",
    "VOC",
    "BaseDataset",
    "CustomDataset",
    "FashionMNIST",
    "ImageNet",
    "ImageNet21k",
    "KFoldDataset",
    "MultiLabelDataset",
    "RepeatAugSampler",
]
