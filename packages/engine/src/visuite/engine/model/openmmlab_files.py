"""The files behind OpenMMLab's short names of pretrained weights: `open-mmlab://resnet50_v1c`, `mmcls://vgg16`."""

from __future__ import annotations

from collections.abc import Mapping

_SITE = "https://download.openmmlab.com"
_THIRD_PARTY = f"{_SITE}/pretrain/third_party"
_CLASSIFICATION = f"{_SITE}/mmclassification/v0"

#: Addresses by the names below `open-mmlab://`: weights of others, kept by OpenMMLab.
OPEN_MMLAB: Mapping[str, str] = {
    **{
        name: f"{_THIRD_PARTY}/{file}.pth"
        for name, file in {
            "vgg16_caffe": "vgg16_caffe-292e1171",
            "detectron/resnet50_caffe": "resnet50_caffe-788b5fa3",
            "detectron/resnet101_caffe": "resnet101_caffe-3ad79236",
            "detectron2/resnet50_caffe": "resnet50_msra-5891d200",
            "detectron2/resnet101_caffe": "resnet101_msra-6cc46731",
            "detectron2/resnext101_32x8d": "resnext101_32x8d-1516f1aa",
            "resnext50_32x4d": "resnext50-32x4d-0ab1a123",
            "resnext101_32x4d": "resnext101_32x4d-a5af3160",
            "resnext101_64x4d": "resnext101_64x4d-ee2c6f71",
            "contrib/resnet50_gn": "resnet50_gn_thangvubk-ad1730dd",
            "detectron/resnet50_gn": "resnet50_gn-9186a21c",
            "detectron/resnet101_gn": "resnet101_gn-cac0ab98",
            "jhu/resnet50_gn_ws": "resnet50_gn_ws-15beedd8",
            "jhu/resnet101_gn_ws": "resnet101_gn_ws-3e3c308c",
            "jhu/resnext50_32x4d_gn_ws": "resnext50_32x4d_gn_ws-0d87ac85",
            "jhu/resnext101_32x4d_gn_ws": "resnext101_32x4d_gn_ws-34ac1a9e",
            "jhu/resnext50_32x4d_gn": "resnext50_32x4d_gn-c7e8b754",
            "jhu/resnext101_32x4d_gn": "resnext101_32x4d_gn-ac3bb84e",
            "msra/hrnetv2_w18_small": "hrnetv2_w18_small-b5a04e21",
            "msra/hrnetv2_w18": "hrnetv2_w18-00eb2006",
            "msra/hrnetv2_w32": "hrnetv2_w32-dc9eeb4f",
            "msra/hrnetv2_w40": "hrnetv2_w40-ed0b031c",
            "msra/hrnetv2_w48": "hrnetv2_w48-d2186c55",
            "bninception_caffe": "bn_inception_caffe-ed2e8665",
            "res2net101_v1d_26w_4s": "res2net101_v1d_26w_4s_mmdetv2-f0a600f9",
            "regnetx_400mf": "regnetx_400mf-a5b10d96",
            "regnetx_800mf": "regnetx_800mf-1f4be4c7",
            "regnetx_1.6gf": "regnetx_1.6gf-5791c176",
            "regnetx_3.2gf": "regnetx_3.2gf-c2599b0f",
            "regnetx_4.0gf": "regnetx_4.0gf-a88f671e",
            "regnetx_6.4gf": "regnetx_6.4gf-006af45d",
            "regnetx_8.0gf": "regnetx_8.0gf-3c68abe7",
            "regnetx_12gf": "regnetx_12gf-4c2a3350",
            "resnet18_v1c": "resnet18_v1c-b5776b93",
            "resnet50_v1c": "resnet50_v1c-2cccc1ad",
            "resnet101_v1c": "resnet101_v1c-e67eebb6",
            "contrib/mobilenet_v3_large": "mobilenet_v3_large-bc2c3fd3",
            "contrib/mobilenet_v3_small": "mobilenet_v3_small-47085aa1",
            "resnest50": "resnest50_d2-7497a55b",
            "resnest101": "resnest101_d2-f3b931b2",
            "resnest200": "resnest200_d2-ca88e41f",
            "darknet53": "darknet53-a628ea1b",
        }.items()
    },
    "mmdet/mobilenet_v2": f"{_SITE}/mmdetection/v2.0/third_party/mobilenet_v2_batch256_imagenet-ff34753d.pth",
}

#: Addresses by the names below `mmcls://`: classifiers that OpenMMLab trained on ImageNet.
MMCLS: Mapping[str, str] = {
    name: f"{_CLASSIFICATION}/{file}.pth"
    for name, file in {
        "vgg11": "vgg/vgg11_batch256_imagenet_20210208-4271cd6c",
        "vgg13": "vgg/vgg13_batch256_imagenet_20210208-4d1d6080",
        "vgg16": "vgg/vgg16_batch256_imagenet_20210208-db26f1a5",
        "vgg19": "vgg/vgg19_batch256_imagenet_20210208-e6920e4a",
        "vgg11_bn": "vgg/vgg11_bn_batch256_imagenet_20210207-f244902c",
        "vgg13_bn": "vgg/vgg13_bn_batch256_imagenet_20210207-1a8b7864",
        "vgg16_bn": "vgg/vgg16_bn_batch256_imagenet_20210208-7e55cd29",
        "vgg19_bn": "vgg/vgg19_bn_batch256_imagenet_20210208-da620c4f",
        "resnet18": "resnet/resnet18_8xb32_in1k_20210831-fbbb1da6",
        "resnet34": "resnet/resnet34_8xb32_in1k_20210831-f257d4e6",
        "resnet50": "resnet/resnet50_8xb32_in1k_20210831-ea4938fc",
        "resnet101": "resnet/resnet101_8xb32_in1k_20210831-539c63f8",
        "resnet152": "resnet/resnet152_8xb32_in1k_20210901-4d7582fa",
        "resnet50_v1d": "resnet/resnetv1d50_b32x8_imagenet_20210531-db14775a",
        "resnet101_v1d": "resnet/resnetv1d101_b32x8_imagenet_20210531-6e13bcd3",
        "resnext50_32x4d": "resnext/resnext50_32x4d_b32x8_imagenet_20210429-56066e27",
        "shufflenet_v2": "shufflenet_v2/shufflenet_v2_batch1024_imagenet_20200812-5bf4721e",
        "mobilenet_v2": "mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af",
        "mobilenet_v3_small": "mobilenet_v3/convert/mobilenet_v3_small-8427ecf0",
        "mobilenet_v3_large": "mobilenet_v3/convert/mobilenet_v3_large-3ea3c186",
    }.items()
}
