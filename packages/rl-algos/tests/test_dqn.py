"""Q-networks: their formulas, what an episode's end means to them, variants, exploration, images, exact resume, and learning."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.parts.losses import td_loss
from rl_algos.parts.returns import bootstrap_value, dueling_values
from rl_algos.q_learning.dqn import DQN, DQNConfig
from rl_algos.replay.buffer import Batch
from rl_algos.tasks.acrobot import Acrobot
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.envs import Envs, Transition
from rl_core.gym_task import GymConfig, GymTask
from rl_core.runs import checkpoint
from rl_core.seeds import Seeds
from rl_core.task import ControlTask

SMALL = DQNConfig(num_envs=2, rollout_steps=8, num_updates=4, learning_starts=16, buffer_size=200, batch_size=16, target_steps=32)
VARIANTS = {
    "dqn": {},
    "double": {"double": True},
    "dueling": {"dueling": True},
    "per": {"prioritised": True},
    "rainbow-lite": {"double": True, "dueling": True, "prioritised": True, "return_steps": 3},
}
TASKS = {"CartPole": CartPole, "Acrobot": Acrobot, "Pendulum": Pendulum}


def make_agent(task="CartPole", config=SMALL, seed=0, budget=1_000, seeds=None, hidden=(16, 16), network=None, fast=True):
    task = TASKS[task](ArrayTaskConfig()) if isinstance(task, str) else task
    network = network or MLP(MLPConfig(hidden=hidden, activation="relu", fast=fast))
    return DQN(config, task, network, seeds=seeds or Seeds(seed), budget=budget, device="cpu")


def values(agent, obs):
    return agent.values(obs, agent.state)[0]


def update(agent, batch, weight, learning_rate):
    agent.optimiser.learning_rate = learning_rate
    return agent.update(batch, weight)


@dataclass(frozen=True)
class ToyConfig:
    """Nothing to set."""


class Toy(ControlTask):
    """A task whose environments are made by the class that it is given."""

    Config = ToyConfig

    def __init__(self, envs, input_space, num_actions=2, **settings):
        super().__init__(ToyConfig())
        self.make, self.settings = envs, settings
        self.input_space, self.output_space = input_space, spaces.Discrete(num_actions, start=settings.pop("start", 0))

    def envs(self, num_envs, seeds):
        return self.make(num_envs, self, seeds, **self.settings)


class OneState(Envs):
    """A state that pays 1 a step for ever, cut, or ended, after five steps."""

    def __init__(self, num_envs, task, seeds, ends):
        super().__init__(num_envs, task.input_space, task.output_space)
        self.ends, self.elapsed = ends, np.zeros(num_envs, dtype=np.int64)

    def reset(self):
        return np.ones((self.num_envs, 1), dtype=np.float32)

    def step(self, actions):
        self.elapsed += 1
        over = self.elapsed >= 5
        self.elapsed[over] = 0
        reward, never = np.ones(self.num_envs, dtype=np.float32), np.zeros_like(over)
        self._count(reward, over)
        return Transition(self.reset(), reward, over if self.ends else never, never if self.ends else over, self.reset())

    def state_dict(self):
        return {"elapsed": self.elapsed.copy(), **self._counters()}

    def load_state_dict(self, state):
        self.elapsed = np.array(state["elapsed"])
        self._load_counters(state)
        return self.reset()


class MovingDot(Envs):
    """Two frames of 8 x 8 with a dot that moves left or right; it pays to say which, which no single frame shows."""

    def __init__(self, num_envs, task, seeds):
        super().__init__(num_envs, task.input_space, task.output_space)
        self.rng = seeds.numpy("dots")
        self.state = np.zeros((num_envs, 3), dtype=np.int64)  # direction, place, steps

    def reset(self):
        return np.stack([self.begin(env) for env in range(self.num_envs)])

    def begin(self, env):
        self.state[env] = self.rng.integers(2), self.rng.integers(8), 0
        return self.picture(env)

    def picture(self, env):
        direction, place, _ = self.state[env]
        frames = np.zeros((2, 8, 8), dtype=np.uint8)
        frames[0, 4, (place - 2 * direction + 1) % 8] = frames[1, 4, place] = 255
        return frames

    def step(self, actions):
        reward = (actions == self.state[:, 0]).astype(np.float32)
        self.state[:, 1] = (self.state[:, 1] + 2 * self.state[:, 0] - 1) % 8
        self.state[:, 2] += 1
        final_obs = np.stack([self.picture(env) for env in range(self.num_envs)])
        obs, over = final_obs.copy(), self.state[:, 2] >= 10
        for env in np.flatnonzero(over):
            obs[env] = self.begin(env)
        self._count(reward, over)
        return Transition(obs, reward, over, np.zeros_like(over), final_obs)

    def state_dict(self):
        return {"state": self.state.copy(), **self._counters()}

    def load_state_dict(self, state):
        self.state = np.array(state["state"])
        self._load_counters(state)
        return np.stack([self.picture(env) for env in range(self.num_envs)])


def one_state(ends):
    return Toy(OneState, spaces.Box(-1, 1, (1,), np.float32), num_actions=1, ends=ends)


def moving_dot():
    return Toy(MovingDot, spaces.Box(0, 255, (2, 8, 8), np.uint8))


DOT_NETWORK = CNN(CNNConfig(channels=(4,), hidden=(16,)))
DOT = replace(SMALL, stack_axis=0, num_envs=4, num_updates=8, learning_rate=1e-2, discount=0.0, exploration_steps=600, buffer_size=2_000)


def batch_of(size=6, seed=0):
    rng = np.random.default_rng(seed)
    obs, next_obs = rng.standard_normal((2, size, 4), dtype=np.float32)
    reward = rng.standard_normal(size, dtype=np.float32)
    return Batch(obs, rng.integers(2, size=size), reward, np.array([0.9, 0.9, 0.0] * (size // 3), dtype=np.float32), next_obs)


def ones(size=6):
    return np.ones(size, dtype=np.float32)


def test_dueling_values_have_the_value_as_their_mean_and_do_not_see_a_shift_of_all_advantages():
    head = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(dueling_values(head).mean(dim=1), head[:, 0], atol=1e-6)
    shifted = head + torch.tensor([0.0, 7.0, 7.0, 7.0])
    np.testing.assert_allclose(dueling_values(shifted), dueling_values(head), atol=1e-5)


def test_the_double_estimate_of_pure_noise_is_unbiased_and_the_maximum_is_not():
    noise = torch.randn(2, 20_000, 4, generator=torch.Generator().manual_seed(0))  # all values are truly 0
    assert bootstrap_value(noise[0], noise[0]).mean() == pytest.approx(1.03, abs=0.03)  # the mean of the largest of four normals
    assert bootstrap_value(noise[0], noise[1]).mean() == pytest.approx(0.0, abs=0.03)


def test_huber_s_slope_is_the_error_cut_at_one():
    td_error = torch.tensor([-3.0, -0.4, 0.0, 1.0, 5.0], requires_grad=True)
    td_loss(td_error, "huber").sum().backward()
    assert td_error.grad.tolist() == pytest.approx([-1.0, -0.4, 0.0, 1.0, 1.0])


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("dueling", [True, False])
@pytest.mark.parametrize("double", [True, False])
def test_targets_are_the_target_network_s_values_at_the_choice_of_the_right_network(double, dueling, fast):
    q = make_agent(config=replace(SMALL, double=double, dueling=dueling), hidden=(32,), fast=fast)
    batch = batch_of(60)
    at_first = values(q, batch.next_obs).copy()  # what the target network keeps
    for _ in range(30):
        update(q, batch, ones(60), 0.1)
    learned, value = values(q, batch.next_obs).copy(), values(q, batch.obs)[np.arange(60), batch.action].copy()
    choice = (learned if double else at_first).argmax(axis=1)
    assert (learned.argmax(axis=1) != at_first.argmax(axis=1)).any()
    target = batch.reward + batch.discount * at_first[np.arange(60), choice]
    np.testing.assert_allclose(update(q, batch, ones(60), 0.1).td_error, value - target, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("fast", [True, False])
def test_a_weight_counts_as_so_many_copies(fast):
    weighted, copied = (make_agent(fast=fast) for _ in range(2))
    batch = batch_of()
    for _ in range(5):
        update(weighted, batch, np.array([3, 0, 1, 0, 2, 0], dtype=np.float32), 1e-2)
        update(copied, Batch(*(column[[0, 0, 0, 2, 4, 4]] for column in batch)), ones(), 1e-2)
    for name, value in weighted.parameters().items():
        np.testing.assert_allclose(value, copied.parameters()[name], atol=1e-4)


@pytest.mark.parametrize("fast", [True, False])
def test_the_target_network_stands_still_until_it_moves_by_its_rate(fast):
    q = make_agent(fast=fast)
    batch = batch_of()._replace(discount=ones())
    at_first = values(q, batch.next_obs).max(axis=1)
    update(q, batch, ones(), 0.05)
    update(q, batch, ones(), 0.05)

    def target():
        value = values(q, batch.obs)[np.arange(6), batch.action].copy()
        return value - update(q, batch, ones(), 0.0).td_error - batch.reward

    np.testing.assert_allclose(target(), at_first, atol=1e-5)
    q.move_target(0.25)
    quarter = target()
    assert np.abs(quarter - at_first).max() > 1e-3
    q.move_target(1.0)
    np.testing.assert_allclose(target(), values(q, batch.next_obs).max(axis=1), atol=1e-5)
    assert np.abs(quarter - target()).max() > 1e-3


def test_the_agent_moves_its_target_network_every_so_many_steps():
    agent = make_agent(config=replace(SMALL, target_steps=32, target_rate=0.5))
    moves, agent.move_target = [], lambda rate: moves.append((agent.progress, rate))
    for _ in range(6):
        agent.step()
    assert moves == [(32, 0.5), (64, 0.5), (96, 0.5)]


@pytest.mark.parametrize(("variant", "fast"), [*((name, True) for name in VARIANTS), ("dqn", False), ("rainbow-lite", False)])
def test_a_time_limit_leaves_the_value_where_it_was_and_an_end_does_not(variant, fast):
    # One state that pays 1: without an end Q = 1 / (1 - 0.8) = 5, however often it is cut. With an end after every fifth step one
    # target in five is 1 alone: Q = 1 + 0.8 * 4/5 Q. Returns of three steps are 1 and 1.8 before the end, and 2.44 (+ 0.8^3 Q).
    config = replace(
        SMALL, num_updates=10, discount=0.8, learning_rate=0.05, learning_rate_schedule="linear", loss="squared", target_steps=16,
        batch_size=32, max_grad_norm=1_000.0, priority_exponent=0.0, **VARIANTS[variant],
    )  # fmt: skip
    ended = (1 + 1.8 + 3 * 2.44) / 5 / (1 - 0.512 * 2 / 5) if config.return_steps == 3 else 1 / (1 - 0.8 * 4 / 5)
    for ends, expected in ((False, 5.0), (True, ended)):
        agent = make_agent(one_state(ends), config, budget=800, hidden=(), fast=fast)
        while agent.progress < agent.budget:
            agent.step()
        assert values(agent, np.ones((1, 1), dtype=np.float32)).max() == pytest.approx(expected, rel=0.05)


def test_what_surprised_is_replayed_more_often_and_weighs_less():
    agent = make_agent(config=replace(SMALL, prioritised=True, num_updates=1, buffer_size=500))
    seen, learn = [], agent.update
    agent.update = lambda batch, weight: seen.append((weight.copy(), learn(batch, weight))) or seen[-1][1]
    for _ in range(20):
        agent.step()
    assert any(weight.min() < 0.9 for weight, _ in seen)
    before = agent.replay.probabilities().copy()
    slots, _ = agent.replay.draw(np.random.default_rng(0), 1, 1.0)
    agent.replay.draw, kept = lambda *arguments: (slots, ones(1)), agent.replay
    td_error = agent.learn().td_error
    after = kept.probabilities()
    others = np.flatnonzero((before > 0) & (np.arange(len(before)) != slots[0]))
    ratio = (np.abs(td_error[0]) + 1e-6) ** 0.6 / kept.state_dict()["leaves"][others[0]]
    assert after[slots[0]] / after[others[0]] == pytest.approx(ratio, rel=1e-5)
    assert after[slots[0]] != pytest.approx(before[slots[0]], rel=1e-3)


def test_the_correction_of_priorities_is_whole_at_the_end_of_the_budget():
    agent = make_agent(config=replace(SMALL, prioritised=True, weight_exponent=0.4, num_updates=1), budget=160)
    given, draw = [], agent.replay.draw
    agent.replay.draw = lambda rng, size, correction: given.append(correction) or draw(rng, size, correction)
    for _ in range(10):
        agent.step()
    assert given == pytest.approx(0.4 + 0.6 * np.arange(2, 11) / 10)


def test_answers_are_greedy_however_much_it_explores():
    agent = make_agent(config=replace(SMALL, exploration="random"))
    inputs = np.random.default_rng(0).standard_normal((500, 4), dtype=np.float32)
    best = values(agent, inputs).argmax(axis=1)
    assert len(set(best.tolist())) == 2
    np.testing.assert_array_equal(agent.predict(inputs), best)


def actions_of(agent, rounds):
    taken, step = [], agent.envs.step
    agent.envs.step = lambda actions: taken.append(actions.copy()) or step(actions)
    for _ in range(rounds):
        agent.step()
    return np.concatenate(taken)


def test_actions_are_random_until_learning_starts_and_greedy_where_nothing_is_explored():
    agent = make_agent(config=replace(SMALL, exploration="greedy", learning_starts=160), hidden=())

    def known_values(obs, state):
        assert agent.progress >= 160  # the network is not asked before
        return np.tile(np.array([0.0, 1.0], dtype=np.float32), (len(obs), 1)), state

    agent.values = known_values
    actions = actions_of(agent, 20)
    assert 50 < actions[:160].sum() < 110  # 80 on average, with a deviation of 6.3
    assert (actions[160:] == 1).all()


def test_a_rule_that_counts_does_not_choose_before_learning_starts():
    config = replace(SMALL, exploration="ucb", exploration_rate=1e6, exploration_schedule="constant", learning_starts=10_000, num_envs=1)
    agent = make_agent(GymTask(GymConfig(id="FrozenLake-v1")), config)
    for _ in range(20):
        agent.step()
    assert np.ptp(agent.visits[0]) > 1  # the rule would try every action as often as the others, but for one


@pytest.mark.parametrize("exploration", ["greedy", "random", "epsilon-greedy", "boltzmann", "ucb"])
def test_every_rule_explores_by_its_name(exploration):
    task = GymTask(GymConfig(id="FrozenLake-v1"))
    agent = make_agent(task, replace(SMALL, exploration=exploration, learning_starts=0, exploration_schedule="constant"))
    metrics = agent.step()
    assert metrics["updates"] == 4
    assert agent.visits.sum() == agent.progress
    assert agent.visits.shape == (16, 4)


def test_an_upper_confidence_bound_tries_what_was_tried_least():
    config = replace(SMALL, exploration="ucb", exploration_rate=1e6, exploration_schedule="constant", learning_starts=0, num_envs=1)
    agent = make_agent(GymTask(GymConfig(id="FrozenLake-v1")), config)
    for _ in range(10):
        agent.step()
    first = agent.visits[0]
    assert first.max() - first.min() <= 1


def test_counting_visits_needs_discrete_observations():
    for setting in ({"exploration": "ucb"}, {"exploration_schedule": "visits"}):
        with pytest.raises(ValueError, match=r"counts visits of each observation, and observations are Box.*take epsilon-greedy"):
            make_agent(config=replace(SMALL, **setting))


def test_actions_that_cannot_be_counted_are_refused():
    with pytest.raises(ValueError, match=r"the task takes actions of Box.*a Q-network values each of a Discrete number of actions"):
        make_agent("Pendulum")


def test_actions_count_from_where_the_task_s_do():
    agent = make_agent(Toy(OneState, spaces.Box(-1, 1, (1,), np.float32), num_actions=3, start=5, ends=True))
    assert set(actions_of(agent, 10).tolist()) == {5, 6, 7}
    assert agent.predict(np.ones((2, 1), dtype=np.float32)).min() >= 5


def test_observations_go_to_the_unit_box_where_they_are_bounded_if_asked_for():
    agent = make_agent("Acrobot", replace(SMALL, scale_obs=True))
    space = agent.task.input_space
    np.testing.assert_allclose(agent.inputs(np.stack([space.low, space.high, (space.low + space.high) / 2])).T, [[-1, 1, 0]] * 6, atol=1e-6)
    agent.step()
    cart = make_agent(config=replace(SMALL, scale_obs=True)).inputs(np.array([[2.4, 3.0, 0.0, -3.0]], dtype=np.float32))
    np.testing.assert_allclose(cart, [[0.5, 3.0, 0.0, -3.0]])  # velocities have no bounds
    with pytest.raises(ValueError, match=r"scale_obs is true, and observations are Discrete\(16\)"):
        make_agent(GymTask(GymConfig(id="FrozenLake-v1")), replace(SMALL, scale_obs=True))


def test_the_exploration_rate_falls_along_its_line():
    config = replace(SMALL, exploration_rate=1.0, exploration_end=0.2, exploration_steps=64)
    agent = make_agent(config=config)
    assert [agent.step()["exploration_rate"] for _ in range(5)] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.2])


def test_zero_updates_means_one_for_each_transition_and_none_come_before_learning_starts():
    agent = make_agent(config=replace(SMALL, num_updates=0, learning_starts=16))
    assert [agent.step()["updates"] for _ in range(3)] == [0, 16, 16]


def test_a_stack_of_frames_shows_what_moves():
    agent = make_agent(moving_dot(), DOT, budget=960, network=DOT_NETWORK)
    np.testing.assert_array_equal(agent.inputs(agent.obs)[..., 1], agent.obs[:, 1])  # frames are an image's channels
    while agent.progress < agent.budget:
        agent.step()
    assert agent.evaluate(episodes=20, seeds=Seeds(1))["mean return"] > 9.0  # of 10; a guess gets 5


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("variant", ["dqn", "rainbow-lite"])
@pytest.mark.parametrize("task", ["CartPole", "gym", "dot"])
def test_a_resumed_run_continues_to_the_last_bit(tmp_path, monkeypatch, task, variant, fast):
    config = replace(SMALL, learning_rate_schedule="linear", target_rate=0.5, buffer_size=90, **VARIANTS[variant])
    network = None
    if task == "dot":  # blocks of two or three rows, on the disk
        monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", 400)
        config, network = replace(config, stack_axis=0, storage="disk"), DOT_NETWORK
    made = {"CartPole": lambda: "CartPole", "gym": lambda: GymTask(GymConfig(id="CartPole-v1")), "dot": moving_dot}[task]
    seeds = Seeds(5)
    agent = make_agent(made(), config, seeds=seeds, network=network, fast=fast)
    for _ in range(8):  # the buffer has been round
        agent.step()
    checkpoint.save(tmp_path, agent.progress, {"agent": agent.state_dict(), "streams": seeds.state_dict()})
    assert (tmp_path / "128" / "blocks").exists() == (task == "dot")
    expected = [agent.step() for _ in range(3)]

    other_seeds = Seeds(5)
    other = make_agent(made(), config, seeds=other_seeds, network=network, fast=fast)
    other.step()
    state = checkpoint.load(tmp_path / "128")
    other.load_state_dict(state["agent"])
    other_seeds.load_state_dict(state["streams"])
    other.progress = 128
    assert [other.step() for _ in range(3)] == expected
    for folder, left in (("left", agent), ("right", other)):
        checkpoint.save(tmp_path / folder, 1, left.state_dict())
    files = [path.relative_to(tmp_path / "left") for path in (tmp_path / "left").rglob("*") if path.is_file()]
    for file in files:
        assert (tmp_path / "left" / file).read_bytes() == (tmp_path / "right" / file).read_bytes()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rollout_steps": 0}, r"rollout_steps is 0; it must be in \[1, 1e\+06\]"),
        ({"num_updates": -1}, r"num_updates is -1; it must be in \[0, 1e\+06\]"),
        ({"num_envs": 8, "buffer_size": 7}, "buffer_size is 7; it must be >= 9 with 8 environments"),
        ({"target_rate": 0.0}, r"target_rate is 0.0; it must be in \(0, 1\]"),
        ({"discount": 1.5}, r"discount is 1.5; it must be in \[0, 1\]"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it must be > 0"),
        ({"exploration_rate": 1.5}, r"exploration_rate is 1.5; with epsilon-greedy it must be in \[0, 1\]"),
        ({"stack_axis": -1}, "stack_axis is -1; it must be >= 0"),
        ({"buffer_size": 1}, "buffer_size is 1; it must be >= 2"),
        ({"learning_starts": 1.5}, r"learning_starts is 1.5; it must be a whole number >= 0, or a fraction of the budget in \(0, 1\)"),
        ({"learning_starts": -1}, "learning_starts is -1; it must be >= 0"),
        ({"batch_size": 10**12}, r"batch_size is 1000000000000; it must be in \[1, 1e\+07\]"),
        ({"num_updates": 10**9}, r"num_updates is 1000000000; it must be in \[0, 1e\+06\]"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(setting, message):
    with pytest.raises(ValueError, match=message):
        DQNConfig(**setting)


def test_warm_up_and_exploration_may_be_fractions_of_the_budget():
    config = replace(SMALL, learning_starts=0.1, exploration_steps=0.2, exploration_end=0.0)
    agent = make_agent(config=config, budget=640)
    metrics = [agent.step() for _ in range(9)]
    assert [step["updates"] for step in metrics[:5]] == [0, 0, 0, 0, 4]  # of 16 steps each: 64 are the warm-up
    assert [step["exploration_rate"] for step in metrics[::4]] == pytest.approx([1 - 16 / 128, 1 - 80 / 128, 0.0])
    assert agent.warnings == []


def test_a_budget_that_ends_before_the_first_update_is_warned_of():
    agent = make_agent(config=replace(SMALL, learning_starts=1_000), budget=900)
    assert len(agent.warnings) == 1
    assert "the budget of 900 ends before the first update, after 1,000 (learning_starts)" in agent.warnings[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_that_explode_are_seen_in_the_metrics(variant):
    for learning_rate in (1e10, 1e38):
        agent = make_agent(config=replace(SMALL, learning_rate=learning_rate, loss="squared", **VARIANTS[variant]))
        metrics = [agent.step() for _ in range(8)]
        assert any(not np.isfinite(step["loss"]) for step in metrics if "loss" in step)


LEARNS = DQNConfig(
    learning_rate=2.3e-3, batch_size=64, rollout_steps=64, num_updates=64, target_steps=64, exploration_steps=3_000, exploration_end=0.04
)  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "fast"),
    [("dqn", True), *(pytest.param(name, False, marks=pytest.mark.learning) for name in VARIANTS)],
)
def test_it_learns_cartpole_in_eight_thousand_steps(variant, fast):
    scores = []
    for seed in range(5):  # a single seed says little: rounding alone leads one from 21 to 500 after so few steps
        agent = make_agent(config=replace(LEARNS, **VARIANTS[variant]), seed=seed, budget=8_000, hidden=(64, 64), fast=fast)
        while agent.progress < agent.budget:
            agent.step()
        scores.append(agent.evaluate(episodes=20, seeds=agent.seeds)["mean return"])
    # A policy that chooses at random keeps the pole up for 22 steps, with a deviation of 12: 100 on average of 20 is no luck.
    assert np.mean(scores) > 100


@pytest.mark.parametrize("variant", ["rainbow-lite", pytest.param("dqn", marks=pytest.mark.learning)])
def test_kills_leave_no_trace_in_a_buffer_that_is_saved_in_blocks(program, monkeypatch, variant):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", 2_048)  # 64 rows
    settings = ["buffer_size=1000", "rollout_steps=32", "num_updates=4", "network.hidden=[8]"]
    arguments = ["run", variant, "--budget", 3_000, "--checkpoint-every", 250, "--seed", 1, "--device", "cpu"]
    arguments += [argument for setting in settings for argument in ("--set", setting)]
    program.succeed(*arguments, "--out", "whole")
    program.disturbed("killed", arguments, whole="whole", kills=3, seed=2, forked=True)
    program.succeed("resume", "killed")
    folders = [max((program.folder / run / "checkpoints").iterdir(), key=lambda path: int(path.name)) for run in ("whole", "killed")]
    files = [sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()) for folder in folders]
    assert files[0] == files[1]
    for file in files[0]:
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file
    blocks = [path.stat().st_nlink for path in (folders[0] / "blocks").iterdir()]
    assert len(blocks) >= 15
    assert sum(links > 1 for links in blocks) >= len(blocks) - 8  # all but the newest are those of the checkpoint before
