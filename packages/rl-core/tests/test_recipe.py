"""Recipes: what is left open is filled in, what is wrong is refused before anything is built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core import documents
from rl_core.errors import RequestError
from rl_core.learning import learn
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.seeds import Seeds

pytestmark = pytest.mark.usefixtures("probe")


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue.discover()


def test_an_agent_a_network_or_a_task_is_enough(catalogue: Catalogue) -> None:
    from_agent = recipe.resolve(catalogue, "slope").recipe
    assert (from_agent.agent, from_agent.task, from_agent.network) == ("slope", "plane", "linear-map")
    assert recipe.resolve(catalogue, "linear-map").recipe == from_agent
    assert recipe.resolve(catalogue, "plane").recipe == from_agent
    assert recipe.resolve(catalogue, "probe/slope").recipe == from_agent


def test_each_source_of_a_setting_overrules_the_one_before(catalogue: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    assert recipe.resolve(catalogue, "slope").recipe.config["batch_size"] == 8  # the preset's, not the class's 4
    path.write_text("agent: slope\nconfig: {batch_size: 16}\nbudget: 50\nseed: 4\n")
    file = recipe.read(path)
    from_file = recipe.resolve(catalogue, file=file).recipe
    assert (from_file.config["batch_size"], from_file.budget, from_file.seed) == (16, 50, 4)
    on_top = recipe.resolve(catalogue, file=file, overrides=["batch_size=32", "network.scale=2", "task.num_examples=5"], budget=60).recipe
    assert (on_top.config["batch_size"], on_top.budget, on_top.seed) == (32, 60, 4)
    assert (on_top.network_config["scale"], on_top.task_config["num_examples"]) == (2.0, 5)
    assert recipe.resolve(catalogue, "slope", config={"batch_size": 2}).recipe.config["batch_size"] == 2


def test_a_preset_is_of_its_task_and_network(catalogue: Catalogue) -> None:
    resolved = recipe.resolve(catalogue, "slope").recipe
    assert (resolved.budget, resolved.network_config) == (30, {"scale": 0.5})
    assert recipe.resolve(catalogue, "slope", budget=1).recipe.budget == 1


def test_a_preset_may_set_up_the_task_and_a_recipe_and_the_call_overrule_it(catalogue: Catalogue, tmp_path: Path) -> None:
    def limit(**given: Any) -> int:
        resolved = recipe.resolve(catalogue, "hill", task="gym:Acrobot-v1", **given)
        envs = resolved.built_task.envs(1, Seeds(0))  # type: ignore[attr-defined]
        envs.reset()
        length = next(step for step in range(1, 20) if envs.step(np.zeros(1, np.int64)).truncated[0])
        assert resolved.recipe.task_config["id"] == "Acrobot-v1"
        assert resolved.recipe.task_config["options"] == {"max_episode_steps": length}
        return length

    assert limit() == 7
    (tmp_path / "own.yaml").write_text("task_config: {options: {max_episode_steps: 9}}\n")
    file = recipe.read(tmp_path / "own.yaml")
    assert limit(file=file) == 9
    assert limit(file=file, overrides=["task.options={max_episode_steps: 11}"]) == 11
    assert recipe.resolve(catalogue, "hill", task="gym:CartPole-v1").recipe.task_config["options"] == {}


def test_a_recipe_written_and_read_again_is_the_same(catalogue: Catalogue, tmp_path: Path) -> None:
    first = recipe.resolve(catalogue, "slope", overrides=["sizes=[1e-5, 2]", "options={a: off}", "learning_rate=1e-7"], seed=2**62).recipe
    path = tmp_path / "recipe.yaml"
    path.write_text(first.to_yaml())
    assert recipe.resolve(catalogue, file=recipe.read(path)).recipe == first


def test_the_recipe_of_a_run_alone_reproduces_it(program: Any, catalogue: Catalogue) -> None:
    program.succeed(
        "run", "slope", "--seed", 5, "--set", "learning_rate=0.01", "--set", "network.scale=0.2", "--budget", 20, "--out", "first"
    )
    program.succeed("run", "--recipe", "first/recipe.yaml", "--out", "second")
    assert program.final("first") == program.final("second")
    program.succeed("run", "--recipe", "first/recipe.yaml", "--seed", 6, "--out", "third")
    assert program.final("first") != program.final("third")


@pytest.mark.parametrize(
    ("arguments", "options", "message", "hint"),
    [
        (
            ["slope"],
            {"task": "gym:CartPole-v1"},
            r"agent slope cannot work on task gym:CartPole-v1: it needs \(data vector-input continuous-output\); the task offers control, ",
            "agents that fit gym:CartPole-v1: .*hill.*; tasks that fit slope: .*plane",
        ),
        (["slope"], {"task": "trap"}, "agent slope cannot work on task trap", "tasks that fit slope: .*plane"),
        (["trap"], {}, "task trap has no default agent that fits it", "name one|install a package"),
        (["slope"], {"network": "image-map"}, r"network image-map cannot work on task plane: it needs \(image-input\)", "linear-map"),
        (["hill"], {"network": "linear-map"}, "agent hill takes no network, but 'linear-map' was given", "leave the network out"),
        (["slop"], {}, "nothing is named 'slop'", "did you mean slope"),
        (["slope"], {"task": "plain"}, "no task is named 'plain'", "did you mean plane"),
        (["slope"], {"task": "linear-map"}, "no task is named 'linear-map'; linear-map is a network", "--network linear-map"),
        ([], {}, "nothing was named", "rl-core run ppo"),
        (["slope"], {"seed": -1}, "'seed' of the run's options is -1", "at least 0"),
        (["slope"], {"budget": 0}, "'budget' of the run's options is 0", "at least 1"),
        (["slope"], {"threads": 0}, "'threads' of the run's options is 0", "at least 1"),
        (["slope"], {"seed": 2**63}, "too large", "less than"),
        (["slope"], {"device": "tpu"}, "invalid enum value 'tpu'", "one of 'auto', 'cpu', 'cuda'"),
        (["slope"], {"sede": 1}, "unknown option 'sede' of a run", "did you mean 'seed'"),
        (["slope"], {"overrides": ["task.num_examples=0"]}, "of task plane, given by --set, was refused: num_examples is 0", "show plane"),
        (["hill"], {"overrides": ["network.scale=1"]}, "agent hill takes no network, but a field of one was set", "leave out"),
        (["hill"], {"task": "gym:CartPole-v99"}, "task gym:CartPole-v99 cannot be built: Gymnasium cannot make 'CartPole-v99'", "show gym"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_what_would(
    catalogue: Catalogue,
    arguments: list[str],
    options: dict[str, Any],
    message: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=message) as caught:
        recipe.resolve(catalogue, *arguments, **options)
    assert re.search(hint, caught.value.hint), caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_task_whose_own_config_was_changed_is_judged_by_what_it_is(catalogue: Catalogue) -> None:
    assert recipe.resolve(catalogue, "slope", overrides=["task.num_features=5"]).built_task.input_space.shape == (5,)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ("agnt: slope", "unknown key 'agnt' in recipe file 'own.yaml'", "did you mean 'agent'?"),
        ("zzzz: slope", "unknown key 'zzzz' in recipe file 'own.yaml'", "its keys are: agent, task"),
        ("agent: 5", "'agent' of recipe file 'own.yaml' is 5: expected `str | null`, got `int`", "it must be a text, or null"),
        ("agent: slope\nseed: many", "'seed' of recipe file 'own.yaml' is 'many': expected `int`", "a whole number"),
        ("agent: slope\nseed: -1", "'seed' of recipe file 'own.yaml' is -1", "at least 0"),
        ("agent: slope\nbudget: 0", "'budget' of recipe file 'own.yaml' is 0", "at least 1"),
        ("agent: slope\nconfig: [1]", "'config' of recipe file 'own.yaml' is [1]: expected `object`", "names and their"),
        ("agent: slope\nconfig: {1: 2}", "'config' of recipe file 'own.yaml'", "names and their values"),
        (
            "agent: slope\nconfig: {batch_siz: 2}",
            "unknown config field 'batch_siz' of agent slope, given by recipe file 'own.yaml'",
            "did you mean 'batch_size'?",
        ),
        ("agent: slope\nconfig: {batch_size: x}", "'batch_size' of agent slope, given by recipe file 'own.yaml', is 'x'", "a whole number"),
        (
            "agent: slope\nconfig: {learning_rate: -1}",
            "the config of agent slope, given by recipe file 'own.yaml', was refused: learning_rate is -1.0",
            "rl-core show slope",
        ),
        ("agent: hill\nnetwork_config: {scale: 1}", "agent hill takes no network", "network_config"),
    ],
)
def test_an_error_in_a_recipe_names_file_key_and_what_was_expected(
    catalogue: Catalogue, tmp_path: Path, content: str, message: str, hint: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(content)
    with pytest.raises(RequestError) as caught:
        recipe.resolve(catalogue, file=recipe.read(path))
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_run_is_learned_from_python(catalogue: Catalogue, tmp_path: Path) -> None:
    result = learn("slope", out=tmp_path / "run", catalogue=catalogue, seed=1, budget=10, overrides=["batch_size=2"])
    assert (result.progress, result.metric, result.run) == (10, "squared error", tmp_path / "run")
    assert documents.read(tmp_path / "run" / "recipe.yaml")["config"]["batch_size"] == 2
    with Run.open(tmp_path / "run", catalogue) as run:
        assert run.evaluate() == result.metrics
