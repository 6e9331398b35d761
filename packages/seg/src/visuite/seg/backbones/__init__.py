"""Backbones that only segmentation has."""

from visuite.seg.backbones.beit import BEiT
from visuite.seg.backbones.bisenet_v1 import BiSeNetV1
from visuite.seg.backbones.bisenet_v2 import BiSeNetV2
from visuite.seg.backbones.cgnet import CGNet
from visuite.seg.backbones.ddrnet import DDRNet
from visuite.seg.backbones.erfnet import ERFNet
from visuite.seg.backbones.fast_scnn import FastSCNN
from visuite.seg.backbones.icnet import ICNet
from visuite.seg.backbones.mscan import MSCAN
from visuite.seg.backbones.pidnet import PIDNet
from visuite.seg.backbones.stdc import STDCContextPathNet, STDCNet
from visuite.seg.backbones.unet import UNet

__all__ = [
    "MSCAN",
    "BEiT",
    "BiSeNetV1",
    "BiSeNetV2",
    "CGNet",
    "DDRNet",
    "ERFNet",
    "FastSCNN",
    "ICNet",
    "PIDNet",
    "STDCContextPathNet",
    "STDCNet",
    "UNet",
]
