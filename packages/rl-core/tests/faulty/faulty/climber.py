"""A sound agent: a matrix is changed at random, and changes that paid are kept. Each variant has one fault. Source: none is needed."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import spaces

from rl_core.agent import Agent
from rl_core.config import Count, Doc, Meta, Positive, configclass
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class ClimberConfig:
    """Settings of the climber."""

    spread: Annotated[Positive, Doc("sigma, deviation of a push")] = 0.1
    num_steps: Annotated[Count, Doc("T, steps of each environment between two pushes")] = 4


class Climber(Agent):
    """Learns on control tasks with vectors and choices."""

    Config: ClassVar[type] = ClimberConfig
    task: ControlTask
    export_formats = ("text",)

    def setup(self) -> None:
        task = self.task
        if not isinstance(task.output_space, spaces.Discrete):
            raise ValueError(f"the output space is {task.output_space}; a climber chooses among actions")
        self.envs = task.envs(3, self.seeds.child("envs"))
        self.obs = self.envs.reset()
        self.weights = self.network.build(task.input_space, task.output_space, self.seeds.numpy("init")).weights
        self.best = -np.inf

    def step(self) -> dict[str, float]:
        kept = self.weights
        self.weights = kept + self.push()
        total = 0.0
        for _ in range(self.config.num_steps):
            transition = self.envs.step(self.predict(self.obs))
            self.obs = transition.obs
            total += float(transition.reward.sum())
        metrics = self.envs.episode_metrics()
        if total >= self.best:
            self.best = total
        else:
            self.weights = kept + 0.1 * (self.weights - kept)
        self.progress += self.config.num_steps * self.envs.num_envs
        return {**metrics, "reward": total}

    def push(self) -> np.ndarray:
        return self.seeds.numpy("push").normal(0.0, self.config.spread, self.weights.shape)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs @ self.weights).argmax(axis=1)

    def parameters(self) -> dict[str, np.ndarray]:
        return {"weights": self.weights}

    def state_dict(self) -> dict[str, Any]:
        return {"weights": self.weights, "best": self.best if np.isfinite(self.best) else None, "envs": self.envs.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.weights = np.array(state["weights"])
        self.best = -np.inf if state["best"] is None else state["best"]
        self.obs = self.envs.load_state_dict(state["envs"])

    def export(self, form: str, out: Path) -> None:
        out.write_text(str(self.weights.tolist()))


class Planner(Climber):
    """Sound, and draws nothing."""

    export_formats = ()

    state_fields = ("weights",)

    def setup(self) -> None:
        if not isinstance(self.task.output_space, spaces.Discrete):
            raise ValueError(f"the output space is {self.task.output_space}; a planner chooses among actions")
        self.weights = np.zeros((self.task.input_space.shape[0], int(self.task.output_space.n)))

    def step(self) -> dict[str, float]:
        self.weights = self.weights + 1.0
        self.progress += 1
        return {}

    state_dict, load_state_dict = Agent.state_dict, Agent.load_state_dict


class Changeable(Climber):
    @dataclass
    class Config:
        """Not frozen."""

        spread: Annotated[Positive, Doc("sigma")] = 0.1
        num_steps: Annotated[Count, Doc("T")] = 4


class CrashesOnSettings(Climber):
    @dataclass(frozen=True)
    class Config:
        """Looks a value up."""

        spread: Annotated[float, Doc("sigma, any number")] = 0.1
        num_steps: Annotated[int, Doc("T, any number")] = 4

        def __post_init__(self) -> None:
            {4: "short", 8: "long"}[self.num_steps]


class TakesAnySetting(Climber):
    @dataclass(frozen=True)
    class Config:
        """A field without a type."""

        spread: Annotated[Any, Doc("sigma")] = 0.1
        num_steps: Annotated[int, Doc("T, any number")] = 4


class LetsRangesSlip(Climber):
    @dataclass(frozen=True)
    class Config:
        """A range that is not held."""

        spread: Annotated[float, Meta(gt=0, le=1), Doc("sigma, deviation of a push")] = 0.1
        num_steps: Annotated[int, Doc("T, any number")] = 4


class Unexplained(Climber):
    @dataclass(frozen=True)
    class Config:
        """A field without a word."""

        spread: Annotated[float, Doc("sigma, any number")] = 0.1
        num_steps: int = 4


class Rangeless(Climber):
    @dataclass(frozen=True)
    class Config:
        """A number without a range."""

        spread: Annotated[float, Doc("deviation of a push")] = 0.1
        num_steps: Annotated[int, Doc("T, any number")] = 4


class Unseeded(Climber):
    def push(self) -> np.ndarray:
        return np.random.default_rng().normal(0.0, self.config.spread, self.weights.shape)


class SharesItsCount(Climber):
    pushes = 0

    def push(self) -> np.ndarray:
        SharesItsCount.pushes += 1
        return super().push() / SharesItsCount.pushes


class DeafToSeeds(Climber):
    def setup(self) -> None:
        self.seeds = Seeds(0)
        super().setup()


class ForgetsItsBest(Climber):
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "best": None})


class NeedsTheHash(Climber):
    def push(self) -> np.ndarray:
        return super().push() * (1.0 + hash("a text") % 1000)


class AnswersFromACopy(Climber):
    def setup(self) -> None:
        super().setup()
        self.answering = np.array([[3.0, -3.0], [3.0, -3.0]])

    def step(self) -> dict[str, float]:
        metrics = super().step()
        self.answering = -np.array([[3.0, -3.0], [3.0, -3.0]])
        return metrics

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        return self.task.evaluate(lambda inputs: (inputs @ self.answering).argmax(axis=1), episodes=episodes, seeds=seeds)


class Pickles(Climber):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "weights": np.frombuffer(pickle.dumps(self.weights.tolist()), dtype=np.uint8)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict({**state, "weights": pickle.loads(state["weights"].tobytes())})


class PicklesHidden(Climber):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "text": pickle.dumps(self.weights).hex()}


class TakesTheSignals(Climber):
    def step(self) -> dict[str, float]:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        return super().step()


class LeavesAFile(Climber):
    def step(self) -> dict[str, float]:
        Path("climber.log").write_text("step")
        return super().step()


class DrawsFromNumPy(Climber):
    def step(self) -> dict[str, float]:
        np.random.normal()
        return super().step()


class ReportsNaN(Climber):
    def step(self) -> dict[str, float]:
        return {**super().step(), "loss": float("nan")}


class ReportsByItsOwnName(Climber):
    def step(self) -> dict[str, float]:
        return {**super().step(), "mean return": 1.0}


class NeverMovesOne(Climber):
    def parameters(self) -> dict[str, np.ndarray]:
        return {**super().parameters(), "bias": np.zeros(2)}


class StandsStill(Climber):
    def step(self) -> dict[str, float]:
        progress = self.progress
        metrics = super().step()
        self.progress = progress
        return metrics


class ExploresWhenAsked(Climber):
    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        self.push()
        return super().evaluate(episodes=episodes, seeds=seeds)


class AnswersScores(Climber):
    def step(self) -> dict[str, float]:
        self.progress += 1
        return {"reward": 0.0}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return inputs @ self.weights


class TakesTooMuch(Climber):
    def setup(self) -> None:
        int(self.task.output_space.n)
        super().setup()


class CentresItsBatch(Climber):
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return super().predict(inputs - inputs.mean(axis=0))


class Crashes(Climber):
    def step(self) -> dict[str, float]:
        raise RuntimeError("no step was taken")


class TurnsAtTheEnd(Climber):
    """Forgets something that is felt only after many steps."""

    def setup(self) -> None:
        super().setup()
        self.steps = 0

    def push(self) -> np.ndarray:
        self.steps += 1
        return super().push() * (-1.0 if self.steps > 9 else 1.0)


class NeedsThePlace(Climber):
    def push(self) -> np.ndarray:
        return super().push() * (1.0 + len(str(Path.cwd())))


class NeedsTheProcessors(Climber):
    def push(self) -> np.ndarray:
        return super().push() * (1.0 + (os.cpu_count() or 1))


class NeedsTheThreads(Climber):
    def push(self) -> np.ndarray:
        return super().push() * float(os.environ.get("OMP_NUM_THREADS", "1"))


class NeedsTheHour(Climber):
    def push(self) -> np.ndarray:
        return super().push() * (1.0 + time.localtime().tm_hour)


class TakesItsTime(Climber):
    def push(self) -> np.ndarray:
        started = time.perf_counter()
        time.sleep(0.03)
        return super().push() * (2.0 if time.perf_counter() - started > 0.1 else 1.0)


class KnowsOneTask(Climber):
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return (inputs.reshape(-1, 2) @ self.weights).argmax(axis=1)


class ExportsNothing(Climber):
    def export(self, form: str, out: Path) -> None:
        pass
