"""Data elements of classification."""

from visuite.cls.structures.data_sample import DataSample, format_label, format_score, one_hot

__all__ = ["DataSample", "format_label", "format_score", "one_hot"]
