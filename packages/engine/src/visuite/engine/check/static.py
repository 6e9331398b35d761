"""The part of the check that builds nothing, and so takes no longer than importing what the config names."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from visuite.engine.check.finding import ConfigCheckError, Finding, Findings, errors_of
from visuite.engine.check.keys import check_keys
from visuite.engine.check.parts import check_parts
from visuite.engine.check.plan import check_plan
from visuite.engine.check.subject import Subject, run_checks
from visuite.engine.check.walk import Walker
from visuite.engine.config import Config, ConfigError
from visuite.engine.registry import RUNNERS, DefaultScope
from visuite.engine.registry.scope import import_scope


def check_config(cfg: Config) -> list[Finding]:
    """Check a config without building anything.

    Every `type` is looked up, every argument held against the signature of the class it goes to, and values that
    belong together against each other.

    Returns:
        What was found, in the order of the config; empty for a config without fault.
    """
    findings = Findings(cfg)
    examine(Subject(cfg, findings))
    return list(findings)


def examine(subject: Subject) -> None:
    """Do what `check_config` does, for a subject that goes on to be built."""
    cfg, findings = subject.cfg, subject.findings
    scope = _enter_scope(cfg, findings)
    if scope is None:  # then hardly a name in the config means anything
        return
    with DefaultScope.overwrite_default_scope(scope):
        check_keys(cfg, findings)
        _check_runner(cfg, findings)
        check_parts(cfg, Walker(findings, scope))
        check_plan(cfg, findings)
        run_checks(subject, scope)


def stop_on_errors(cfg: Config) -> None:
    """Check a config before it is run: warnings are printed to stderr, by the first rank, and errors end it.

    Raises:
        ConfigCheckError: with all errors that were found.
    """
    found = check_config(cfg)
    for one in found:
        if one.severity == "warning" and os.environ.get("RANK", "0") == "0":
            print(f"warning: {one}", file=sys.stderr)
    if errors_of(found):
        raise ConfigCheckError(errors_of(found))


def _enter_scope(cfg: Config, findings: Findings) -> str | None:
    """Import what the config names, so that parts and checks are registered; return its scope, None if that fails."""
    scope = str(cfg.get("default_scope") or "engine")
    installed = True
    try:
        package = import_scope(scope)
        if package is not None and importlib.util.find_spec(f"{package.__name__}.check") is not None:
            importlib.import_module(f"{package.__name__}.check")
    except ImportError as error:
        findings.error("default_scope", str(error))
        installed = False
    try:
        cfg.import_custom_modules()
    except (ImportError, ConfigError, TypeError) as error:
        findings.error("custom_imports", str(error))
    return scope if installed else None


def _check_runner(cfg: Config, findings: Findings) -> None:
    kind = cfg.get("runner_type")
    if isinstance(kind, str) and RUNNERS.get(kind) is None:
        findings.error("runner_type", RUNNERS.explain_missing(kind))
