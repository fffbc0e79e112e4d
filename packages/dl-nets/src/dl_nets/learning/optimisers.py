"""Gradient methods by name, on all parameters of a network as one vector, and schedules of their learning rates.

Adam, AdamW, RMSprop and gradient descent agree with torch's own methods to the last digits. They are written again because making
torch's first optimiser imports its compiler, which takes longer than importing torch itself, and because on one vector a step is a
handful of operations whatever the number of layers. FTRL and LAMB are not in torch. All others are torch's, imported when they are chosen.

Batch, stochastic and minibatch gradient descent are one method, `sgd`, on batches of another size.

A schedule is a multiplier of the learning rate as a function of the fraction of the budget that is done: `schedule("linear")(0.25)` is
0.75, so that after a quarter of the budget the rate is at three quarters of its first value.

Letters: P parameters in all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.fast.bridge import Flat
from dl_nets.fast.kernels import announced
from dl_nets.fast.mlp import FlatAdam, adam_pass
from dl_nets.learning.gradient_methods import BETA_1, BETA_2, BETA_FTRL, adam_step, ftrl_step, lamb_step, momentum_step, rmsprop_step

OptimiserName = Literal[
    "sgd", "momentum", "nesterov", "adam", "adamw", "lamb", "rmsprop", "adagrad", "adadelta", "adamax", "nadam", "radam", "asgd", "rprop",
    "ftrl",
]  # fmt: skip
"""Gradient methods by name. Sources of those that are torch's: `adagrad`, Duchi, Hazan and Singer 2011; `adadelta`, Zeiler 2012 (its
own learning rate is 1); `adamax`, Kingma and Ba 2015, section 7.1; `nadam`, Dozat 2016; `radam`, Liu et al. 2020; `asgd`, Polyak and
Juditsky 1992; `rprop`, Riedmiller and Braun 1993, for whole training splits."""

ScheduleName = Literal[
    "constant", "linear", "cosine", "step", "exponential", "warm-up", "warm-up-linear", "warm-up-cosine", "polynomial", "cosine-restarts",
    "one-cycle", "triangular", "warm-up-inverse-root",
]  # fmt: skip

Schedule = Callable[[float], float]
"""Fraction done, in [0, 1], to a multiplier, in [0, 1]."""

_NUM_MOMENTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2, "adamw": 2, "lamb": 2, "rmsprop": 1, "ftrl": 2}
_OF_TORCH = {
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "adamax": "Adamax",
    "nadam": "NAdam",
    "radam": "RAdam",
    "asgd": "ASGD",
    "rprop": "Rprop",
}


class Optimiser:
    """Moves parameters against their gradient, in one pass over all of them.

    The parameters become views of one vector: move the network to its device first. On a CPU Adam is a compiled pass, which gives the
    same numbers as on a GPU but for rounding. Matrices are decayed; biases, gains of normalisations and other vectors are not: pulling
    them to 0 only shifts what they are there for.

    Args:
        name: The method; `ftrl` takes `l1` and `weight_decay` as its own lambda_1 and lambda_2, on all parameters.
        parameters: Parameters to learn; those that need no gradient are left out. A `Flat` is taken as it is.
        learning_rate: alpha, > 0; may be set anew before any step.
        weight_decay: lambda, >= 0; `adamw` shrinks by alpha lambda (Loshchilov and Hutter 2019), `lamb` adds lambda w to
            its direction, the others to the gradient.
        momentum: mu, in [0, 1), of `momentum` and `nesterov`.
        epsilon: Number that `adam`, `adamw` and `rmsprop` add to the root of the second moment, > 0.
        l1: Weight of the penalty sum |w| of the matrices, >= 0: its derivative is added to the gradient.
        l2: Weight of their penalty sum w^2, >= 0. Both together are the elastic net (Zou and Hastie 2005).

    Attributes:
        flat: Parameters and gradients, each on one vector.
        moments: Running means of the gradient and of its square [P], as many as the method keeps, in the order of `flat`.
        fast: Adam as a compiled pass over arrays, on the memory of this optimiser; `None` for other methods and devices.

    Raises:
        ValueError: for an unknown name.

    >>> weight = nn.Parameter(torch.tensor([[1.0]]))
    >>> optimiser = Optimiser("sgd", [weight], learning_rate=0.5, weight_decay=0.2)
    >>> weight.grad = torch.tensor([[1.0]])
    >>> optimiser.step()
    >>> round(weight.item(), 4)  # 1 - 0.5 (1 + 0.2)
    0.4
    """

    def __init__(
        self,
        name: OptimiserName,
        parameters: Iterable[nn.Parameter] | Flat,
        *,
        learning_rate: float,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        epsilon: float = 1e-8,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        if name not in get_args(OptimiserName):
            raise ValueError(f"optimiser is {name!r}; it must be one of {', '.join(get_args(OptimiserName))}")
        self.name = name
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.epsilon = epsilon
        self.l1, self.l2 = l1, l2
        self._betas = (BETA_1, BETA_2)
        self._num_steps = 0
        self.flat = parameters if isinstance(parameters, Flat) else Flat(*(p for p in parameters if p.requires_grad))
        self.moments = [torch.zeros_like(self.flat.vector) for _ in range(_NUM_MOMENTS.get(name, 0))]
        self.fast = self._fast_adam()
        self._torch = self._torch_method()
        self._last_rate = learning_rate
        if name == "ftrl":  # the z of the first weights, for which the step would give them back
            self.moments[0].copy_(-self.flat.vector * (BETA_FTRL / learning_rate + weight_decay) - l1 * self.flat.vector.sign())

    def set_betas(self, beta_1: float, beta_2: float) -> None:
        """Set how much of both moments of `adam` and `adamw` stays at each step, in [0, 1); before the first step."""
        self._betas = (beta_1, beta_2)
        self.fast = self._fast_adam()

    @property
    def num_steps(self) -> int:
        """Number of steps taken."""
        return self._num_steps if self.fast is None else self.fast.num_steps

    @num_steps.setter
    def num_steps(self, count: int) -> None:
        self._num_steps = count
        if self.fast is not None:
            self.fast.num_steps = count

    def zero_grad(self) -> None:
        """Set all gradients to 0."""
        self.flat.zero_grad()

    def step(self, max_norm: float = math.inf) -> None:
        """Move every parameter against its gradient; one without a gradient counts as flat.

        Args:
            max_norm: A longer gradient is shortened to it first (see `clip_gradient_norm`).

        Raises:
            RuntimeError: if the network was moved to another device since the optimiser was made.
        """
        self.flat.gather()
        self.step_flat(max_norm)

    @torch.no_grad()
    def step_flat(self, max_norm: float = math.inf) -> None:
        """Take a step along `flat.gradient`, which was written directly. It may be overwritten."""
        vector, gradient = self.flat.vector, self.flat.gradient
        matrices: list[Tensor] = [parameter for parameter in self.flat.parameters if parameter.ndim >= 2]
        if (self.l1 or self.l2) and self.name != "ftrl":
            for parameter in matrices:
                assert parameter.grad is not None
                parameter.grad.add_(parameter, alpha=2.0 * self.l2).add_(parameter.sign(), alpha=self.l1)
        if self.weight_decay and self.name == "adamw" and matrices:
            torch._foreach_mul_(matrices, 1.0 - self.learning_rate * self.weight_decay)
        if self.fast is not None:
            self.fast.step(self.learning_rate, max_norm)
            return
        self._num_steps += 1
        if max_norm < math.inf:
            gradient.mul_((max_norm / (gradient.norm() + 1e-6)).clamp(max=1.0))
        if self.weight_decay and self.name not in ("adamw", "ftrl", "lamb"):
            for parameter in matrices:
                assert parameter.grad is not None
                parameter.grad.add_(parameter, alpha=self.weight_decay)
        if self._torch is not None:
            self._torch.param_groups[0]["lr"] = self.learning_rate
            self._torch.step()
        elif self.name == "ftrl":
            z, n = self.moments
            vector.copy_(ftrl_step(vector, gradient, (z, n), (self._last_rate, self.learning_rate), self.l1, self.weight_decay))
            self._last_rate = self.learning_rate
        elif self.name == "lamb":
            parts = self._direction(gradient).split([parameter.numel() for parameter in self.flat.parameters])
            for parameter, part in zip(self.flat.parameters, parts, strict=True):
                decay = self.weight_decay if parameter.ndim >= 2 else 0.0
                parameter.sub_(lamb_step(parameter, part.view_as(parameter), decay), alpha=self.learning_rate)
        else:
            vector.sub_(self._direction(gradient), alpha=self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps, the learning rate and the moments [P], as copies."""
        return {
            "num_steps": self.num_steps,
            "learning_rate": self.learning_rate,
            "moments": [moment.cpu().numpy().copy() for moment in self.moments],
            **({"last_rate": self._last_rate} if self.name == "ftrl" else {}),
            **({"torch": {name: value.cpu().numpy().copy() for name, value in self._torch_state().items()}} if self._torch else {}),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if it is the state of another method, or of a network of another size.
        """
        sizes, needed = [np.shape(moment) for moment in state["moments"]], [tuple(moment.shape) for moment in self.moments]
        if sizes != needed:
            raise ValueError(f"the saved optimiser has moments of the shapes {sizes}; {self.name} on this network has {needed}")
        self.num_steps, self.learning_rate = int(state["num_steps"]), float(state["learning_rate"])
        for moment, saved in zip(self.moments, state["moments"], strict=True):
            moment.copy_(torch.from_numpy(np.array(saved)))
        self._last_rate = float(state.get("last_rate", self.learning_rate))
        if self._torch is not None:
            (parameter,) = self._torch.param_groups[0]["params"]
            values = {name: torch.from_numpy(np.array(value)) for name, value in state["torch"].items()}
            # torch counts steps on the CPU, and keeps all else beside the parameters
            kept = {name: value if name == "step" else value.to(parameter.device) for name, value in values.items()}
            self._torch.state[parameter].clear()
            self._torch.state[parameter].update(kept)

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimiser:
        """Return a copy over the copies of the parameters."""
        copied = copy.copy(self)
        memo[id(self)] = copied
        copied.flat = copy.deepcopy(self.flat, memo)
        copied.moments = [moment.clone() for moment in self.moments]
        copied.fast, copied._torch = copied._fast_adam(), copied._torch_method()
        copied.load_state_dict(self.state_dict())
        return copied

    def _torch_method(self) -> torch.optim.Optimizer | None:
        """Return torch's method on the flat vector, which is one parameter to it; `None` for those that are written here."""
        if self.name not in _OF_TORCH:
            return None
        parameter = nn.Parameter(self.flat.vector)
        parameter.grad = self.flat.gradient
        method: torch.optim.Optimizer = getattr(torch.optim, _OF_TORCH[self.name])([parameter], lr=self.learning_rate)
        return method

    def _torch_state(self) -> dict[str, Tensor]:
        """Return the tensors that torch's method keeps, by name; none before the first step."""
        assert self._torch is not None
        (parameter,) = self._torch.param_groups[0]["params"]
        return {name: value for name, value in self._torch.state[parameter].items() if isinstance(value, Tensor)}

    def _fast_adam(self) -> FlatAdam | None:
        vector = self.flat.vector
        plain = self.name == "adamw" or (self.name == "adam" and not self.weight_decay)
        if not plain or vector.device.type != "cpu" or vector.dtype != torch.float32:
            return None
        first, second = (moment.numpy() for moment in self.moments)
        beta_1, beta_2 = self._betas
        with announced("Adam"):
            adam_pass(*(np.zeros(1, np.float32) for _ in range(4)), beta_1, beta_2, 0.0, 1.0, self.epsilon, math.inf)
        return FlatAdam(
            vector.numpy(), self.flat.gradient.numpy(), beta_1=beta_1, beta_2=beta_2, epsilon=self.epsilon, moments=(first, second)
        )

    def _direction(self, gradient: Tensor) -> Tensor:
        match self.name:
            case "sgd":
                return gradient
            case "momentum" | "nesterov":
                return momentum_step(gradient, self.moments[0], self.momentum, nesterov=self.name == "nesterov")
            case "rmsprop":
                return rmsprop_step(gradient, self.moments[0], self.epsilon)
            case _:
                return adam_step(gradient, self.moments[0], self.moments[1], self.num_steps, self.epsilon, self._betas)


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Return the length [] of all gradients together; 0 where there are none."""
    return _length([parameter.grad for parameter in parameters if parameter.grad is not None])


def clip_gradient_norm(parameters: Iterable[nn.Parameter], bound: float) -> Tensor:
    """Return the length [] of all gradients together; a longer one than `bound` is shortened to it, in place.

    Source: Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2013, algorithm 1.

    >>> weight = nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3.0, 4.0])
    >>> clip_gradient_norm([weight], bound=1.0), weight.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length = _length(gradients)
    factor = (bound / length).clamp(max=1.0)  # a tensor, so that a GPU need not be waited for
    for gradient in gradients:
        gradient.mul_(factor)
    return length


class Steps(Protocol):
    """A mover of parameters against their gradients: an `Optimiser`, or one of torch's."""

    def zero_grad(self) -> None:
        """Set all gradients to 0."""

    def step(self) -> Any:
        """Move the parameters."""


def gradient_step(module: nn.Module, optimiser: Steps, loss: Tensor, max_gradient_norm: float = 0.0) -> None:
    """Take one step down the gradient of a loss [].

    Args:
        module: Its parameters are those of the optimiser.
        optimiser: Over the module's parameters.
        loss: Computed by the module.
        max_gradient_norm: A longer gradient is shortened to it; 0 is off.
    """
    if isinstance(optimiser, Optimiser):
        optimiser.flat.backward(loss)
    else:
        optimiser.zero_grad()
        torch.autograd.backward(loss)
    descend(module, optimiser, max_gradient_norm)


def descend(module: nn.Module, optimiser: Steps, max_gradient_norm: float = 0.0) -> None:
    """Take one step along the gradients that the parameters hold. See `gradient_step` for the arguments."""
    if max_gradient_norm:
        clip_gradient_norm(module.parameters(), max_gradient_norm)
    optimiser.step()


def _length(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([gradient.norm() for gradient in gradients]).norm() if gradients else torch.zeros(())


def constant(fraction_done: float) -> float:
    """Return 1.

    >>> constant(0.7)
    1.0
    """
    return 1.0


def linear(fraction_done: float) -> float:
    """Return 1 - f: from 1 down to 0.

    >>> linear(0.25)
    0.75
    """
    return 1.0 - fraction_done


def cosine(fraction_done: float) -> float:
    """Return (1 + cos(pi f)) / 2: from 1 down to 0, slow at both ends.

    Source: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, equation 5, without restarts.

    >>> round(cosine(1 / 3), 4), cosine(0.5)
    (0.75, 0.5)
    """
    return 0.5 * (1.0 + math.cos(math.pi * fraction_done))


def step(fraction_done: float, num_levels: int = 3, factor: float = 0.1) -> float:
    """Return factor^i on the i-th of `num_levels` equal stretches: 1, 0.1, 0.01.

    >>> [round(step(f), 4) for f in (0.0, 0.33, 0.34, 0.99, 1.0)]
    [1.0, 1.0, 0.1, 0.01, 0.01]
    """
    return factor ** min(int(fraction_done * num_levels), num_levels - 1)


def exponential(fraction_done: float, end: float = 0.01) -> float:
    """Return end^f: from 1 down to `end`, by the same factor on every stretch.

    >>> round(exponential(0.5), 4)
    0.1
    """
    return math.pow(end, fraction_done)


def polynomial(fraction_done: float, power: float = 2.0) -> float:
    """Return (1 - f)^power: from 1 down to 0, slow at the end.

    >>> polynomial(0.5)
    0.25
    """
    return math.pow(1.0 - fraction_done, power)


def cosine_restarts(fraction_done: float, num_cycles: int = 4) -> float:
    """Return `cosine` of the fraction of the present cycle that is done, of `num_cycles` equal cycles.

    Source: Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, section 3, with T_mult = 1.

    >>> [round(cosine_restarts(f), 4) for f in (0.0, 0.125, 0.25, 1.0)]
    [1.0, 0.5, 1.0, 0.0]
    """
    return cosine(fraction_done * num_cycles % 1.0 if fraction_done < 1.0 else 1.0)


def one_cycle(fraction_done: float, share: float = 0.3, start: float = 0.04) -> float:
    """Return a multiplier that rises along a half cosine from `start` to 1 over the first `share`, then falls along another to 0.

    Source: Smith and Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018.

    >>> [round(one_cycle(f), 4) for f in (0.0, 0.15, 0.3, 0.65, 1.0)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if fraction_done < share:
        return 1.0 - (1.0 - start) * cosine(fraction_done / share)
    return cosine((fraction_done - share) / (1.0 - share))


def triangular(fraction_done: float, num_cycles: int = 4, low: float = 0.1) -> float:
    """Return a multiplier that goes up and down along lines between `low` and 1, `num_cycles` times.

    Source: Smith, *Cyclical learning rates for training neural networks*, 2017, section 3.2.

    >>> [round(triangular(f), 4) for f in (0.0, 0.0625, 0.125, 0.25)]
    [0.1, 0.55, 1.0, 0.1]
    """
    return 1.0 - (1.0 - low) * abs(fraction_done * num_cycles % 1.0 * 2.0 - 1.0)


def inverse_root(fraction_done: float, share: float = 0.1) -> float:
    """Return 1 / sqrt(1 + f (1 - share) / share), which behind a warm-up over `share` of a budget is sqrt(t_warm-up / t).

    Source: Vaswani et al., *Attention is all you need*, 2017, equation 3.

    >>> inverse_root(1.0), inverse_root(1.0, share=0.25)  # sqrt(0.1) and sqrt(0.25)
    (0.31622776601683794, 0.5)
    """
    return 1.0 / math.sqrt(1.0 + fraction_done * (1.0 - share) / share)


def warm_up(fraction_done: float, then: Schedule = constant, share: float = 0.1, start: float = 0.01) -> float:
    """Return a multiplier that rises from `start` to 1 along a line over the first `share`, `then` follows another schedule.

    It starts above 0, so that the first update is not lost.

    >>> [round(value, 3) for value in (warm_up(0.05), warm_up(0.1), warm_up(0.55, then=linear))]
    [0.505, 1.0, 0.5]
    """
    if fraction_done < share:
        return start + (1.0 - start) * fraction_done / share
    return then((fraction_done - share) / (1.0 - share))


_SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "step": step,
    "exponential": exponential,
    "warm-up": warm_up,
    "warm-up-linear": partial(warm_up, then=linear),
    "warm-up-cosine": partial(warm_up, then=cosine),
    "polynomial": polynomial,
    "cosine-restarts": cosine_restarts,
    "one-cycle": one_cycle,
    "triangular": triangular,
    "warm-up-inverse-root": partial(warm_up, then=inverse_root),
}


def schedule(name: ScheduleName) -> Schedule:
    """Return the schedule of that name; it is constant before 0 and beyond 1, since a last step may overshoot a budget.

    Raises:
        ValueError: for an unknown name.

    >>> schedule("linear")(0.25), schedule("linear")(1.01)
    (0.75, 0.0)
    """
    if name not in _SCHEDULES:
        raise ValueError(f"schedule is {name!r}; it must be one of {', '.join(get_args(ScheduleName))}")
    return lambda fraction_done: _SCHEDULES[name](min(max(fraction_done, 0.0), 1.0))
