"""Learned models of the dynamics: from an observation and an action to the next observation, its uncertainty, the reward and the end.

Source: K. Chua, R. Calandra, R. McAllister, S. Levine, "Deep reinforcement learning in a handful of trials using probabilistic dynamics
models", 2018, sections 4 and 5; other kinds of model as `perceptrons` names them.
Departures: changes of observations are predicted on a common scale; the noise of a particle is the same for all candidates of a plan, so
that these are compared under the same chance; TS1 lets the particles of a candidate change members in equal numbers at every step.
Letters: E members, M particles, B rows, S numbers of an observation, D numbers of an action's code.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from dl_nets.learning.optimisers import Optimiser
from rl_algos.model_based.perceptrons import Functions, Perceptrons, bounded, gaussian_loss, mixture_loss
from rl_algos.model_based.rollouts import Rollouts
from rl_algos.model_based.sequences import Actions, choices
from rl_algos.model_based.transitions import Rows, Scale, Transitions
from rl_algos.tasks.array_envs import Outcome
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, Whole, configclass
from rl_core.state import restore_state, saved_state
from rl_core.task import ControlTask

Kind = Literal["ensemble", "deterministic", "dropout", "linear", "mixture", "bayesian"]
HIGH_BOUND, LOW_BOUND = 0.5, -10.0  # first bounds of log-variances, on the common scale


@configclass
class ModelConfig:
    """Settings of a learned model."""

    model: Annotated[Literal["ensemble", "deterministic", "dropout", "linear", "mixture", "bayesian", "true"], Doc("kind of model")] = (
        "ensemble"
    )
    num_members: Annotated[int, Meta(ge=1, le=100), Doc("E, networks of an ensemble; other kinds have one")] = 5
    num_particles: Annotated[int, Meta(ge=1, le=1_000), Doc("M, predicted futures of a candidate; a multiple of E for an ensemble")] = 5
    propagation: Annotated[Literal["ts1", "ts-inf"], Doc("whether a particle changes members at every step, or keeps one")] = "ts1"
    hidden_layers: Annotated[tuple[Count, ...], Doc("units of the hidden layers; a linear model has none")] = (64, 64)
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("share of hidden units that a mask of a dropout model sets to 0")] = 0.05
    num_components: Annotated[Count, Doc("components of a Gaussian mixture")] = 3
    model_learning_rate: Annotated[Positive, Doc("alpha of Adam, for the model")] = 3e-3
    model_batch_size: Annotated[int, Meta(ge=1, le=100_000), Doc("transitions in a gradient step of each member")] = 64
    model_updates: Annotated[Count, Doc("gradient steps of a fit")] = 400
    weight_decay: Annotated[
        NonNegative, Doc("lambda, weight of squared weights in the loss; for dropout and one network it is the prior")
    ] = 1e-4
    use_outcome: Annotated[
        bool, Doc("plan with the task's own reward and end of episodes where it shows them; otherwise they are learned")
    ] = True
    num_held_steps: Annotated[Whole, Doc("steps of a prediction that is compared with the newest episode; 0 for none")] = 15

    def __post_init__(self) -> None:
        if self.model == "ensemble" and self.num_particles % self.num_members:
            raise ValueError(f"num_particles is {self.num_particles}; it must be a multiple of num_members, {self.num_members}")


class Prediction(NamedTuple):
    """Distribution of next observations and rewards for each function.

    Attributes:
        mean: On the common scale [M, B, S + 1], the change of the observation, and the reward.
        log_variance: [M, B, S + 1]; `None` for a deterministic model.
        end: Logit that the episode ends [M, B].
    """

    mean: Tensor
    log_variance: Tensor | None
    end: Tensor


class DynamicsNetwork(nn.Module):
    """A network whose outputs are a distribution of changes; `GaussianEnsemble` for the kind "ensemble".

    Args:
        num_inputs: S + D.
        num_outputs: S + 1.
        config: Settings; `model` is not "true".
        rng: The stream of the first weights.
    """

    def __init__(self, num_inputs: int, num_outputs: int, config: ModelConfig, rng: np.random.Generator) -> None:
        super().__init__()
        self.kind, self.num_outputs, self.num_components = config.model, num_outputs, config.num_components
        self.is_point = config.model in ("deterministic", "linear")
        heads = {"mixture": config.num_components * (1 + 2 * num_outputs)}.get(config.model, num_outputs * (1 if self.is_point else 2))
        hidden = () if config.model == "linear" else config.hidden_layers
        self.members = Perceptrons(
            (num_inputs, *hidden, heads + 1),
            config.num_members if config.model == "ensemble" else 1,
            rng,
            dropout=config.dropout if config.model == "dropout" else 0.0,
            is_bayesian=config.model == "bayesian",
        )
        self.high, self.low = nn.Parameter(torch.full((num_outputs,), HIGH_BOUND)), nn.Parameter(torch.full((num_outputs,), LOW_BOUND))
        if self.is_point:
            self.high.requires_grad_(False)
            self.low.requires_grad_(False)

    def forward(self, inputs: Tensor, functions: Functions, component: Tensor | None = None) -> Prediction:
        """Return the prediction of scaled inputs [M, B, S + D]; of a mixture, that of a component [M, B] or the most probable one."""
        head = self.members(inputs, functions)
        end, size = head[..., -1], self.num_outputs
        if self.is_point:
            return Prediction(head[..., :-1], None, end)
        if self.kind != "mixture":
            return Prediction(head[..., :size], bounded(head[..., size:-1], self.low, self.high), end)
        logits, mean, log_variance = self.mixture(head)
        chosen = logits.argmax(dim=-1) if component is None else (logits + component).argmax(dim=-1)
        at = chosen[..., None, None].expand(*chosen.shape, 1, size)
        return Prediction(mean.gather(-2, at)[..., 0, :], log_variance.gather(-2, at)[..., 0, :], end)

    def mixture(self, head: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits [M, B, C], means and log-variances [M, B, C, S + 1] of a head."""
        count, size = self.num_components, self.num_outputs
        logits, mean, log_variance = head[..., :-1].split([count, count * size, count * size], dim=-1)
        shape = (*head.shape[:-1], count, size)
        return logits, mean.reshape(shape), bounded(log_variance.reshape(shape), self.low, self.high)

    def loss(self, inputs: Tensor, target: Tensor, ended: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the loss, a scalar, summed over members, of inputs [E, B, S + D], targets [E, B, S + 1] and ends [E, B]."""
        functions = self.members.draw(1, rng, num_rows=inputs.shape[1])
        if self.kind == "mixture":
            head = self.members(inputs, functions)
            logits, mean, log_variance = self.mixture(head)
            loss, end = mixture_loss(logits, mean, log_variance, target), head[..., -1]
        else:
            found = self.forward(inputs, functions)
            each = (target - found.mean) ** 2 if found.log_variance is None else gaussian_loss(found.mean, found.log_variance, target)
            loss, end = each.sum(dim=-1), found.end
        bounds = 0.01 * (self.high.sum() - self.low.sum())
        return (loss + binary_cross_entropy_with_logits(end, ended, reduction="none")).mean(dim=1).sum() + bounds


class LearnedModel:
    """A model of a task's dynamics, learned from transitions: its scales, its network, and predictions of many futures at once.

    Args:
        task: The task, whose spaces and outcome are read.
        config: Settings.
        rng: The stream of the first weights.

    Attributes:
        outcome: Rewards and ends as the task states them; `None` where they are learned. Setting it plans for another task.

    Raises:
        ValueError: if observations are not vectors.
    """

    STATE = ("network", "optimiser", "inputs", "targets")

    def __init__(self, task: ControlTask, config: ModelConfig, rng: np.random.Generator) -> None:
        space = task.input_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1 or space.dtype.kind != "f":
            raise ValueError(f"the task's observations are {space}; a learned model predicts vectors of floats")
        self.config, self.actions = config, Actions(task.output_space)
        self.num_numbers = space.shape[0]
        self.code_size = self.actions.num_choices or self.actions.size
        self.outcome: Outcome | None = getattr(getattr(task, "problem", None), "outcome", None) if config.use_outcome else None
        self.inputs, self.targets = Scale(self.num_numbers + self.code_size), Scale(self.num_numbers + 1)
        self.low, self.high = space.low.astype(np.float32), space.high.astype(np.float32)
        self._rollouts = Rollouts(self)
        self.network = DynamicsNetwork(self.num_numbers + self.code_size, self.num_numbers + 1, config, rng)
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        self.optimiser = Optimiser("adam", parameters, learning_rate=config.model_learning_rate)

    def code(self, plan: np.ndarray) -> np.ndarray:
        """Return codes [B, D] of actions that are given as numbers in [-1, 1] [B, d]: the numbers, or one-hot vectors of choices."""
        if self.actions.num_choices is None:
            return plan.astype(np.float32)
        return np.eye(self.code_size, dtype=np.float32)[choices(plan[:, 0], self.code_size)]

    def fit(self, data: Transitions, rng: np.random.Generator) -> dict[str, float]:
        """Learn from transitions, from the present weights on; return the mean loss of the last tenth of the steps."""
        config, rows = self.config, data.rows()
        kept = data.learned()
        inputs = np.concatenate([rows.obs, rows.action], axis=1)
        targets = np.concatenate([rows.next_obs - rows.obs, rows.reward[:, None]], axis=1)
        self.inputs.fit(inputs[kept])
        self.targets.fit(targets[kept])
        scaled, wanted = (torch.from_numpy((v - s.mean) / s.std) for v, s in ((inputs, self.inputs), (targets, self.targets)))
        ended, losses = torch.from_numpy(rows.terminated.astype(np.float32)), []
        weights = [p for p in self.network.members.weights if p.requires_grad]
        share = 1.0 / max(1, len(kept))
        for index in data.batches(config.model_updates, config.model_batch_size, rng):
            at = torch.from_numpy(index)
            loss = self.network.loss(scaled[at], wanted[at], ended[at], rng)
            penalty = config.weight_decay * sum(((w**2).sum() for w in weights), torch.zeros(()))
            if self.network.members.is_bayesian:
                penalty = 2 * share * self.network.members.divergence()
            self.optimiser.zero_grad()
            (loss + penalty).backward()
            self.optimiser.step()
            losses.append(loss.item() / self.network.members.num_members)
        return {"model_loss": float(np.mean(losses[-max(1, len(losses) // 10) :]))}

    @torch.no_grad()
    def functions(self, count: int, rng: np.random.Generator) -> Functions:
        """Return functions for the particles of a plan; each holds for the whole of it."""
        return self.network.members.draw(count, rng)

    @torch.no_grad()
    def predict(self, obs: Tensor, code: Tensor, functions: Functions, component: Tensor | None = None) -> Prediction:
        """Return predictions on the common scale for observations [M, B, S] and codes [B, D] or [M, B, D]."""
        code = code if code.ndim == 3 else code.expand(len(obs), *code.shape)
        inputs = torch.cat([obs, code], dim=2).sub_(torch.from_numpy(self.inputs.mean)).div_(torch.from_numpy(self.inputs.std))
        return self.network(inputs, functions, component)

    def moments(self, obs: Tensor, code: Tensor, functions: Functions) -> Prediction:
        """Return what `predict` does, with mean and variance of a whole mixture."""
        found = self.predict(obs, code, functions)
        if self.network.kind != "mixture":
            return found
        code = code.expand(len(obs), *code.shape)
        scaled = (torch.cat([obs, code], dim=2) - torch.from_numpy(self.inputs.mean)) / torch.from_numpy(self.inputs.std)
        logits, means, log_variances = self.network.mixture(self.network.members(scaled, functions))
        weight = logits.softmax(dim=-1)[..., None]
        mean = (weight * means).sum(dim=-2)
        variance = (weight * (log_variances.exp() + means**2)).sum(dim=-2) - mean**2
        return Prediction(mean, variance.clamp(min=1e-12).log(), found.end)

    @torch.no_grad()
    def step(
        self, obs: Tensor, code: Tensor, functions: Functions, rng: np.random.Generator | None, num_noises: int = 1
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return drawn next observations [M, B, S], predicted rewards [M, B] and ends [M, B], bool.

        The noise is one for all B, or one for each if `num_noises` is B; without a generator there is none.
        """
        count, is_mixture = len(obs), self.network.kind == "mixture" and rng is not None
        component = None
        if is_mixture and rng is not None:
            component = torch.from_numpy(rng.gumbel(size=(count, num_noises, self.network.num_components)).astype(np.float32))
        found = self.predict(obs, code, functions, component)
        mean = found.mean
        if found.log_variance is not None and rng is not None:
            noise = torch.from_numpy(rng.standard_normal((count, num_noises, mean.shape[2]), dtype=np.float32))
            mean = mean + found.log_variance.mul(0.5).exp_().mul_(noise)
        low, high = torch.from_numpy(self.low), torch.from_numpy(self.high)
        change = mean * torch.from_numpy(self.targets.std) + torch.from_numpy(self.targets.mean)
        after = torch.minimum(torch.maximum(obs + change[..., :-1], low), high)  # NaN stays
        return after, change[..., -1], found.end > 0

    def judged(self, obs: Tensor, plan: np.ndarray, after: Tensor, reward: Tensor, end: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return rewards and ends [M, B]: the task's own for observations [M, B, S] and numbers of actions [B, d], or the predicted."""
        if self.outcome is None:
            return reward.numpy(), end.numpy()
        count, rows = obs.shape[:2]
        action = self.actions(plan)
        action = np.broadcast_to(action, (count, *action.shape)).reshape(count * rows, *action.shape[1:])
        flat = (t.reshape(count * rows, -1).numpy() for t in (obs, after))
        paid, ended = self.outcome(next(flat), action, next(flat))
        return np.asarray(paid, dtype=np.float32).reshape(count, rows), ended.reshape(count, rows)

    def returns(self, obs: np.ndarray, sequences: np.ndarray, discount: float, rng: np.random.Generator) -> np.ndarray:
        """Return predicted returns [B] of sequences [B, H, d] from observations [B, S]; NaN where a particle leaves the numbers."""
        way = self.plain_returns if self.network.kind == "mixture" else self._rollouts.returns
        return way(obs, sequences, discount, rng)

    def plain_returns(self, obs: np.ndarray, sequences: np.ndarray, discount: float, rng: np.random.Generator) -> np.ndarray:
        """Return what `returns` does, one step after another: the reading twin of `Rollouts.returns`, and the way of mixtures."""
        count = self.config.num_particles
        functions, is_changing = self.functions(count, rng), self.config.propagation == "ts1" and not self.network.members.is_random
        state = torch.from_numpy(np.ascontiguousarray(obs, dtype=np.float32)).expand(count, *obs.shape)
        total, alive = np.zeros(state.shape[:2], dtype=np.float32), np.ones(state.shape[:2], dtype=np.bool_)
        for t in range(sequences.shape[1]):
            if is_changing and t and self.network.members.num_members > 1:
                order = rng.permutation(count)
                state, total, alive = state[torch.from_numpy(order)], total[order], alive[order]
            plan = sequences[:, t]
            after, reward, end = self.step(state, torch.from_numpy(self.code(plan)), functions, rng)
            paid, ended = self.judged(state, plan, after, reward, end)
            total += np.float32(discount**t) * np.where(alive, paid, np.float32(0.0))
            total[~np.isfinite(after.sum(dim=2).numpy()) & alive] = np.nan  # a model that diverges must not win by it
            alive &= ~ended
            state = after
        mean: np.ndarray = total.mean(axis=0)
        return mean

    def state_dict(self) -> dict[str, Any]:
        """Return weights, moments and scales."""
        return saved_state(self, self.STATE)

    def load_state_dict(self, state: Any) -> None:
        """Restore what `state_dict` returned."""
        restore_state(self, self.STATE, state)


class Scores(NamedTuple):
    """Predictions of real transitions one step ahead, on the common scale.

    Attributes:
        z: (y - mean) / std under each function's own distribution [M, n, S]: of deviation 1 where functions are neither too sure nor too
            unsure of themselves; `None` for a deterministic model.
        mixture_z: The same under mean and variance of all functions together [n, S].
        error: y minus the mean of all functions [n, S].
        spread: Deviation of the functions' means [n, S]: what the model does not know.
    """

    z: np.ndarray | None
    mixture_z: np.ndarray | None
    error: np.ndarray
    spread: np.ndarray


@torch.no_grad()
def scores(model: LearnedModel, rows: Rows, rng: np.random.Generator) -> Scores:
    """Return the scores of real transitions under all members, or 20 functions that are drawn."""
    members, size = model.network.members, model.num_numbers
    count = 20 if members.is_random else members.num_members
    obs = torch.from_numpy(rows.obs).expand(count, *rows.obs.shape)
    found = model.moments(obs, torch.from_numpy(rows.action), model.functions(count, rng))
    target = ((rows.next_obs - rows.obs) - model.targets.mean[:size]) / model.targets.std[:size]
    mean, centre = found.mean[..., :size].numpy(), found.mean.mean(dim=0)[:, :size].numpy()
    spread, error = mean.std(axis=0), target - centre
    if found.log_variance is None:
        return Scores(None, None, error, spread)
    variance = found.log_variance.exp()[..., :size].numpy()
    mixture_z = error / np.sqrt(variance.mean(axis=0) + spread**2)
    return Scores((target - mean) / np.sqrt(variance), mixture_z, error, spread)


class Windows(NamedTuple):
    """Windows of H steps of one episode.

    Attributes:
        predicted: Observations as the model continues from the first ones alone [M, W, H, S].
        real: [W, H, S].
        first: Observations that the windows begin with [W, S].
    """

    predicted: np.ndarray
    real: np.ndarray
    first: np.ndarray


@torch.no_grad()
def open_loop(model: LearnedModel, rows: Rows, num_steps: int, rng: np.random.Generator, count: int) -> Windows:
    """Return windows of an episode's rows, which begin a third of their length apart."""
    starts = np.arange(0, len(rows.reward) - num_steps + 1, max(1, num_steps // 3))
    functions = model.functions(count, rng)
    state = torch.from_numpy(rows.obs[starts]).expand(count, len(starts), -1)
    predicted = []
    for t in range(num_steps):
        state, _, _ = model.step(state, torch.from_numpy(rows.action[starts + t]), functions, rng)
        predicted.append(state.numpy())
    real = np.stack([rows.next_obs[starts + t] for t in range(num_steps)], axis=1)
    return Windows(np.stack(predicted, axis=2), real, rows.obs[starts])


def open_loop_ratio(predicted: np.ndarray, real: np.ndarray, scale: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return the error of the mean prediction after each step [H], as a ratio to that of the constant prediction: the first observation.

    Args:
        predicted: [M, W, H, S].
        real: [W, H, S].
        scale: Deviation of each number [S].
        first: Observations that the windows begin with [W, S].
    """
    error = (((predicted.mean(axis=0) - real) / scale) ** 2).mean(axis=(0, 2))
    constant = (((first[:, None] - real) / scale) ** 2).mean(axis=(0, 2))
    ratio: np.ndarray = np.sqrt(error / np.maximum(constant, 1e-12))
    return ratio
