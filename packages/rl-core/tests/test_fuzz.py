"""The front door under bad requests: always status 2, an `error:` and a `hint:`, never a traceback, never a folder left behind."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("probe")


def fuzzed(count: int) -> settings:
    """So many requests, the same ones each time."""
    return settings(
        derandomize=True, max_examples=count, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )


def refused(program: Any, *arguments: str) -> None:
    """The request must be refused in words, and leave nothing."""
    before = sorted(program.folder.rglob("*"))
    ended = program.call(*arguments)
    context = f"rl-core {arguments!r}\n{ended.out}\n{ended.err}"
    assert ended.status == 2, context
    assert ended.out == "", context
    lines = ended.err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["error", "hint"], context
    assert all(len(line.partition(": ")[2]) > 5 for line in lines), context
    assert len(lines[0]) < 2000 + sum(map(len, arguments)), context
    assert sorted(program.folder.rglob("*")) == before, context


TEXT = st.text(max_size=30) | st.text("abcslope-v1:/.{}[]!&*#%@`\0\x85\ud800é ", max_size=20)
NO_NAMES = ["gym:", ":", "gym:CartPole", "gym:nothing-v0", "gym:os:x", "/", "../slope", "probe/", "/slope", "slope/", "slop", "SLOPE"]
BAD_NAME = TEXT.filter(lambda name: name and not name.startswith("-")) | st.sampled_from([*NO_NAMES, "tensorboard", "a" * 300])
VALUE = st.sampled_from(
    [
        *["", "x", "nan", ".nan", "[", "{", "!!python/object:os.system x", "&a [*a]", "*a", "9" * 5000, "[" * 2000, "{a: 1, a: 2}"],
        *["\0", "\ud800", "? ?", "1e99999x"],
    ]
)


@fuzzed(120)
@given(BAD_NAME)
def test_bad_names(program: Any, name: str) -> None:
    if name not in ("slope", "hill", "linear-map", "plane"):
        refused(program, "run", "--", name)


@fuzzed(40)
@given(BAD_NAME, st.sampled_from(["--task", "--network", "--logger"]))
def test_bad_names_of_tasks_networks_and_loggers(program: Any, name: str, option: str) -> None:
    refused(program, "run", "slope", f"{option}={name}xyz")


@fuzzed(120)
@given(
    st.tuples(
        st.sampled_from(["learning_rate", "batch_size", "sizes", "network.scale", "task.num_examples", "task.num_features"]), VALUE
    ).map("=".join)
    | TEXT.map(lambda text: f"unknown{text}=1")
    | st.sampled_from(
        [
            "learning_rate",
            "=",
            "=1",
            ".=1",
            "agent.=1",
            "nobody.x=1",
            "learning_rate=-1",
            "learning_rate=0",
            "kind=other",
            "silent=2",
            "sizes=[a]",
        ]
    )
)
def test_bad_overrides(program: Any, override: str) -> None:
    if override != "learning_rate=":
        refused(program, "run", "slope", f"--set={override}")


@fuzzed(80)
@given(
    st.sampled_from(["--seed", "--budget", "--threads", "--checkpoint-every"]),
    st.integers(max_value=-1)
    | st.integers(min_value=2**63)
    | TEXT.filter(lambda text: not text.strip().lstrip("+").replace("_", "").isdigit()),
)
def test_bad_numbers(program: Any, option: str, value: object) -> None:
    refused(program, "run", "slope", f"{option}={value}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "slope", "--budget", "0"],
        ["run", "slope", "--threads", "0"],
        ["run", "slope", "--checkpoint-every", "0"],
        ["run", "slope", "--device", "tpu"],
        ["run", "slope", "--device", ""],
        ["run", "slope", "--no-such"],
        ["run", "slope", "hill"],
        ["run"],
        ["run", ""],
        ["run", "slope", "--out", "a\0b"],
        ["run", "slope", "--out", "x" * 5000],
        ["run", "slope", "--out", "/proc/nothing"],
        ["run", "--recipe", "missing.yaml"],
        ["run", "--recipe", "."],
        ["run", "--recipe", "a\0b.yaml"],
        ["resume"],
        ["resume", "missing"],
        ["resume", "a\0b"],
        ["eval", "missing", "--episodes", "0"],
        ["eval", "missing", "--seed", "-1"],
        ["predict", "missing", "1"],
        ["compare"],
        ["compare", "missing", "missing"],
        ["export", "missing", "--format", "x", "--out", "y"],
        ["show", "nothing-like-it"],
        ["nothing-like-it"],
        ["--no-such"],
    ],
)
def test_bad_requests(program: Any, arguments: list[str]) -> None:
    refused(program, *arguments)


JSON_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WRONG = {
    "agent": st.integers() | st.lists(st.text()) | st.just("slop") | st.booleans(),
    "task": st.just("hill") | st.integers() | st.dictionaries(st.text(), st.text()),
    "network": st.just("image-map") | st.booleans() | st.just(""),
    "seed": st.integers(max_value=-1) | st.just("x") | st.none() | st.just(1.5) | st.just(2**64) | st.lists(st.integers()),
    "budget": st.integers(max_value=0) | st.just("many") | st.just(float("inf")) | st.just(10**400),
    "device": st.just("tpu") | st.none() | st.integers(),
    "threads": st.integers(max_value=0) | st.none(),
    "checkpoint_every": st.integers(max_value=0) | st.booleans().map(str),
    "config": JSON_VALUE.filter(lambda value: value != {}),
    "network_config": st.dictionaries(st.text().filter(lambda name: name != "scale"), JSON_VALUE, min_size=1),
    "task_config": st.just({"num_examples": -3}) | st.just({"num_features": "x"}) | st.just({"num_examples": None}),
}


@fuzzed(150)
@given(
    st.sampled_from(sorted(WRONG)).flatmap(lambda key: st.tuples(st.just(key), WRONG[key]))
    | st.tuples(st.text().filter(lambda key: key not in WRONG), JSON_VALUE),
    st.sampled_from(["yaml", "json"]),
)
def test_bad_recipes(program: Any, entry: tuple[str, Any], ending: str) -> None:
    key, value = entry
    path = program.folder / f"own.{ending}"
    text = json.dumps({"agent": "slope", key: value})
    path.write_text(text.replace("NaN", "nan") if ending == "yaml" else text)
    refused(program, "run", "--recipe", path.name)


@fuzzed(80)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(["yaml", "toml", "json"]),
)
def test_files_of_noise(program: Any, content: bytes, ending: str) -> None:
    path = program.folder / f"noise.{ending}"
    path.write_bytes(content)
    refused(program, "run", "--recipe", path.name)


BOMB = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))


@pytest.mark.parametrize(
    "content",
    [
        b"!!python/object/apply:os.system ['touch pwned']",
        b"agent: !!python/name:os.system",
        b"agent: !!python/object/new:subprocess.Popen [['touch', 'pwned']]",
        b"agent: !include /etc/passwd",
        b"agent: &a [*a]",
        BOMB.encode(),
        b"agent: slope\nseed: " + b"9" * 10_000,
        b"agent: slope\nseed: .nan",
        b"agent: slope\nconfig: {learning_rate: .nan}",
        b"agent: slope\nagent: hill",
        b"agent: slope\nconfig: {batch_size: 1, batch_size: 2}",
        b"agent: 'slo\0pe'",
        b'agent: "\\ud800"',
        b'agent: "slope\\0"',
        b"agent: slope\nconfig: " + b"[" * 3000,
        b"agent: slope\nconfig: " + b"{a: " * 3000,
        b"\xff\xfeagent: slope",
        b"agent: \xe9",
        b"--- \nagent: slope\n---\nagent: hill",
        b"%YAML 9.9\n---\nagent: slope",
        b"? [1, 2]\n: 3",
        b"1: 2",
        b"null: 2",
        b"<<: {agent: slope}",
        b"- slope",
        b"slope",
        b"",
        b"agent:\tslope",
        b"agent: slope\n\tseed: 1",
        b"agent: slope\ntask_config: {num_examples: 1e400}",
    ],
)
def test_evil_yaml(program: Any, content: bytes) -> None:
    (program.folder / "evil.yaml").write_bytes(content)
    refused(program, "run", "--recipe", "evil.yaml")


def test_things_that_are_no_files(program: Any) -> None:
    (program.folder / "folder.yaml").mkdir()
    (program.folder / "loop.yaml").symlink_to("loop.yaml")
    (program.folder / "dangling.yaml").symlink_to("nowhere")
    for name in ("folder.yaml", "loop.yaml", "dangling.yaml", "folder.yaml/below.yaml"):
        refused(program, "run", "--recipe", name)
        refused(program, "resume", name)
        refused(program, "eval", name)
    for name in ("loop.yaml", "loop.yaml/below"):
        refused(program, "run", "slope", "--out", name)


@fuzzed(60)
@given(st.binary(max_size=60), st.sampled_from(["resume", "eval", "compare"]))
def test_folders_with_a_recipe_of_noise(program: Any, content: bytes, command: str) -> None:
    folder = program.folder / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "recipe.yaml").write_bytes(content)
    if command == "resume":
        (folder / ".lock").touch()
    refused(program, command, "run")
