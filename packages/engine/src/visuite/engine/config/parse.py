"""YAML and JSON configs as marked dicts."""

from __future__ import annotations

import json
import re
from typing import Any

from visuite.engine.config.configdict import ConfigDict
from visuite.engine.config.errors import ConfigError, Location
from visuite.engine.config.limits import Budget, LimitError

_JSON_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}:\n]')


def parse_json(text: str, filename: str) -> ConfigDict:
    """Read a JSON config.

    Raises:
        ConfigError: it is no JSON, or not an object.
    """
    lines = iter(_object_lines(text))

    def marked(pairs: list[tuple[str, Any]]) -> ConfigDict:
        made = ConfigDict()
        for (key, value), line in zip(pairs, next(lines), strict=True):
            dict.__setitem__(made, key, value)
            made.mark(key, Location(filename, line))
        return made

    try:
        values = json.loads(text, object_pairs_hook=marked)
    except json.JSONDecodeError as error:
        raise ConfigError(f"no valid JSON: {error.msg}", Location(filename, error.lineno)) from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"no valid JSON: {error}", Location(filename, 1)) from None
    return _checked(values, filename)


def _object_lines(text: str) -> list[list[int]]:
    """Return the lines of the keys of each object of a JSON text, objects in the order in which they end."""
    line, last_string = 1, 1
    opened: list[list[int]] = []
    closed: list[list[int]] = []
    for match in _JSON_TOKEN.finditer(text):
        token = match[0]
        if token == "\n":
            line += 1
        elif token == "{":
            opened.append([])
        elif token == "}" and opened:
            closed.append(opened.pop())
        elif token == ":" and opened:
            opened[-1].append(last_string)
        else:
            last_string = line
    return closed


def parse_yaml(text: str, filename: str) -> ConfigDict:
    """Read a YAML config: plain data, `1e-5` being a number as YAML 1.2 has it.

    Raises:
        ConfigError: it is no YAML, or not a mapping.
    """
    import yaml  # heavy, and most configs are Python

    try:
        loader = _yaml_loader()(text)
        loader.filename = filename
        values = loader.get_single_data()
    except LimitError as error:
        raise ConfigError(str(error), Location(filename, 1)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"no valid YAML: {problem}", Location(filename, line)) from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"no valid YAML: {error}", Location(filename, 1)) from None
    return _checked(ConfigDict() if values is None else values, filename)


def _yaml_loader() -> Any:
    """Return the safe loader, extended by marks and YAML 1.2's floats."""
    import yaml

    budget = Budget()

    class MarkingLoader(yaml.SafeLoader):
        filename = ""

        def flatten_mapping(self, node: Any) -> None:
            """Resolve `<<`, which doubles what it merges with every level of hostile files."""
            for key_node, value_node in node.value:
                if key_node.tag == "tag:yaml.org,2002:merge" and isinstance(value_node, yaml.SequenceNode):
                    budget.items(sum(1 + len(part.value) for part in value_node.value) * 10)
            super().flatten_mapping(node)
            budget.items(len(node.value))

        def construct_marked(self, node: Any) -> Any:
            made = ConfigDict()
            yield made
            self.flatten_mapping(node)
            for key_node, value_node in node.value:
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, (list, dict, set)):
                    raise yaml.constructor.ConstructorError(
                        None, None, "a key must be a plain value", key_node.start_mark
                    )
                budget.key(key, made)
                dict.__setitem__(made, key, self.construct_object(value_node, deep=True))
                made.mark(key, Location(self.filename, key_node.start_mark.line + 1))

    MarkingLoader.add_constructor("tag:yaml.org,2002:map", MarkingLoader.construct_marked)
    number = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
    MarkingLoader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    return MarkingLoader


def _checked(values: Any, filename: str) -> ConfigDict:
    if not isinstance(values, ConfigDict):
        raise ConfigError(f"a config is a mapping, not {type(values).__name__}", Location(filename, 1))
    try:
        Budget().weigh(values)
    except LimitError as error:
        raise ConfigError(str(error), Location(filename, 1)) from None
    return values
