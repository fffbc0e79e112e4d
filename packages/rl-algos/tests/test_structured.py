"""Observations and actions of several parts: laid in rows, drawn part by part, learned, saved and continued."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.parts.composed import Composed
from rl_core.errors import RequestError
from rl_core.learning import learn, load
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Paused, Run
from rl_core.structured import Structured, StructuredActions

ACTIONS: dict[str, Any] = {
    "multidiscrete": spaces.MultiDiscrete([3, 2]),
    "binary": spaces.MultiBinary(2),
    "dict": spaces.Dict(door=spaces.Discrete(3, start=1), push=spaces.Box(-1.0, 1.0, (1,), np.float32)),
    "tuple": spaces.Tuple((spaces.Discrete(2), spaces.MultiDiscrete([2, 3]))),
}


class Rooms(gymnasium.Env[Any, Any]):
    """One step an episode: the observation names in its parts what the parts of the action should be; each part that is right pays."""

    def __init__(self, actions: str = "multidiscrete", broken: bool = False) -> None:
        self.observation_space = spaces.Dict(
            door=spaces.Discrete(3), bits=spaces.MultiBinary(2), view=spaces.Box(0, 255, (4, 4, 1), np.uint8)
        )
        self.action_space = ACTIONS[actions]
        self._kind, self._broken = actions, broken

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.door, self.bits = int(self.np_random.integers(3)), self.np_random.integers(2, size=2).astype(np.int8)
        return self.look(), {}

    def look(self) -> dict[str, Any]:
        seen = {"door": self.door, "bits": self.bits, "view": np.full((4, 4, 1), 100, np.uint8)}
        if self._broken:
            del seen["bits"]
        return seen

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        door, bits = self.door, self.bits
        right = {
            "multidiscrete": lambda: [action[0] == door, action[1] == bits[0]],
            "binary": lambda: [action[0] == bits[0], action[1] == bits[1]],
            "dict": lambda: [action["door"] == door + 1, abs(float(action["push"][0]) - (door - 1) / 2) < 0.3],
            "tuple": lambda: [action[0] == bits[0], action[1][1] == door],
        }[self._kind]()
        return self.look(), float(sum(right)), True, False, {}


SMALL = {"num_envs": 8, "rollout_steps": 16, "num_epochs": 6, "batch_size": 64, "learning_rate": 3e-3}


@pytest.mark.parametrize("actions", ACTIONS)
def test_ppo_learns_every_part(actions: str, tmp_path: Path) -> None:
    result = learn("ppo", task=lambda: Rooms(actions), config=SMALL, budget=3072, out=tmp_path / "run", quiet=True)
    assert result.score is not None
    assert result.score > 1.8  # of 2; an arbitrary action gets 0.8 to 1
    assert result.agent.path.startswith("fast")


def test_a2c_learns_too_and_the_run_is_continued_and_asked_by_part(tmp_path: Path) -> None:
    gymnasium.register("Rooms-v0", entry_point=Rooms)
    options: dict[str, Any] = {"task": "gym:Rooms-v0", "overrides": ["task.options={actions: dict}"], "quiet": True}
    config = {"num_envs": 8, "rollout_steps": 4}
    learn("a2c", config=config, budget=96, out=tmp_path / "whole", **options)
    catalogue = Catalogue.discover()
    resolved = recipe.resolve(catalogue, "a2c", task="gym:Rooms-v0", config=config, budget=96, overrides=options["overrides"])
    with Run.create(resolved, catalogue, tmp_path / "cut") as run, pytest.raises(Paused):
        run.learn(quiet=True, until=40)
    with Run.open(tmp_path / "cut", lock=True) as run:
        run.learn(quiet=True)
    ends = [(tmp_path / name / "checkpoints" / "96" / "arrays.safetensors").read_bytes() for name in ("whole", "cut")]
    assert ends[0] == ends[1]
    agent: Any = load(tmp_path / "cut")
    (answer,) = agent.answer(json.dumps({"door": 1, "bits": [0, 1], "view": np.zeros((4, 4, 1)).tolist()}))
    assert set(answer) == {"door", "push"}
    with pytest.raises(ValueError, match="the part 'bits' is missing"):
        agent.answer('{"door": 1}')


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="the part 'bits' is missing, expected MultiBinary"):
        learn("ppo", task=lambda: Rooms(broken=True), budget=10, out=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_composed_distribution_is_the_product_of_its_parts(kind: str) -> None:
    structure = ACTIONS[kind]
    space = StructuredActions(structure) if kind in ("dict", "tuple") else structure
    actions = Composed(space)
    rng = np.random.default_rng(0)
    head, log_std = rng.standard_normal((6, actions.num_outputs)).astype(np.float32), np.full(actions.scale_size, -0.5, np.float32)
    action = actions.sample(head, log_std, actions.noise(rng, 6))
    for row in actions.to_env(action):
        assert space.contains(row)
    tensors = torch.from_numpy(head).requires_grad_(), torch.from_numpy(log_std).requires_grad_()
    log_prob, entropy = actions.log_prob(*tensors, torch.from_numpy(action)), actions.entropy(*tensors)
    policy = actions.policy(head)
    np.testing.assert_allclose(actions.array_log_prob(policy, log_std, action), log_prob.detach(), rtol=1e-5)
    np.testing.assert_allclose(actions.array_entropy(policy, log_std), entropy.detach(), rtol=1e-5)
    weights = rng.standard_normal((2, 6)).astype(np.float32)
    (log_prob @ torch.from_numpy(weights[0]) + entropy @ torch.from_numpy(weights[1])).backward()
    scale_error = np.zeros_like(log_std)
    error = actions.array_error(policy, log_std, action, weights[0], weights[1], scale_error)
    np.testing.assert_allclose(error, tensors[0].grad, atol=1e-5)
    if len(log_std):
        np.testing.assert_allclose(scale_error, tensors[1].grad, atol=1e-5)


def test_choices_are_drawn_with_the_probabilities_of_their_own_logits() -> None:
    actions, rng = Composed(spaces.MultiDiscrete([2, 2])), np.random.default_rng(0)
    head = np.tile(np.log(np.array([[0.25, 0.75, 0.9, 0.1]], np.float32)), (20_000, 1))
    drawn = actions.sample(head, np.zeros(0, np.float32), actions.noise(rng, 20_000))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.75, 0.1], atol=0.015)  # five standard errors of a share
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.035


def test_rows_hold_every_part_and_bytes_are_scaled() -> None:
    space = Structured(spaces.Tuple((spaces.Box(0, 255, (2,), np.uint8), spaces.MultiDiscrete([2, 3]), spaces.Box(-5, 5, (1,)))))
    assert space.flatten((np.array([0, 51], np.uint8), np.array([1, 0]), [2.5])).tolist() == pytest.approx([0, 0.2, 0, 1, 1, 0, 0, 2.5])
    with pytest.raises(ValueError, match=r"1 is \[2, 0\], which is outside of MultiDiscrete"):
        space.flatten((np.zeros(2), [2, 0], [0.0]))
    with pytest.raises(ValueError, match="the part 'a' is a Graph"):
        Structured(spaces.Dict(a=spaces.Graph(spaces.Box(-1, 1, (1,)), None)))
    for wrong in ([0, 256], [-1, 0], [0.5, 0]):
        with pytest.raises(ValueError, match="which is outside of"):
            space.flatten((np.array(wrong), np.array([0, 0]), np.zeros(1)))
