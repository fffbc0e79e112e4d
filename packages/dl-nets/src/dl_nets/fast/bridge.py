"""Fast perceptrons as torch modules: forward in BLAS and compiled loops, backward as one autograd function.

Agents see an `nn.Module` with torch's parameter names, whichever way it is computed. `Perceptron` takes the fast way by itself where
it can and plain torch otherwise; `why_torch` says which. `Flat` puts parameters and gradients of several modules on one vector each,
so that an optimiser moves all of them in one pass and a hand-derived update can write the gradient with NumPy.

Letters: B batch, I inputs, O outputs, P parameters.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dl_nets.fast.mlp import FastMLP, Layout, backward_layers, forward_layers


def why_torch(*modules: nn.Module) -> str:
    """Return the reason why modules are computed by plain torch, or "" where all of them take a fast path.

    A module has a fast path if it has a method `why_torch` that returns "".

    >>> why_torch(nn.Linear(2, 2))
    'Linear has no fast path'
    """
    for module in modules:
        known = getattr(module, "why_torch", None)
        reason = f"{type(module).__name__} has no fast path" if known is None else str(known())
        if reason:
            return reason
    return ""


def fast_path(*modules: nn.Module) -> bool:
    """Return whether all modules are computed by a fast path, as they are now.

    >>> fast_path(nn.Linear(2, 2))
    False
    """
    return not why_torch(*modules)


class Perceptron(nn.Module):
    """A perceptron that is computed without torch's cost per layer where its layers allow it.

    The fast way takes plain linear layers with tanh or ReLU between them, in float32 on the CPU. Anything else (normalised layers,
    dropout, other activations, a GPU, lower precision, hooks on a layer, `torch.func`, tracing) goes layer by layer through torch.
    Gradients of gradients are computed by torch, too.

    Args:
        features: Turns inputs [B, ...] into vectors [B, I]; it has no parameters.
        layers: The layers in the order of their use.
        fast: Whether the fast way may be taken.
        vector_inputs: Whether inputs are vectors of floats, which `features` only passes on.
        float_inputs: Whether `features` only makes vectors of inputs [B, ...] of float32.

    >>> net = Perceptron(nn.Identity(), nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)))
    >>> inputs = torch.ones(1, 2)
    >>> fast_path(net), torch.allclose(net(inputs), net.layers(inputs))
    (True, True)
    """

    def __init__(
        self, features: nn.Module, layers: nn.Sequential, *, fast: bool = True, vector_inputs: bool = False, float_inputs: bool = False
    ) -> None:
        super().__init__()
        self.features = features
        self.layers = layers
        self.fast = fast
        self.vector_inputs = vector_inputs
        self._float_inputs = float_inputs or vector_inputs
        self._arrays: _Arrays | None = None
        self._slow: list[nn.Module] | None = None  # the layers that have no fast path, when they were last looked at

    @property
    def plain_layers(self) -> nn.Sequential:
        """The layers, for `Layout.of`."""
        return self.layers

    def why_torch(self) -> str:
        """Return the reason why the layers are computed by torch, or ""."""
        if not self.fast:
            return "network.fast is false"
        parameter = next(self.parameters())
        if parameter.device.type != "cpu":
            return f"it is on {parameter.device.type}"
        if parameter.dtype != torch.float32:
            return f"its parameters are {parameter.dtype}"
        learns = [parameter.requires_grad for parameter in self.parameters()]
        if any(learns) and not all(learns):  # a target network, all of which is frozen, is only evaluated
            return "some of its layers are frozen"
        if Layout.of(self) is None:
            return "the fast path takes linear layers with tanh or relu between them, without normalisation or dropout"
        return ""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of inputs [B, ...]."""
        vectors = self.vectors(inputs)
        arrays = self._current_arrays() if self.fast and is_plain(vectors) else None
        if arrays is None:
            outputs: Tensor = self.layers(vectors)
            return outputs
        parameters = [parameter for layer in arrays.linear for parameter in layer._parameters.values()]
        if torch.is_grad_enabled() and (
            vectors.requires_grad or any(parameter is not None and parameter.requires_grad for parameter in parameters)
        ):
            fast: Tensor = _FastLayers.apply(self.layers, arrays, vectors, *parameters)
            return fast
        return torch.from_numpy(arrays.forward(vectors.detach().numpy())[0][-1])

    def vectors(self, inputs: Tensor) -> Tensor:
        """Return inputs [B, ...] as the vectors [B, I] that the layers read."""
        if self._float_inputs and inputs.dtype == torch.float32:
            return inputs if inputs.ndim == 2 else inputs.flatten(1)
        features: Tensor = self.features(inputs)
        return features

    @property
    def has_hooks(self) -> bool:
        """True if the module or one of its layers has hooks, which need torch's own passes."""
        watched = (self, *self.layers._modules.values())
        return any(layer is not None and (layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks) for layer in watched)

    def _current_arrays(self) -> _Arrays | None:
        """Return the layers' parameters as arrays, found again if a layer or the memory of a parameter is another one."""
        if self._arrays is None or not self._arrays.fits(self.layers):
            layers = list(self.layers._modules.values())
            if self._slow is not None and len(self._slow) == len(layers) and all(map(operator.is_, self._slow, layers)):
                return None
            layout = Layout.of(self)
            self._slow = layers if layout is None else None
            self._arrays = None if layout is None or self.why_torch() else _Arrays(layout, self.layers)
            if self._arrays is None:
                return None
        if any(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks for layer in self.layers._modules.values()):
            return None
        return self._arrays


class _Arrays:
    """The parameters of plain layers as NumPy arrays on the same memory."""

    def __init__(self, layout: Layout, layers: nn.Sequential) -> None:
        self.layout = layout
        self.modules = list(layers)
        self.linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        self.weights = [layer.weight.detach().numpy() for layer in self.linear]
        self.biases = [layer.bias.detach().numpy() for layer in self.linear]
        self.places = [_place(layer) for layer in self.linear]

    def fits(self, layers: nn.Sequential) -> bool:
        """Return whether these are still the layers, and their parameters where they were. (The arrays keep the memory alive.)"""
        modules = layers._modules.values()
        if len(modules) != len(self.modules) or any(now is not known for now, known in zip(modules, self.modules, strict=True)):
            return False
        return all(_place(layer) == place for layer, place in zip(self.linear, self.places, strict=True))

    def forward(self, inputs: np.ndarray) -> tuple[list[np.ndarray], Any]:
        """Return the inputs [B, I] and the outputs of each layer [B, O], and what `forward_layers` returns."""
        seen = [inputs, *(np.empty((len(inputs), units), np.float32) for units in self.layout.sizes[1:])]
        return seen, forward_layers(self.layout, self.weights, self.biases, seen)

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave a copy of the module without arrays: they are those of the original's memory."""
        return type(None), ()


class _FastLayers(torch.autograd.Function):
    """Linear layers with an activation between them as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, layers: nn.Sequential, arrays: _Arrays, inputs: Tensor, *parameters: Tensor) -> Tensor:
        """Return outputs [B, O] of inputs [B, I]."""
        ctx.layers, ctx.arrays = layers, arrays
        ctx.seen, ctx.sparse = arrays.forward(inputs.detach().numpy())
        ctx.save_for_backward(inputs, *parameters)  # also so that torch notices what is changed in place
        return torch.from_numpy(ctx.seen[-1])

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor | None, ...]:
        """Return the derivatives with respect to inputs and parameters, of that with respect to the outputs [B, O]."""
        inputs, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: the derivative itself will be differentiated
            return None, None, *_torch_derivatives(ctx, inputs, parameters, errors[0])
        layout, arrays = ctx.arrays.layout, ctx.arrays
        weights = [np.empty_like(weight) for weight in arrays.weights]
        biases = [np.empty_like(bias) for bias in arrays.biases]
        to_inputs = ctx.needs_input_grad[2]
        by_inputs = backward_layers(
            layout,
            arrays.weights,
            ctx.seen,
            np.ascontiguousarray(errors[0].numpy()),
            into=(weights, biases) if any(ctx.needs_input_grad[3:]) else None,
            buffers=[np.empty((len(inputs), units), np.float32) for units in layout.sizes[:-1]],
            to_inputs=to_inputs,
            sparse=ctx.sparse,
        )
        by_parameters = [torch.from_numpy(part) for pair in zip(weights, biases, strict=True) for part in pair]
        return None, None, None if by_inputs is None else torch.from_numpy(by_inputs), *by_parameters


def _torch_derivatives(ctx: Any, inputs: Tensor, parameters: Sequence[Tensor], error: Tensor) -> list[Tensor | None]:
    """Return the derivatives of `_FastLayers` as torch computes them, with a graph of their own."""
    rest, values = iter(parameters), inputs
    for layer in ctx.layers:
        values = nn.functional.linear(values, next(rest), next(rest)) if isinstance(layer, nn.Linear) else layer(values)
    wanted = [number for number, needed in enumerate(ctx.needs_input_grad[2:]) if needed]
    columns = [inputs, *parameters]
    found = torch.autograd.grad(values, [columns[number] for number in wanted], error, create_graph=True)
    derivatives: list[Tensor | None] = [None] * len(columns)
    for number, derivative in zip(wanted, found, strict=True):
        derivatives[number] = derivative
    return derivatives


class Flat:
    """Parameters on one vector [P], and their gradients on another, in the order in which they are given.

    Every parameter and its `grad` become views. Loading a state and copying in place keep them. Moving the modules to another device
    does not: move them first.

    Args:
        parts: Modules, whose parameters are taken in torch's order, or parameters.

    Attributes:
        vector: All parameters [P].
        gradient: Their gradients [P]; a `backward` adds to it.
        parameters: The parameters themselves.

    Raises:
        ValueError: if no parameters are given, or they are of several types or on several devices.

    >>> first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    >>> flat = Flat(first, second)
    >>> flat.vector.fill_(2.0)
    tensor([2., 2., 2., 2.])
    >>> (first(torch.ones(1, 1)) * second(torch.ones(1, 1))).backward()
    >>> flat.gradient
    tensor([4., 4., 4., 4.])
    """

    def __init__(self, *parts: nn.Module | nn.Parameter) -> None:
        self.parameters = [parameter for part in parts for parameter in _parameters(part)]
        kinds = {(parameter.dtype, parameter.device) for parameter in self.parameters}
        if len(kinds) != 1:
            raise ValueError(f"expected parameters of one type on one device, got {sorted(map(str, kinds)) or 'none'}")
        self._bind()

    def __len__(self) -> int:
        """P."""
        return len(self.vector)

    def __deepcopy__(self, memo: dict[int, Any]) -> Flat:
        """Return a copy on vectors of its own, which holds the copies of the parameters."""
        copied = Flat(*(_copied(parameter, memo) for parameter in self.parameters))
        copied.gradient.copy_(self.gradient)
        return copied

    def zero_grad(self) -> None:
        """Set the gradient to 0."""
        self.gradient.zero_()
        for parameter, view in zip(self.parameters, self._gradients, strict=True):
            parameter.grad = view

    def backward(self, loss: Tensor) -> None:
        """Set the gradient to that of a loss []; a parameter that takes no part in it has 0.

        Faster for many small parameters than `zero_grad` and `torch.autograd.backward`, which adds to each gradient by itself.
        """
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        missing = any(gradient is None for gradient in found)
        with torch.no_grad():
            if missing:
                self.gradient.zero_()
            views = self._gradients if not missing else [v for v, g in zip(self._gradients, found, strict=True) if g is not None]
            torch._foreach_copy_(views, [gradient for gradient in found if gradient is not None])
        for parameter, view in zip(self.parameters, self._gradients, strict=True):
            parameter.grad = view

    def gather(self) -> None:
        """Copy the gradients into `gradient` where they are elsewhere, as after `module.zero_grad()`; a missing one is 0.

        Raises:
            RuntimeError: if a parameter was moved away from the vector.
        """
        for parameter, view, place in zip(self.parameters, self._gradients, self._places, strict=True):
            if parameter.data_ptr() != place:
                raise RuntimeError("the parameters have left the flat vector: move the modules to their device before they are made flat")
            if parameter.grad is not view:
                view.zero_() if parameter.grad is None else view.copy_(parameter.grad)
                parameter.grad = view

    def slice_of(self, part: nn.Module | nn.Parameter) -> slice:
        """Return where the parameters of a module, or one parameter, are on the vector.

        Raises:
            ValueError: if they are not there, or not side by side.
        """
        wanted = [id(parameter) for parameter in _parameters(part)]
        known = [id(parameter) for parameter in self.parameters]
        first = known.index(wanted[0]) if wanted and wanted[0] in known else 0
        if not wanted or known[first : first + len(wanted)] != wanted:
            raise ValueError(f"the parameters of {type(part).__name__} are not side by side on this vector")
        return slice(self._starts[first], self._starts[first + len(wanted)])

    def fast_mlp(self, module: nn.Module) -> FastMLP | None:
        """Return a module's layers as a `FastMLP` on this vector and gradient, or `None` where it has no fast path.

        Its inputs are the vectors that the layers read. It is valid while the parameters stay on the vector.
        """
        layout = None if why_torch(module) else Layout.of(module)
        if layout is None:
            return None
        part = self.slice_of(module)
        return FastMLP(layout, self.vector[part].numpy(), self.gradient[part].numpy())

    def _bind(self) -> None:
        sizes = [parameter.numel() for parameter in self.parameters]
        self._starts = np.cumsum([0, *sizes]).tolist()
        self.vector = torch.cat([parameter.detach().flatten() for parameter in self.parameters])
        self.gradient = torch.zeros_like(self.vector)
        self._gradients, self._places = [], []
        for parameter, (start, stop) in zip(self.parameters, pairwise(self._starts), strict=True):
            parameter.data = self.vector[start:stop].view_as(parameter)
            view = self.gradient[start:stop].view_as(parameter)
            parameter.grad = view
            self._gradients.append(view)
            self._places.append(parameter.data_ptr())


def _parameters(part: nn.Module | nn.Parameter) -> Iterable[nn.Parameter]:
    return (part,) if isinstance(part, nn.Parameter) else part.parameters()


def _copied(parameter: nn.Parameter, memo: dict[int, Any]) -> nn.Parameter:
    """Return the copy of a parameter that `copy.deepcopy` made or will use."""
    copied: nn.Parameter = copy.deepcopy(parameter, memo)
    return copied


def _place(layer: nn.Linear) -> tuple[int, int]:
    """Return where weight and bias are in memory."""
    weight, bias = layer._parameters.values()
    assert weight is not None
    return weight.data_ptr(), 0 if bias is None else bias.data_ptr()


def is_plain(vectors: Tensor) -> bool:
    """Return whether NumPy can read vectors [B, I], and nothing but torch's ordinary gradient is asked for."""
    return (
        type(vectors) is Tensor
        and vectors.dtype == torch.float32
        and vectors.device.type == "cpu"
        and vectors.ndim == 2
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and torch.autograd.forward_ad._current_level < 0
        and not torch._C._is_tracing()
        and not torch.compiler.is_compiling()
    )
