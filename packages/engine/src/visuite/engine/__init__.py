"""The engine of visuite: configs, registries, runs, optimisation, data, evaluation and logging.

Import what you need from the sub-packages: `from visuite.engine.runner import Runner`.
"""

from visuite.engine.version import __version__

__all__ = ["__version__"]
