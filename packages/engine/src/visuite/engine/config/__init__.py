"""Configs: files of data that describe a run."""

from visuite.engine.config.action import DictAction
from visuite.engine.config.config import Config
from visuite.engine.config.configdict import ConfigDict
from visuite.engine.config.errors import ConfigError, ConfigNotFoundError, Location
from visuite.engine.config.imports import import_modules_from_strings
from visuite.engine.config.lazy import LazyObject, read_base

__all__ = [
    "Config",
    "ConfigDict",
    "ConfigError",
    "ConfigNotFoundError",
    "DictAction",
    "LazyObject",
    "Location",
    "import_modules_from_strings",
    "read_base",
]
