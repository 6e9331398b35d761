"""What a config error says, and where."""

from __future__ import annotations

from typing import NamedTuple


class Location(NamedTuple):
    """A line of a config file; line 0 stands for the whole of it."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class ConfigError(ValueError):
    """A fault in a config; the message starts with the file and line it stands in."""

    def __init__(self, message: str, location: Location | None = None) -> None:
        super().__init__(f"{location}: {message}" if location else message)
        self.location = location

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), str(self), self.location))


class ConfigNotFoundError(ConfigError, FileNotFoundError):
    """A config file, or a base of one, that is not there."""

    def __str__(self) -> str:
        return str(self.args[0])


def _restore(kind: type[ConfigError], text: str, location: Location | None) -> ConfigError:
    error = kind(text)
    error.location = location
    return error
