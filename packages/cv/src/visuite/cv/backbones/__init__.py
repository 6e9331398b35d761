"""Backbones: images to feature maps. Each tells the channels and strides of its maps."""

from visuite.cv.backbones.resnet import ResNet, ResNet_CIFAR
from visuite.cv.backbones.resnet_block import BasicBlock, BlockOptions, Bottleneck

__all__ = ["BasicBlock", "BlockOptions", "Bottleneck", "ResNet", "ResNet_CIFAR"]
