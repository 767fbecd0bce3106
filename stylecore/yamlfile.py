"""A small YAML mapping, read safely: no duplicate keys, no aliases, and a line number for every key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stylecore.errors import YamlFileError, cause

MAX_BYTES = 100_000
LONGEST_SHOWN = 80  # characters

Location = tuple[Any, ...]


@dataclass(frozen=True)
class Lines:
    """Line numbers (from 1) of keys and list entries, by their path: ("style", 0, "picture")."""

    numbers: dict[Location, int]

    def where(self, location: Location) -> int:
        """The line of the location, or of the nearest one around it that has a line."""
        while location and location not in self.numbers:
            location = location[:-1]
        return self.numbers.get(location, 1)


def read_yaml(path: Path) -> tuple[dict[str, Any], Lines]:
    """The mapping and its line numbers. Raises YamlFileError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as e:
        raise YamlFileError(f"{path}: cannot be read ({cause(e)}).") from e
    if len(raw) > MAX_BYTES:
        raise YamlFileError(f"{path}: is larger than the limit of {MAX_BYTES // 1000} kB.")
    try:
        text = raw.decode("utf-8-sig")
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            numbers: dict[Location, int] = {}
            _number(node, (), numbers)
            data = loader.construct_document(node) if node else {}
        finally:
            loader.dispose()
    except UnicodeDecodeError as e:
        raise YamlFileError(f"{path}:{raw[: e.start].count(10) + 1}: is not UTF-8 text.") from e
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise YamlFileError(f"{path}:{mark.line + 1 if mark else 1}: {e.problem or e.context}.") from e
    except (
        Exception
    ) as e:  # PyYAML raises KeyError, IndexError, AttributeError, ... for values that contradict their tag
        raise YamlFileError(f"{path}: is not YAML ({str(e).splitlines()[0] if str(e) else type(e).__name__}).") from e
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise YamlFileError(f"{path}:1: must be a list of `key: value` lines.")
    return data, Lines(numbers)


WANTED = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "a word or a line of text",
    "path": "a file name",
    "dict": "`name: number` in braces",
    "model": "`key: value` in braces",
}
"""By the first word of pydantic's error type."""

RULES = {
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "literal_error": "must be one of {expected}",
    "too_short": "needs at least {min_length}",
    "too_long": "can have at most {max_length}",
    "string_too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "finite_number": "must be a number",
}


def words_of(error: Any) -> str:
    """What one of pydantic's errors says, for people who wrote the file and do not know Python's types."""
    limits = {name: f"{value:g}" if isinstance(value, float) else value for name, value in error.get("ctx", {}).items()}
    kind, value = error["type"], error["input"]
    given = "" if isinstance(value, (dict, list, tuple)) else f" (not {shown(value)})"
    if kind.endswith(("_parsing", "_type")):
        return f"must be {WANTED.get(kind.partition('_')[0], 'something else')}{given}."
    if kind in RULES:
        return f"{RULES[kind].format(**limits)}{given}."
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}{given}."


def shown(value: Any) -> str:
    """A value from a file, as it may be shown in a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to write numbers of more than 4,300 digits
        return "so long a number"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*) are not allowed here", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


def _number(node: Any, location: Location, numbers: dict[Location, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*location, getattr(key, "value", None) if isinstance(key, yaml.ScalarNode) else None)
            if here in numbers:
                raise yaml.MarkedYAMLError(problem=f"{here[-1]}: appears twice", problem_mark=key.start_mark)
            numbers[here] = key.start_mark.line + 1
            _number(value, here, numbers)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            numbers[(*location, i)] = value.start_mark.line + 1
            _number(value, (*location, i), numbers)
