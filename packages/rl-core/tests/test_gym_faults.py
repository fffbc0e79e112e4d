"""Environments of one's own: their types, limits and failures are seen, said, and handled."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rl_core.errors import EnvironmentFailure, RequestError
from rl_core.gym_envs import GymEnvs
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

sys.path.append(str(Path(__file__).parent / "environments"))
import faulty_envs


def task(kind: type[faulty_envs.Cue], registered: bool = False, **settings: Any) -> GymTask:
    """A task of that environment; registered ones are wrapped by Gymnasium."""
    kind.alive.clear()
    if not registered:
        return GymTask(GymConfig(**settings), make=kind)
    name = f"{kind.__name__}-v0"
    gymnasium.registry.pop(name, None)
    gymnasium.register(name, entry_point=kind)
    return GymTask(GymConfig(id=name, **settings))


def push(obs: np.ndarray) -> np.ndarray:
    """The action that names the cue."""
    return (obs[:, 0] > 0.5).astype(np.int64)


def evaluate(made: GymTask, predict: Any = push, episodes: int = 20) -> dict[str, float]:
    return made.evaluate(predict, episodes=episodes, seeds=Seeds(0))


def test_a_sound_environment_has_no_caveat_and_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    python_state, numpy_state = random.getstate(), np.random.get_state()
    made = task(faulty_envs.Cue)
    assert made.caveat() == caplog.text == ""
    assert not faulty_envs.Cue.alive
    assert random.getstate() == python_state
    assert np.random.get_state()[2] == numpy_state[2]
    assert evaluate(made)["mean return"] == 20


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (faulty_envs.GlobalRandom, "differs between two replays"),
        (faulty_envs.SeededGlobalRandom, "differs between two replays"),
        (faulty_envs.NumpyGlobalRandom, "reward of step 1 differs between two replays"),
        (faulty_envs.RandomStart, "differs between two replays"),
        (faulty_envs.RandomWorld, "observation of reset differs between two instances"),
        (faulty_envs.KeepsCounting, "observation of reset differs between two replays"),
    ],
)
def test_randomness_that_the_seed_does_not_govern_is_found_at_the_start(kind: type[faulty_envs.Cue], what: str) -> None:
    caveats = [task(kind).caveat() for _ in range(5)]
    found = [caveat for caveat in caveats if "does not repeat itself" in caveat]
    assert len(found) >= 4  # a choice between two at random can be the same in every replay: once in 128 times
    assert any(what in caveat for caveat in found)


def test_observations_are_cast_to_the_type_of_their_space_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    envs = task(faulty_envs.IntegerStart).envs(2, Seeds(0))
    obs = [envs.reset(), *(envs.step(np.zeros(2, np.int64)).obs for _ in range(30))]
    assert {one.dtype for one in obs} == {np.dtype(np.float32)}
    assert {float(value) for one in obs for value in one.ravel()} == {0.0, 0.25, 0.75}
    assert [record.getMessage() for record in caplog.records] == [
        "environment IntegerStart: reset returns int64 observations, which are cast to float32, the type of its observation_space"
    ]


def test_lists_and_float64_are_observations_too(caplog: pytest.LogCaptureFixture) -> None:
    envs = task(faulty_envs.WideStart).envs(1, Seeds(0))
    assert envs.reset().dtype == np.float32
    assert "float64 observations, which are cast to float32" in caplog.text


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (faulty_envs.FractionsAsBytes, r"reset returned \[0.5\], which the type uint8 of its observation_space cannot hold"),
        (faulty_envs.TooLargeForBytes, r"reset returned \[300\], which the type uint8"),
        (faulty_envs.WrongShape, r"an observation of shape \[3\], but its observation_space has \[2\]"),
        (faulty_envs.OutOfSpace, r"step returned the observation 2, which is outside of Discrete\(2\)"),
        (faulty_envs.OldReset, r"reset returned an array of shape \[2\] \(float32\), expected a pair \(observation, info\)"),
        (faulty_envs.OldSeed, r"does not follow Gymnasium's interface: reset\(seed=0\) raised .*unexpected keyword argument 'seed'"),
        (faulty_envs.OldStep, r"step returned a tuple of 4 values, expected \(observation, reward, terminated, truncated, info\)"),
        (faulty_envs.InfoAsFlag, r"step returned \{\} \(dict\) as truncated, expected True or False"),
        (faulty_envs.NoReward, r"returned None \(NoneType\) as the reward, expected a number"),
        (faulty_envs.NotFinite, "NotFinite returned the reward nan at step 6 of an episode"),
        (faulty_envs.InfiniteReward, "returned the reward -inf at step 6"),
        (faulty_envs.NanSeen, r"returned the observation nan at index \[1\] at step 6"),
    ],
)
def test_a_wrong_interface_is_refused_at_the_start(kind: type[faulty_envs.Cue], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        task(kind)
    assert caught.value.hint
    assert not kind.alive


@pytest.mark.parametrize("kind", [faulty_envs.OldReset, faulty_envs.OldSeed, faulty_envs.OldStep])
def test_the_older_interface_is_recognised_through_gymnasiums_wrappers(kind: type[faulty_envs.Cue]) -> None:
    with pytest.raises(RequestError, match="does not follow Gymnasium's interface") as caught:
        task(kind, registered=True)
    assert "migration_guide" in caught.value.hint


def test_rewards_and_flags_of_one_number_are_taken(caplog: pytest.LogCaptureFixture) -> None:
    assert evaluate(task(faulty_envs.ArrayReward))["mean return"] == 20
    assert caplog.text.count("step returns rewards as arrays of shape [1]") == 1


@pytest.mark.parametrize("limit", [None, 1])
def test_one_instance_is_trained_in_and_judged_in(limit: int | None) -> None:
    made = task(faulty_envs.Single, instances=limit)
    envs = made.envs(1, Seeds(0))
    obs, free = envs.reset(), task(faulty_envs.Cue).envs(1, Seeds(0))
    assert obs.tolist() == free.reset().tolist()
    for step in range(50):
        if step == 30:
            assert evaluate(made)["mean return"] == 20
        obs = envs.step(push(obs)).obs
        assert obs.tolist() == free.step(push(obs) * 0).obs.tolist()  # rewards alone depend on the action
    assert len(faulty_envs.Single.alive) == 1


def test_more_instances_than_can_be_made_are_refused_with_the_number_that_can() -> None:
    with pytest.raises(
        RequestError, match="3 instances of environment Single are needed at one time, and number 2 cannot be made"
    ) as caught:
        task(faulty_envs.Single).envs(3, Seeds(0))
    assert "--set num_envs=1" in caught.value.hint
    with pytest.raises(RequestError, match=r"task.instances allows 2"):
        task(faulty_envs.Cue, instances=2).envs(3, Seeds(0))


def test_an_evaluation_makes_no_more_instances_than_training_and_plays_the_same_episodes() -> None:
    scores = []
    for count in (1, 3, 20):
        made = task(faulty_envs.Cue)
        training = made.envs(count, Seeds(0))
        assert len(faulty_envs.Cue.alive) == training.num_envs
        most = 0

        def guess(obs: np.ndarray) -> np.ndarray:
            nonlocal most
            most = max(most, len(faulty_envs.Cue.alive))
            return np.zeros(len(obs), np.int64)

        scores.append(evaluate(made, guess, episodes=50))
        assert most == count
    assert scores[0]["standard deviation"] > 0
    assert scores[1] == pytest.approx(scores[0])
    assert scores[2] == pytest.approx(scores[0])


def test_a_number_as_action_is_not_cut_to_an_integer() -> None:
    made = task(faulty_envs.Scalar)
    envs = made.envs(2, Seeds(0))
    envs.reset()
    assert envs.step(np.array([0.5, 0.25])).reward.tolist() == [0.0, -0.25]
    assert evaluate(made, lambda obs: np.full(len(obs), 0.5, np.float32))["mean return"] == 0


def test_actions_bounded_on_one_side_are_refused_until_both_bounds_are_given() -> None:
    with pytest.raises(ValueError, match=r"bounded on one side only.*--set task.action_bounds=\[5.0, 15.0\]"):
        task(faulty_envs.OneSided)
    made = task(faulty_envs.OneSided, action_bounds=(5.0, 9.0))
    assert (made.output_space.low.tolist(), made.output_space.high.tolist()) == ([5.0], [9.0])
    assert evaluate(made, lambda obs: np.full((len(obs), 1), 7, np.float32))["mean return"] == 0
    with pytest.raises(ValueError, match="two numbers, the lower one first"):
        GymConfig(action_bounds=(2.0, 1.0))


def test_an_evaluation_without_a_time_limit_ends_and_says_how_to_set_one(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_core.gym_task.EVALUATION_STEPS", 4000)
    monkeypatch.setattr("rl_core.gym_task.EPISODE_STEPS", 50)
    made = task(faulty_envs.Endless)
    assert evaluate(made, episodes=20)["mean length"] == 200
    scores = evaluate(made, episodes=100)
    assert scores["mean length"] == scores["mean return"] == 50
    assert caplog.text.count("--set 'task.options={max_episode_steps: 50}'") == 1
    limited = task(faulty_envs.Endless, registered=True, options={"max_episode_steps": 30})
    assert evaluate(limited)["mean length"] == 30


def test_an_environment_that_raises_is_named_with_the_step() -> None:
    envs = task(faulty_envs.Raises).envs(1, Seeds(0))
    envs.reset()
    for _ in range(29):
        envs.step(np.zeros(1, np.int64))
    with pytest.raises(EnvironmentFailure, match=r"at step 10 of an episode \(action 0\), environment Raises raised ConnectionError: the"):
        envs.step(np.zeros(1, np.int64))


def test_an_environment_that_ends_the_process_is_named_as_one_that_raises() -> None:
    envs = task(faulty_envs.Exits).envs(1, Seeds(0))
    envs.reset()
    envs.step(np.zeros(1, np.int64))
    with pytest.raises(EnvironmentFailure, match=r"at step 2 of an episode \(action 0\), environment Exits called sys.exit\(3\)"):
        envs.step(np.zeros(1, np.int64))


def test_observations_without_any_number_are_refused() -> None:
    with pytest.raises(ValueError, match="has observations without any number"):
        task(faulty_envs.Nothing)


def test_an_environment_that_raises_is_made_anew_as_often_as_it_is_allowed(caplog: pytest.LogCaptureFixture) -> None:
    envs = task(faulty_envs.Raises, restarts=1).envs(1, Seeds(0))
    obs = envs.reset()
    for step in range(1, 31):
        before, transition = obs, envs.step(np.zeros(1, np.int64))
        obs = transition.obs
        assert bool(transition.truncated[0]) == (step in (20, 30))
    assert transition.final_obs.tolist() == before.tolist()
    assert "a new instance begins a new episode" in caplog.text
    assert [length for _, _, length in envs.pop_episodes()] == [20, 10]
    for _ in range(29):
        envs.step(np.zeros(1, np.int64))
    with pytest.raises(EnvironmentFailure, match="the simulator is gone"):
        envs.step(np.zeros(1, np.int64))


def test_a_search_that_cannot_copy_its_environment_is_told_what_it_needs() -> None:
    envs = task(faulty_envs.Locked).envs(1, Seeds(0))
    envs.reset()
    with pytest.raises(RequestError, match=r"plays ahead in copies of its environment, and Locked cannot be copied: .*_thread.lock"):
        envs.fork(0)


def test_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="render_mode 'human', which opens a window"):
        task(faulty_envs.Window)
    with pytest.raises(ValueError, match="render_mode 'human', which opens a window"):
        GymTask(GymConfig(options={"render_mode": "human"}))


def test_an_unknown_namespace_is_answered_with_the_form_that_imports_its_module() -> None:
    with pytest.raises(ValueError, match="write gym:my_envs:my_envs/Chain-v0"):
        GymTask(GymConfig(id="my_envs/Chain-v0"))


def test_environments_of_a_subclass_keep_their_interface_apart() -> None:
    first = GymEnvs(faulty_envs.Cue, 1, Seeds(0))
    assert first.is_open
    first.close()
    assert not first.is_open


def test_a_module_of_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import gymnasium\ngymnasium.register('Here-v0', entry_point='gymnasium.envs.classic_control:CartPoleEnv')\n"
    (tmp_path / "module_of_this_folder.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])  # as in an installed program
    assert GymTask(GymConfig(id="module_of_this_folder:Here-v0")).input_space.shape == (4,)
