"""In which order hooks are called."""

from __future__ import annotations

from enum import IntEnum

from visuite.engine.utils.text import did_you_mean


class Priority(IntEnum):
    """Levels from first (0) to last (100); any number between them is a priority too."""

    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: int | str | Priority) -> int:
    """Return a priority as a number.

    Raises:
        ValueError: a number outside 0 to 100, or a name that is none of the levels.
    """
    if isinstance(priority, str):
        name = priority.upper()
        if name not in Priority.__members__:
            raise ValueError(f"{priority!r} is not a hook priority{did_you_mean(name, Priority.__members__)}")
        return int(Priority[name])
    if not 0 <= priority <= 100:
        raise ValueError(f"a hook priority lies between 0 and 100, not at {priority}")
    return int(priority)
