"""Small environments, each with one property that a host may misread: an episode of 20 steps, the action that names the cue pays 1."""

from __future__ import annotations

import random
import threading
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces


class Cue(gymnasium.Env[Any, Any]):
    """The sound environment, from which the others differ in one point."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)
    action_space: spaces.Space[Any] = spaces.Discrete(2)
    alive: ClassVar[list[Any]] = []
    length = 20

    def __init__(self) -> None:
        type(self).alive.append(self)

    def close(self) -> None:
        if self in type(self).alive:
            type(self).alive.remove(self)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.count, self.cue = 0, int(self.np_random.integers(2))
        return self.see(), {}

    def see(self) -> Any:
        return np.array([self.cue, self.count / self.length], np.float32)

    def reward(self, action: Any) -> Any:
        return float(action == self.cue)

    def step(self, action: Any) -> Any:
        reward = self.reward(action)
        self.count += 1
        self.cue = int(self.np_random.integers(2))
        return self.see(), reward, False, self.count == self.length, {}


class GlobalRandom(Cue):
    """Draws its cue from Python's global generator."""

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self.cue = random.randrange(2)
        return self.see(), *result[1:]


class SeededGlobalRandom(GlobalRandom):
    """Seeds the global generator in `reset`, which environments side by side share."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        random.seed(seed)
        return super().reset(seed=seed)


class NumpyGlobalRandom(Cue):
    """Adds noise of NumPy's global generator to its reward."""

    def reward(self, action: Any) -> Any:
        return float(np.random.random())


class RandomStart(Cue):
    """Draws only its first cue from a generator without a seed."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.cue = int(np.random.default_rng().integers(2))
        return self.see(), {}


class RandomWorld(Cue):
    """Draws its world when it is built."""

    def __init__(self) -> None:
        super().__init__()
        self.world = np.random.default_rng().random()

    def see(self) -> Any:
        return np.array([self.cue, self.world], np.float32)


class KeepsCounting(Cue):
    """Keeps something from one episode to the next."""

    episodes = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.episodes += 1
        return super().reset(seed=seed, options=options)

    def see(self) -> Any:
        return np.array([self.cue, 1 / self.episodes], np.float32)


class IntegerStart(Cue):
    """Returns integers from `reset`."""

    observation_space = spaces.Box(0, 1, (1,), np.float32)

    def see(self) -> Any:
        return np.array([0.25 + 0.5 * self.cue], np.float32) if self.count else np.array([0])


class WideStart(IntegerStart):
    """Returns float64 observations."""

    def see(self) -> Any:
        return [0.25 + 0.5 * self.cue]


class FractionsAsBytes(Cue):
    """Returns fractions, which the bytes of its space cannot hold."""

    observation_space = spaces.Box(0, 255, (1,), np.uint8)

    def see(self) -> Any:
        return np.array([0.5])


class TooLargeForBytes(FractionsAsBytes):
    """Returns 300, which would become 44."""

    def see(self) -> Any:
        return np.array([300])


class WrongShape(Cue):
    """Returns observations of another shape than it declares."""

    def see(self) -> Any:
        return np.zeros(3, np.float32)


class OutOfSpace(Cue):
    """Returns a state beyond those that it declares."""

    observation_space = spaces.Discrete(2)

    def see(self) -> Any:
        return 2 if self.count == 3 else self.cue


class Single(Cue):
    """Allows one instance; a second one fails, and so does every one after it."""

    alive: ClassVar[list[Any]] = []

    def __init__(self) -> None:
        super().__init__()
        if len(type(self).alive) > 1:
            raise OSError("port 5005 is in use by another instance of the simulator")


class Scalar(Cue):
    """Takes one number between 0 and 1 that is not in an array."""

    action_space = spaces.Box(0, 1, (), np.float32)

    def reward(self, action: Any) -> Any:
        return -abs(float(action) - 0.5)


class OneSided(Cue):
    """Takes a number of at least 5; 7 is the best."""

    action_space = spaces.Box(5, np.inf, (1,), np.float32)

    def reward(self, action: Any) -> Any:
        return -abs(float(action[0]) - 7)


class Endless(Cue):
    """Never ends."""

    length = 10**9


class NotFinite(Cue):
    """Returns a reward or an observation that is not finite at its sixth step."""

    reward_then: Any = float("nan")
    seen_then: Any = 0.0

    def reward(self, action: Any) -> Any:
        return self.reward_then if self.count == 5 else 1.0

    def see(self) -> Any:
        return np.array([self.cue, self.seen_then if self.count == 6 else 0.0], np.float32)


class InfiniteReward(NotFinite):
    """Its reward becomes infinite."""

    reward_then = -np.inf


class NanSeen(NotFinite):
    """Its observation becomes NaN."""

    reward_then = 1.0
    seen_then = np.nan


class Nothing(Cue):
    """Observes nothing at all."""

    observation_space = spaces.Box(0, 1, (0,), np.float32)

    def see(self) -> Any:
        return np.zeros(0, np.float32)


class Exits(Cue):
    """Ends the process in its second step."""

    def step(self, action: Any) -> Any:
        if self.count:
            raise SystemExit(3)
        return super().step(action)


class Raises(Cue):
    """Raises in its thirtieth step of all; a new instance counts anew."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.steps == 30:
            raise ConnectionError("the simulator is gone")
        return super().step(action)


class OldReset(Cue):
    """Returns only an observation from `reset`, as Gym did."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return super().reset(seed=seed)[0]


class OldSeed(Cue):
    """Takes no seed in `reset`, as Gym did."""

    def reset(self) -> Any:  # type: ignore[override]
        return super().reset()


class OldStep(Cue):
    """Returns four values from `step`, as Gym did."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, reward, terminated or truncated, info


class InfoAsFlag(Cue):
    """Returns its values in a wrong order."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, info, False


class NoReward(Cue):
    """Returns no reward."""

    def reward(self, action: Any) -> Any:
        return None


class ArrayReward(Cue):
    """Returns its reward and its flags as arrays of one number."""

    def step(self, action: Any) -> Any:
        obs, reward, terminated, truncated, info = super().step(action)
        return obs, np.array([reward]), np.array([terminated]), 1 if truncated else 0, info


class Locked(Cue):
    """Holds a lock, which cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Window(Cue):
    """Opens a window."""

    render_mode = "human"
