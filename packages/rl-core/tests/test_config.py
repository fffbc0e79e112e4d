"""Configs from plain data: types, sources, nearest keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core import config, documents
from rl_core.errors import RequestError


@dataclass(frozen=True)
class Settings:
    learning_rate: float = 0.1
    hidden: tuple[int, ...] = (64, 64)
    loss: Literal["off", "squares"] = "off"
    name: str = ""
    clip: float | None = None
    count: int = 1
    bold: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be > 0")


def built(*overrides: str) -> Settings:
    values = config.parse_overrides(overrides)["agent"]
    return config.build(Settings, values, where="agent probe", sources=dict.fromkeys(values, "--set"))


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning_rate=1e-3", 1e-3),
        ("learning_rate=2", 2.0),
        ("hidden=[32, 16]", (32, 16)),
        ("hidden=[]", ()),
        ("loss=off", "off"),
        ("name=a=b", "a=b"),
        ("name=", ""),
        ("name='1'", "1"),
        ("clip=null", None),
        ("clip=.inf", float("inf")),
        ("count=1_000", 1000),
        ("bold=true", True),
        ("options={rate: 1e-3, mode: no}", {"rate": 1e-3, "mode": "no"}),
        ("agent.count=3", 3),
    ],
)
def test_an_override_has_the_type_of_its_field(override: str, value: object) -> None:
    name = override.partition("=")[0].removeprefix("agent.")
    made = getattr(built(override), name)
    assert (type(made), made) == (type(value), value)


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("learning_rat=1", "unknown config field 'learning_rat' of agent probe, given by --set", "did you mean 'learning_rate'?"),
        ("xyzzy=1", "unknown config field 'xyzzy'", "its fields are: learning_rate, hidden, loss"),
        ("learning_rate=fast", "'learning_rate' of agent probe, given by --set, is 'fast': expected `float`, got `str`", "a number"),
        ("learning_rate=nan", "'learning_rate' of agent probe, given by --set, is NaN", "it must be a number"),
        ("learning_rate=-1", "the config of agent probe, given by --set, was refused: learning_rate is -1.0; it must be > 0", "show probe"),
        ("hidden=[1, x]", "expected `int`, got `str`", "a list, each item a whole number"),
        ("count=1.5", "is 1.5: expected `int`, got `float`", "it must be a whole number"),
        ("count=99999999999999999999", "too large", "less than 2**63"),
        ("count=[" + "1, " * 999 + "]", "is [1, 1, 1, 1, 1, 1, ...]", "it must be a whole number"),
        ("bold=1", "expected `bool`, got `int`", "true or false"),
        ("loss=cubes", "invalid enum value 'cubes'", "it must be one of 'off', 'squares'"),
        ("name=1", "expected `str`, got `int`", "it must be a text"),
        ("options={1: 2}", "expected `str`, got `int`", "names and their values"),
        ("count", "--set expects key=value, got 'count'", "write for example"),
        ("=1", "--set expects key=value", "write for example"),
        ("other.count=1", "--set 'other.count' does not say whose field it is", "network. or task."),
        ("agent.=1", "does not say whose field it is", "network. or task."),
        ("name=[", "is '[', which is not YAML", "quote texts"),
        ("options={a: 1, a: 2}", "the key 'a' is given twice", "quote texts"),
        ("options=[&x 1, *x]", "aliases (*x) are not allowed", "quote texts"),
        ("options=!!python/object/apply:os.getcwd []", "are not allowed", "quote texts"),
    ],
)
def test_a_wrong_override_is_refused_with_key_type_and_remedy(override: str, message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        built(override)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert len(caught.value.message) < 400


def test_a_number_of_numpy_is_the_number_it_holds() -> None:
    assert config.convert(np.int64(3), int, "seed", "the run's options") == 3
    assert config.convert(np.float32(0.5), float, "rate", "the run's options") == 0.5


def test_a_config_goes_through_yaml_unchanged() -> None:
    made = built("learning_rate=1e-5", "hidden=[1]", "name='1e-3'", "clip=.inf", "options={a: [off, '0x1F', 1.0]}")
    text = documents.dump_yaml(config.to_plain(made))
    assert config.build(Settings, documents.parse_yaml(text), where="agent probe") == made


PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8"))


@given(
    st.recursive(
        PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    )
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_whatever_is_written_as_yaml_is_read_back(value: Any) -> None:
    read = documents.parse_yaml(documents.dump_yaml(value))
    assert repr(read) == repr(value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"agent: [", "cannot be read: while parsing"),
        ("a.yaml", b"agent: a\nagent: b\n", "the key 'agent' is given twice"),
        ("a.yaml", b"a: &x [1]\nb: *x\n", r"aliases \(\*x\) are not allowed"),
        ("a.yaml", b"agent: !!python/object/apply:os.system ['true']\n", r"tags .*python.* are not allowed"),
        ("a.yaml", b"\xff\xfe\x00", "cannot be read"),
        ("a.yaml", b"agent: \xc3\n", "codec can't decode"),
        ("a.yaml", b"agent: 'a\0b'\n", "special characters are not allowed"),
        ("a.yaml", b"[" * 5000, "nested too deeply"),
        ("a.yaml", b"- agent\n", "is not a mapping of names to values"),
        ("a.yaml", b"1: agent\n", "is not a mapping of names to values"),
        ("a.yaml", b"", "is not a mapping of names to values"),
        ("a.yaml", b"seed: " + b"9" * 5000, "Exceeds the limit"),
        ("a.yaml", b"#" * 5_000_000, "it is larger than 4,000,000 bytes"),
        ("a.json", b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ("a.json", b'{"a": NaN}', "NaN is not JSON"),
        ("a.json", b"{", "Expecting property name"),
        ("a.json", b"[" * 100_000, "recursion"),
        ("a.toml", b"a = nan", "nan is not a valid setting"),
        ("a.toml", b"a = 1\na = 2", "Cannot overwrite a value"),
        ("a.ini", b"a = 1", "ends in .ini"),
        ("a", b"a = 1", "ends in nothing"),
    ],
)
def test_a_malformed_file_is_named_with_the_reason(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message) as caught:
        documents.read(tmp_path / name)
    assert f"recipe file '{name}'" in caught.value.message


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    for name in ("folder.yaml", "loop.yaml", "missing.yaml", "nul\0.yaml"):
        with pytest.raises(RequestError, match=r"recipe file .* not found"):
            documents.read(tmp_path / name)


def test_three_formats_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("agent: ppo\nconfig: {rate: 1e-3, sizes: [1, 2], on: true}\n")
    (tmp_path / "a.toml").write_text('agent = "ppo"\n[config]\nrate = 1e-3\nsizes = [1, 2]\non = true\n')
    (tmp_path / "a.json").write_text('{"agent": "ppo", "config": {"rate": 1e-3, "sizes": [1, 2], "on": true}}')
    read = [documents.read(tmp_path / f"a.{ending}") for ending in ("yaml", "toml", "json")]
    assert read[0] == read[1] == read[2] == {"agent": "ppo", "config": {"rate": 1e-3, "sizes": [1, 2], "on": True}}
