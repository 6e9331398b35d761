"""Which of the assigned priors learn."""

from visuite.det.sampling.base import BaseSampler, random_choice
from visuite.det.sampling.combined_sampler import CombinedSampler
from visuite.det.sampling.instance_balanced_pos_sampler import InstanceBalancedPosSampler
from visuite.det.sampling.iou_balanced_neg_sampler import IoUBalancedNegSampler
from visuite.det.sampling.mask_pseudo_sampler import MaskPseudoSampler, MaskSamplingResult
from visuite.det.sampling.ohem_sampler import OHEMSampler, RegionHead
from visuite.det.sampling.pseudo_sampler import PseudoSampler
from visuite.det.sampling.random_sampler import RandomSampler
from visuite.det.sampling.result import SamplingResult

__all__ = [
    "BaseSampler",
    "CombinedSampler",
    "InstanceBalancedPosSampler",
    "IoUBalancedNegSampler",
    "MaskPseudoSampler",
    "MaskSamplingResult",
    "OHEMSampler",
    "PseudoSampler",
    "RandomSampler",
    "RegionHead",
    "SamplingResult",
    "random_choice",
]
