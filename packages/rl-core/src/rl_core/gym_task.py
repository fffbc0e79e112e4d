"""Any Gymnasium environment as a task: `gym:<id>`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar

import gymnasium
from gymnasium import spaces

from rl_core.config import Doc, configclass
from rl_core.envs import Envs, GymEnvs
from rl_core.seeds import Seeds
from rl_core.task import ControlTask


@configclass
class GymConfig:
    """Which environment, and how it is made."""

    id: Annotated[str, Doc("id in Gymnasium's registry, with its version")] = "CartPole-v1"
    options: Annotated[Mapping[str, Any], Doc("keyword arguments of gymnasium.make, such as is_slippery")] = field(default_factory=dict)


class GymTask(ControlTask):
    """A Gymnasium environment by id; the target is the registry's reward threshold.

    Raises:
        ValueError: if Gymnasium does not know the id, or the spaces are of a kind that no agent here reads.
    """

    Config: ClassVar[type] = GymConfig

    def __init__(self, config: GymConfig) -> None:
        super().__init__(config)
        try:
            env = self._make()
        except (gymnasium.error.Error, TypeError, ImportError) as error:
            raise ValueError(f"Gymnasium cannot make {config.id!r}: {error}") from error
        self.input_space, self.output_space = env.observation_space, env.action_space
        self._nondeterministic = bool(env.spec and env.spec.nondeterministic)
        self.target = env.spec.reward_threshold if env.spec else None
        env.close()
        for role, space in (("observations", self.input_space), ("actions", self.output_space)):
            if isinstance(space, spaces.Dict | spaces.Tuple | spaces.Graph | spaces.Sequence | spaces.OneOf):
                raise ValueError(
                    f"{config.id!r} has {role} of the kind {type(space).__name__}; a task takes one plain space "
                    "(wrap the environment with gymnasium.wrappers.FlattenObservation and register that)"
                )

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Environments one after the other, replayed on resume."""
        return GymEnvs(self._make, num_envs, seeds)

    def caveat(self) -> str:
        """Says so when Gymnasium's registry calls the environment nondeterministic."""
        if self._nondeterministic:
            return f"{self.config.id} is registered as nondeterministic: a seed does not reproduce it, and it may refuse to be continued"
        return ""

    def _make(self) -> gymnasium.Env:
        return gymnasium.make(self.config.id, disable_env_checker=True, **self.config.options)
