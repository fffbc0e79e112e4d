"""Gradient methods by name, on all parameters of a network as one vector.

They agree with torch's own methods to the last digits. They are written again because making torch's first optimiser imports its
compiler, which takes longer than importing torch itself, and because on one vector a step is a handful of operations whatever the
number of layers.

Letters: P parameters in all.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.fast.bridge import Flat
from dl_nets.fast.kernels import announced
from dl_nets.fast.mlp import FlatAdam
from dl_nets.fast.mlp import adam_step as adam_step_of_arrays

OptimiserName = Literal["sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"]

_NUM_MOMENTS = {"sgd": 0, "momentum": 1, "nesterov": 1, "adam": 2, "adamw": 2, "rmsprop": 1}
BETA_1, BETA_2 = 0.9, 0.999  # of Adam: how much of the first and second moment stays
BETA_RMS = 0.99  # of RMSprop


def momentum_step(gradient: Tensor, velocity: Tensor, momentum: float, nesterov: bool = False) -> Tensor:
    """Return the direction [P] to move against: v <- mu v + g, then v, or g + mu v with Nesterov's look ahead. Changes `velocity`.

    Sources: Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964; Nesterov 1983, in the form of
    Sutskever et al., *On the importance of initialization and momentum in deep learning*, 2013.

    >>> import torch
    >>> momentum_step(torch.tensor([1.0]), torch.tensor([2.0]), momentum=0.5, nesterov=True)  # v = 2, then 1 + 0.5 * 2
    tensor([2.])
    """
    velocity.mul_(momentum).add_(gradient)
    return gradient.add(velocity, alpha=momentum) if nesterov else velocity


def adam_step(gradient: Tensor, first: Tensor, second: Tensor, num_steps: int, epsilon: float) -> Tensor:
    """Return the direction [P]: m / (sqrt(v) + epsilon), with the moments m and v corrected for their start at 0. Changes all three.

    m <- beta_1 m + (1 - beta_1) g and v <- beta_2 v + (1 - beta_2) g^2; then m / (1 - beta_1^t) and v / (1 - beta_2^t).

    Args:
        gradient: g [P].
        first: m [P].
        second: v [P].
        num_steps: t, this step included.
        epsilon: > 0.

    Source: Kingma and Ba, *Adam: a method for stochastic optimization*, 2015, algorithm 1.

    The first direction is the gradient's sign, whatever its size:

    >>> import torch
    >>> adam_step(torch.tensor([3.0, -0.5]), torch.zeros(2), torch.zeros(2), num_steps=1, epsilon=1e-8)
    tensor([ 1.0000, -1.0000])
    """
    first.lerp_(gradient, 1.0 - BETA_1)
    second.mul_(BETA_2).addcmul_(gradient, gradient, value=1.0 - BETA_2)
    root = torch.div(second, 1.0 - BETA_2**num_steps, out=gradient).sqrt_().add_(epsilon)  # in its place: memory is slower than sums
    return (first / (1.0 - BETA_1**num_steps)).div_(root)


def rmsprop_step(gradient: Tensor, second: Tensor, epsilon: float) -> Tensor:
    """Return the direction [P]: g / (sqrt(v) + epsilon), v <- beta v + (1 - beta) g^2. Changes `second`.

    Source: Tieleman and Hinton, *Lecture 6.5 - RMSprop*, 2012.

    >>> import torch
    >>> rmsprop_step(torch.tensor([3.0]), torch.zeros(1), epsilon=1e-8)  # 1 / sqrt(1 - beta)
    tensor([10.])
    """
    second.mul_(BETA_RMS).addcmul_(gradient, gradient, value=1.0 - BETA_RMS)
    return gradient / second.sqrt().add_(epsilon)


class Optimiser:
    """Moves parameters against their gradient, in one pass over all of them.

    The parameters become views of one vector: move the network to its device first. On a CPU Adam is a compiled pass, which gives the
    same numbers as on a GPU but for rounding. Matrices are decayed; biases, gains of normalisations and other vectors are not: pulling
    them to 0 only shifts what they are there for.

    Args:
        name: The method.
        parameters: Parameters to learn; those that need no gradient are left out. A `Flat` is taken as it is.
        learning_rate: alpha, > 0; may be set anew before any step.
        weight_decay: lambda, >= 0; `adamw` shrinks by alpha lambda (Loshchilov and Hutter 2019), the others add lambda w to the gradient.
        momentum: mu, in [0, 1), of `momentum` and `nesterov`.
        epsilon: Number that `adam`, `adamw` and `rmsprop` add to the root of the second moment, > 0.

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
    ) -> None:
        if name not in get_args(OptimiserName):
            raise ValueError(f"optimiser is {name!r}; it must be one of {', '.join(get_args(OptimiserName))}")
        self.name = name
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.epsilon = epsilon
        self._num_steps = 0
        self.flat = parameters if isinstance(parameters, Flat) else Flat(*(p for p in parameters if p.requires_grad))
        self.moments = [torch.zeros_like(self.flat.vector) for _ in range(_NUM_MOMENTS[name])]
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
        if self.fast is not None:
            self.fast.step(self.learning_rate, max_norm)
            return
        self._num_steps += 1
        if max_norm < math.inf:
            gradient.mul_((max_norm / (gradient.norm() + 1e-6)).clamp(max=1.0))
        if self.weight_decay:
            for parameter in self.flat.parameters:
                if parameter.ndim >= 2 and self.name == "adamw":
                    parameter.mul_(1.0 - self.learning_rate * self.weight_decay)
                elif parameter.ndim >= 2 and parameter.grad is not None:
                    parameter.grad.add_(parameter, alpha=self.weight_decay)
        vector.sub_(self._direction(gradient), alpha=self.learning_rate)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps, the learning rate and the moments [P], as copies."""
        return {
            "num_steps": self.num_steps,
            "learning_rate": self.learning_rate,
            "moments": [moment.cpu().numpy().copy() for moment in self.moments],
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

    def __deepcopy__(self, memo: dict[int, Any]) -> Optimiser:
        """Return a copy over the copies of the parameters."""
        copied = copy.copy(self)
        memo[id(self)] = copied
        copied.flat = copy.deepcopy(self.flat, memo)
        copied.moments = [moment.clone() for moment in self.moments]
        copied.fast = copied._fast_adam()
        copied.num_steps = self.num_steps
        return copied

    def _fast_adam(self) -> FlatAdam | None:
        vector = self.flat.vector
        if self.name != "adam" or self.weight_decay or vector.device.type != "cpu" or vector.dtype != torch.float32:
            return None
        first, second = (moment.numpy() for moment in self.moments)
        with announced("Adam"):
            adam_step_of_arrays(*(np.zeros(1, np.float32) for _ in range(4)), BETA_1, BETA_2, 0.0, 1.0, self.epsilon, math.inf)
        return FlatAdam(
            vector.numpy(), self.flat.gradient.numpy(), beta_1=BETA_1, beta_2=BETA_2, epsilon=self.epsilon, moments=(first, second)
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
                return adam_step(gradient, self.moments[0], self.moments[1], self.num_steps, self.epsilon)


def clip_gradient_norm(parameters: Iterable[nn.Parameter], bound: float) -> Tensor:
    """Return the length [] of all gradients together; a longer one than `bound` is shortened to it, in place.

    Source: Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2013, algorithm 1.

    >>> weight = nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3.0, 4.0])
    >>> clip_gradient_norm([weight], bound=1.0), weight.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    length = torch.stack([gradient.norm() for gradient in gradients]).norm()
    factor = (bound / length).clamp(max=1.0)  # a tensor, so that a GPU need not be waited for
    for gradient in gradients:
        gradient.mul_(factor)
    return length
