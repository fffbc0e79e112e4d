"""Hand-derived updates against those of torch: the same losses and parameters, the same state, whichever path ran."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.fast.threads import num_threads
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.a2c import A2C, A2CConfig, rmsprop_step
from rl_algos.on_policy.policy_gradient import policy_gradient, value_step
from rl_algos.on_policy.ppo import PPO, PPOConfig
from rl_algos.on_policy.reinforce import Reinforce, ReinforceConfig
from rl_algos.on_policy.reinforce_crossentropy import ReinforceCrossentropy, ReinforceCrossentropyConfig
from rl_algos.on_policy.rollout import Batch
from rl_algos.on_policy.trpo import TRPO, TRPOConfig
from rl_algos.on_policy.vpg import VPG, VPGConfig
from rl_algos.parts.distributions import Categorical, Gaussian
from rl_algos.parts.fused import log_prob_and_entropy
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.errors import WorkError
from rl_core.gym_task import GymConfig, GymTask
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.seeds import Seeds


def update_a2c(agent, batch):
    losses = agent.gradient(batch)
    rmsprop_step(agent.actor_critic.policy_flat, agent.square, 1e-3, agent.config)
    return losses


def update_ppo(agent, batch):
    agent.optimiser.learning_rate = 1e-3
    return agent.update(batch, 0.2)


def update_trpo(agent, batch):
    return np.array(list(agent.improve(batch.inputs, batch.action, batch.log_prob, batch.advantage).values()))


def update_vpg(agent, batch):
    losses = policy_gradient(agent.actor_critic, batch.inputs, batch.action, batch.advantage, agent.config.entropy_weight)
    agent.optimiser.learning_rate = agent.value_optimiser.learning_rate = 1e-3
    agent.optimiser.step()
    return np.array([*losses, value_step(agent.actor_critic, agent.value_optimiser, batch.inputs, batch.return_)])


UPDATES = {
    "ppo": (PPO, PPOConfig(policy_gain=1.0), update_ppo),
    "ppo, not normalised": (PPO, PPOConfig(policy_gain=1.0, normalise_advantage=False), update_ppo),
    "ppo, entropy": (PPO, PPOConfig(policy_gain=1.0, entropy_weight=0.1), update_ppo),
    "ppo, value clipped": (PPO, PPOConfig(policy_gain=1.0, value_clip_range=0.05), update_ppo),
    "ppo, gradient clipped": (PPO, PPOConfig(policy_gain=1.0, max_grad_norm=0.01), update_ppo),
    "ppo, all": (
        PPO,
        PPOConfig(policy_gain=1.0, entropy_weight=0.1, value_clip_range=0.05, max_grad_norm=0.01, value_weight=2.0),
        update_ppo,
    ),
    "a2c": (A2C, A2CConfig(policy_gain=1.0), update_a2c),
    "a2c, all": (A2C, A2CConfig(policy_gain=1.0, entropy_weight=0.1, value_weight=2.0, max_grad_norm=0.01), update_a2c),
    "vpg": (VPG, VPGConfig(policy_gain=1.0, entropy_weight=0.1), update_vpg),
    "trpo": (TRPO, TRPOConfig(policy_gain=1.0, gradient_iterations=3), update_trpo),
    "npg": (TRPO, TRPOConfig(policy_gain=1.0, gradient_iterations=3, line_search=False), update_trpo),
}
AGENTS = {
    "a2c": (A2C, A2CConfig(num_envs=4, rollout_steps=8, entropy_weight=0.01)),
    "ppo": (PPO, PPOConfig(num_envs=4, rollout_steps=16, num_epochs=2, batch_size=16)),
    "reinforce": (Reinforce, ReinforceConfig(num_envs=4, max_episode_steps=20)),
    "reinforce-baseline": (Reinforce, ReinforceConfig(num_envs=4, max_episode_steps=20, baseline="learned", value_epochs=2)),
    "reinforce-crossentropy": (ReinforceCrossentropy, ReinforceCrossentropyConfig(num_envs=4, max_episode_steps=20)),
    "trpo": (TRPO, TRPOConfig(num_envs=4, rollout_steps=16, value_epochs=2)),
    "vpg": (VPG, VPGConfig(num_envs=4, rollout_steps=16, value_epochs=2)),
}


def make_agent(agent, config, task, seeds=None, **network):
    return agent(config, task, MLP(MLPConfig(**{"hidden": (16, 8), **network})), seeds=seeds or Seeds(3), budget=10_000, device="cpu")


def random_batch(agent, rng, size=64):
    task = agent.task
    inputs = rng.standard_normal((size, *task.input_space.shape), dtype=np.float32)
    is_continuous = bool(task.output_space.shape)
    action = rng.standard_normal((size, 1), dtype=np.float32) if is_continuous else rng.integers(0, task.output_space.n, size)
    # Old probabilities a little off, so that some ratios are clipped on either side.
    log_prob = agent.actor_critic.log_prob(inputs, action) + rng.normal(0, 0.3, size).astype(np.float32)
    numbers = (rng.standard_normal(size, dtype=np.float32) for _ in range(3))
    return Batch(inputs, action, log_prob, *numbers)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("task_class", [CartPole, Acrobot, Pendulum])
@pytest.mark.parametrize("name", UPDATES)
def test_a_fast_update_is_that_of_torch(name, task_class, activation):
    agent, config, update = UPDATES[name]
    task, rng = task_class(ArrayTaskConfig()), np.random.default_rng(0)
    fast, plain = (make_agent(agent, config, task, activation=activation, fast=fast) for fast in (True, False))
    assert (fast.path, plain.path) == ("fast: compiled layers, hand-derived update", "torch: network.fast is false")
    for _ in range(5):
        batch = random_batch(plain, rng)
        for name in ("head", "value"):
            np.testing.assert_allclose(*(getattr(one.actor_critic, name)(batch.inputs) for one in (fast, plain)), atol=1e-5)
        np.testing.assert_allclose(*(one.actor_critic.log_prob(batch.inputs, batch.action) for one in (fast, plain)), atol=1e-5)
        np.testing.assert_allclose(update(fast, batch), update(plain, batch), atol=2e-5, rtol=1e-4)
        for key, value in plain.parameters().items():
            # Adam divides by the root of the square: where a gradient is near 0, rounding moves a step by a part of its length 1e-3.
            np.testing.assert_allclose(fast.parameters()[key], value, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", ["ppo, all", "a2c, all"])
@pytest.mark.parametrize("task_class", [CartPole, Pendulum])
def test_a_fast_gradient_is_that_of_torch(name, task_class):
    agent, config, update = UPDATES[name]
    config, task = replace(config, max_grad_norm=1e9), task_class(ArrayTaskConfig())
    fast, plain = (make_agent(agent, config, task, fast=fast) for fast in (True, False))
    batch = random_batch(plain, np.random.default_rng(1))
    update(fast, batch), update(plain, batch)
    gradients = [one.actor_critic.policy_flat.gradient.numpy() for one in (fast, plain)]
    np.testing.assert_allclose(*gradients, atol=2e-6, rtol=1e-4)
    assert np.abs(gradients[0]).max() > 1e-2


@pytest.mark.parametrize("task_class", [CartPole, Acrobot, Pendulum])
def test_ppo_on_either_path_is_the_same_run(task_class):
    config = PPOConfig(num_envs=4, rollout_steps=32, num_epochs=4, batch_size=32, normalise_obs=True, normalise_reward=True)
    agents = [make_agent(PPO, config, task_class(ArrayTaskConfig()), Seeds(0), hidden=(16,), fast=fast) for fast in (True, False)]
    for _ in range(5):
        metrics, expected = (agent.step() for agent in agents)
        assert metrics.keys() == expected.keys()
        for name, value in expected.items():
            assert metrics[name] == pytest.approx(value, abs=1e-3, rel=1e-3), name
    for name, value in agents[1].parameters().items():
        np.testing.assert_allclose(agents[0].parameters()[name], value, atol=1e-3)


def layout(state):
    if isinstance(state, dict):
        return {key: layout(value) for key, value in state.items()}
    if isinstance(state, list):
        return [layout(value) for value in state]
    return (str(state.dtype), state.shape) if isinstance(state, np.ndarray) else type(state).__name__


@pytest.mark.parametrize(
    ("name", "task_class"),
    [(name, CartPole) for name in AGENTS]
    + [(name, Pendulum) for name in AGENTS if name != "reinforce-crossentropy"],  # it has classes only
)
def test_either_path_continues_with_the_state_of_the_other(name, task_class):
    agent, config = AGENTS[name]
    config, task = replace(config, normalise_obs=True), task_class(ArrayTaskConfig(time_limit=20))
    for first, second in ((True, False), (False, True)):
        seeds, other_seeds = Seeds(1), Seeds(1)
        begun, other = make_agent(agent, config, task, seeds, fast=first), make_agent(agent, config, task, other_seeds, fast=second)
        begun.step(), begun.step(), other.step()
        state, streams = begun.state_dict(), seeds.state_dict()
        assert layout(state) == layout(other.state_dict())
        names = {key.split(".", 1)[0] for key in state["actor_critic"]}
        assert names <= {"actor", "critic", "log_std"}
        assert "actor.layers.0.weight" in state["actor_critic"]
        other.load_state_dict(state)
        other_seeds.load_state_dict(streams)
        other.progress = begun.progress
        inputs = np.random.default_rng(0).standard_normal((50, *task.input_space.shape), dtype=np.float32)
        np.testing.assert_allclose(other.predict(inputs), begun.predict(inputs), atol=1e-5)
        metrics, expected = other.step(), begun.step()
        for key, value in expected.items():
            assert metrics[key] == pytest.approx(value, abs=1e-3, rel=1e-3), key


@pytest.mark.parametrize("agent", ["ppo", "a2c"])
def test_a_run_of_either_path_is_opened_and_resumed_by_the_other(agent, tmp_path):
    catalogue = Catalogue.discover()
    for fast in (True, False):
        folder = tmp_path / f"{fast}"
        resolved = recipe.resolve(catalogue, agent, budget=512, network_config={"fast": fast})
        with Run.create(resolved, catalogue, folder) as run:
            run.learn(quiet=True)
        text = (folder / "recipe.yaml").read_text()
        assert f"fast: {str(fast).lower()}" in text
        (folder / "recipe.yaml").write_text(text.replace(f"fast: {str(fast).lower()}", f"fast: {str(not fast).lower()}"))
        with Run.open(folder, catalogue, budget=1_024, lock=True) as run:
            assert run.agent.progress == 512 or agent == "a2c"
            assert run.agent.path.startswith("torch" if fast else "fast")
            run.learn(quiet=True)
        sessions = json.loads((folder / "manifest.json").read_text())["sessions"]
        assert [session["path"].split(":")[0] for session in sessions] == (["fast", "torch"] if fast else ["torch", "fast"])


@pytest.mark.parametrize("network", [{"layer_norm": True}, {"activation": "gelu"}, {"dropout": 0.1}])
def test_other_networks_are_computed_by_torch_and_it_is_said(network):
    agent = make_agent(PPO, PPOConfig(num_envs=2, rollout_steps=2), CartPole(ArrayTaskConfig()), **network)
    assert agent.path.startswith("torch: the fast path takes linear layers with tanh or relu between them")
    assert agent.actor_critic.fast is None


def test_other_inputs_have_fast_layers_and_torch_s_gradient():
    agent = make_agent(PPO, PPOConfig(num_envs=2, rollout_steps=4, batch_size=8), GymTask(GymConfig(id="FrozenLake-v1")))
    assert agent.path == "fast: compiled layers, torch's gradient of the loss"
    agent.step()


def test_neither_path_moves_torch_s_or_numpy_s_own_generators():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    for fast in (True, False):
        make_agent(PPO, PPOConfig(num_envs=2, rollout_steps=8, num_epochs=1, batch_size=8), CartPole(ArrayTaskConfig()), fast=fast).step()
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])


@pytest.mark.parametrize("space", [spaces.Discrete(5), spaces.Box(-1, 1, (3,))], ids=["categorical", "gaussian"])
def test_log_probability_and_entropy_as_one_operation_have_the_gradients_of_two(space):
    actions = Categorical(space) if isinstance(space, spaces.Discrete) else Gaussian(space)
    generator = torch.Generator().manual_seed(0)
    action = torch.randint(5, (7,), generator=generator) if isinstance(space, spaces.Discrete) else torch.randn(7, 3, generator=generator)
    weights = torch.randn(2, 7, generator=generator)
    results = []
    for fused in (True, False):
        generator = torch.Generator().manual_seed(1)
        head = torch.randn(7, actions.num_outputs, generator=generator).requires_grad_()
        log_std = torch.randn(actions.scale_size, generator=generator).requires_grad_()
        parameters = (head, log_std) if len(log_std) else (head,)

        def loss(fused=fused, head=head, log_std=log_std):
            if fused:
                both = log_prob_and_entropy(actions, head, log_std, action)
            else:
                both = actions.log_prob(head, log_std, action), actions.entropy(head, log_std)
            return (weights * torch.stack(both)).sum()

        value = loss()
        once = torch.autograd.grad(value, parameters)
        gradients = torch.autograd.grad(loss(), parameters, create_graph=True)
        twice = torch.autograd.grad(sum(gradient.square().sum() for gradient in gradients), parameters)
        results.append([value, *once, *gradients, *twice])
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("agent", ["reinforce", "reinforce-baseline", "reinforce-crossentropy", "vpg"])
def test_a_learning_rate_that_explodes_the_parameters_is_named_and_nothing_of_it_is_saved(agent, tmp_path):
    catalogue = Catalogue.discover()
    resolved = recipe.resolve(catalogue, agent, budget=2_000, overrides=("learning_rate=1e30",))
    with (
        Run.create(resolved, catalogue, tmp_path / "run") as run,
        pytest.raises(WorkError, match=r"(became|grew to) \S+ at [\d,]+ environment"),
    ):
        run.learn(quiet=True)
    assert not (tmp_path / "run" / "checkpoints").exists() or not list((tmp_path / "run" / "checkpoints").iterdir())


def test_the_threads_of_the_recipe_are_obeyed_inside_a_step(tmp_path, monkeypatch):
    catalogue, seen = Catalogue.discover(), set()
    for threads in (1, 2):
        resolved = recipe.resolve(catalogue, "ppo", budget=256, threads=threads)
        with Run.create(resolved, catalogue, tmp_path / f"{threads}") as run:
            update = run.agent.update
            monkeypatch.setattr(run.agent, "update", lambda *args, update=update: seen.add(num_threads()) or update(*args))
            run.learn(quiet=True)
        assert seen == {threads}
        seen.clear()
