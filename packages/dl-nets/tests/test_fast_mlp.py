"""The compiled perceptron and its Adam against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import threadpoolctl
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.fast.mlp import FastMLP, FlatAdam, Layout, flat_parameters
from dl_nets.fast.threads import limited_threads, num_threads
from dl_nets.networks.mlp import MLP, MLPConfig


def make_pair(hidden, activation, inputs=5, outputs=3, seed=0):
    config = MLPConfig(hidden=hidden, activation=activation)
    module = MLP(config).build(spaces.Box(-1, 1, (inputs,)), spaces.Box(-1, 1, (outputs,)), np.random.default_rng(seed))
    parameters = flat_parameters(module)
    return module, FastMLP(Layout.of(module), parameters, np.zeros_like(parameters))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("hidden", [(), (7,), (16, 8), (4, 4, 4)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_outputs_gradients_and_errors_of_inputs_are_torch_s(hidden, activation, outputs):
    module, net = make_pair(hidden, activation, outputs=outputs)
    rng = np.random.default_rng(1)
    for size in (1, 9, 4):  # buffers grow, and a smaller batch uses part of them
        inputs, error = rng.standard_normal((size, 5), dtype=np.float32), rng.standard_normal((size, outputs), dtype=np.float32)
        tensor = torch.from_numpy(inputs.copy()).requires_grad_()
        module.zero_grad()
        expected = module(tensor)
        expected.backward(torch.from_numpy(error))
        np.testing.assert_allclose(net.forward(inputs), expected.detach(), atol=1e-5)
        np.testing.assert_allclose(net.backward(error, to_inputs=True), tensor.grad, atol=1e-5)
        gradient = np.concatenate([parameter.grad.ravel() for parameter in module.parameters()])
        np.testing.assert_allclose(net.gradient, gradient, atol=1e-5)


def test_an_error_can_go_to_the_inputs_and_leave_the_gradient_alone():
    _, net = make_pair((7, 5), "relu")
    rng = np.random.default_rng(1)
    inputs, error = rng.standard_normal((9, 5), dtype=np.float32), rng.standard_normal((9, 3), dtype=np.float32)
    net.forward(inputs)
    both = net.backward(error, to_inputs=True).copy()
    net.gradient[:] = 7.0
    np.testing.assert_array_equal(net.backward(error, to_inputs=True, to_parameters=False), both)
    assert (net.gradient == 7.0).all()


def test_a_batch_is_its_rows_one_by_one():
    _, net = make_pair((16, 16), "tanh")
    inputs = np.random.default_rng(2).standard_normal((8, 5), dtype=np.float32)
    whole = net.forward(inputs).copy()
    rows = np.concatenate([net.forward(row[None]).copy() for row in inputs])
    np.testing.assert_allclose(whole, rows, atol=1e-6)


@pytest.mark.parametrize("max_norm", [0.5, np.inf])
def test_adam_takes_torch_s_steps(max_norm):
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal(1_000, dtype=np.float32)
    gradient = np.zeros_like(parameters)
    theirs = nn.Parameter(torch.from_numpy(parameters.copy()))
    optimiser = torch.optim.Adam([theirs], lr=0.01, eps=1e-5)
    ours = FlatAdam(parameters, gradient, epsilon=1e-5)
    for scale in (1.0, 0.1, 3.0, 0.001, 1.0):
        gradient[:] = scale * rng.standard_normal(1_000, dtype=np.float32)
        theirs.grad = torch.from_numpy(gradient.copy())
        norm = nn.utils.clip_grad_norm_([theirs], max_norm)
        optimiser.step()
        assert ours.step(0.01, max_norm) == pytest.approx(norm.item(), rel=1e-5)
        np.testing.assert_allclose(parameters, theirs.detach(), atol=1e-6)


def test_a_restored_adam_continues_to_the_last_bit():
    rng = np.random.default_rng(0)
    parameters, gradient = (rng.standard_normal(100, dtype=np.float32) for _ in range(2))
    adam = FlatAdam(parameters, gradient)
    adam.step(0.1)
    state, there = adam.state_dict(), parameters.copy()
    adam.step(0.1), adam.step(0.1)
    other = FlatAdam(there, gradient)
    other.load_state_dict(state)
    other.step(0.1), other.step(0.1)
    np.testing.assert_array_equal(there, parameters)


def test_a_perceptron_fits_a_function_that_a_line_cannot():
    _, net = make_pair((16,), "tanh", inputs=1, outputs=1)
    adam = FlatAdam(net.parameters, net.gradient)
    inputs = np.linspace(-2, 2, 64, dtype=np.float32)[:, None]
    for _ in range(2_000):
        error = net.forward(inputs) - np.abs(inputs)
        net.backward(2 * error / 64)
        adam.step(0.01)
    assert np.mean((net.forward(inputs) - np.abs(inputs)) ** 2) < 0.01  # the best line leaves 1/3


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2, bias=False)),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
        nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Tanh(), nn.Linear(2, 2), nn.Tanh()),
        nn.Sequential(),
    ],
)
def test_other_modules_have_no_layout(module):
    assert Layout.of(module) is None


def test_the_number_of_threads_is_limited_within_a_block_and_put_back():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        before = num_threads()
        if before != 2:
            pytest.skip("threadpoolctl does not know NumPy's BLAS, or it was built without threads")
        with limited_threads(1):
            assert num_threads() == 1
        assert num_threads() == before


def test_vectors_of_another_size_are_refused_in_words():
    with pytest.raises(ValueError, match=r"the flat vector is float32 \[5\]; this layout takes float32 \[8\]"):
        FastMLP(Layout((3, 2), "tanh"), np.zeros(5, dtype=np.float32), np.zeros(8, dtype=np.float32))
