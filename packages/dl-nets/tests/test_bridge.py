"""The fast path of perceptrons against plain torch, and parameters on one vector."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.bridge import Flat, Perceptron, fast_path, why_torch
from dl_nets.learning.optimisers import Optimiser
from dl_nets.networks.mlp import MLP, MLPConfig

BOX = spaces.Box(-1, 1, (5,))


def build(*, inputs=BOX, outputs=3, seed=0, **settings) -> Perceptron:
    return MLP(MLPConfig(**{"hidden": (7, 4), **settings})).build(inputs, spaces.Box(-1, 1, (outputs,)), np.random.default_rng(seed))


def plain(net: Perceptron) -> Perceptron:
    other = copy.deepcopy(net)
    other.fast = False
    return other


def numbers(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (7,), (16, 8)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_outputs_and_gradients_are_those_of_torch(activation, hidden, outputs):
    net = build(hidden=hidden, activation=activation, outputs=outputs)
    other = plain(net)
    assert fast_path(net)
    assert not fast_path(other)
    for size in (1, 9):
        left, right = (numbers(size, 5).requires_grad_() for _ in range(2))
        one, two = net(left), other(right)
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-5)
        error = numbers(size, outputs, seed=2)
        one.backward(error), two.backward(error)
        torch.testing.assert_close(left.grad, right.grad, atol=1e-5, rtol=1e-5)
        for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_the_fast_path_is_taken_where_it_is_promised_and_only_there(monkeypatch):
    net, other = build(), build(layer_norm=True)
    monkeypatch.setattr(nn.Linear, "forward", None)  # torch's own way through a layer
    net(numbers(4, 5)).sum().backward()
    with torch.no_grad():
        net(numbers(4, 5))
    for slow in (other, plain(net)):
        with pytest.raises(TypeError):
            slow(numbers(4, 5))


def test_two_passes_before_a_backward_do_not_overwrite_each_other():
    net, first, second = build(), numbers(4, 5), numbers(4, 5, seed=3)
    other = plain(net)
    for module in (net, other):
        (module(first).square().sum() + module(second).sum() * module(first).sum()).backward()
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_the_gradient_of_a_gradient_is_that_of_torch():
    net, inputs = build(), numbers(6, 5)
    hessian_products = []
    for module in (net, plain(net)):
        parameters = list(module.parameters())
        found = torch.autograd.grad(module(inputs).square().sum(), parameters, create_graph=True)
        norm = sum(part.square().sum() for part in found)
        hessian_products.append(torch.autograd.grad(norm, parameters))
    for mine, theirs in zip(*hessian_products, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-4)


def test_other_inputs_are_turned_into_vectors_first():
    for space, batch in (
        (spaces.Discrete(4), torch.tensor([0, 3])),
        (spaces.Box(0, 255, (2, 2), np.uint8), torch.full((3, 2, 2), 7, dtype=torch.uint8)),
        (spaces.Box(-1, 1, (5,), np.float64), torch.ones(2, 5, dtype=torch.float64)),
    ):
        net = build(inputs=space)
        torch.testing.assert_close(net(batch), plain(net)(batch))


@pytest.mark.parametrize("settings", [{"activation": "gelu"}, {"layer_norm": True}, {"dropout": 0.5}, {"fast": False}])
def test_other_layers_are_computed_by_torch_and_it_is_said_why(settings):
    net = build(**settings)
    assert not fast_path(net)
    assert why_torch(net) == (
        "network.fast is false"
        if "fast" in settings
        else "the fast path takes linear layers with tanh or relu between them, without normalisation or dropout"
    )
    net(numbers(3, 5)).sum().backward()


def test_double_precision_other_precisions_and_hooks_take_torch_s_way():
    net = build()
    double = copy.deepcopy(net).double()
    assert why_torch(double) == "its parameters are torch.float64"
    double.features = nn.Identity()
    assert double(numbers(2, 5).double()).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(numbers(2, 5)).dtype == torch.bfloat16
    calls = []
    net(numbers(2, 5))
    net.layers[1].register_forward_hook(lambda *_: calls.append(1))
    net(numbers(2, 5))
    assert calls == [1]


def test_functional_calls_use_the_parameters_that_they_are_given():
    net, inputs = build(), numbers(4, 5)
    net(inputs)
    moved = {name: (parameter.detach() + 0.1).requires_grad_() for name, parameter in net.named_parameters()}
    found = torch.func.functional_call(net, moved, (inputs,))
    torch.testing.assert_close(found, torch.func.functional_call(plain(net), moved, (inputs,)))
    assert all(part is not None for part in torch.autograd.grad(found.sum(), list(moved.values())))
    each = torch.func.vmap(torch.func.grad(lambda values, row: torch.func.functional_call(net, values, (row[None],)).sum()), (None, 0))
    total = each({name: value.detach() for name, value in moved.items()}, inputs)
    torch.testing.assert_close(
        total["layers.0.bias"].sum(0),
        torch.autograd.grad(torch.func.functional_call(net, moved, (inputs,)).sum(), moved["layers.0.bias"])[0],
        atol=1e-5,
        rtol=1e-4,
    )


def test_new_memory_of_a_parameter_is_noticed():
    net, inputs = build(), numbers(4, 5)
    before = net(inputs)
    net.layers[0].weight.data = net.layers[0].weight.data * 2
    torch.testing.assert_close(net(inputs), plain(net)(inputs))
    assert not torch.allclose(net(inputs), before)
    net.layers[0] = nn.Linear(5, 7)
    torch.testing.assert_close(net(inputs), plain(net)(inputs))


def test_a_parameter_changed_between_forward_and_backward_is_refused():
    net = build()
    outputs = net(numbers(4, 5))
    with torch.no_grad():
        net.layers[0].weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_parameters_on_one_vector_stay_there_when_a_state_is_loaded():
    one, two, other = build(), build(seed=1), build(seed=2)
    flat = Flat(one, two)
    one.load_state_dict(other.state_dict())
    expected = torch.cat([value.flatten() for module in (other, two) for value in module.parameters()])
    assert torch.equal(flat.vector, expected)
    flat.vector.zero_()
    assert not any(parameter.any() for parameter in (*one.parameters(), *two.parameters()))
    assert flat.slice_of(two) == slice(len(flat) // 2, len(flat))
    with pytest.raises(ValueError, match="not side by side"):
        flat.slice_of(other)


def test_gradients_are_added_on_one_vector_and_gathered_from_elsewhere():
    net, inputs = build(), numbers(4, 5)
    flat = Flat(net)
    net(inputs).sum().backward()
    expected = torch.cat([value.flatten() for value in torch.autograd.grad(net(inputs).sum(), list(net.parameters()))])
    torch.testing.assert_close(flat.gradient, expected)
    net.zero_grad()  # sets them to None
    net(inputs).sum().backward()
    flat.gather()
    torch.testing.assert_close(flat.gradient, expected)
    assert all(parameter.grad.data_ptr() >= flat.gradient.data_ptr() for parameter in net.parameters())
    flat.zero_grad()
    assert not any(parameter.grad.any() for parameter in net.parameters())


def test_a_deep_copy_has_vectors_of_its_own_that_its_parameters_are_on():
    net = build()
    flat = Flat(net)
    other_net, other = copy.deepcopy((net, flat))
    other.vector.zero_()
    assert not any(parameter.any() for parameter in other_net.parameters())
    assert flat.vector.any()
    assert not fast_path(other_net) or torch.equal(other_net(numbers(2, 5)), torch.zeros(2, 3))


def test_an_optimiser_continues_on_either_path_with_the_state_of_the_other():
    inputs, states = numbers(16, 5), []
    for fast in (True, False):
        net = build(fast=fast)
        optimiser = Optimiser("adam", net.parameters(), learning_rate=0.01)
        for number in range(6):
            if number == 3 and states:  # the state of the other path at this point
                net.load_state_dict({name: torch.from_numpy(value) for name, value in states[0][0].items()})
                optimiser.load_state_dict(states[0][1])
            optimiser.zero_grad()
            net(inputs).square().mean().backward()
            optimiser.step(max_norm=0.5)
            if number == 2:
                states.append(({name: value.numpy().copy() for name, value in net.state_dict().items()}, optimiser.state_dict()))
        states.append(([value.detach().clone() for value in net.parameters()],))
    (first, _), (left,), _, (right,) = states
    assert set(first) == {f"layers.{layer}.{kind}" for layer in (0, 2, 4) for kind in ("weight", "bias")}
    for mine, theirs in zip(left, right, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_a_fast_mlp_on_a_flat_vector_writes_the_gradient_of_the_module():
    net, critic, inputs = build(), build(outputs=1, seed=4), numbers(8, 5)
    flat = Flat(net, critic)
    fast = flat.fast_mlp(critic)
    value = fast.forward(inputs.numpy())
    torch.testing.assert_close(torch.from_numpy(value), critic(inputs).detach())
    fast.backward(2 * value)
    written = flat.gradient.clone()
    flat.zero_grad()
    critic(inputs).square().sum().backward()
    torch.testing.assert_close(flat.gradient, written, atol=1e-4, rtol=1e-4)
    assert flat.fast_mlp(plain(net)) is None


def test_the_backward_pass_of_a_flat_vector_sets_the_gradients_that_torch_adds_up_and_0_for_those_that_take_no_part():
    nets = [nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3), nn.Linear(1, 1)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    flat = Flat(nets[0])
    flat.gradient.fill_(7.0)
    for net, backward in zip(nets, (flat.backward, torch.autograd.backward), strict=True):
        backward(net[:2](numbers(6, 5)).square().mean())
    expected = [torch.zeros_like(p) if p.grad is None else p.grad for p in nets[1].parameters()]
    assert torch.equal(flat.gradient, torch.cat([gradient.flatten() for gradient in expected]))
    assert all(torch.equal(parameter.grad, wanted) for parameter, wanted in zip(nets[0].parameters(), expected, strict=True))
    assert flat.gradient[-2:].tolist() == [0.0, 0.0]
