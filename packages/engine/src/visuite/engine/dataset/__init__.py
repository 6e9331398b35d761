"""Data sets, samplers, collating, and where a sample's randomness comes from."""

from visuite.engine.dataset.base import BaseDataset, force_full_init
from visuite.engine.dataset.collate import default_collate, pseudo_collate
from visuite.engine.dataset.compose import Compose
from visuite.engine.dataset.feed import KeyedBatchSampler, endless_batches, epoch_batches
from visuite.engine.dataset.mixing import MultiImageMixDataset
from visuite.engine.dataset.naming import SampleError
from visuite.engine.dataset.nested import channel_order, inner_dataset
from visuite.engine.dataset.sampler import DefaultSampler, EndlessSampler, InfiniteSampler, permutation
from visuite.engine.dataset.seeding import SampleKey, SeededDataset, kept_generators, sample_randomness, worker_init_fn
from visuite.engine.dataset.transform_base import BaseTransform
from visuite.engine.dataset.wrappers import ClassBalancedDataset, ConcatDataset, DatasetWrapper, RepeatDataset

__all__ = [
    "BaseDataset",
    "BaseTransform",
    "ClassBalancedDataset",
    "Compose",
    "ConcatDataset",
    "DatasetWrapper",
    "DefaultSampler",
    "EndlessSampler",
    "InfiniteSampler",
    "KeyedBatchSampler",
    "MultiImageMixDataset",
    "RepeatDataset",
    "SampleError",
    "SampleKey",
    "SeededDataset",
    "channel_order",
    "default_collate",
    "endless_batches",
    "epoch_batches",
    "force_full_init",
    "inner_dataset",
    "kept_generators",
    "permutation",
    "pseudo_collate",
    "sample_randomness",
    "worker_init_fn",
]
