"""Options of the commands on runs: numbers as people write them, devices, settings of an evaluation, hints for names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import pytest

from rl_core import config
from rl_core.agent import Agent
from rl_core.config import Count, Doc, configclass
from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue

pytestmark = pytest.mark.usefixtures("probe")


@configclass
class Sized:
    """Settings of each kind."""

    sizes: Annotated[tuple[Count, ...], Doc("units")] = (1,)
    most: Annotated[Count | None, Doc("steps")] = None
    rate: Annotated[float, Doc("rate")] = 0.1
    word: Annotated[str, Doc("word")] = ""


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("sizes=64,64", "sizes", (64, 64)),
        ("sizes=[64, 64]", "sizes", (64, 64)),
        ("most=1e4", "most", 10_000),
        ("most=null", "most", None),
        ("rate=1e-3", "rate", 0.001),
        ("word=a,b", "word", "a,b"),
        ("word='1e4'", "word", "1e4"),
    ],
)
def test_lists_and_numbers_are_read_as_people_write_them(text: str, field: str, value: Any) -> None:
    values = config.parse_overrides([text])["agent"]
    assert getattr(config.build(Sized, values, where="agent sized"), field) == value


@pytest.mark.parametrize("text", ["most=1.5", "most=1e4x", "sizes=a,b", "sizes=[1"])
def test_what_is_not_a_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        config.build(Sized, config.parse_overrides([text])["agent"], where="agent sized")
    assert "a whole number" in caught.value.hint or "[1, 2]" in caught.value.hint


@pytest.mark.parametrize("budget", ["1e1", "10", "1_0", "10.0"])
def test_a_budget_is_a_whole_number_in_any_spelling(program: Any, budget: str) -> None:
    assert program.succeed("run", "slope", "--budget", budget, "--out", "run", "--json").json["progress"] == 10


@pytest.mark.parametrize("budget", ["1.5", "many", "1e999", "nan"])
def test_another_budget_is_refused_with_an_example(program: Any, budget: str) -> None:
    ended = program.call("run", "slope", "--budget", budget, "--out", "run")
    assert ended.status == 2
    assert f"'{budget}' is not a whole number; write for example 10000, 10_000 or 1e4" in ended.err
    assert not (program.folder / "run").exists()


def test_the_evaluation_of_a_run_can_be_short(program: Any) -> None:
    result = program.succeed("run", "hill", "--budget", 50, "--episodes", 3, "--out", "run", "--json").json
    assert result["metrics"]["episodes"] == 3
    result = program.succeed("resume", "run", "--budget", 100, "--episodes", "2", "--json").json
    assert result["metrics"]["episodes"] == 2


def test_an_evaluation_keeps_the_settings_of_training_and_takes_others(program: Any) -> None:
    options = ("--budget", 50, "--episodes", 2, "--out", "run", "--set", "task.options={max_episode_steps: 4}")
    program.succeed("run", "hill", *options)

    def length(*arguments: object) -> float:
        return float(program.succeed("eval", "run", "--episodes", 5, "--json", *arguments).json["metrics"]["mean length"])

    assert length() == length("--task", "gym:CartPole-v1") == length("--task", "CartPole-v1") == 4
    assert length("--set", "task.options={max_episode_steps: 6}") == 6
    assert length("--task", "gym:CartPole-v1", "--set", "task.options={}") > 6
    refused = program.call("eval", "run", "--set", "spread=1")
    assert refused.status == 2
    assert "an evaluation changes the task alone" in refused.err


class Careless(Agent):
    """Reads no device."""

    def step(self) -> dict[str, float]:
        return {}

    def predict(self, inputs: Any) -> Any:
        return inputs


class Careful(Careless):
    """Reads the device where it is built."""

    def setup(self) -> None:
        self.place = self.device


@pytest.mark.parametrize(("kind", "used"), [(Careless, False), (Careful, True)])
def test_an_agent_is_known_to_use_a_device_by_reading_it(kind: type[Agent], used: bool) -> None:
    agent = kind(None, None, None, seeds=None, budget=1, device="cuda")  # type: ignore[arg-type]
    assert agent.uses_device == used
    assert agent.device == "cuda"


def test_a_device_that_would_have_no_effect_is_refused(program: Any) -> None:
    ended = program.call("run", "slope", "--device", "cuda", "--out", "run")
    assert ended.status == 2
    assert "error: agent slope computes on the CPU only, so --device cuda would have no effect" in ended.err
    assert not (program.folder / "run").exists()


def test_a_run_of_another_device_is_opened_where_that_is_not_available(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 5, "--out", "run")
    path = program.folder / "run" / "recipe.yaml"
    path.write_text(path.read_text().replace("device: auto", "device: cuda"))
    assert program.call("eval", "run").status == 2
    for command in (("eval", "run"), ("predict", "run", "[1, 2]"), ("resume", "run", "--budget", 6)):
        assert program.call(*command, "--device", "cpu").status in (0, 2), command
    assert program.call("eval", "run", "--device", "cpu").status == 0


def test_an_answer_is_printed_in_words(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program.succeed("run", "slope", "--budget", 5, "--out", "run")
    monkeypatch.setattr(Agent, "answer", lambda self, text: ["größe", "दिन"])
    assert program.succeed("predict", "run", "[1, 2]").out == '["größe", "दिन"]\n'
    assert json.loads(program.succeed("predict", "run", "[1, 2]", "--json").out)["answer"] == ["größe", "दिन"]


def hint(catalogue: Catalogue, name: str, kind: str | None = "task") -> str:
    with pytest.raises(RequestError) as caught:
        catalogue.find(name, kind)
    return caught.value.hint


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("../my.txt", "points:../my.txt"),
        ("./data/rows.TXT", "points:./data/rows.TXT"),
        ("~/folder", "points:~/folder"),
        ("my_envs/Chain-v0", "gym:my_envs:my_envs/Chain-v0, which imports the module my_envs first"),
    ],
)
@pytest.mark.parametrize("kind", ["task", None])
def test_a_path_or_a_namespace_gets_the_form_that_works(name: str, form: str, kind: str | None) -> None:
    assert hint(Catalogue.discover(), name, kind) == f"did you mean {form}?"


def test_a_package_that_is_missing_is_named_for_families_of_tasks_too(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = Catalogue.discover()
    rows: Sequence[Any] = [row for row in catalogue.plugins if row.package in ("rl-core", "probe")]
    monkeypatch.setattr(Catalogue, "plugins", rows)
    assert hint(catalogue, "corpus:my.txt") == hint(catalogue, "skip-gram", "agent") == "pip install nlp-embeddings"


def test_a_network_that_does_not_suit_the_default_task_is_explained_by_what_was_named(program: Any) -> None:
    ended = program.call("run", "hill", "--network", "image-map", "--out", "run")
    assert ended.status == 2
    assert "plane" not in ended.err


def test_compare_ignores_its_own_picture_and_prints_where_it_is(program: Any) -> None:
    for seed in (0, 1):
        program.succeed("run", "slope", "--budget", 5, "--seed", seed, "--out", f"runs/{seed}")
    first = program.succeed("compare", "runs/0", "runs/1")
    again = program.succeed("compare", "runs/0", "runs/1", "runs/compare.png")
    assert first.out == again.out
    assert "skipped runs/compare.png: it is a file, not a run folder" in again.err
    ended = program.succeed("compare", "runs/0", "--out", "cmp", "--json").json
    assert ended["figure"] == "cmp.png"
    assert (program.folder / "cmp.png").exists()
    assert program.call("compare", "runs/compare.png").status == 2


def test_compare_says_why_there_is_no_picture(program: Any) -> None:
    for seed in (0, 1):
        program.succeed("run", "slope", "--budget", 5, "--seed", seed, "--out", f"{seed}")
    (program.folder / "0" / "metrics.jsonl").write_text('{"progress": 1, "seconds": 0.1, "other": 1.0}\n')
    ended = program.succeed("compare", "0", "1", "--json").json
    assert ended["figure"] is None
    assert ended["no_figure"].startswith("these runs record no metric in common while they learn (")


def test_a_folder_or_a_pattern_stands_for_its_files(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 5, "--out", "run")
    folder = program.folder / "given"
    folder.mkdir()
    row = [0.0, 1.0, 2.0]
    for name in ("b.jsonl", "a.jsonl", "notes.md"):
        (folder / name).write_text(f"{row}\n")
    answers = program.succeed("predict", "run", "given", "--json").json["answers"]
    assert [row["file"] for row in answers] == ["given/a.jsonl", "given/b.jsonl"]
    assert program.succeed("predict", "run", "given/*.jsonl", "--json").json["answers"] == answers


def test_an_empty_input_is_not_the_working_folder(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 5, "--out", "run")
    (program.folder / "a.jsonl").write_text("[0.0, 1.0, 2.0]\n")
    refused = program.call("predict", "run", "")
    assert (refused.status, "'' cannot be answered" in refused.err) == (2, True)


def test_an_input_that_begins_with_a_minus_is_not_an_option(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 5, "--out", "run")
    refused = program.call("predict", "run", "-1")
    assert (refused.status, "'-1' cannot be answered" in refused.err) == (2, True)
    assert "no option is named '--jsn'" in program.call("predict", "run", "-1", "--jsn").err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["predict", "run", "[0, 0]", "--out", "run/recipe.yaml"], "ends with '.yaml'; expected .csv or .jsonl or .json or .txt"),
        (["predict", "run", "[0, 0]", "--out", "run/metrics.jsonl"], "is a file of a run"),
        (["predict", "run", "[0, 0]", "--out", "run/result.json"], "is a file of a run"),
        (["predict", "run", "[0, 0]", "--out", "program.py"], "ends with '.py'"),
        (["report", "run", "--out", "run/recipe.yaml"], "ends with '.yaml'; expected .html or .htm"),
        (["export-metrics", "run", "--out", "run/metrics.jsonl"], "ends with '.jsonl'; expected .csv"),
        (["export", "run", "--format", "arrays", "--out", "run/manifest.json"], "is a file of a run"),
        (["export-metrics", "run", "--out", "run/checkpoints/3/kept.csv"], "is a file of a run"),
        (["compare", "run", "--out", "x.json"], "ends with '.json'; expected .png or .svg or .pdf"),
        (["explain", "run", "--out", "run/recipe.yaml"], "is a file; expected a folder"),
    ],
)
def test_no_file_of_a_run_is_written_over(program: Any, arguments: Sequence[str], problem: str) -> None:
    program.succeed("run", "slope", "--budget", 3, "--out", "run")
    (program.folder / "program.py").write_text("print(1)")
    (program.folder / "run" / "checkpoints" / "3" / "kept.csv").write_text("1")
    before = {path: path.read_bytes() for path in program.folder.rglob("*") if path.is_file()}
    refused = program.call(*arguments)
    assert refused.status == 2
    assert problem in refused.err
    assert {path: path.read_bytes() for path in program.folder.rglob("*") if path.is_file()} == before
    program.succeed("eval", "run")


def test_neither_inputs_nor_data_are_written_over(program: Any) -> None:
    program.succeed("run", "slope", "--budget", 3, "--out", "run")
    (program.folder / "inputs.jsonl").write_text("[0, 0, 0]\n")
    refused = program.call("predict", "run", "inputs.jsonl", "--out", "inputs.jsonl")
    assert refused.status == 2
    assert "'inputs.jsonl' is read here, and would be lost" in refused.err
    assert (program.folder / "inputs.jsonl").read_text() == "[0, 0, 0]\n"
    program.succeed("predict", "run", "inputs.jsonl", "--out", "answers.jsonl")
    program.succeed("predict", "run", "inputs.jsonl", "--out", "answers.jsonl")  # answers may be replaced
    (program.folder / "word").write_text("1")
    assert "it is not a file that the task reads" not in program.call("predict", "run", "word").err  # a text like others
    unread = program.call("predict", "run", "run/recipe.yaml")
    assert unread.status == 2
    assert "it is not a file that the task reads" in unread.err
