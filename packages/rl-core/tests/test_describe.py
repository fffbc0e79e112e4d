"""Config fields are read from the annotations of the class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal

import pytest

from rl_core.config import Count, Doc, Meta
from rl_core.describe import ConfigField, as_json, describe

Kind = Literal["softmax", "negative"]


@dataclass(frozen=True)
class Base:
    """A base."""

    size: Annotated[Count, Doc("N, size")] = 3
    word: Annotated[str, Doc("what is said")] = "a # b"


@dataclass(frozen=True)
class Config(Base):
    """A config."""

    hidden: Annotated[tuple[Count, ...], Doc("units of each layer")] = (64, 64)
    kind: Annotated[Literal["softmax", "negative"], Doc("which loss")] = "softmax"
    options: Annotated[Mapping[str, Any], Doc("keyword arguments")] = field(default_factory=lambda: {"a": (1, 2)})
    silent: float | None = None  # a comment is not help
    share: Annotated[float | None, Meta(ge=0, lt=1), Doc("of the whole")] = None
    size: Annotated[int, Meta(ge=2), Doc("N, another size")] = 4
    cache: int = field(default=0, init=False)

    limit = 3

    def method(self) -> int:
        """Not a field."""
        inner: int = 3
        return inner


def test_fields_have_name_type_default_and_the_help_and_range_of_their_annotation() -> None:
    assert describe(Config) == [
        ConfigField("size", "int", 4, "N, another size, >= 2"),
        ConfigField("word", "str", "a # b", "what is said"),
        ConfigField("hidden", "tuple[int, ...]", [64, 64], "units of each layer, >= 1"),
        ConfigField("kind", "Literal['softmax', 'negative']", "softmax", "which loss"),
        ConfigField("options", "Mapping[str, Any]", {"a": [1, 2]}, "keyword arguments"),
        ConfigField("silent", "float | None", None, ""),
        ConfigField("share", "float | None", None, "of the whole, in [0, 1)"),
    ]


def test_an_alias_of_choices_is_spelled_out() -> None:
    @dataclass(frozen=True)
    class Chosen:
        kind: Kind = "softmax"
        others: tuple[Kind, ...] | None = None
        options: Mapping[str, Any] | None = None

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
        path: Annotated[str, Doc("where")]

    assert describe(Needy) == [ConfigField("path", "str", None, "where", required=True)]


def test_a_class_without_source_is_described_as_any_other() -> None:
    bare = make_dataclass("Bare", [("size", Annotated[int, Doc("N")], 3), ("both", int | None, None)])
    assert describe(bare) == [ConfigField("size", "int", 3, "N"), ConfigField("both", "int | None", None, "")]


def test_a_type_that_only_a_type_checker_knows_is_shown_as_written() -> None:
    typed = make_dataclass("Typed", [("size", "Unknown", 3)])
    assert describe(typed) == [ConfigField("size", "Unknown", 3, "")]


def test_what_is_no_dataclass_is_refused() -> None:
    with pytest.raises(TypeError, match="is not a dataclass"):
        describe(dict)


def test_defaults_are_plain_json() -> None:
    assert as_json({"a": (1, Base(), {3, 1})}) == {"a": [1, {"size": 3, "word": "a # b"}, [1, 3]]}
    assert as_json(complex(1, 2)) == "(1+2j)"
