"""Functions on images: arrays (H, W, C) or (H, W), colours in BGR order."""

from visuite.cv.image.colour import (
    bgr2gray,
    bgr2hls,
    bgr2hsv,
    bgr2rgb,
    gray2bgr,
    gray2rgb,
    hls2bgr,
    hsv2bgr,
    rgb2bgr,
    rgb2gray,
)
from visuite.cv.image.geometry import (
    imcrop,
    imflip,
    impad,
    impad_to_multiple,
    imrescale,
    imresize,
    rescale_size,
    scale_size,
)
from visuite.cv.image.io import ImageError, imfrombytes, imread, imwrite
from visuite.cv.image.photometric import imdenormalize, imnormalize

__all__ = [
    "ImageError",
    "bgr2gray",
    "bgr2hls",
    "bgr2hsv",
    "bgr2rgb",
    "gray2bgr",
    "gray2rgb",
    "hls2bgr",
    "hsv2bgr",
    "imcrop",
    "imdenormalize",
    "imflip",
    "imfrombytes",
    "imnormalize",
    "impad",
    "impad_to_multiple",
    "imread",
    "imrescale",
    "imresize",
    "imwrite",
    "rescale_size",
    "rgb2bgr",
    "rgb2gray",
    "scale_size",
]
