"""Settings of a task that wrap its environment: each does what it says, and what is wrapped is restored by replay."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds


class Counter(gymnasium.Env[Any, Any]):
    """Its observation is the number of steps and what was done last; two choices, 3 and 2; 50 steps."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = spaces.Box(-1.0, 50.0, (1, 3), np.float32), spaces.MultiDiscrete([3, 2])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.done = 0, np.array([-1, -1])
        return self.look(), {}

    def look(self) -> np.ndarray:
        return np.array([[self.steps, *self.done]], np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps, self.done = self.steps + 1, action
        return self.look(), 2.0, False, self.steps == 50, {}


def task(**settings: Any) -> GymTask:
    return GymTask(GymConfig(**settings), make=Counter)


def test_frames_are_stacked_newest_last_and_observations_flattened() -> None:
    envs = task(frame_stack=2, flatten=True).envs(1, Seeds(0))
    assert envs.reset().tolist() == [[0, -1, -1, 0, -1, -1]]
    assert envs.step(np.array([[1, 0]])).obs.tolist() == [[0, -1, -1, 1, 1, 0]]
    assert task(frame_stack=3).input_space.shape == (1, 9)


def test_an_episode_is_cut_and_rewards_are_scaled_for_learning_alone() -> None:
    made = task(time_limit=3, reward_scale=0.5)
    assert made.target is None
    envs = made.envs(1, Seeds(0))
    envs.reset()
    steps = [envs.step(np.array([[0, 0]])) for _ in range(3)]
    assert [step.truncated[0] for step in steps] == [False, False, True]
    assert [step.reward[0] for step in steps] == [1.0, 1.0, 1.0]
    assert envs.pop_episodes() == [(0, 6.0, 3)]


def test_one_choice_is_each_combination() -> None:
    made = task(one_choice=True)
    assert made.output_space == spaces.Discrete(6)
    envs = made.envs(1, Seeds(0))
    envs.reset()
    assert [envs.step(np.array([action])).obs[0, 0, 1:].tolist() for action in range(6)] == [[a, b] for a in range(3) for b in range(2)]
    with pytest.raises(ValueError, match="only choices can be combined"):
        GymTask(GymConfig(id="Pendulum-v1", one_choice=True))


def test_sticky_actions_repeat_as_often_as_they_should_and_are_replayed() -> None:
    made = task(sticky_actions=0.25)
    envs = made.envs(4, Seeds(0))
    envs.reset()
    rows = np.arange(400)[:, None] % 3
    kept = 0
    for row in rows[:200]:
        before = envs.step(np.tile([*row, 0], (4, 1)))
        kept += int((before.final_obs[:, 0, 1] != row[0]).sum())
    assert 0.18 < kept / 800 < 0.32  # 0.25, less the first of each episode; a standard error is 0.015
    again = made.envs(4, Seeds(0))
    assert np.array_equal(again.load_state_dict(envs.state_dict()), before.obs)
    for row in rows[200:260]:
        one, other = (each.step(np.tile([*row, 0], (4, 1))) for each in (envs, again))
        assert np.array_equal(one.obs, other.obs)


def test_environments_in_processes_give_the_same_numbers_as_alone() -> None:
    transitions, states = [], []
    for processes in (0, 2):
        made = GymTask(GymConfig(id="CartPole-v1", processes=processes, time_limit=9))
        envs = made.envs(3, Seeds(1))
        rows = [envs.reset()]
        for step in range(25):
            after = envs.step(np.array([step % 2, 1, 0]))
            rows += [after.obs, after.final_obs, after.reward, after.terminated, after.truncated]
        transitions.append(rows)
        states.append(envs.state_dict())
        again = made.envs(3, Seeds(1))
        assert np.array_equal(again.load_state_dict(states[-1]), rows[-5])
        envs.close()
        again.close()
    assert all(np.array_equal(one, other) for one, other in zip(*transitions, strict=True))
    assert states[0]["finished"] == states[1]["finished"]
    with pytest.raises(ValueError, match="cannot be sent to a process"):
        task(processes=2)
