"""Option-critic: options whose policies and endings are learned by gradients, while it acts with them.

Source: P.-L. Bacon, J. Harb, D. Precup, "The option-critic architecture", 2017, Algorithm 1, theorems 1 and 2.
Departures: as in the authors' program, the gradient of a policy is not divided by its temperature.
Errata: an ending is judged in the state that was entered, with the option that ran; `deliberation` is added to its advantage, so that
options live longer.
Letters: S states, A actions, K options.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined, kernel
from rl_algos.hierarchy import pictures
from rl_algos.tabular.learner import OPEN, Course, Kernels, Sample, TabularConfig, TabularLearner, table_loop
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, configclass


@configclass
class OptionCriticConfig(TabularConfig):
    """Settings of option-critic."""

    num_options: Annotated[Count, Doc("K")] = 4
    critic_rate: Annotated[float, Meta(gt=0, le=1), Doc("alpha of the values")] = 0.5
    policy_rate: Annotated[NonNegative, Doc("alpha of the options' policies")] = 0.25
    termination_rate: Annotated[NonNegative, Doc("alpha of the options' endings")] = 0.25
    temperature: Annotated[Positive, Doc("T of the softmax over actions within an option")] = 0.1
    exploration_rate: Annotated[Fraction, Doc("epsilon of the choice among options")] = 0.01
    deliberation: Annotated[NonNegative, Doc("xi, what an ending must gain, unit of return")] = 0.01


class Memory(NamedTuple):
    """Tables and settings of option-critic.

    Attributes:
        q: Q_U(s, w, a) [K, S, A].
        theta: Preferences of actions [K, S, A].
        ending: Logits of beta [K, S].
        usage: Steps of each option in each state [K, S].
        option: The option that runs; -1 for none [1].
        scratch: Work space [2, A].
        settings: gamma, alpha of values, of policies, of endings, T, epsilon and xi [7].
    """

    q: np.ndarray
    theta: np.ndarray
    ending: np.ndarray
    usage: np.ndarray
    option: np.ndarray
    scratch: np.ndarray
    settings: np.ndarray


@inlined
def action_shares(memory: Memory, option: int, state: int, out: np.ndarray) -> None:
    """Write pi_w(a|s) to `out` [A]."""
    theta, temperature = memory.theta, memory.settings[4]
    most = theta[option, state, 0]
    for action in range(theta.shape[2]):
        most = max(most, theta[option, state, action])
    total = 0.0
    for action in range(theta.shape[2]):
        out[action] = math.exp((theta[option, state, action] - most) / temperature)
        total += out[action]
    for action in range(theta.shape[2]):
        out[action] /= total


@inlined
def option_value(memory: Memory, option: int, state: int, scratch: np.ndarray) -> float:
    """Return Q(s, w) = sum_a pi_w(a|s) Q_U(s, w, a)."""
    action_shares(memory, option, state, scratch)
    value = 0.0
    for action in range(len(scratch)):
        value += scratch[action] * memory.q[option, state, action]
    return value


@inlined
def begin(memory: Memory, state: int, step: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return the state and the action there, of the option that runs, or of one that is chosen now."""
    option, shares, count = memory.option[0], memory.scratch[0], memory.q.shape[0]
    if option < 0:
        if rng.random() < memory.settings[5]:
            option = int(rng.random() * count)
        else:
            best, ties = -math.inf, 0
            for candidate in range(count):
                value = option_value(memory, candidate, state, shares)
                if value > best:
                    best, ties, option = value, 1, candidate
                elif value == best:  # a tie is broken evenly
                    ties += 1
                    if rng.random() * ties < 1.0:
                        option = candidate
        memory.option[0] = option
    memory.usage[option, state] += 1
    action_shares(memory, option, state, shares)
    uniform, total, chosen = rng.random(), 0.0, 0
    for action in range(len(shares)):
        chosen = action
        total += shares[action]
        if uniform < total:
            break
    return state, chosen


@inlined
def learn(memory: Memory, sample: Sample, step: int, rng: np.random.Generator) -> int:
    """Update values, the running option's policy at S, and its ending at S', in place; the option may end there."""
    discount, critic_rate, policy_rate, ending_rate, _, _, deliberation = memory.settings
    option, state, action, entered = memory.option[0], sample.state, sample.action, sample.next_state
    shares = memory.scratch[1]
    goal, ends = sample.reward, 0.0
    if not sample.terminated:
        stay, best = option_value(memory, option, entered, shares), -math.inf
        for candidate in range(memory.q.shape[0]):
            best = max(best, option_value(memory, candidate, entered, shares))
        ends = 1.0 / (1.0 + math.exp(-memory.ending[option, entered]))
        goal += discount * ((1.0 - ends) * stay + ends * best)  # U(w, s')
        memory.ending[option, entered] -= ending_rate * ends * (1.0 - ends) * (stay - best + deliberation)
    memory.q[option, state, action] += critic_rate * (goal - memory.q[option, state, action])
    advantage = memory.q[option, state, action] - option_value(memory, option, state, shares)
    for other in range(len(shares)):
        memory.theta[option, state, other] += policy_rate * advantage * ((1.0 if other == action else 0.0) - shares[other])
    if sample.over or rng.random() < ends:
        memory.option[0] = -1
    return OPEN


@kernel
def loop(memory: Memory, course: Course) -> int:
    """Run `table_loop` with this algorithm's kernels."""
    return table_loop(begin, learn, memory, course)


class OptionCritic(TabularLearner):
    """An agent with K options on a table; its answer is the likeliest action of the best option."""

    Config: ClassVar[type] = OptionCriticConfig
    kernels: ClassVar[Kernels] = Kernels(begin, learn, loop)
    memory: Memory
    config: OptionCriticConfig

    def allocate(self) -> Memory:
        """Make the tables."""
        config, shape = self.config, (self.config.num_options, self.num_states)
        return Memory(
            self.table("q", (*shape, self.num_actions), config.initial_value),
            self.table("theta", (*shape, self.num_actions)),
            self.table("ending", shape),
            self.table("usage", shape, 0, np.int64),
            self.index_table("option", (1,), -1, config.num_options, fill=-1),
            np.empty((2, self.num_actions)),
            np.array(
                [
                    *(self.discount, config.critic_rate, config.policy_rate, config.termination_rate),
                    *(config.temperature, config.exploration_rate, config.deliberation),
                ]
            ),
        )

    def step(self) -> dict[str, float]:
        """Learn for some steps; report the mean probability that the options end where they ran."""
        metrics = super().step()
        usage, ends = self.memory.usage, 1.0 / (1.0 + np.exp(-self.memory.ending))
        metrics["termination"] = float((usage * ends).sum() / max(usage.sum(), 1))
        metrics["largest_option_share"] = float(usage.sum(axis=1).max() / max(usage.sum(), 1))
        return metrics

    def shares(self) -> np.ndarray:
        """Return pi_w(a|s) [K, S, A]."""
        scaled = self.memory.theta / self.config.temperature
        powers = np.exp(scaled - scaled.max(axis=2, keepdims=True))
        found: np.ndarray = powers / powers.sum(axis=2, keepdims=True)
        return found

    def action_values(self) -> np.ndarray:
        """Return pi_w(a|s) [S, A] of the option w with the largest Q(s, w): its likeliest action is the answer."""
        shares = self.shares()
        best = (shares * self.memory.q).sum(axis=2).argmax(axis=0)
        chosen: np.ndarray = shares[best, np.arange(self.num_states)]
        return chosen

    def draw(self, folder: Path) -> None:
        """Write which option ran where."""
        if self.task.traits() & {"mdp", "layout"} and self.config.num_options <= 16:
            names = [f"option {number}" for number in range(self.config.num_options)]
            pictures.usage(self.task, self.memory.usage, names, folder / "options.png", "Where each option ran while learning")
