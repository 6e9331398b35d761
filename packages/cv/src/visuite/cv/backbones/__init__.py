"""Backbones: images to feature maps. Each tells the channels and strides of its maps."""

from visuite.cv.backbones.base import Backbone
from visuite.cv.backbones.convnext import ConvNeXt
from visuite.cv.backbones.csp_base import CSPBackbone
from visuite.cv.backbones.csp_darknet import CSPDarknet
from visuite.cv.backbones.cspnet import CSPNet
from visuite.cv.backbones.cspnext import CSPNeXt
from visuite.cv.backbones.darknet import Darknet
from visuite.cv.backbones.deit import DistilledVisionTransformer
from visuite.cv.backbones.densenet import DenseNet
from visuite.cv.backbones.efficientnet import EfficientNet
from visuite.cv.backbones.hrnet import HRNet
from visuite.cv.backbones.mlp_mixer import MlpMixer
from visuite.cv.backbones.mobilenet_v2 import MobileNetV2
from visuite.cv.backbones.mobilenet_v3 import MobileNetV3
from visuite.cv.backbones.poolformer import PoolFormer
from visuite.cv.backbones.pvt import PyramidVisionTransformer
from visuite.cv.backbones.regnet import RegNet
from visuite.cv.backbones.repvgg import RepVGG
from visuite.cv.backbones.res2net import Res2Net
from visuite.cv.backbones.resnest import ResNeSt
from visuite.cv.backbones.resnet import ResNet, ResNet_CIFAR
from visuite.cv.backbones.resnet_block import BasicBlock, BlockOptions, Bottleneck
from visuite.cv.backbones.shufflenet_v2 import ShuffleNetV2
from visuite.cv.backbones.ssd_vgg import SSDVGG
from visuite.cv.backbones.swin import SwinTransformer
from visuite.cv.backbones.timm_backbone import TIMMBackbone, create_timm_model
from visuite.cv.backbones.torchvision_backbone import TorchvisionBackbone, create_torchvision_model
from visuite.cv.backbones.twins import PCPVT, SVT
from visuite.cv.backbones.vgg import VGG
from visuite.cv.backbones.vision_transformer import VisionTransformer
from visuite.cv.backbones.xcit import XCiT

__all__ = [
    "PCPVT",
    "SSDVGG",
    "SVT",
    "VGG",
    "Backbone",
    "BasicBlock",
    "BlockOptions",
    "Bottleneck",
    "CSPBackbone",
    "CSPDarknet",
    "CSPNeXt",
    "CSPNet",
    "ConvNeXt",
    "Darknet",
    "DenseNet",
    "DistilledVisionTransformer",
    "EfficientNet",
    "HRNet",
    "MlpMixer",
    "MobileNetV2",
    "MobileNetV3",
    "PoolFormer",
    "PyramidVisionTransformer",
    "RegNet",
    "RepVGG",
    "Res2Net",
    "ResNeSt",
    "ResNet",
    "ResNet_CIFAR",
    "ShuffleNetV2",
    "SwinTransformer",
    "TIMMBackbone",
    "TorchvisionBackbone",
    "VisionTransformer",
    "XCiT",
    "create_timm_model",
    "create_torchvision_model",
]
