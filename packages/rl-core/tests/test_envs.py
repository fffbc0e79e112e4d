"""Gymnasium environments in step, replayed to the last bit, and judged without favour."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl_core import config
from rl_core.errors import RequestError
from rl_core.gym_envs import GymEnvs, replay_postponed
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds


class Counting(gymnasium.Env[Any, Any]):
    """Counts to a length drawn from its seed; every odd episode ends, every even one is cut; reward is the step's number."""

    observation_space = spaces.Box(0, 100, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, *, cheats: bool = False) -> None:
        self.cheats = cheats
        self.taken: list[Any] = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.length, self.count, self.sum = int(self.np_random.integers(2, 6)), 0, 0.0
        return np.array([0, self.length], np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.taken.append(action.dtype)
        self.count += 1
        self.sum += float(action[0]) * float(self.np_random.random())
        noise = np.random.default_rng().random() if self.cheats else 0.0
        over = self.count >= self.length
        return (
            np.array([self.count, self.sum + noise], np.float32),
            float(self.count),
            over and self.length % 2 == 1,
            over and self.length % 2 == 0,
            {},
        )


def envs(num_envs: int = 3, seed: int = 0, **options: Any) -> GymEnvs:
    return GymEnvs(lambda: Counting(**options), num_envs, Seeds(seed).child("envs"))


def test_an_episode_that_is_over_is_followed_by_the_next_and_keeps_its_last_observation() -> None:
    made = envs(1)
    length = int(made.reset()[0, 1])
    for step in range(1, length + 1):
        transition = made.step(np.ones((1, 1), np.float32))
        assert transition.final_obs[0, 0] == step
    assert (transition.terminated[0], transition.truncated[0]) == (length % 2 == 1, length % 2 == 0)
    assert transition.obs[0, 0] == 0
    assert made.pop_episodes() == [(0, length * (length + 1) / 2, length)]
    assert made.pop_episodes() == []


def test_the_next_observation_is_the_final_one_wherever_no_episode_is_over() -> None:
    made = envs(4)
    made.reset()
    for _ in range(30):
        transition = made.step(np.ones((4, 1), np.float32))
        on = ~(transition.terminated | transition.truncated)
        assert np.array_equal(transition.obs[on], transition.final_obs[on])
        assert (transition.obs[~on, 0] == 0).all()
        assert (transition.final_obs[~on, 0] > 0).all()


@pytest.mark.parametrize("steps", range(12))
def test_a_saved_position_is_replayed_to_the_last_bit(steps: int) -> None:
    actions = np.random.default_rng(1).normal(size=(30, 3, 1))  # float64, as a policy may give them
    made = envs()
    made.reset()
    for action in actions[:steps]:
        made.step(action)
    state = made.state_dict()
    ahead = [made.step(action) for action in actions[steps:]]
    fresh = envs()
    fresh.load_state_dict(state)
    again = [fresh.step(action) for action in actions[steps:]]
    for left, right in zip(ahead, again, strict=True):
        assert all(a.tobytes() == b.tobytes() for a, b in zip(left[:5], right[:5], strict=True))
    assert made.pop_episodes() == fresh.pop_episodes()


def test_actions_are_taken_in_the_precision_in_which_they_are_saved() -> None:
    made = envs(1)
    made.reset()
    made.step(np.array([[1 / 3]]))
    assert made._envs[0].taken == [np.float32]
    assert made.state_dict()["actions"][0].dtype == np.float32


def test_episodes_of_one_seed_differ_between_environments_and_in_time() -> None:
    made = envs(20)
    lengths = made.reset()[:, 1]
    assert len(set(lengths.tolist())) > 1
    assert envs(20).reset().tolist() == made.reset().tolist() == envs(20).reset().tolist()
    assert envs(20, seed=1).reset().tolist() != envs(20).reset().tolist()


def test_an_environment_with_randomness_of_its_own_begins_new_episodes_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    made = envs(1, cheats=True)
    made.reset()
    made.step(np.ones((1, 1), np.float32))
    fresh = envs(1, cheats=True)
    obs = fresh.load_state_dict(made.state_dict())
    assert obs[0, 0] == 0
    assert fresh._episode.tolist() == [1]
    assert fresh.state_dict()["length"].tolist() == [0]
    assert caplog.text.count("did not lead back to the saved observations") == 1


def test_a_postponed_replay_happens_at_the_next_step_and_not_before() -> None:
    made = envs(2)
    made.reset()
    made.step(np.ones((2, 1), np.float32))
    state, built = made.state_dict(), []
    fresh = GymEnvs(lambda: built.append(Counting()) or built[-1], 2, Seeds(0).child("envs"))
    with replay_postponed():
        assert fresh.load_state_dict(state).tolist() == state["obs"].tolist()
    assert not any(env.taken for env in built)
    assert fresh.step(np.ones((2, 1), np.float32)).obs.tolist() == made.step(np.ones((2, 1), np.float32)).obs.tolist()


def test_a_postponed_replay_that_ends_elsewhere_cuts_the_episode() -> None:
    made = envs(1, cheats=True)
    made.reset()
    obs = made.step(np.ones((1, 1), np.float32)).obs
    made.close()
    transition = made.step(np.ones((1, 1), np.float32))
    assert (transition.truncated[0], transition.terminated[0], transition.reward[0]) == (True, False, 0)
    assert transition.final_obs.tolist() == obs.tolist()
    assert transition.obs[0, 0] == 0


def test_a_state_of_other_environments_is_refused() -> None:
    made = envs(2)
    made.reset()
    with pytest.raises(ValueError, match=r"the state is that of 2 environments .* these are 3"):
        envs(3).load_state_dict(made.state_dict())


def test_a_fork_is_played_ahead_and_the_environments_stay_where_they_are() -> None:
    made = envs(2)
    made.reset()
    action = np.ones((2, 1), np.float32)
    made.step(action)
    before = json.dumps(made.state_dict(), default=np.ndarray.tolist)
    fork = made.fork(0)
    ahead = [fork.step(action).final_obs for _ in range(10)]
    assert json.dumps(made.state_dict(), default=np.ndarray.tolist) == before
    assert np.array_equal(made.fork(0).step(action).final_obs, ahead[0])


def test_a_fork_does_not_show_what_chance_will_do() -> None:
    made = envs(2)
    made.reset()
    action = np.ones((2, 1), np.float32)
    sums = {tuple(made.fork(seed).step(action).final_obs[:, 1].tolist()) for seed in range(20)}
    assert len(sums) == 20
    assert tuple(made.step(action).final_obs[:, 1].tolist()) not in sums


def test_metrics_of_episodes_are_means_over_those_that_were_finished_since() -> None:
    made = envs(3)
    made.reset()
    assert made.episode_metrics() == {}
    made._finished = [(0, 1.0, 2), (2, 4.0, 6)]
    assert made.episode_metrics() == {"episode_return": 2.5, "episode_length": 4.0}
    assert made.episode_metrics() == {}


def task(name: str, **options: Any) -> GymTask:
    return GymTask(GymConfig(id=name, options=options))


def test_an_evaluation_counts_a_fixed_number_of_episodes_of_each_environment() -> None:
    made = task("CartPole-v1")
    predict = lambda obs: (obs[:, 2] > 0).astype(np.int64)  # noqa: E731
    seeds = Seeds(0, ("evaluation",))
    scores = [made.evaluate(predict, episodes=150, seeds=seeds) for _ in range(2)]
    assert scores[0] == scores[1]
    assert scores[0]["episodes"] == 150
    assert scores[0]["mean return"] == scores[0]["mean length"] > 25  # one a step; leaning tells where to push
    few = made.evaluate(predict, episodes=3, seeds=seeds)
    assert few["episodes"] == 3


class FirstSeen:
    """Answers with a push towards where the pole leaned first in the episode; knows from `begin` alone when that was."""

    def __init__(self) -> None:
        self.starts: list[np.ndarray] = []
        self.asked = 0

    def begin(self, starts: np.ndarray) -> None:
        self.starts.append(starts)

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        self.asked += 1
        assert len(self.starts) == self.asked  # told before each question
        first = (np.abs(obs) <= 0.05).all(axis=1)  # Gymnasium's first states, and few others
        assert first[self.starts[-1]].all()
        return (obs[:, 2] > 0).astype(np.int64)


def test_a_predictor_with_a_memory_is_told_where_episodes_begin() -> None:
    made, player, seeds = task("CartPole-v1"), FirstSeen(), Seeds(0, ("evaluation",))
    scores = made.evaluate(player, episodes=20, seeds=seeds)
    assert player.starts[0].all()
    assert not player.starts[1].any()
    lengths = [np.diff(np.flatnonzero(column)) for column in np.stack(player.starts).T]
    assert len(lengths) == 8  # no more instances than that where training has none
    counted = [row[: 3 if index < 4 else 2] for index, row in enumerate(lengths)]  # 20 episodes in 8 environments
    assert scores["mean length"] == np.mean(np.concatenate(counted))
    plain = made.evaluate(lambda obs: (obs[:, 2] > 0).astype(np.int64), episodes=20, seeds=seeds)
    assert plain == scores


def test_a_gymnasium_task_shows_its_spaces_and_its_threshold() -> None:
    made = task("CartPole-v1")
    assert made.traits() == {"control", "vector-input", "discrete-output"}
    assert (made.target, made.metric, made.caveat()) == (475.0, "mean return", "")

    assert task("Pendulum-v1").traits() == {"control", "vector-input", "continuous-output"}
    assert task("FrozenLake-v1", is_slippery=False).traits() == {"control", "discrete-input", "discrete-output"}


def test_a_registered_threshold_is_no_target_for_an_environment_with_options() -> None:
    firm = GymTask(GymTask.Config(id="FrozenLake-v1", options={"is_slippery": False}))
    assert (GymTask(GymTask.Config(id="FrozenLake-v1")).target, firm.target) == (0.7, None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("CartPole-v77", {}, "Gymnasium cannot make 'CartPole-v77'"),
        ("CartPole-v1", {"colour": 1}, "Gymnasium cannot make 'CartPole-v1'.*colour"),
        ("no such module:Thing-v0", {}, "Gymnasium cannot make"),
        ("", {}, "Gymnasium cannot make ''"),
        ("//", {}, "Gymnasium cannot make '//'"),
    ],
)
def test_what_gymnasium_cannot_make_is_refused_in_words(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task(name, **options)


def test_the_config_of_a_gymnasium_task_is_typed() -> None:
    with pytest.raises(RequestError, match="'id' of task gym is 5"):
        config.build(GymConfig, {"id": 5}, where="task gym")


def test_an_input_is_read_as_the_space_has_it() -> None:
    frozen = task("FrozenLake-v1")
    assert frozen.parse("3").tolist() == [3]
    for text in ("16", "-1", "1.5", "[3]", "true1"):
        with pytest.raises(ValueError, match="this task takes"):
            frozen.parse(text)
    image = task("CartPole-v1")
    image.input_space = spaces.Box(0, 255, (2, 2), np.uint8)
    assert image.parse(json.dumps([[0, 255], [1, 2]])).dtype == np.uint8
    with pytest.raises(ValueError, match="is outside of what this task takes"):
        image.parse("[[0, 256], [1, 2]]")
