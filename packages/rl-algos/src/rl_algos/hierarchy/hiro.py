"""HIRO: a manager asks every c steps for a change of the observation, and a worker is paid for bringing it about; both learn off-policy.

Source: O. Nachum, S. Gu, H. Lee, S. Levine, "Data-efficient hierarchical reinforcement learning", 2018, sections 3 and 4.
Departures: goals are changes of the first numbers of an observation only (its position, in a maze), in units of `goal_range`; goals are
drawn at random at first, until the worker can follow them, and some later on; goals are kept from the corners of their range by a
penalty; several environments are stepped together.
Errata: none known. Letters: N environments, B batch, C candidates, T steps of a decision, S numbers of an observation, G of a goal,
D of an action.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from dl_nets.learning.export import FORMATS, Exportable, example
from rl_algos.continuous.bounded_actions import BoundedAction, BoundedActions
from rl_algos.hierarchy.pictures import Course, draw_courses
from rl_algos.hierarchy.td3_level import Experience, TD3Level
from rl_algos.parts.exported import computed, zeros
from rl_algos.parts.steps import warm_up_warning
from rl_algos.replay.ring import Ring
from rl_core.agent import Agent
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, Whole, configclass
from rl_core.envs import Transition
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

CANDIDATES = 8  # drawn for a correction, beside the goal that was set and the change that took place


@configclass
class HIROConfig:
    """Settings of HIRO."""

    num_envs: Annotated[Count, Doc("N, environments stepped together")] = 10
    iteration_steps: Annotated[Count, Doc("steps of each environment in one iteration, whose metrics are reported together")] = 50
    decision_steps: Annotated[Count, Doc("c, steps between two goals")] = 10
    goal_size: Annotated[Count, Doc("G: goals are changes of the first G numbers of an observation")] = 2
    goal_range: Annotated[Positive, Doc("largest change that is asked for, in units of the observation")] = 1.0
    learning_starts: Annotated[Whole, Doc("environment steps with random actions before the first update")] = 1_000
    random_goal_steps: Annotated[Whole, Doc("environment steps with random goals, from the start on")] = 30_000
    worker_updates: Annotated[Count, Doc("gradient steps of the worker after each step of all environments")] = 1
    manager_updates: Annotated[Count, Doc("gradient steps of the manager after each c steps of all environments")] = 10
    batch_size: Annotated[Count, Doc("B, transitions of a gradient step")] = 128
    buffer_size: Annotated[int, Meta(ge=10), Doc("newest transitions of the worker that are replayed; a c-th of it of the manager")] = (
        200_000
    )
    learning_rate: Annotated[Positive, Doc("alpha, step size of Adam at both levels")] = 1e-3
    target_rate: Annotated[float, Meta(gt=0, le=1), Doc("tau, step of the slow copies towards the networks")] = 0.005
    discount: Annotated[Fraction, Doc("gamma of the manager, from one decision to the next")] = 0.9
    worker_discount: Annotated[Fraction, Doc("gamma of the worker, from one step to the next")] = 0.9
    worker_noise: Annotated[NonNegative, Doc("sigma of the worker's exploration, in units of actions from -1 to 1")] = 0.1
    manager_noise: Annotated[NonNegative, Doc("sigma of the manager's, in units of goal_range")] = 0.3
    random_goals: Annotated[Fraction, Doc("epsilon, share of goals that are random after random_goal_steps")] = 0.3
    goal_penalty: Annotated[NonNegative, Doc("weight of the mean square of the manager's outputs before tanh")] = 0.01
    relabel: Annotated[bool, Doc("whether old goals are replaced by ones that today's worker would have followed as it did")] = True

    def __post_init__(self) -> None:
        if self.buffer_size < self.num_envs * self.decision_steps:
            raise ValueError(
                f"buffer_size is {self.buffer_size}; it must be at least num_envs * decision_steps, {self.num_envs * self.decision_steps}"
            )


def remaining(goal: np.ndarray, before: np.ndarray, after: np.ndarray, goal_range: float) -> np.ndarray:
    """Return the change that is still asked for [..., G], in units of `goal_range`: h(s, g, s') = s + g - s'. (3)

    >>> remaining(np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([0.2, 0.1]), 0.5).round(2).tolist()
    [0.6, -0.2]
    """
    left: np.ndarray = goal + (before - after) / goal_range
    return left


class Decision(NamedTuple):
    """Goals of the manager with what followed them.

    Attributes:
        obs: Where the goals were set [B, S].
        goal: In units of the range [B, G].
        reward: Sum over the steps of the decision [B].
        next_obs: Where it ended [B, S].
        discount: gamma, and 0 where the episode terminated [B].
        num_steps: Steps that it took [B].
        trace: Observation and action of each step, 0 after the last [B, T, S + D].
    """

    obs: np.ndarray
    goal: np.ndarray
    reward: np.ndarray
    next_obs: np.ndarray
    discount: np.ndarray
    num_steps: np.ndarray
    trace: np.ndarray


def corrected(decision: Decision, act: Callable[[np.ndarray], np.ndarray], candidates: np.ndarray, goal_range: float) -> np.ndarray:
    """Return those of the candidate goals [B, G] under which a worker would act most nearly as it did.

    They maximise -1/2 sum_i |a_i - mu(s_i, g_i)|^2 (5), in which g_i is what remains of the goal at s_i.

    Args:
        decision: What took place.
        act: mu, from inputs [R, S + G] to actions [R, D].
        candidates: Goals in units of the range [B, C, G].
        goal_range: Their unit.
    """
    size, steps = decision.trace.shape[:2]
    num_obs, num_goals = decision.obs.shape[1], candidates.shape[2]
    obs, action = decision.trace[..., :num_obs], decision.trace[..., num_obs:]
    place = obs[:, None, :, :num_goals]
    left = remaining(candidates[:, :, None], decision.obs[:, None, None, :num_goals], place, goal_range)
    rows = np.concatenate((np.broadcast_to(obs[:, None], (*left.shape[:3], num_obs)), left), axis=3, dtype=np.float32)
    chosen = act(rows.reshape(-1, num_obs + num_goals)).reshape(size, -1, steps, action.shape[2])
    counts = np.arange(steps) < decision.num_steps[:, None]
    miss = (((chosen - action[:, None]) ** 2).sum(axis=3) * counts[:, None]).sum(axis=2)
    best: np.ndarray = candidates[np.arange(size), miss.argmin(axis=1)]
    return best


class HIROPlayer:
    """A policy of two levels without noise: a goal every c steps, and the worker's actions towards it.

    Args:
        agent: The agent.
    """

    def __init__(self, agent: HIRO) -> None:
        self._agent = agent
        self.since = np.zeros(0, dtype=np.int64)  # steps since the goal was set [B]
        self.goal = np.zeros((0, agent.num_goals), dtype=np.float32)  # what remains of it [B, G]
        self._last = self.goal

    def begin(self, starts: np.ndarray) -> None:
        """Let goals be set in the rows whose episode starts [B]."""
        if len(self.since) != len(starts):
            self.since = np.zeros(len(starts), dtype=np.int64)
            self.goal = np.zeros((len(starts), self._agent.num_goals), dtype=np.float32)
            self._last = self.goal
        self.since[starts] = 0

    def __call__(self, inputs: np.ndarray, /) -> np.ndarray:
        """Return actions [B, ...] at observations [B, S]."""
        agent, obs = self._agent, np.asarray(inputs, dtype=np.float32)
        if len(self.since) != len(obs):
            self.begin(np.ones(len(obs), dtype=np.bool_))
        place = obs[:, : agent.num_goals]
        due = (self.since % agent.config.decision_steps == 0)[:, None]
        left = remaining(self.goal, self._last, place, agent.config.goal_range)
        self.goal = np.where(due, agent.manager.act(obs), left).astype(np.float32)
        self.since, self._last = self.since + 1, place
        return agent.actions.to_env(agent.worker.act(np.concatenate((obs, self.goal), axis=1)))


class HIRO(Agent):
    """The agent: manager and worker, each TD3.

    Attributes:
        manager: From observations to goals.
        worker: From observations and what remains of a goal to actions.
    """

    Config: ClassVar[type] = HIROConfig
    headline = "episode_return"
    export_formats = FORMATS
    state_fields = (
        *("manager", "worker", "decisions", "transitions", "envs", "obs"),
        *("goal", "since", "first_obs", "gained", "trace", "num_rounds"),
    )
    config: HIROConfig
    task: ControlTask
    network: Any

    def setup(self) -> None:
        """Build both levels, what they replay, and the environments.

        Raises:
            ValueError: if observations are not vectors of floats, or a goal has more numbers than they.
        """
        config, seeds, space = self.config, self.seeds, self.task.input_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise ValueError(f"the task's observations are {space}; hiro reads vectors of floats, of which goals are changes")
        self.num_obs, self.num_goals = int(space.shape[0]), config.goal_size
        if self.num_goals > self.num_obs:
            raise ValueError(f"goal_size is {self.num_goals}; it must be at most {self.num_obs}, the numbers of an observation")
        self.actions = BoundedActions(self.task.output_space)
        self.warnings += warm_up_warning(config.learning_starts, self.budget)
        size = self.actions.num_dimensions
        rates = {"learning_rate": config.learning_rate, "target_rate": config.target_rate}
        self.manager = TD3Level(
            self.network, self.num_obs, self.num_goals, **rates, seeds=seeds.child("manager"), penalty=config.goal_penalty
        )
        self.worker = TD3Level(self.network, self.num_obs + self.num_goals, size, **rates, seeds=seeds.child("worker"))
        steps, inputs = config.decision_steps, self.num_obs + self.num_goals
        self.transitions = Ring(config.buffer_size, 2 * inputs + size + 1)
        self.decisions = Ring(config.buffer_size // steps, 2 * self.num_obs + self.num_goals + 3 + steps * (self.num_obs + size))
        self.draws, self.noise = seeds.numpy("replay"), seeds.numpy("exploration")
        self.envs = self.task.envs(config.num_envs, seeds)
        self.obs = self.envs.reset().astype(np.float32)
        self.goal = np.zeros((config.num_envs, self.num_goals), dtype=np.float32)  # what remains of it
        self.since = np.zeros(config.num_envs, dtype=np.int64)  # steps since it was set
        self.first_obs, self.gained = self.obs.copy(), np.zeros(config.num_envs, dtype=np.float32)
        self.trace = np.zeros((config.num_envs, steps, self.num_obs + size), dtype=np.float32)
        self.num_rounds = 0
        self.path = "torch: two levels of TD3"

    def step(self) -> dict[str, float]:
        """Run one iteration: steps of the environments, and gradient steps of both levels between them."""
        config, missed, worker, manager = self.config, [], [], []
        for _ in range(config.iteration_steps):
            missed += self.act()
            self.num_rounds += 1
            if self.progress <= config.learning_starts:
                continue
            worker += [self.worker.update(self.experience()) for _ in range(config.worker_updates)]
            if self.num_rounds % config.decision_steps == 0 and len(self.decisions):
                manager += [self.manager.update(self.judged()) for _ in range(config.manager_updates)]
        metrics = self.envs.episode_metrics()
        for name, losses in (("worker", worker), ("manager", manager)):
            if losses:
                metrics[f"{name}_loss"], metrics[f"{name}_value"] = np.mean(losses, axis=0).tolist()
        return metrics | ({"goal_distance": float(np.mean(missed))} if missed else {})

    def act(self) -> list[float]:
        """Take one step in every environment and keep it; return the distances from their goals, in units of the range, of those due."""
        config, num_envs = self.config, self.config.num_envs
        begins = self.since == 0
        if begins.any():
            self.goal[begins], self.first_obs[begins] = self.new_goals(self.obs[begins]), self.obs[begins]
            self.gained[begins], self.trace[begins] = 0.0, 0.0
        inputs = np.concatenate((self.obs, self.goal), axis=1)
        if self.progress < config.learning_starts:
            action = self.actions.uniform(self.noise, num_envs)
        else:
            noise = self.noise.standard_normal((num_envs, self.actions.num_dimensions), dtype=np.float32)
            action = np.clip(self.worker.act(inputs) + np.float32(config.worker_noise) * noise, -1.0, 1.0)
        after = self.envs.step(self.actions.to_env(action))
        final, place = after.final_obs.astype(np.float32), self.num_goals
        self.trace[np.arange(num_envs), self.since] = np.concatenate((self.obs, action), axis=1)
        left = remaining(self.goal, self.obs[:, :place], final[:, :place], config.goal_range).astype(np.float32)
        distance = np.linalg.norm(left, axis=1, keepdims=True)  # r = -|s + g - s'| (4)
        self.transitions.add(np.concatenate((inputs, action, -distance, final, left), axis=1, dtype=np.float32))
        self.gained += after.reward
        self.since += 1
        over = after.terminated | after.truncated
        due = over | (self.since == config.decision_steps)
        if due.any():
            self.keep_decisions(due, final, after)
        self.goal, self.obs = left, after.obs.astype(np.float32)
        reported = distance[due & ~over, 0]
        self.since[due] = 0
        self.progress += num_envs
        return [float(value) for value in reported]

    def new_goals(self, obs: np.ndarray) -> np.ndarray:
        """Return goals to explore with [N, G], in units of the range, at observations [N, S]."""
        shape = (len(obs), self.num_goals)
        drawn = 2.0 * self.noise.random(shape, dtype=np.float32) - 1.0
        if self.progress < self.config.random_goal_steps:
            return drawn
        noise = np.float32(self.config.manager_noise) * self.noise.standard_normal(shape, dtype=np.float32)
        is_random = self.noise.random((len(obs), 1)) < self.config.random_goals
        return np.where(is_random, drawn, np.clip(self.manager.act(obs) + noise, -1.0, 1.0))

    def keep_decisions(self, due: np.ndarray, final: np.ndarray, after: Transition) -> None:
        """Keep the decisions that are over now, of the environments `due` [N], which led to observations [N, S]."""
        set_at, size = self.first_obs[due], int(due.sum())
        moved = self.trace[due]
        goal = remaining(self.goal, self.obs[:, : self.num_goals], self.first_obs[:, : self.num_goals], self.config.goal_range)[due]
        discount = self.config.discount * (1.0 - after.terminated[due])
        columns = (set_at, goal, self.gained[due, None], final[due], discount[:, None], self.since[due, None], moved.reshape(size, -1))
        self.decisions.add(np.concatenate(columns, axis=1, dtype=np.float32))

    def experience(self) -> Experience:
        """Return a batch of the worker's transitions; there is always a future: the goal goes on."""
        inputs, size = self.num_obs + self.num_goals, self.actions.num_dimensions
        rows = self.transitions.sample(self.config.batch_size, self.draws)
        parts = np.split(rows, np.cumsum((inputs, size, 1)), axis=1)
        return Experience(parts[0], parts[1], parts[2][:, 0], np.full(len(rows), self.config.worker_discount, np.float32), parts[3])

    def judged(self) -> Experience:
        """Return a batch of the manager's decisions, with goals that suit today's worker."""
        config, sizes = self.config, (self.num_obs, self.num_goals, 1, self.num_obs, 1, 1)
        rows = self.decisions.sample(config.batch_size, self.draws)
        obs, goal, reward, next_obs, discount, count, trace = np.split(rows, np.cumsum(sizes), axis=1)
        trace = trace.reshape(len(rows), config.decision_steps, -1)
        decision = Decision(obs, goal, reward[:, 0], next_obs, discount[:, 0], count[:, 0], trace)
        if config.relabel:
            goal = corrected(decision, self.worker.act, self.candidates(decision), config.goal_range)
        return Experience(obs, goal, decision.reward, decision.discount, next_obs)

    def candidates(self, decision: Decision) -> np.ndarray:
        """Return goals [B, C, G]: the one that was set, the change that took place, and draws around this, within the range."""
        change = (decision.next_obs - decision.obs)[:, : self.num_goals] / self.config.goal_range
        noise = self.draws.standard_normal((len(change), CANDIDATES, self.num_goals), dtype=np.float32)
        drawn = change[:, None] + np.float32(0.5) * noise
        return np.clip(np.concatenate((decision.goal[:, None], change[:, None], drawn), axis=1), -1.0, 1.0)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the worker's actions [B, ...] at observations [B, S] where goals are set just now."""
        obs = np.asarray(inputs, dtype=np.float32)
        return self.actions.to_env(self.worker.act(np.concatenate((obs, self.manager.act(obs)), axis=1)))

    def predictor(self) -> Predict:
        """Return a player that carries the goals."""
        return HIROPlayer(self)

    def exported(self) -> Exportable:
        """Return both levels as a graph, whose memory is the goal, where it was pursued last, and the steps since it was set."""
        levels = nn.ModuleDict({"manager": self.manager.module["actor"], "worker": self.worker.module["actor"]})
        size, every, unit = self.num_goals, self.config.decision_steps, self.config.goal_range
        bounded = BoundedAction(self.actions)

        def step(observations: Tensor, state: Tensor) -> tuple[Tensor, ...]:
            obs = observations.float()
            goal, last, since = state.split([size, size, 1], dim=1)
            place = obs[:, :size]
            goal = torch.where(since % every == 0, levels["manager"](obs).tanh(), goal + (last - place) / unit)  # (3)
            action = bounded(levels["worker"](torch.cat((obs, goal), dim=1)))
            return action, goal, torch.cat((goal, place, since + 1), dim=1)

        words = {
            "actions": "the worker's actions without noise, as the environment takes them",
            "goals": "the change of the observation's first numbers that is still asked for, in units of goal_range",
            "next_state": "the memory to give as state with the next observations; 0 where an episode begins",
        }
        return computed(step, levels, {"observations": example(self.task.input_space), "state": zeros(2 * size + 1)}, words)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable parameter by name."""
        levels = (("manager", self.manager), ("worker", self.worker))
        return {f"{name}.{path}": value.detach().numpy() for name, level in levels for path, value in level.module.named_parameters()}

    def draw(self, folder: Path) -> None:
        """Draw episodes with the goals that were set in them."""
        super().draw(folder)
        if self.num_obs >= 2 and self.num_goals == 2:
            draw_courses(self.courses(self.seeds.apart("courses")), self.task, folder / "goals.png", "Where the goals led")

    def courses(self, seeds: Seeds, count: int = 4, most_steps: int = 1_000) -> list[Course]:
        """Return the courses of some episodes by the policy without noise."""
        envs, player = self.task.envs(count, seeds), HIROPlayer(self)
        obs, running = envs.reset().astype(np.float32), np.ones(count, dtype=np.bool_)
        player.begin(running)
        places: list[list[np.ndarray]] = [[obs[n, :2]] for n in range(count)]
        goals: list[list[np.ndarray]] = [[] for _ in range(count)]
        for _ in range(most_steps):
            due = player.since % self.config.decision_steps == 0
            action = player(obs)
            for n in np.flatnonzero(due & running):
                goals[n].append(np.concatenate((obs[n, :2], self.config.goal_range * player.goal[n])))
            after = envs.step(action)
            for n in np.flatnonzero(running):
                places[n].append(after.final_obs[n, :2])
            over = after.terminated | after.truncated
            running &= ~over
            if not running.any():
                break
            player.begin(over)
            obs = after.obs.astype(np.float32)
        return [Course(np.stack(place), np.stack(goal)) for place, goal in zip(places, goals, strict=True)]
