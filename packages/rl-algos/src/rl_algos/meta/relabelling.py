"""Experience relabelling: improve a policy on a task unlike those of training, with few real transitions of it.

Source: R. Mendonca, X. Geng, C. Finn, S. Levine, "Meta-reinforcement learning robust to distributional shift via model identification
and experience relabeling", 2020, section 4.3 and Algorithm 2.
Departures: none. Letters: T real transitions, B rows, W numbers of a transition.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.optimisers import Optimiser
from rl_algos.continuous.sac import squashed
from rl_algos.meta.task_replay import TaskSAC
from rl_core.envs import Envs
from rl_core.seeds import Seeds

if TYPE_CHECKING:
    from rl_algos.meta.mier import MIER, TaskModel

FURTHER_STEPS = 10  # of the context vector on a test task; those after the trained number at a tenth of the rate
BATCH = 256
REAL_SHARE = 0.05  # of a minibatch of the policy
PATIENCE = 10  # steps without a better held-out loss, after which the model stops


def improved(agent: MIER, num_tasks: int, seeds: Seeds) -> dict[str, float]:
    """Return scores of relabelling on test tasks: returns before and after it, and the model's error of rewards."""
    config, before, after, errors = agent.config, [], [], []
    for number in range(num_tasks):
        branch = seeds.apart(f"relabelling {number}")
        envs, rng = agent.family.tasks(1, 1, branch, "test"), branch.numpy("relabelling")
        rows = real_episodes(agent, envs, rng)
        context, model = extrapolated(agent, rows, rng)
        sac = relearned(agent, model, context, rows, rng)
        own, agent.sac = agent.sac, sac
        try:
            held_out, after_return = zip(*(agent.play(envs, context.numpy(), None) for _ in range(5)), strict=True)
        finally:
            agent.sac = own
        before.append(np.mean([agent.play(envs, context.numpy(), None)[1] for _ in range(5)]))
        after.append(np.mean(after_return))
        errors.append(reward_error(agent, model, context, np.concatenate(held_out, axis=1)))
    return {
        "return before relabelling": float(np.mean(before)),
        "return after relabelling": float(np.mean(after)),
        "relative error of rewards": float(np.mean(errors)),
        "real transitions": float(config.relabel_episodes * agent.length),
    }


def real_episodes(agent: MIER, envs: Envs, rng: np.random.Generator) -> np.ndarray:
    """Return transitions [1, T, W] of one task: the first episode without a context vector, then with those adapted so far."""
    found: list[np.ndarray] = []
    for _ in range(agent.config.relabel_episodes):
        context = agent.infer(np.concatenate(found, axis=1) if found else None, 1, rng)
        found.append(agent.play(envs, context, rng)[0])
    return np.concatenate(found, axis=1)


def extrapolated(agent: MIER, rows: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, TaskModel]:
    """Return a context vector [1, L] and a model that learned on from real transitions [1, T, W] of one task.

    The context is adapted further, then the copy of the model with the context fixed, until the loss of a held-out fifth rises.
    """
    config = agent.config
    shuffled = torch.from_numpy(rows[:, rng.permutation(rows.shape[1])])
    kept, held_out = shuffled.split([shuffled.shape[1] - shuffled.shape[1] // 5, shuffled.shape[1] // 5], dim=1)
    further = max(0, FURTHER_STEPS - config.inner_updates)
    context = agent.model.adapted(kept, agent.rates() + [config.inner_rate / 10] * further)
    model = copy.deepcopy(agent.model)
    optimiser = Optimiser("adam", list(model.parameters()), learning_rate=config.model_rate)
    best, best_loss, waited = copy.deepcopy(model.state_dict()), float("inf"), 0
    for _ in range(config.model_updates):
        with torch.no_grad():
            loss = float(model.loss(context, held_out))
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best, best_loss = copy.deepcopy(model.state_dict()), loss
        if waited > PATIENCE:
            break
        optimiser.zero_grad()
        model.loss(context, kept).sum().backward()
        optimiser.step(10.0)
    model.load_state_dict(best)
    return context, model


def relabelled(agent: MIER, model: TaskModel, context: Tensor, sac: TaskSAC, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return transitions [1, B, W] of training tasks as they would be in the model's task.

    Rewards are predicted. Where the dynamics differ, the actions are those of the policy, and next observations are predicted, too.
    """
    flat = rows.reshape(-1, rows.shape[-1])
    parts = agent.replay.split(torch.from_numpy(flat))
    action, next_obs = parts.action, parts.next_obs
    if agent.config.relabel_dynamics:
        noise = torch.from_numpy(rng.standard_normal((2, len(flat), max(action.shape[1], next_obs.shape[1] + 1)), dtype=np.float32))
        with torch.no_grad():
            action, _ = squashed(sac.head(parts.obs, context.expand(len(flat), -1)), noise[0, :, : action.shape[1]])
        next_obs, reward = model.predicted(parts.obs, action, context, noise[1, :, : next_obs.shape[1] + 1])
    else:
        _, reward = model.predicted(parts.obs, action, context)
    return torch.cat((parts.obs, action, reward, next_obs, parts.terminated), dim=1).numpy()[None]


def relearned(agent: MIER, model: TaskModel, context: Tensor, real: np.ndarray, rng: np.random.Generator) -> TaskSAC:
    """Return policy and critics that learned on, from relabelled experience and real transitions [1, T, W], without new ones."""
    config, sac = agent.config, copy.deepcopy(agent.sac)
    actor_optimiser, critic_optimiser = sac.optimisers(config.learning_rate)
    num_real = max(1, int(REAL_SHARE * BATCH))
    tasks = np.arange(config.num_tasks)
    for _ in range(config.relabel_updates):
        drawn = agent.replay.sample_of(rng.choice(tasks, BATCH - num_real), 1, rng)
        made = relabelled(agent, model, context, sac, drawn, rng)
        rows = np.concatenate((made, real[:, rng.integers(real.shape[1], size=num_real)]), axis=1)
        batch, latent = agent.rows(rows), context.expand(BATCH, -1)
        noise = torch.from_numpy(rng.standard_normal((2, BATCH, agent.num_actions), dtype=np.float32))
        critic_optimiser.zero_grad()
        sac.critic_loss(batch, latent, noise[0], config.discount, config.temperature).backward()
        critic_optimiser.step()
        actor_optimiser.zero_grad()
        loss = sac.actor_loss(batch.obs, latent, noise[1], config.temperature)
        loss.backward(inputs=actor_optimiser.flat.parameters)
        actor_optimiser.step()
        sac.follow(config.target_rate)
    return sac


def reward_error(agent: MIER, model: TaskModel, context: Tensor, rows: np.ndarray) -> float:
    """Return the mean absolute error of predicted rewards of transitions [1, B, W], as a share of the range of the true ones."""
    parts = agent.rows(rows)
    _, reward = model.predicted(parts.obs, parts.action, context)
    return float((reward - parts.reward).abs().mean() / (parts.reward.max() - parts.reward.min()))
