"""Whether a config will run, told before it does."""

from visuite.engine.check.dynamic import check_run
from visuite.engine.check.finding import ConfigCheckError, Finding, Findings, errors_of
from visuite.engine.check.routes import Route, register_route
from visuite.engine.check.signatures import Signature, signature_of
from visuite.engine.check.static import check_config, stop_on_errors
from visuite.engine.check.subject import Subject, innermost_dataset, register_check

__all__ = [
    "ConfigCheckError",
    "Finding",
    "Findings",
    "Route",
    "Signature",
    "Subject",
    "check_config",
    "check_run",
    "errors_of",
    "innermost_dataset",
    "register_check",
    "register_route",
    "signature_of",
    "stop_on_errors",
]
