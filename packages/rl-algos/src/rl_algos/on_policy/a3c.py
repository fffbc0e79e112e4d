"""A3C, asynchronous advantage actor-critic: several processes play and learn at once, on parameters that they share without locks.

Source: V. Mnih, A. P. Badia, M. Mirza, A. Graves, T. Lillicrap, T. Harley, D. Silver, K. Kavukcuoglu. "Asynchronous methods for
deep reinforcement learning", 2016, Algorithm S3, with shared RMSProp, (S2) and (S3); steps without locks as in F. Niu, B. Recht,
C. Re, S. Wright, "Hogwild!", 2011.
Departures: those of `a2c`, whose rollout, gradient and step these are; a worker may step several environments; workers wait for each
other at the end of an iteration, where the run reports and saves.
This is the one agent whose runs cannot be repeated by their seed: with more than one worker, the order of updates is up to the machine.
With one worker it is A2C, to the last bit, and its runs repeat and resume exactly.
Letters: W workers, P parameters, T steps of a rollout, N environments of a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.fast.mlp import rmsprop_step
from dl_nets.fast.threads import limited_threads, num_threads
from dl_nets.learning.export import FORMATS, write
from rl_algos.on_policy.a2c import A2C, LOSSES, A2CConfig
from rl_core.agent import Agent
from rl_core.config import Count, Doc, configclass
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict
from rl_core.workers import SPAWN, Workers


@configclass
class A3CConfig(A2CConfig):
    """A3C settings: those of A2C, `num_envs` being those of each worker, and the workers."""

    num_envs: Annotated[Count, Doc("N, environments that each worker steps together")] = 4
    num_workers: Annotated[Count, Doc("W, processes; with 1 there is none besides the run's own, and the run repeats by its seed")] = 2
    rollouts_per_step: Annotated[Count, Doc("updates of each worker between two reports")] = 100

    def __post_init__(self) -> None:
        """Refuse running statistics, which are not shared."""
        for name in ("normalise_obs", "normalise_reward"):
            if getattr(self, name):
                raise ValueError(f"{name} is true; the workers of a3c share parameters but no running statistics: use a2c for that")


class Shared(NamedTuple):
    """The numbers that all workers read and write without locks [P], float32 in shared memory."""

    parameters: np.ndarray
    square: np.ndarray

    @classmethod
    def of(cls, memory: Any) -> Shared:
        """Return both halves of a block of shared memory [2 P]."""
        return cls(*np.split(np.frombuffer(memory, dtype=np.float32), 2))


class Report(NamedTuple):
    """The result of a worker's updates: the mean of `a2c.LOSSES` [3], and its finished episodes' (return, length)."""

    losses: np.ndarray
    episodes: list[tuple[float, int]]


class Worker:
    """An actor-learner: environments and a copy of the networks of its own.

    Args:
        agent: Plays and computes gradients; its own parameters are overwritten before every rollout.
        shared: The parameters and squares that it updates.
    """

    def __init__(self, agent: A2C, shared: Shared) -> None:
        self.agent, self.shared = agent, shared

    def learn(self, num_rollouts: int, learning_rate: float, threads: int) -> Report:
        """Copy the shared parameters, play, and step along the gradient from where they are by then; `num_rollouts` times.

        Args:
            num_rollouts: How many updates.
            learning_rate: eta.
            threads: Threads of linear algebra.
        """
        config, collector, flat = self.agent.config, self.agent.collector, self.agent.actor_critic.policy_flat
        losses = np.zeros((num_rollouts, len(LOSSES)))
        with limited_threads(threads):
            for i in range(num_rollouts):
                flat.vector.numpy()[:] = self.shared.parameters
                batch = self.agent.estimate(collector.collect(self.agent.actor_critic, config.rollout_steps), config.gae_lambda)
                losses[i] = self.agent.gradient(batch)
                rmsprop_step(
                    self.shared.parameters,
                    flat.gradient.numpy(),
                    self.shared.square,
                    learning_rate,
                    config.rms_decay,
                    config.rms_epsilon,
                    config.max_grad_norm,
                )
        return Report(losses.mean(axis=0), [(return_, length) for _, return_, length in collector.envs.pop_episodes()])

    def state_dict(self) -> dict[str, Any]:
        """Return the state of its environments, and its random streams."""
        return {"collector": self.agent.collector.state_dict(), "seeds": self.agent.seeds.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.agent.collector.load_state_dict(state["collector"])
        self.agent.seeds.load_state_dict(state["seeds"])


def worker(memory: Any, config: A3CConfig, task: ControlTask, network: Network, seed: int, path: tuple[str, ...]) -> Worker:
    """Return the worker of a process, on streams of its own and on the shared memory."""
    return Worker(A2C(config, task, network, seeds=Seeds(seed, path), budget=1, device="cpu"), Shared.of(memory))


class A3C(Agent):
    """The agent: sends requests to its workers, and waits."""

    Config: ClassVar[type] = A3CConfig
    headline = "episode_return"
    export_formats = FORMATS
    config: A3CConfig
    task: ControlTask
    network: Network

    def setup(self) -> None:
        """Build the shared parameters, and start the workers."""
        config = self.config
        if self.device == "cuda":
            raise ValueError("device is cuda; the workers of a3c share the parameters in the memory of the CPU: use a2c, or device=cpu")
        # The run's own copy: it answers, and with one worker it is the one that works.
        self.agent = A2C(config, self.task, self.network, seeds=self.seeds, budget=self.budget, device="cpu")
        self.path = self.agent.path
        start = self.agent.actor_critic.policy_flat.vector
        memory = SPAWN.RawArray("f", 2 * len(start))
        self.shared = Shared.of(memory)
        self.shared.parameters[:], self.shared.square[:] = start.numpy(), 1.0
        self.worker = Worker(self.agent, self.shared)
        streams = [self.seeds.child(f"worker {index}") for index in range(config.num_workers if config.num_workers > 1 else 0)]
        arguments = [(memory, config, self.task, self.network, seeds.seed, seeds.path) for seeds in streams]
        self.workers = Workers(worker, arguments, threads=1, work="plays and learns for a3c")

    def step(self) -> dict[str, float]:
        """Run one iteration: every worker takes `rollouts_per_step` updates, in no fixed order."""
        config = self.config
        self.agent.progress = self.progress
        learning_rate = self.agent.scheduled(config.learning_rate, config.learning_rate_schedule)
        reports = self._all("learn", config.rollouts_per_step, learning_rate, num_threads())
        self.progress += config.num_workers * config.rollouts_per_step * config.rollout_steps * config.num_envs
        metrics = dict(zip(LOSSES, np.mean([report.losses for report in reports], axis=0).tolist(), strict=True))
        metrics["learning_rate"] = learning_rate
        if episodes := [episode for report in reports for episode in report.episodes]:
            metrics["episode_return"], metrics["episode_length"] = np.mean(episodes, axis=0).tolist()
        return metrics

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable actions [B, ...] at observations [B, ...]."""
        return self._current().predict(inputs)

    def predictor(self) -> Predict:
        """Return `predict`, or a player that remembers each episode."""
        return self._current().predictor()

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the greedy policy, in one of `export_formats`; see `dl_nets.learning.export`."""
        return write(self._current().exported(), form, out)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return every trainable number, by name."""
        return self._current().parameters()

    def state_dict(self) -> dict[str, Any]:
        """Return the shared parameters and squares, and the state of each worker."""
        workers = self._all("state_dict")
        if not self.workers.processes:
            del workers[0]["seeds"]  # these are the run's own streams, which it keeps itself
        return {"parameters": self.shared.parameters.copy(), "square": self.shared.square.copy(), "workers": workers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it was saved with another number of workers or parameters.
        """
        if len(state["workers"]) != self.config.num_workers:
            raise ValueError(f"the saved run has {len(state['workers'])} workers; num_workers is {self.config.num_workers}: set it to that")
        if np.shape(state["parameters"]) != self.shared.parameters.shape or np.shape(state["square"]) != self.shared.square.shape:
            raise ValueError(
                f"the saved run has parameters {np.shape(state['parameters'])}; this network has {self.shared.parameters.shape}"
            )
        self.shared.parameters[:], self.shared.square[:] = state["parameters"], state["square"]
        if not self.workers.processes:
            self.agent.collector.load_state_dict(state["workers"][0]["collector"])
            return
        self.workers.call("load_state_dict", [(each,) for each in state["workers"]])

    def _current(self) -> A2C:
        """Return the run's own copy with the shared parameters as they are now."""
        self.agent.actor_critic.policy_flat.vector.numpy()[:] = self.shared.parameters
        return self.agent

    def _all(self, name: str, *arguments: Any) -> list[Any]:
        """Return the answers of all workers, which work at once."""
        if not self.workers.processes:
            return [getattr(self.worker, name)(*arguments)]
        return self.workers.call(name, [arguments] * len(self.workers.processes))
