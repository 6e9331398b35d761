"""Backbones that only segmentation has."""

from visuite.seg.backbones.bisenet_v1 import BiSeNetV1
from visuite.seg.backbones.bisenet_v2 import BiSeNetV2
from visuite.seg.backbones.fast_scnn import FastSCNN
from visuite.seg.backbones.icnet import ICNet
from visuite.seg.backbones.unet import UNet

__all__ = ["BiSeNetV1", "BiSeNetV2", "FastSCNN", "ICNet", "UNet"]
