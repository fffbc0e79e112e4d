"""DQN that is also paid for what is new: by counts, by random network distillation, by the error of a prediction, or by disagreement.

Source: A. Strehl, M. Littman, "An analysis of model-based interval estimation for Markov decision processes", 2008, for beta / sqrt(N);
H. Tang and others, "#Exploration", 2017, section 2.2, for counts of hashed observations; Y. Burda, H. Edwards, A. Storkey, O. Klimov,
"Exploration by random network distillation", 2019, section 2.2; Y. Burda and others, "Large-scale study of curiosity-driven learning",
2019, for the error of predicting random features; D. Pathak, D. Gandhi, A. Gupta, "Self-supervised exploration via disagreement", 2019,
(1), for several predictions of them; T. Rashid, B. Peng, W. Boehmer, S. Whiteson, "Optimistic exploration even with a
pessimistic initialisation", 2020, (5), for the optimism about actions that were never tried.
Departures: one value of both kinds of reward; a bonus is computed anew whenever its transition is replayed, so that it is never stale;
errors are in units of their mean over what was replayed, and cut at `largest_bonus` of these; disagreement is the deviation of the
predictions in place of their variance, and is added when acting too, since it is known of actions that were never tried.
Letters: B batch, A actions, E predictors, F features.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning.optimisers import Optimiser
from rl_algos.parts.disagreement import disagreement
from rl_algos.q_learning.building import Update, seen_space
from rl_algos.q_learning.dqn import DQN
from rl_algos.q_learning.settings import DQNConfig
from rl_algos.replay.buffer import Batch
from rl_core.config import Count, Doc, Meta, NonNegative, Positive, configclass

AVERAGING = 0.01  # share of a batch in the mean error


@configclass
class BonusDQNConfig(DQNConfig):
    """Settings of bonuses, in addition to those of DQN."""

    bonus: Annotated[
        Literal["counts", "distillation", "prediction", "disagreement"],
        Doc("distillation: error on the next observation; prediction: on what an action leads to; disagreement: of several predictors"),
    ] = "counts"
    bonus_scale: Annotated[NonNegative, Doc("beta, reward of a first visit, or of an error of the usual size, unit of reward")] = 0.5
    optimism: Annotated[
        NonNegative, Doc("C: C / (1 + N)^2 is added to counted actions when acting, since a network's values begin near 0")
    ] = 1.0
    largest_bonus: Annotated[Positive, Doc("bound of an error, in units of the usual size")] = 5.0
    hash_bits: Annotated[int, Meta(ge=1, le=20), Doc("k: vectors are counted by the signs of k random projections")] = 12
    num_features: Annotated[Count, Doc("F, features that are predicted")] = 16
    num_predictors: Annotated[int, Meta(ge=2, le=100), Doc("E, predictors that may disagree")] = 5
    predictor_learning_rate: Annotated[Positive, Doc("step size of the predictor's Adam")] = 1e-3


def count_bonus(visits: np.ndarray) -> np.ndarray:
    """Return 1 / sqrt(N) of counts [B]; 1 where nothing was counted.

    >>> count_bonus(np.array([0, 1, 4])).tolist()
    [1.0, 1.0, 0.5]
    """
    bonus: np.ndarray = (1.0 / np.sqrt(np.maximum(visits, 1))).astype(np.float32)
    return bonus


class BonusDQN(DQN):
    """DQN with a bonus in its replayed rewards; what is reported and evaluated has none.

    Attributes:
        usual: Mean error, or disagreement, of the predictors.
    """

    Config: ClassVar[type] = BonusDQNConfig
    state_fields = (*DQN.state_fields, "predictors", "random_network", "predictor_optimiser", "usual")
    config: BonusDQNConfig

    def setup(self) -> None:
        """Build DQN, and counts or a predictor.

        Raises:
            ValueError: if the network is recurrent: a batch is then of sequences.
        """
        super().setup()
        config, space = self.config, self.task.input_space
        if self.nets.state_size:
            raise ValueError("the network is recurrent, and a bonus is paid for single transitions; take network mlp or cnn")
        self.usual = 0.0
        self.predictors: Any = None  # counts need no networks
        self.random_network: Any = None
        self.predictor_optimiser: Any = None
        if config.bonus == "counts":
            if not isinstance(space, spaces.Discrete):
                size = int(np.prod(space.shape or ()))
                self.projection = self.seeds.numpy("hash").standard_normal((size, config.hash_bits)).astype(np.float32)
                self.visits = np.zeros((2**config.hash_bits, self.num_actions), dtype=np.int64)
        else:
            self._build_predictor()
        self.read_plain, self.read = self.read, self.read_with_bonus

    def _build_predictor(self) -> None:
        config, rng = self.config, self.seeds.numpy("predictor")
        space = seen_space(self.task.input_space, config.stack_axis)
        heads = config.num_features * (1 if config.bonus == "distillation" else self.num_actions)
        outputs = [spaces.Box(-np.inf, np.inf, (size,), np.float32) for size in (heads, config.num_features)]
        count = config.num_predictors if config.bonus == "disagreement" else 1
        self.predictors = nn.ModuleList(self.network.build(space, outputs[0], rng) for _ in range(count)).to(self.nets.device).eval()
        self.random_network = self.network.build(space, outputs[1], rng).to(self.nets.device).eval().requires_grad_(False)
        self.predictor_optimiser = Optimiser("adam", self.predictors.parameters(), learning_rate=config.predictor_learning_rate)

    def cells(self, obs: np.ndarray) -> np.ndarray:
        """Return the row of `visits` of each observation: its number, or its hash."""
        if isinstance(self.task.input_space, spaces.Discrete) or self.config.bonus != "counts":
            return super().cells(obs)
        bits = self.inputs(obs).reshape(len(obs), -1).astype(np.float32) @ self.projection > 0
        codes: np.ndarray = bits @ (1 << np.arange(bits.shape[1]))
        return codes

    def act(self) -> None:
        """Take one step in every environment; where the bonus of an action is known before it is taken, by values that add it."""
        if self.config.bonus not in ("counts", "disagreement"):
            super().act()
            return
        self.values = self.optimistic_values
        super().act()
        self.values = self.plain_values

    def optimistic_values(self, obs: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Q(s, a) + C / (1 + N(s, a))^2, or Q(s, a) and the bonus of a [N, A] at observations [N, ...]; states stay as they are."""
        values, state = self.plain_values(obs, state)
        if self.config.bonus == "counts":
            return values + np.float32(self.config.optimism) / (1 + self.visits[self.cells(obs)]).astype(np.float32) ** 2, state
        with torch.no_grad():
            found = self.predicted(obs)
        novelty = disagreement(found.flatten(1, 2)).cpu().numpy().reshape(values.shape)
        return values + np.float32(self.config.bonus_scale) * self.in_units(novelty), state

    def read_with_bonus(self, slots: np.ndarray) -> Batch:
        """Return transitions whose rewards have their bonuses."""
        batch: Batch = self.read_plain(slots)
        if self.config.bonus == "counts":
            bonus = count_bonus(self.visits[self.cells(batch.obs), batch.action])
        else:
            with torch.no_grad():
                bonus = self.in_units(self.judged(batch)[1])
        return batch._replace(reward=batch.reward + np.float32(self.config.bonus_scale) * bonus)

    def in_units(self, novelty: np.ndarray) -> np.ndarray:
        """Return errors or disagreements in units of their usual size, cut; 0 while that is not known."""
        if not self.usual:
            return np.zeros_like(novelty)
        return np.minimum(novelty / np.float32(self.usual), np.float32(self.config.largest_bonus))

    def predicted(self, obs: np.ndarray) -> torch.Tensor:
        """Return what each predictor says of the features behind each action at observations [B, ...]: [E, B, A, F]."""
        seen = self.tensor(self.inputs(obs))
        return torch.stack([predictor(seen) for predictor in self.predictors]).unflatten(2, (self.num_actions, -1))

    def about(self, batch: Batch) -> torch.Tensor:
        """Return what each predictor says of the features of the next observations [E, B, F]."""
        if self.config.bonus == "distillation":
            return self.predictors[0](self.tensor(self.inputs(batch.next_obs)))[None]
        found, action = self.predicted(batch.obs), self.tensor(batch.action)
        return found[:, torch.arange(len(action), device=found.device), action]

    def judged(self, batch: Batch) -> tuple[torch.Tensor, np.ndarray]:
        """Return the root of each predictor's mean squared error [E, B], and what is new: the error, or how much several disagree [B]."""
        found = self.about(batch)
        with torch.no_grad():
            wanted = self.random_network(self.tensor(self.inputs(batch.next_obs)))
        errors = ((found - wanted) ** 2).mean(dim=2).add(1e-12).sqrt()
        novelty = disagreement(found) if self.config.bonus == "disagreement" else errors[0]
        return errors, novelty.detach().cpu().numpy()

    def learn(self) -> Update:
        """Take one gradient step of the predictors, where there are any, on transitions of their own, and one of DQN."""
        if self.config.bonus != "counts":
            slots, _ = self.replay.draw(self.draws, self.config.batch_size, 1.0)
            errors, novelty = self.judged(self.read_plain(slots))
            mean = float(novelty.mean())
            self.usual += AVERAGING * (mean - self.usual) if self.usual else mean
            self.predictor_optimiser.zero_grad()
            (errors**2).mean(dim=1).sum().backward()
            self.predictor_optimiser.step()
        return super().learn()

    def parameters(self) -> dict[str, Any]:
        """Return every trainable parameter by name."""
        own = {} if self.config.bonus == "counts" else dict(self.predictors.named_parameters())
        return super().parameters() | {f"predictor.{name}": value.detach().cpu().numpy() for name, value in own.items()}
