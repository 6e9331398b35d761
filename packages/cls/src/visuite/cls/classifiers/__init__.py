"""Classifiers."""

from visuite.cls.classifiers.base import BaseClassifier
from visuite.cls.classifiers.image_classifier import ImageClassifier
from visuite.cls.classifiers.outside import TimmClassifier, TorchvisionClassifier

__all__ = ["BaseClassifier", "ImageClassifier", "TimmClassifier", "TorchvisionClassifier"]
