"""Which of the assigned priors learn."""

from visuite.det.sampling.base import BaseSampler, random_choice
from visuite.det.sampling.pseudo_sampler import PseudoSampler
from visuite.det.sampling.random_sampler import RandomSampler
from visuite.det.sampling.result import SamplingResult

__all__ = [
    "BaseSampler",
    "PseudoSampler",
    "RandomSampler",
    "SamplingResult",
    "random_choice",
]
