"""Segmentors."""

from visuite.seg.segmentors.base import BaseSegmentor
from visuite.seg.segmentors.cascade_encoder_decoder import CascadeEncoderDecoder
from visuite.seg.segmentors.encoder_decoder import EncoderDecoder
from visuite.seg.segmentors.seg_tta import SegTTAModel

__all__ = ["BaseSegmentor", "CascadeEncoderDecoder", "EncoderDecoder", "SegTTAModel"]
