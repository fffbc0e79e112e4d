"""Actions that are not allowed are never taken: while learning, in greedy evaluation, and in the target of a bootstrapped value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.explanation.distilled import distil
from rl_algos.parts.exploration import BOLTZMANN, CONSTANT, EPSILON_GREEDY, FORBIDDEN, RANDOM, UCB, Explorer, action_probabilities, explore
from rl_core.errors import RequestError, WorkError
from rl_core.learning import learn, load


class Corridor(gymnasium.Env[Any, Any]):
    """Five cells in a row, three actions: left, right, and a trap, which pays 100 and is not allowed; the last cell pays 1 and ends.

    At the wall left is not allowed either. What is taken against the mask is counted for all instances.
    """

    taken: ClassVar[list[int]] = []

    def __init__(self, numbered: bool = False, by: str = "info") -> None:
        self.observation_space = spaces.Discrete(5) if numbered else spaces.Box(0.0, 1.0, (5,), np.float32)
        self.action_space = spaces.Discrete(3)
        self._numbered, self._by = numbered, by
        if by == "method":
            self.action_masks = self.mask

    def mask(self) -> np.ndarray:
        if self._by == "nothing":
            return np.zeros(3, dtype=bool)
        return np.array([self.cell > 0, True, False])

    def look(self) -> tuple[Any, dict[str, Any]]:
        obs = self.cell if self._numbered else np.eye(5, dtype=np.float32)[self.cell]
        return obs, {} if self._by == "method" else {"action_mask": self.mask().astype(np.int8)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.cell, self.steps = int(self.np_random.integers(3)), 0
        return self.look()

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.mask()[action]:
            Corridor.taken.append(action)
        self.steps += 1
        if action == 2:
            return *self.look()[:1], 100.0, False, self.steps >= 9, self.look()[1]
        self.cell = max(0, self.cell + (1 if action == 1 else -1))
        obs, info = self.look()
        return obs, float(self.cell == 4), self.cell == 4, self.steps >= 9, info


SMALL = {"rollout_steps": 8, "num_envs": 2}
CASES = {
    "ppo": (False, {**SMALL, "num_epochs": 2, "batch_size": 8}, 1000),
    "a2c": (False, SMALL, 400),
    "dqn": (False, {"num_envs": 2, "learning_starts": 50, "exploration_steps": 400.0, "learning_rate": 1e-3, "target_steps": 50}, 300),
    "per-dqn": (False, {"num_envs": 2, "learning_starts": 50}, 300),
    "q-learning": (True, {}, 1000),
    "double-q-learning": (True, {}, 300),
    "sarsa": (True, {}, 300),
    "expected-sarsa": (True, {}, 300),
}


@pytest.mark.parametrize("name", CASES)
def test_no_action_that_is_not_allowed_is_taken(name: str, tmp_path: Path) -> None:
    numbered, config, budget = CASES[name]
    Corridor.taken.clear()
    result = learn(name, task=lambda: Corridor(numbered), config=config, budget=budget, out=tmp_path / "run", quiet=True, seed=1)
    assert Corridor.taken == []
    assert result.score is not None
    assert result.score <= 1.0  # the trap pays 100
    if budget >= 1000:
        assert result.score == 1.0


def test_a_tree_of_a_masked_policy_takes_none_but_allowed_actions(tmp_path: Path) -> None:
    agent: Any = learn("ppo", task=Corridor, config=CASES["ppo"][1], budget=64, out=tmp_path / "run", quiet=True).agent
    Corridor.taken.clear()
    made = distil(agent.task, agent.predictor(), depth=3, steps=40, episodes=3, names=list("abcde"))
    assert Corridor.taken == []
    assert made.fidelity == 1.0


@pytest.mark.parametrize(("name", "config"), [("mcts", {"num_simulations": 20}), ("muzero", {"num_simulations": 4})])
def test_a_tree_search_takes_actions_that_are_numbered_from_five(name: str, config: dict[str, Any], tmp_path: Path) -> None:
    class From(Corridor):
        def __init__(self) -> None:
            super().__init__(numbered=name == "mcts")
            self.action_space = spaces.Discrete(2, start=5)

        def look(self) -> tuple[Any, dict[str, Any]]:
            return super().look()[0], {}

        def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            assert action in (5, 6)
            return super().step(action - 5)

    agent: Any = learn(name, task=From, config=config, budget=24, episodes=1, out=tmp_path / "run", quiet=True).agent
    assert set(agent.predict(agent.obs)) <= {5, 6}


@pytest.mark.parametrize("compiled", [True, False])
def test_both_ways_of_computing_mask_alike(compiled: bool, tmp_path: Path) -> None:
    Corridor.taken.clear()
    options: dict[str, Any] = {"config": CASES["ppo"][1], "network_config": {"activation": "tanh" if compiled else "gelu"}}
    learn("ppo", task=lambda: Corridor(by="method"), budget=200, out=tmp_path / "run", quiet=True, **options)
    assert Corridor.taken == []


def test_a_setting_plays_without_masks_and_a_mask_that_allows_nothing_is_refused(tmp_path: Path) -> None:
    Corridor.taken.clear()
    gymnasium.register("Corridor-v0", entry_point=Corridor)
    overrides = ["task.masks=false"]
    learn("ppo", task="gym:Corridor-v0", config=CASES["ppo"][1], budget=100, overrides=overrides, out=tmp_path / "run", quiet=True)
    assert Corridor.taken
    with pytest.raises((RequestError, WorkError), match=r"action mask \[0, 0, 0\] at reset"):
        learn("ppo", task=lambda: Corridor(by="nothing"), budget=100, out=tmp_path / "other", quiet=True)


def test_the_target_counts_on_allowed_actions_alone(tmp_path: Path) -> None:
    """Of Q(s', .) = (1, 2, 50) with the last not allowed, the target takes 2."""
    config = {**CASES["dqn"][1], "discount": 0.5}
    agent: Any = learn("dqn", task=Corridor, config=config, budget=100, out=tmp_path / "run", quiet=True).agent
    slots = agent.replay.draw(np.random.default_rng(0), 64)[0]
    batch = agent.read(slots)
    cells = batch.next_obs.argmax(axis=1)
    goes_on = batch.discount > 0
    assert (batch.next_legal[goes_on] == np.stack([cells > 0, cells >= 0, cells > 9], axis=1)[goes_on]).all()
    by_hand = np.where(goes_on, batch.reward + 0.5 * 2.0, batch.reward)
    agent.plain = agent.q
    agent.q = lambda head: head * 0 + (np.array([1, 2, 50], np.float32) if isinstance(head, np.ndarray) else head.new_tensor([1.0, 2, 50]))
    for update in (agent.fast_update, agent.torch_update):
        td_error = update(batch, np.ones(64, np.float32)).td_error
        value = np.array([1.0, 2.0, 50.0])[batch.action]
        np.testing.assert_allclose(value - td_error, by_hand)


@pytest.mark.parametrize("rule", [RANDOM, EPSILON_GREEDY, BOLTZMANN, UCB])
def test_every_rule_shares_its_exploration_among_allowed_actions(rule: int) -> None:
    values, visits = np.array([[FORBIDDEN, 1.0, FORBIDDEN, 1.0]]), np.zeros((1, 4), dtype=np.int64)
    explorer, out = Explorer(rule, 0.5, 0.0, CONSTANT, 1.0), np.empty(4)
    action_probabilities(explorer, values, visits, 0, 0, out)
    np.testing.assert_allclose(out, [0.0, 0.5, 0.0, 0.5])
    drawn = [explore(explorer, values, visits, 0, 0, uniform, out) for uniform in np.linspace(0, 0.999, 8)]
    assert sorted(drawn) == [1] * 4 + [3] * 4


@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_a_game_is_played_by_its_rules(name: str, tmp_path: Path) -> None:
    config = CASES[name][1]
    agent: Any = learn(name, task="tic-tac-toe", network="mlp", config=config, budget=300, out=tmp_path / "run", quiet=True).agent
    board = np.zeros((1, 3, 3, 2), np.float32)
    board[0, :, :2, 0] = 1.0  # only the last column is free
    assert agent.predict(board)[0] in (2, 5, 8)
    again: Any = load(tmp_path / "run")
    assert (again.predict(board) == agent.predict(board)).all()
