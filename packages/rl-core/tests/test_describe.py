"""Config fields are read from the class and from the comments in its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from rl_core.describe import ConfigField, as_json, describe

Kind = Literal["softmax", "negative"]


@dataclass(frozen=True)
class Base:
    """A base."""

    size: int = 3  # N, size, >= 1
    word: str = "a # b"  # what is said


@dataclass(frozen=True)
class Config(Base):
    """A config."""

    hidden: tuple[int, ...] = (64, 64)  # units of each layer
    kind: Literal["softmax", "negative"] = "softmax"  # which loss
    options: Mapping[str, Any] = field(default_factory=lambda: {"a": (1, 2)})  # keyword arguments
    silent: float | None = None
    size: int = 4  # N, another size
    cache: int = field(default=0, init=False)  # not for users

    limit = 3  # no field

    def method(self) -> int:
        """Not a field."""
        inner: int = 3  # no field either
        return inner


def test_fields_have_name_type_default_and_the_comment_of_their_line() -> None:
    assert describe(Config) == [
        ConfigField("size", "int", 4, "N, another size"),
        ConfigField("word", "str", "a # b", "what is said"),
        ConfigField("hidden", "tuple[int, ...]", [64, 64], "units of each layer"),
        ConfigField("kind", "Literal['softmax', 'negative']", "softmax", "which loss"),
        ConfigField("options", "Mapping[str, Any]", {"a": [1, 2]}, "keyword arguments"),
        ConfigField("silent", "float | None", None, ""),
    ]


def test_a_name_that_stands_for_choices_is_spelled_out() -> None:
    @dataclass(frozen=True)
    class Chosen:
        kind: Kind = "softmax"  # which loss
        others: tuple[Kind, ...] | None = None  # which more
        options: Mapping[str, Any] | None = None  # no name of choices

    assert [row.type for row in describe(Chosen)] == [
        "Literal['softmax', 'negative']",
        "tuple[Literal['softmax', 'negative'], ...] | None",
        "Mapping[str, Any] | None",
    ]


def test_a_spec_may_change_defaults() -> None:
    changed = {row.name: row.default for row in describe(Config, {"size": 9, "hidden": (1,)})}
    assert (changed["size"], changed["hidden"], changed["word"]) == (9, [1], "a # b")


def test_a_field_without_default_is_required() -> None:
    @dataclass(frozen=True)
    class Needy:
        path: str  # where

    assert describe(Needy) == [ConfigField("path", "str", None, "where", required=True)]


def test_a_class_without_source_still_has_names_types_and_defaults() -> None:
    namespace: dict[str, Any] = {"dataclass": dataclass}
    exec("@dataclass\nclass Bare:\n    size: int = 3\n    both: int | None = None", namespace)
    assert describe(namespace["Bare"]) == [ConfigField("size", "int", 3, ""), ConfigField("both", "int | None", None, "")]


def test_what_is_no_dataclass_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a dataclass"):
        describe(dict)


def test_defaults_are_plain_json() -> None:
    assert as_json({"a": (1, Base(), {3, 1})}) == {"a": [1, {"size": 3, "word": "a # b"}, [1, 3]]}
    assert as_json(complex(1, 2)) == "(1+2j)"
