"""Products that leave out zeros, against NumPy's, and a perceptron that takes them against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.fast.mlp import MOSTLY, WIDE, FastMLP, Layout, flat_parameters
from dl_nets.fast.sparse_rows import SparseRows
from dl_nets.networks.mlp import MLP, MLPConfig


def mostly_zeros(size, width, fraction=0.03, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((size, width)) * (rng.random((size, width)) < fraction)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 7, 200])
def test_products_are_numpy_s(size):
    inputs, rng = mostly_zeros(size, 300), np.random.default_rng(1)
    inputs[size // 2] = 0  # a row without numbers
    weight, error = rng.standard_normal((5, 300), dtype=np.float32), rng.standard_normal((size, 5), dtype=np.float32)
    rows = SparseRows.of(inputs, 0.5)
    out, gradient = np.full((size, 5), np.nan, np.float32), np.full((5, 300), np.nan, np.float32)
    rows.times(weight, out)
    rows.outer(error, gradient)
    np.testing.assert_allclose(out, inputs @ weight.T, atol=1e-5)
    np.testing.assert_allclose(gradient, error.T @ inputs, atol=1e-4)


def test_a_row_has_the_same_bits_alone_and_among_others():
    inputs, weight = mostly_zeros(200, 300), np.random.default_rng(1).standard_normal((5, 300), dtype=np.float32)
    whole, alone = np.empty((200, 5), np.float32), np.empty((1, 5), np.float32)
    SparseRows.of(inputs, 0.5).times(weight, whole)
    SparseRows.of(inputs[150:151], 0.5).times(weight, alone)
    np.testing.assert_array_equal(whole[150:151], alone)


def test_as_many_numbers_as_allowed_are_taken_and_one_more_is_not():
    matrix = np.zeros((2, 10), np.float32)
    matrix[0, :3] = matrix[1, -2:] = 1.0
    assert SparseRows.of(matrix, 0.25).start.tolist() == [0, 3, 5]
    matrix[1, 0] = 1.0
    assert SparseRows.of(matrix, 0.25) is None


@pytest.mark.parametrize("hidden", [(6,), ()])
@pytest.mark.parametrize("fraction", [0.0, 0.5 * MOSTLY, 2 * MOSTLY])
def test_a_wide_perceptron_s_outputs_and_gradients_are_torch_s_however_many_inputs_are_zero(hidden, fraction):
    space = spaces.Box(-1, 1, (WIDE,))
    module = MLP(MLPConfig(hidden=hidden, activation="relu")).build(space, spaces.Discrete(3), np.random.default_rng(0))
    parameters = flat_parameters(module)
    net = FastMLP(Layout.of(module), parameters, np.full_like(parameters, np.nan))
    for seed in (2, 3):  # the second must not see what the first left
        inputs, error = mostly_zeros(9, WIDE, fraction, seed), np.random.default_rng(seed).standard_normal((9, 3), dtype=np.float32)
        tensor = torch.from_numpy(inputs.copy()).requires_grad_()
        module.zero_grad()
        expected = module(tensor)
        expected.backward(torch.from_numpy(error))
        np.testing.assert_allclose(net.forward(inputs), expected.detach(), atol=1e-5)
        np.testing.assert_allclose(net.backward(error, to_inputs=True), tensor.grad, atol=1e-5)
        np.testing.assert_allclose(net.gradient, np.concatenate([p.grad.ravel() for p in module.parameters()]), atol=1e-5)
