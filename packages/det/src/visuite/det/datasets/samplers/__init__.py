"""In which order and company samples come, where detection wants more than the engine's samplers."""

from visuite.det.datasets.samplers.aspect_ratio import AspectRatioBatchSampler
from visuite.det.datasets.samplers.class_aware import ClassAwareSampler
from visuite.det.datasets.samplers.multi_source import GroupMultiSourceSampler, MultiSourceSampler

__all__ = ["AspectRatioBatchSampler", "ClassAwareSampler", "GroupMultiSourceSampler", "MultiSourceSampler"]
