"""Learning from Python: names, objects, and what comes back."""

from __future__ import annotations

import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rl_core
from rl_core.api import NetworkSpec
from rl_core.errors import RequestError
from rl_core.plugins import catalogue as catalogues
from rl_core.predicting import as_batch
from rl_core.runs.run import Run

sys.path.append(str(Path(__file__).parent / "environments"))
import faulty_envs

pytestmark = pytest.mark.usefixtures("probe")


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "registered", [])


def test_the_package_names_its_door_and_imports_nothing_heavy() -> None:
    code = "import sys, rl_core; print(sorted({'numpy', 'gymnasium', 'torch', 'msgspec'} & set(sys.modules)), 'learn' in dir(rl_core))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[] True\n"
    with pytest.raises(AttributeError, match="module 'rl_core' has no attribute 'lern'"):
        _ = rl_core.lern  # type: ignore[attr-defined]


def test_a_result_has_the_score_and_the_trained_agent_which_can_be_loaded_again(tmp_path: Path) -> None:
    result = rl_core.learn("hill", budget=200, seed=3, episodes=7, out=str(tmp_path / "run"))
    assert result.metrics["episodes"] == 7
    assert (result.metric, result.target, result.run, result.unit) == ("mean return", 475.0, tmp_path / "run", "environment steps")
    assert result.score == result.metrics["mean return"]
    assert result.agent.progress == result.progress >= 200
    again = rl_core.load(str(tmp_path / "run"))
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    assert again.predict(obs).tolist() == result.agent.predict(obs).tolist()
    assert Run.open(str(tmp_path / "run")).agent.progress == result.progress
    assert repr(result).startswith(f"Result(mean return {result.score:.4g}, target 475 ")


def test_a_notebook_shows_the_numbers_and_the_figures(tmp_path: Path) -> None:
    result = rl_core.learn("slope", budget=5, out=tmp_path / "a<b>")
    page = result._repr_html_()
    assert "squared error" in page
    assert page.count("data:image/png;base64,") == len(result.figures) >= 1
    assert "a&lt;b&gt;" in page


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"budgte": 5}, "unknown option 'budgte' of learn()", "did you mean 'budget'?"),
        ({"overide": ()}, "unknown option 'overide' of learn()", "did you mean 'overrides'?"),
        ({"budget": "many"}, "'budget' of the run's options", "a whole number"),
        ({"episodes": 0}, "'episodes' of the run's options is 0", "a whole number of at least 1"),
        ({"network": 3}, "the network is of type int", "a subclass of rl_core.network.Network"),
        ({"task": 3}, "the task is of type int", "a Gymnasium environment, or a function that builds one"),
        ({"task": lambda: 3}, "returned int, expected a gymnasium.Env", "a function without arguments"),
    ],
)
def test_a_wrong_option_is_refused_with_the_nearest_one(options: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(RequestError) as caught:
        rl_core.learn("hill", **options)
    assert message in caught.value.message
    assert hint in caught.value.hint


class Wide(gymnasium.Env[Any, Any]):
    """Shows one number, which the second action should follow when it is large."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length: int = 5) -> None:
        self.length = length

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        self.count += 1
        return np.zeros(1, np.float32), 1.0, self.count == self.length, False, {}


@pytest.mark.parametrize(
    "task",
    [faulty_envs.Cue, lambda: Wide(7), Wide(7), gymnasium.make("CartPole-v1")],
    ids=["class", "function", "instance", "made"],
)
def test_an_environment_of_ones_own_is_a_task(task: Any, tmp_path: Path) -> None:
    result = rl_core.learn("hill", task=task, budget=100, out=tmp_path / "run")
    length = result.metrics["mean length"]
    assert length is not None
    assert length == 20 if task is faulty_envs.Cue else length > 6
    if isinstance(task, Wide):
        assert not hasattr(task, "count")  # copies were played in
    with pytest.raises(RequestError):
        rl_core.learn("hill", task=lambda: Wide(), task_config={"options": {"length": 3}}, out=tmp_path / "other")
    agent = rl_core.load(tmp_path / "run", task=task)
    assert agent.progress == result.progress


def test_a_task_and_a_network_are_taken_as_objects(tmp_path: Path) -> None:
    from probe.plane import Plane
    from probe.slope import LinearMap

    class Halved(LinearMap):
        """Its config's scale is halved."""

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.halved = True

    plane = Plane(Plane.Config())
    made = Halved(Halved.Config())
    for network in (Halved, made):
        result = rl_core.learn("slope", task=plane, network=network, budget=5, out=tmp_path / type(network).__name__)
        assert result.agent.task is plane
        assert result.agent.network.halved
        assert (result.agent.network is made) == (network is made)
    with pytest.raises(RequestError, match="no network is named 'Halved'"):
        rl_core.load(result.run)
    assert rl_core.load(result.run, task=plane, network=made).progress == 5


def test_an_agents_class_is_learned_with_a_task_and_a_budget(tmp_path: Path) -> None:
    from probe.hill import Hill

    class Climber(Hill):
        """Climbs too."""

    with pytest.raises(RequestError, match="agent Climber is given as a class, which has no default task and budget"):
        rl_core.learn(Climber)
    result = rl_core.learn(Climber, task="gym:CartPole-v1", budget=50, out=tmp_path / "run")
    assert isinstance(result.agent, Climber)
    assert rl_core.load(result.run, agent=Climber).progress == result.progress


def test_a_registered_spec_is_known_by_name_in_this_process(tmp_path: Path) -> None:
    spec = NetworkSpec(name="mine", target="probe.slope:LinearMap", summary="Mine", fits=("vector-input",), task="plane")
    assert rl_core.register(spec) == "mine"
    result = rl_core.learn("slope", network="mine", budget=3, out=tmp_path / "run")
    assert rl_core.load(result.run).progress == 3
    with pytest.raises(RequestError, match="the NetworkSpec cannot be used: the name 'bad name' is not allowed"):
        rl_core.register(NetworkSpec(name="bad name", target="a:B", summary="x", fits=("",), task="t"))


def test_predict_takes_lists_and_a_single_observation(tmp_path: Path) -> None:
    agent = rl_core.learn("hill", budget=200, out=tmp_path / "run").agent
    batch = np.array([[0, 0, 0.1, 0.2], [0, 0, -0.1, 0]], np.float32)
    answers = agent.predict(batch)
    assert agent.predict(batch.tolist()).tolist() == answers.tolist()
    assert [agent.predict(row) for row in batch] == [agent.predict(row.tolist()) for row in batch] == answers.tolist()
    with pytest.raises(ValueError, match=r"the input has shape \[3\], expected one input of shape \[4\] or a batch of shape \[B, 4\]"):
        agent.predict([0, 0, 0])
    for wrong in (np.zeros((2, 3, 4), np.float32), np.zeros((2, 3), np.float32)):
        with pytest.raises(ValueError, match=r"expected one input of shape \[4\] or a batch of shape \[B, 4\]"):
            agent.predict(wrong)
    with pytest.raises(ValueError, match="expected numbers of Box"):
        agent.predict(["left"])


def test_numbers_that_the_space_cannot_hold_are_not_cut() -> None:
    with pytest.raises(ValueError, match="the input has numbers that int64 cannot hold"):
        as_batch([1.5], gymnasium.spaces.Discrete(3))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1e300])
def test_a_number_that_is_not_finite_has_no_answer(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"a number that is not finite in float32, expected numbers of Box"):
        as_batch([0.0, wrong], gymnasium.spaces.Box(-1, 1, (2,)))


def test_a_notebook_has_one_line_that_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines: list[str] = []

    @dataclass
    class Handle:
        def update(self, text: str) -> None:
            lines.append(text)

    shell = types.SimpleNamespace(kernel=object())
    shown = types.SimpleNamespace(Pretty=str, display=lambda text, display_id: Handle())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    rl_core.learn("slope", budget=5, out=tmp_path / "run")
    assert lines[-1].startswith("slope on plane: 5 of 5 batches")
    count = len(lines)
    rl_core.learn("slope", budget=5, out=tmp_path / "quiet", quiet=True)
    assert len(lines) == count


def test_numbers_outside_of_a_discrete_space_are_no_inputs() -> None:
    for wrong in (-1, 3, [0, 3]):
        with pytest.raises(ValueError, match="expected whole numbers from 0 to 2"):
            as_batch(wrong, gymnasium.spaces.Discrete(3))
    assert as_batch([-1, 1], gymnasium.spaces.Discrete(3, start=-1))[0].tolist() == [-1, 1]


def test_a_run_is_loaded_with_its_own_parts_alone(tmp_path: Path) -> None:
    run = rl_core.learn("slope", budget=2, out=tmp_path / "run").run
    assert rl_core.load(run, task="plane", network="linear-map", agent="slope").progress == 2
    with pytest.raises(RequestError, match="was made with the task plane, not with points"):
        rl_core.load(run, task="points")


def test_settings_are_a_list(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="overrides is 'batch_size=2'; it must be a list") as refused:
        rl_core.learn("slope", budget=2, overrides="batch_size=2", out=tmp_path / "run")
    assert refused.value.hint == "write overrides=['batch_size=2']"
