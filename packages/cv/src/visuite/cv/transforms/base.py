"""The base of transforms with chance in them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from visuite.engine.dataset.transform_base import BaseTransform


class RandomTransform(BaseTransform):
    """A transform that draws in one method and applies in another, so that a draw can be fixed and looked at."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Draw, then apply."""
        return self.apply(results, self.draw(results))

    @abstractmethod
    def draw(self, results: dict[str, Any]) -> Any:
        """Return what chance decides for this sample; change nothing."""

    @abstractmethod
    def apply(self, results: dict[str, Any], drawn: Any) -> dict[str, Any] | None:
        """Change the sample as `drawn` says, without further chance."""
