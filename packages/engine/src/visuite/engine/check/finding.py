"""What a check finds, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from visuite.engine.config import Config, ConfigError, Location

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about a config that its author should know.

    Args:
        severity: `error`: the run would fail. `warning`: it would do other than was probably meant. `note`: something
            could not be looked at.
        path: Where in the config: `model.backbone`.
        message: What is wrong, and the nearest right thing.
        where: The file and line that set the value, where a file did.
    """

    severity: Severity
    path: str
    message: str
    where: Location | None = None

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.where, self.path, self.message) if part)


class ConfigCheckError(ConfigError):
    """The errors that a check found, one a line.

    Args:
        findings: The errors.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        lines = [str(one) for one in self.findings]
        super().__init__(lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} errors in the config", *lines]))

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.findings,))


class Findings:
    """Collects what is found in one config.

    Args:
        cfg: The config, which knows the places of its values.
    """

    def __init__(self, cfg: Config) -> None:
        self._cfg = cfg
        self._found: dict[tuple[str, object], Finding] = {}

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._found.values())

    def add(self, severity: Severity, path: str, message: str, *, at: str | None = None) -> None:
        """Add a finding; a fault of one line that several parts of the config share is told once.

        Args:
            severity: How bad it is.
            path: What part of the config is told of.
            message: What is wrong with it.
            at: The value whose line is named, where it is not `path` itself.
        """
        where = self.locate(path if at is None else at)
        identity: object = where if where is not None and where.line else path
        self._found.setdefault((message, identity), Finding(severity, path, message, where))

    def error(self, path: str, message: str, *, at: str | None = None) -> None:
        """Add an error."""
        self.add("error", path, message, at=at)

    def warn(self, path: str, message: str, *, at: str | None = None) -> None:
        """Add a warning."""
        self.add("warning", path, message, at=at)

    def locate(self, path: str) -> Location | None:
        """Return where a value was set; for one that is nowhere, where the nearest part around it was."""
        while path:
            try:
                return self._cfg.where(path)
            except KeyError:
                path = path.rpartition(".")[0]
        return Location(self._cfg.filename) if self._cfg.filename else None


def errors_of(findings: Iterable[Finding]) -> list[Finding]:
    """Return the errors among findings."""
    return [one for one in findings if one.severity == "error"]
