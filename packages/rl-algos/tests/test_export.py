"""Exported policies, run from their files, act as the agents that wrote them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rl_algos.meta.action_heads import features
from rl_core.agent import Agent
from rl_core.conformance import inputs
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run

FAMILIES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("ppo", {"task": "Pendulum-v1"}, ["normalise_obs=true", "network.hidden=[4]", "num_envs=2"]),
    ("a2c", {"network": "gru"}, ["network.units=3", "num_envs=2"]),
    ("rainbow-lite", {"network": "lstm"}, ["network.units=3", "prioritised=false", "scale_obs=false"]),
    ("sac", {}, ["network.hidden=[4]"]),
    ("es", {}, ["normalise_obs=true", "network.hidden=[4]"]),
    ("hiro", {}, ["network.hidden=[4]", "iteration_steps=1", "decision_steps=2"]),
    ("dreamer", {}, ["memory=4", "random=2", "hidden=4"]),
]


@pytest.mark.parametrize(("name", "options", "settings"), FAMILIES, ids=[name for name, _, _ in FAMILIES])
def test_a_graph_acts_as_the_agent(name: str, options: dict[str, Any], settings: list[str], tmp_path: Path) -> None:
    catalogue = Catalogue.discover()
    with Run.create(recipe.resolve(catalogue, name, overrides=settings, **options), catalogue, tmp_path / "run") as run:
        agent: Agent = run.agent
        agent.step()
        agent.export("torch-export", tmp_path / "graph.pt2")
        obs = inputs.batch(run.task, 5)
        graph = torch.export.load(io.BytesIO((tmp_path / "graph.pt2").read_bytes())).module()
        memory, play = agent.exported().inputs.get("state"), agent.predictor()
        state = [] if memory is None else [torch.zeros(5, *memory.shape[1:])]
        if state:
            play.begin(np.ones(5, dtype=np.bool_))
        for step in range(3):  # the memory changes from step to step
            seen = np.roll(obs, step, axis=0)
            actions, *rest = graph(torch.from_numpy(seen), *state)
            np.testing.assert_allclose(actions.detach().numpy(), play(seen), atol=1e-4)
            state = rest[-1:] if state else []


def test_a_graph_of_one_step_of_a_trial_remembers_the_steps_before(tmp_path: Path) -> None:
    catalogue, rng = Catalogue.discover(), np.random.default_rng(0)
    for name, settings in (("rl2", ["units=3"]), ("snail", ["embedding=3", "filters=2", "keys=3", "max_steps=4"])):
        with Run.create(recipe.resolve(catalogue, name, overrides=settings), catalogue, tmp_path / name) as run:
            agent: Any = run.agent
            agent.export("torch-export", tmp_path / "graph.pt2")
            graph = torch.export.load(io.BytesIO((tmp_path / "graph.pt2").read_bytes())).module()
            asked = agent.exported().inputs
            memory, state = agent.memory.begin(5, 4), torch.zeros(5, *asked["state"].shape[1:])
            for _ in range(3):
                obs = torch.from_numpy(inputs.batch(run.task, 5))
                action, reward, begins = (
                    torch.from_numpy(rng.random((5, *asked[part].shape[1:]), dtype=np.float32))
                    for part in ("last_action", "last_reward", "begins")
                )
                seen = torch.from_numpy(features(run.task.input_space, obs.numpy()))
                row = torch.cat((seen, action, reward[:, None], begins[:, None]), dim=1)
                with torch.no_grad():
                    head, value, memory = agent.memory.advance(row, memory)
                    _, found, *_, worth, state = graph(obs, action, reward, begins, state)
                np.testing.assert_allclose(found, head, atol=1e-4)
                np.testing.assert_allclose(worth, value, atol=1e-4)


def test_a_graph_of_pearl_gathers_evidence_as_its_posterior_does(tmp_path: Path) -> None:
    catalogue, rng = Catalogue.discover(), np.random.default_rng(0)
    with Run.create(recipe.resolve(catalogue, "pearl", overrides=["num_tasks=2"]), catalogue, tmp_path / "run") as run:
        agent: Any = run.agent
        agent.export("torch-export", tmp_path / "graph.pt2")
        graph = torch.export.load(io.BytesIO((tmp_path / "graph.pt2").read_bytes())).module()
        asked = agent.exported().inputs
        context = torch.from_numpy(rng.random((2, 4, sum(agent.replay.sizes)), dtype=np.float32))
        evidence = torch.zeros(2, *asked["evidence"].shape[1:])
        for row in range(4):
            parts = agent.replay.split(context[:, row])
            known = {"evidence": evidence, "context_actions": parts.action, "context_rewards": parts.reward[:, 0]}
            known |= {"observations": parts.obs, "context_observations": parts.obs, "context_next_observations": parts.next_obs}
            given = [known.get(name, torch.zeros(2, *like.shape[1:])) for name, like in asked.items()]
            *_, evidence, mean, deviation = graph(*given)
        expected, variance = agent.posterior(context)
        np.testing.assert_allclose(mean.detach().numpy(), expected.detach().numpy(), atol=1e-4)
        np.testing.assert_allclose(deviation.detach().numpy(), variance.detach().sqrt().numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["q-learning", "value-iteration", "td0", "bandit-ucb"])
def test_tables_are_written_as_arrays(name: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    catalogue = Catalogue.discover()
    with Run.create(recipe.resolve(catalogue, name), catalogue, tmp_path / "run") as run:
        run.agent.step()
        run.agent.export("arrays", tmp_path / "table.safetensors")
        arrays = load_file(tmp_path / "table.safetensors")
        assert arrays
        if "policy" in arrays:
            assert isinstance(run.task.input_space, spaces.Discrete)
            np.testing.assert_array_equal(arrays["policy"], run.agent.predict(np.arange(run.task.input_space.n)))


@pytest.mark.parametrize("name", ["qmix", "mappo", "bootstrapped-dqn"])
def test_a_graph_of_players_and_of_heads_acts_as_the_agent(name: str, tmp_path: Path) -> None:
    catalogue = Catalogue.discover()
    with Run.create(recipe.resolve(catalogue, name, overrides=["network.hidden=[4]"]), catalogue, tmp_path / "run") as run:
        about = run.agent.export("torch-export", tmp_path / "graph.pt2")
        obs = inputs.batch(run.task, 5)
        graph = torch.export.load(io.BytesIO((tmp_path / "graph.pt2").read_bytes())).module()
        np.testing.assert_array_equal(graph(torch.from_numpy(obs))[0].numpy(), run.agent.predict(obs))
        assert about is not None
        assert about["inputs"]["observations"]["shape"] == ["batch", *obs.shape[1:]]


def test_a_graph_of_a_searching_agent_says_what_its_network_holds_of_positions(tmp_path: Path) -> None:
    catalogue = Catalogue.discover()
    for name in ("alphazero", "muzero"):
        with Run.create(recipe.resolve(catalogue, name), catalogue, tmp_path / name) as run:
            agent: Any = run.agent
            agent.export("torch-export", tmp_path / "graph.pt2")
            obs = inputs.batch(run.task, 5).astype(np.float32)
            if name == "alphazero":
                boards = np.random.default_rng(0).integers(-1, 2, (5, agent.rules.num_cells), dtype=np.int8)
                obs = agent.rules.planes(boards)
                worth, shares = agent.judge(boards, np.ones(5, dtype=np.bool_))
            else:
                worth, shares = agent.values(obs), agent.module.represent(torch.from_numpy(obs)).policy.softmax(1).detach().numpy()
            graph = torch.export.load(io.BytesIO((tmp_path / "graph.pt2").read_bytes())).module()
            priors, values = graph(torch.from_numpy(obs))
            np.testing.assert_allclose(values.detach().numpy(), worth, atol=1e-4)
            np.testing.assert_allclose(priors.softmax(1).detach().numpy(), shares, atol=1e-4)
