"""The base of all transforms: one dict per image in, one out."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any


class BaseTransform(metaclass=ABCMeta):
    """Change the dict that describes one sample.

    A transform that returns None drops the sample: the data set then draws another. What a random
    transform draws comes from the global generators, which belong to the sample while it is made.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | tuple[list[Any], list[Any]] | None:
        """Apply the transform."""
        return self.transform(results)

    @abstractmethod
    def transform(self, results: dict[str, Any]) -> dict[str, Any] | tuple[list[Any], list[Any]] | None:
        """Return the changed dict, or None to drop the sample.

        Args:
            results: The sample so far, keys as the transforms before it left them.
        """
