"""Checked access to one Gymnasium environment: types, shapes, finite numbers, and its exceptions in words.

Observations are cast to the type of their space, which is logged once. Everything else that a learner would misread in silence is
an `EnvironmentFailure`, which names the environment, the step and the value.
"""

from __future__ import annotations

import logging
import math
import reprlib
import traceback
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.errors import EnvironmentFailure
from rl_core.structured import Structured, StructuredActions

LOGGER = logging.getLogger("rl_core")
RESET = "Gymnasium's interface is reset(self, *, seed=None, options=None) -> (observation, info)"
STEP = "Gymnasium's interface is step(self, action) -> (observation, reward, terminated, truncated, info)"
MIGRATION = "https://gymnasium.farama.org/introduction/migration_guide/ shows how to convert an environment of the older Gym"
_FLAGS = (bool, np.bool_)


ACTIONS: dict[str, tuple[str, ...]] = {
    "Acrobot": ("torque -1 N m", "no torque", "torque +1 N m"),
    "Blackjack": ("stick", "hit"),
    "CartPole": ("push left", "push right"),
    "CliffWalking": ("up", "right", "down", "left"),
    "CliffWalkingSlippery": ("up", "right", "down", "left"),
    "FrozenLake": ("left", "down", "right", "up"),
    "FrozenLake8x8": ("left", "down", "right", "up"),
    "LunarLander": ("no engine", "left engine", "main engine", "right engine"),
    "MountainCar": ("push left", "no push", "push right"),
    "Taxi": ("down", "up", "right", "left", "pick up", "drop off"),
}
"""Names of the actions of Gymnasium's environments, by their name without the version, as Gymnasium documents them."""


def action_names(name: str, space: gymnasium.Space[Any]) -> tuple[str, ...]:
    """Return the names of an environment's actions; empty where they are not known.

    >>> action_names("CartPole-v1", spaces.Discrete(2)), action_names("CartPole-v1", spaces.Box(-1, 1, (1,)))
    (('push left', 'push right'), ())
    """
    found = ACTIONS.get(name.rpartition("-v")[0] or name, ())
    return found if isinstance(space, spaces.Discrete) and space.n == len(found) else ()


class GymInterface:
    """Calls of `reset` and `step` on the environments of one task, checked against their spaces.

    Args:
        name: Name of the environment, for messages.
        input_space: Space of one observation.
        output_space: Space of one action.

    Attributes:
        name: Name of the environment.
        masks: Whether the environments say which of their Discrete actions are allowed; found out by the first `reset`.
        legal: Which were at the last observation returned [A], bool; `None` where they do not say it.
        remedy: Hint for an environment that raised.
    """

    def __init__(self, name: str, input_space: gymnasium.Space, output_space: gymnasium.Space) -> None:
        self.name = name
        self._space = input_space
        self._shape, self._dtype = tuple(input_space.shape or ()), np.dtype(input_space.dtype)
        self._floats = self._dtype.kind == "f"
        self._structured = input_space if isinstance(input_space, Structured) else None
        self._discrete = isinstance(output_space, spaces.Discrete)
        self._of_parts = output_space if isinstance(output_space, StructuredActions) else None
        self._num_actions = int(output_space.n) if isinstance(output_space, spaces.Discrete) else 0
        self.masks: bool | None = None if self._num_actions else False
        self.legal: np.ndarray | None = None
        self._said: set[str] = set()
        self.remedy = "see where with --traceback"

    def reset(self, env: gymnasium.Env, seed: int) -> np.ndarray:
        """Start an episode and return its first observation.

        Raises:
            EnvironmentFailure: if the environment raises, or does not return a pair with an observation of its space.
        """
        try:
            result = env.reset(seed=seed)
        except (Exception, SystemExit) as error:
            raise self._raised(error, f"reset(seed={seed})", RESET) from error
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict | None):
            raise EnvironmentFailure(
                f"environment {self.name} does not follow Gymnasium's interface: reset returned {_kind(result)}, expected a pair "
                "(observation, info), info a dict",
                f"{RESET}; {MIGRATION}",
            )
        obs = self._observation(result[0], "reset")
        if self.masks is None:
            self.masks = mask_of(env, result[1] or {}) is not None
        if self.masks:
            self.legal = self._mask(env, result[1] or {}, "reset")
        return obs

    def step(self, env: gymnasium.Env, action: Any, number: int) -> tuple[np.ndarray, float, bool, bool]:
        """Take an action and return observation, reward, terminated and truncated.

        Args:
            env: The environment.
            action: The action, of the output space's type.
            number: Number of the step within its episode, from 1.

        Raises:
            EnvironmentFailure: if the environment raises, returns something else than Gymnasium's five values, an observation of
                another shape than its space's, or a number that is not finite.
        """
        try:
            if self._of_parts is not None:
                action = self._of_parts.unflatten(action)
            result = env.step(int(action) if self._discrete else action)
        except (Exception, SystemExit) as error:
            raise self._raised(error, f"step {number} of an episode (action {reprlib.repr(np.asarray(action).tolist())})", STEP) from error
        if not isinstance(result, tuple) or len(result) != 5:
            raise self._wrong_step(f"step returned {_kind(result)}, expected (observation, reward, terminated, truncated, info)")
        raw, reward, terminated, truncated, info = result
        if type(terminated) not in _FLAGS or type(truncated) not in _FLAGS:
            terminated, truncated = self._flag(terminated, "terminated"), self._flag(truncated, "truncated")
        if type(reward) is not float:
            reward = self._reward(reward, number)
        if not math.isfinite(reward):
            raise self._not_finite("reward", reward, number)
        obs = self._observation(raw, "step", number)
        if self.masks:
            # Of the last observation of an episode that terminated nothing is asked.
            self.legal = np.ones(self._num_actions, np.bool_) if terminated else self._mask(env, info, f"step {number} of an episode")
        return obs, reward, bool(terminated), bool(truncated)

    def _mask(self, env: gymnasium.Env, info: Any, place: str) -> np.ndarray:
        """Return which actions are allowed [A]."""
        given = mask_of(env, info)
        mask = np.asarray(given)
        if given is None or mask.shape != (self._num_actions,) or mask.dtype.kind not in "biu" or not mask.any():
            shown = "none" if given is None else reprlib.repr(mask.tolist())
            raise EnvironmentFailure(
                f"environment {self.name} gives the action mask {shown} at {place}",
                f"give {self._num_actions} flags, at least one of them true, in info['action_mask'] of every reset and step, or by a "
                "method action_masks(); --set task.masks=false plays without masks",
            )
        return mask.astype(np.bool_)

    def action(self, action: Any) -> Any:
        """Return an action as the environments take it."""
        if self._of_parts is not None:
            return self._of_parts.unflatten(action)
        return int(action) if self._discrete else action

    def say(self, sentence: str) -> None:
        """Log a warning, once."""
        if sentence not in self._said:
            self._said.add(sentence)
            LOGGER.warning(sentence)

    def _observation(self, raw: Any, call: str, number: int = 0) -> np.ndarray:
        obs = raw
        if self._structured is not None:
            try:
                obs = self._structured.flatten(raw)
            except ValueError as error:
                raise self._wrong_observation(f"{call} returned an observation of which {error}") from error
        elif type(raw) is not np.ndarray or raw.dtype != self._dtype or raw.shape != self._shape:
            obs = self._converted(raw, call)
        if self._floats:
            if not np.isfinite(obs).all():
                raise self._not_finite("observation", obs, number)
        elif isinstance(self._space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) and not self._space.contains(obs):
            raise self._wrong_observation(
                f"{call} returned the observation {reprlib.repr(obs.tolist())}, which is outside of {self._space}"
            )
        return obs

    def _converted(self, raw: Any, call: str) -> np.ndarray:
        """Return an observation as an array of the space's type and shape."""
        try:
            given = np.asarray(raw)
        except (TypeError, ValueError) as error:
            raise self._wrong_observation(f"{call} returned {_kind(raw)} as the observation: {error}") from error
        if given.dtype.kind not in "biuf":
            raise self._wrong_observation(f"{call} returned {_kind(raw)} as the observation, expected an array of {self._space}")
        if given.shape != self._shape:
            if given.size != math.prod(self._shape) or given.size > 1:
                raise self._wrong_observation(
                    f"{call} returned an observation of shape {list(given.shape)}, but its observation_space has {list(self._shape)}"
                )
            given = given.reshape(self._shape)
        if given.dtype == self._dtype:
            return given
        with np.errstate(all="ignore"):
            obs = given.astype(self._dtype)
        if self._floats:
            lost = bool((np.isinf(obs) & np.isfinite(given)).any()) if given.dtype.kind == "f" else False
        else:
            lost = not np.array_equal(obs, given)
        if lost:
            raise self._wrong_observation(
                f"{call} returned {reprlib.repr(given.tolist())}, which the type {self._dtype} of its observation_space cannot hold"
            )
        if not isinstance(raw, int | np.integer):  # an int for Discrete is how every environment does it
            self.say(
                f"environment {self.name}: {call} returns {given.dtype} observations, which are cast to {self._dtype}, the type of its "
                "observation_space"
            )
        return obs

    def _reward(self, reward: Any, number: int) -> float:
        if isinstance(reward, int | float | np.number | np.bool_):
            return float(reward)
        try:
            given = np.asarray(reward)
            if given.size == 1 and given.dtype.kind in "biuf":
                self.say(f"environment {self.name}: step returns rewards as arrays of shape {list(given.shape)}; their number is taken")
                return float(given.reshape(()))
        except (TypeError, ValueError):
            pass
        raise self._wrong_step(f"step {number} of an episode returned {_kind(reward)} as the reward, expected a number")

    def _flag(self, flag: Any, name: str) -> bool:
        if isinstance(flag, _FLAGS):
            return bool(flag)
        given = np.asarray(flag) if isinstance(flag, int | np.integer | np.ndarray) else None
        if given is not None and given.size == 1 and given.dtype.kind in "biu" and int(given.reshape(())) in (0, 1):
            return bool(given.reshape(()))
        raise self._wrong_step(f"step returned {_kind(flag)} as {name}, expected True or False")

    def _wrong_step(self, problem: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"environment {self.name} does not follow Gymnasium's interface: {problem}", f"{STEP}; {MIGRATION}")

    def _wrong_observation(self, problem: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"environment {self.name} does not fit its observation_space: {problem}",
            f"return observations of {getattr(self._space, 'structure', self._space)}, or declare the observation_space that they have",
        )

    def _not_finite(self, what: str, value: Any, number: int) -> EnvironmentFailure:
        values = np.asarray(value).ravel()
        index = int(np.flatnonzero(~np.isfinite(values))[0])
        shown = f"{values[index]}" + (f" at index {[int(axis) for axis in np.unravel_index(index, self._shape)]}" if np.ndim(value) else "")
        place = f"step {number} of an episode" if number else "reset"
        return EnvironmentFailure(
            f"environment {self.name} returned the {what} {shown} at {place}; every {what} must be finite",
            "correct the environment: a division by zero, a logarithm or an overflow is the usual cause",
        )

    def _raised(self, error: BaseException, place: str, interface: str) -> EnvironmentFailure:
        if isinstance(error, EnvironmentFailure):
            return error
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        innermost = traceback.extract_tb(error.__traceback__)[-1].filename
        if "values to unpack" in text and "gymnasium" in innermost:  # a wrapper of Gymnasium that met the older interface
            call = "reset" if place.startswith("reset") else "step"
            expected = "(observation, info)" if call == "reset" else "(observation, reward, terminated, truncated, info)"
            return EnvironmentFailure(
                f"environment {self.name} does not follow Gymnasium's interface: {call} does not return {expected} ({text})",
                f"{interface}; {MIGRATION}",
            )
        if isinstance(error, TypeError) and "unexpected keyword argument" in text:
            return EnvironmentFailure(
                f"environment {self.name} does not follow Gymnasium's interface: {place} raised {text}", f"{interface}; {MIGRATION}"
            )
        did = f"called sys.exit({error.code!r})" if isinstance(error, SystemExit) else f"raised {text}"
        failure = EnvironmentFailure(f"at {place}, environment {self.name} {did}", self.remedy)
        failure.raised = True
        return failure


def mask_of(env: gymnasium.Env, info: Any) -> Any:
    """Return the mask in `info`, or that of a method `action_masks` or `action_mask` of the environment or a wrapper of it, or `None`."""
    if isinstance(info, dict) and "action_mask" in info:
        return info["action_mask"]
    for name in ("action_masks", "action_mask"):
        try:
            method = env.get_wrapper_attr(name)
        except AttributeError:
            continue
        if callable(method):
            return method()
    return None


def _kind(value: Any) -> str:
    """Return a value in words: its type, and its length or shape."""
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} values"
    if isinstance(value, np.ndarray):
        return f"an array of shape {list(value.shape)} ({value.dtype})"
    shown = reprlib.repr(value)
    return f"{shown} ({type(value).__name__})"
