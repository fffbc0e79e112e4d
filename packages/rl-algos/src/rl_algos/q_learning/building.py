"""The networks and the replay buffer of DQN, chosen by its settings."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import Flat, fast_path
from dl_nets.fast.mlp import FastMLP
from dl_nets.learning.devices import resolve_device
from dl_nets.learning.optimisers import Optimiser
from rl_algos.q_learning.settings import DQNConfig
from rl_algos.replay.buffer import ReplayBuffer, ReplaySettings
from rl_algos.replay.prioritised import PrioritisedReplay
from rl_algos.replay.sequence import SequenceReplay
from rl_core.network import Network
from rl_core.task import ControlTask, Task


class Update(NamedTuple):
    """Numbers of one gradient step, from before it."""

    loss: float
    value: float  # mean of Q(s, a)
    td_error: np.ndarray  # Q(s, a) less its target, in the shape of the actions


@dataclass(frozen=True)
class QNetworks:
    """A learning network and its target.

    Attributes:
        module: Inputs [B, ...] to Q [B, A], or to V and A [B, 1 + A] of a dueling network.
        target: A copy of it, which follows.
        optimiser: Moves the parameters of `module`.
        target_flat: The parameters of `target` on one vector.
        device: Device of both.
        state_size: M, numbers of a recurrent network's state; 0 for any other.
        fast: Both networks on the same parameters, where they are plain perceptrons on the CPU that read vectors.
    """

    module: nn.Module
    target: nn.Module
    optimiser: Optimiser
    target_flat: Flat
    device: torch.device
    state_size: int
    fast: tuple[FastMLP, FastMLP] | None


def require_countable(config: DQNConfig, task: Task) -> tuple[int, int]:
    """Return the number of actions and the first of them.

    Raises:
        ValueError: if actions are not Discrete, or visits of observations that are not Discrete would be counted.
    """
    actions, space = task.output_space, task.input_space
    if not isinstance(actions, spaces.Discrete):
        raise ValueError(f"the task takes actions of {actions}; a Q-network values each of a Discrete number of actions")
    counts = config.exploration == "ucb" or config.exploration_schedule == "visits"
    if counts and not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"exploration is {config.exploration} with the schedule {config.exploration_schedule}, which counts visits of "
            f"each observation, and observations are {space}; take epsilon-greedy or boltzmann, and another schedule"
        )
    return int(actions.n), int(actions.start)


def build_networks(
    config: DQNConfig, task: Task, network: Network, rng: np.random.Generator, device: str, outputs_per_action: int = 1
) -> QNetworks:
    """Build a network from observations to a value of each action, or to one value and the actions' advantages, and its target."""
    space = seen_space(task.input_space, config.stack_axis)
    heads = spaces.Box(-np.inf, np.inf, (int(task.output_space.n) * outputs_per_action + config.dueling,), np.float32)
    module: Any = (network.build_stepped if network.stateful else network.build)(space, heads, rng)
    is_fast = device != "cuda" and getattr(module, "vector_inputs", False) and fast_path(module)
    on = torch.device("cpu") if is_fast else resolve_device(device)
    module = module.eval().to(on)  # dropout would make a network disagree with its own target
    flat = Flat(module)
    target, target_flat = copy.deepcopy((module, flat))
    online_mlp, target_mlp = (flat.fast_mlp(module), target_flat.fast_mlp(target)) if is_fast else (None, None)
    return QNetworks(
        module,
        target.requires_grad_(False),
        Optimiser("adam", flat, learning_rate=config.learning_rate),
        target_flat,
        on,
        module.state_size if network.stateful else 0,
        (online_mlp, target_mlp) if online_mlp and target_mlp else None,
    )


def build_replay(config: DQNConfig, task: ControlTask, nets: QNetworks) -> ReplayBuffer:
    """Build a replay buffer that is drawn from evenly, by priority, or in sequences.

    Raises:
        ValueError: if the buffer or a batch needs more memory than there is, or sequences or action masks meet stacked frames, or
            sequences priorities.
    """
    space, actions = task.input_space, task.output_space
    num_masked = int(actions.n) if "legal" in task.extras and not nets.state_size else 0
    if num_masked and config.stack_axis is not None:
        raise ValueError(
            f"stack_axis is {config.stack_axis}, and the task says which actions are allowed; frames are then stored whole: set it to none"
        )
    settings = ReplaySettings(config.buffer_size, config.num_envs, config.discount, config.return_steps, config.stack_axis, config.storage)
    replay: ReplayBuffer
    if nets.state_size:
        if config.prioritised or config.stack_axis is not None:
            what = "prioritised is true" if config.prioritised else f"stack_axis is {config.stack_axis}"
            raise ValueError(
                f"{what}, and the network is recurrent, which learns from plain sequences, drawn evenly; leave it out, or take network mlp"
            )
        replay = SequenceReplay(
            settings,
            space,
            actions,
            state_size=nets.state_size,
            sequence_steps=config.sequence_steps,
            burn_in_steps=config.burn_in_steps,
        )
    elif config.prioritised:
        replay = PrioritisedReplay(settings, space, actions, exponent=config.priority_exponent, num_masked=num_masked)
    else:
        replay = ReplayBuffer(settings, space, actions, num_masked=num_masked)
    replay.require_batch(config.batch_size)
    return replay


def seen_space(space: gymnasium.Space[Any], stack_axis: int | None) -> gymnasium.Space[Any]:
    """Return the space of what the network reads: frames that are stacked along an axis become the last one, an image's channels.

    >>> seen_space(spaces.Box(0, 255, (4, 84, 84), "uint8"), 0).shape
    (84, 84, 4)
    """
    if stack_axis is None or not isinstance(space, spaces.Box):
        return space
    return spaces.Box(np.moveaxis(space.low, stack_axis, -1), np.moveaxis(space.high, stack_axis, -1), dtype=space.dtype.type)
