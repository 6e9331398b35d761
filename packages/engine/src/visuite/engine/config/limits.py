"""How much a config may ask for, so that a file from anywhere loads in bounded time and memory.

Everything that costs is paid from one `Budget`: a step of evaluation, an item of a sequence, eight
characters of text. The limits lie orders of magnitude above what real configs need.
"""

from __future__ import annotations

import sys
from typing import Any

MAX_STEPS = 1_000_000  # evaluation steps, items and 8-character pieces of one load, all bases included
MAX_ITEMS = 100_000  # items of one list, tuple, dict, set or range
MAX_TEXT = 1_000_000  # characters of one string
MAX_BITS = 4096  # bits of one integer
MAX_WIDTH = 1000  # width and precision in a format specification
MAX_NESTING = 100  # depth of a value, and of an expression or block in the source
MAX_CHAIN = 30  # files from a config to its farthest base
MAX_FILES = 500  # files of one load
MAX_FILE_BYTES = 4_000_000


class LimitError(Exception):
    """A config asks for more than the limits allow."""


def _hashes_apart(key: Any) -> bool:
    """Tell whether keys of this kind have hashes that nobody can make equal."""
    return key is None or isinstance(key, (str, bytes)) or (isinstance(key, int) and abs(key) < sys.hash_info.modulus)


class Budget:
    """What one load may still spend."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.left = steps

    def spend(self, cost: int = 1) -> None:
        """Pay for `cost` steps.

        Raises:
            LimitError: the budget is spent.
        """
        self.left -= cost
        if self.left < 0:
            raise LimitError("the config computes too much for a file of plain data")

    def items(self, count: int) -> None:
        """Pay for a container of `count` items, before it is made."""
        self.holds(count)
        self.spend(count)

    @staticmethod
    def holds(count: int) -> None:
        """Refuse containers of more than `MAX_ITEMS` items."""
        if count > MAX_ITEMS:
            raise LimitError(f"a container has more than {MAX_ITEMS} items")

    def text(self, length: int) -> None:
        """Pay for a string of `length` characters, before it is made."""
        if length > MAX_TEXT:
            raise LimitError(f"a string is longer than {MAX_TEXT} characters")
        self.spend(length >> 3)

    def bits(self, count: int) -> None:
        """Refuse integers of more than `MAX_BITS` bits."""
        if count > MAX_BITS:
            raise LimitError(f"an integer has more than {MAX_BITS} bits")

    def weigh(self, value: Any, depth: int = 0) -> None:
        """Pay for a walk over all of a value, each occurrence of a shared part counted.

        Hashing, comparing, printing and copying walk a value in this way, so a small graph of lists
        that shares its parts, and would unfold to billions, is found out here.
        """
        self.spend()
        if isinstance(value, dict):
            self.nests(depth)
            for key, item in value.items():
                self.weigh(key, depth + 1)
                self.weigh(item, depth + 1)
        elif isinstance(value, (list, tuple, set)):
            self.nests(depth)
            for item in value:
                self.weigh(item, depth + 1)
        elif isinstance(value, (str, bytes, range)):
            self.spend(len(value) >> 3)

    def key(self, key: Any, container: Any) -> None:
        """Pay for looking up or storing a key in a dict or set.

        Equal hashes can be arranged for numbers and tuples, and then each key is compared with all others.
        """
        self.weigh(key)
        if not _hashes_apart(key):
            self.spend(len(container))

    def keys(self, keys: Any, container: Any) -> None:
        """Pay for looking up or storing all items of a container as keys of another."""
        for key in keys:
            self.key(key, container if len(container) > len(keys) else keys)

    def result(self, value: Any) -> Any:
        """Hold a made value to the limits, pay for its outer level, and return it."""
        if isinstance(value, (str, bytes)):
            self.text(len(value))
        elif isinstance(value, (list, tuple, dict, set)):
            self.items(len(value))
        elif isinstance(value, int):
            self.bits(value.bit_length())
        return value

    @staticmethod
    def nests(depth: int) -> None:
        """Refuse values nested more than `MAX_NESTING` deep, those that contain themselves among them."""
        if depth > MAX_NESTING:
            raise LimitError(f"a value is nested more than {MAX_NESTING} deep, or contains itself")
