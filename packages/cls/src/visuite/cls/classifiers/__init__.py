"""Classifiers."""

from visuite.cls.classifiers.image_classifier import ImageClassifier

__all__ = ["ImageClassifier"]
