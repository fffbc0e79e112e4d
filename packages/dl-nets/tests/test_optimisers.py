from __future__ import annotations

import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.learning.optimisers import Optimiser, OptimiserName, clip_gradient_norm
from dl_nets.networks.initialisation import linear


def steps(name: OptimiserName, gradients: list[float], **settings: float) -> list[float]:
    """Where a matrix of one number that starts at 1 stands after each gradient."""
    weight = nn.Parameter(torch.tensor([[1.0]]))
    optimiser = Optimiser(name, [weight], **settings)
    path = []
    for gradient in gradients:
        weight.grad = torch.tensor([[gradient]])
        optimiser.step()
        path.append(weight.item())
    return path


def network() -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(linear(3, 4, rng), nn.Tanh(), linear(4, 2, rng))


def test_each_method_takes_the_steps_that_paper_and_pencil_say() -> None:
    assert steps("sgd", [1.0, 2.0], learning_rate=0.1) == pytest.approx([0.9, 0.7])
    # v = 1, then 0.9 + 2
    assert steps("momentum", [1.0, 2.0], learning_rate=0.1) == pytest.approx([0.9, 0.61])
    # g + 0.9 v: 1.9, then 2 + 0.9 * 2.9
    assert steps("nesterov", [1.0, 2.0], learning_rate=0.1) == pytest.approx([0.81, 0.349])
    # second moment 0.01 g^2 without a correction: a first step of 10 learning rates
    assert steps("rmsprop", [4.0], learning_rate=0.01) == pytest.approx([0.9])
    first, second = 0.9 * 0.1 * 1.0 + 0.1 * 3.0, 0.999 * 0.001 * 1.0 + 0.001 * 9.0
    by_hand = 0.9 - 0.1 * (first / (1 - 0.9**2)) / math.sqrt(second / (1 - 0.999**2))
    assert steps("adam", [1.0, 3.0], learning_rate=0.1) == pytest.approx([0.9, by_hand])


def test_adamw_decays_apart_from_the_gradient_and_adam_through_it() -> None:
    assert steps("adamw", [0.0], learning_rate=0.1, weight_decay=0.5) == pytest.approx([0.95])  # 1 - 0.1 * 0.5
    assert steps("adam", [0.0], learning_rate=0.1, weight_decay=0.5) == pytest.approx([0.9])  # a whole step, as for any gradient


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("sgd", lambda groups: torch.optim.SGD(groups, lr=0.01)),
        ("momentum", lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9)),
        ("nesterov", lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True)),
        ("adam", lambda groups: torch.optim.Adam(groups, lr=0.01)),
        ("adamw", lambda groups: torch.optim.AdamW(groups, lr=0.01)),
        ("rmsprop", lambda groups: torch.optim.RMSprop(groups, lr=0.01)),
        ("adagrad", lambda groups: torch.optim.Adagrad(groups, lr=0.01)),
        ("adadelta", lambda groups: torch.optim.Adadelta(groups, lr=0.01)),
        ("adamax", lambda groups: torch.optim.Adamax(groups, lr=0.01)),
        ("nadam", lambda groups: torch.optim.NAdam(groups, lr=0.01)),
        ("radam", lambda groups: torch.optim.RAdam(groups, lr=0.01)),
        ("asgd", lambda groups: torch.optim.ASGD(groups, lr=0.01)),
        ("rprop", lambda groups: torch.optim.Rprop(groups, lr=0.01)),
    ],
)
def test_each_method_is_torchs_own_for_a_hundred_steps(name: OptimiserName, oracle: object) -> None:
    ours, theirs = network(), network()
    decay = 0.0 if name == "rprop" else 0.1  # torch's has none
    groups = [
        {"params": [parameter for parameter in theirs.parameters() if parameter.ndim == 2], "weight_decay": decay},
        {"params": [parameter for parameter in theirs.parameters() if parameter.ndim == 1], "weight_decay": 0.0},
    ]
    if name == "rprop":
        groups = [{"params": list(theirs.parameters())}]
    for module, optimiser in ((ours, Optimiser(name, ours.parameters(), learning_rate=0.01, weight_decay=decay)), (theirs, oracle(groups))):
        for number in range(100):
            inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
            optimiser.zero_grad()
            (module(inputs) - inputs[:, :2]).square().mean().backward()
            optimiser.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_l1_and_l2_are_the_derivatives_of_their_penalties() -> None:
    ours, theirs = network(), network()
    for module, optimiser in (
        (ours, Optimiser("adam", ours.parameters(), learning_rate=0.01, l1=0.02, l2=0.03)),
        (theirs, Optimiser("adam", theirs.parameters(), learning_rate=0.01)),
    ):
        for number in range(20):
            inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
            matrices = [parameter for parameter in theirs.parameters() if parameter.ndim == 2]
            penalty = sum(0.02 * matrix.abs().sum() + 0.03 * matrix.square().sum() for matrix in matrices)
            optimiser.zero_grad()
            (module(inputs).square().mean() + (penalty if module is theirs else 0.0)).backward()
            optimiser.step(max_norm=0.5)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_ftrl_minimises_the_sum_that_defines_it() -> None:
    """McMahan et al. 2013, equation 1: w_t+1 = argmin g_1:t w + 1/2 sum_s sigma_s (w - w_s)^2 + lambda_1 |w|, by search on a grid."""
    gradients, alpha, l1 = [1.0, -3.0, 0.5, -2.0], 0.3, 0.4
    weight = nn.Parameter(torch.zeros(1, 1))
    optimiser = Optimiser("ftrl", [weight], learning_rate=alpha, l1=l1)
    grid = np.linspace(-2, 2, 400_001)
    total, proximal, squares, strength = 0.0, np.zeros_like(grid), 0.0, 0.0
    for gradient in gradients:
        total, squares = total + gradient, squares + gradient**2
        sigma, strength = (1.0 + squares**0.5) / alpha - strength, (1.0 + squares**0.5) / alpha
        proximal += 0.5 * sigma * (grid - weight.item()) ** 2
        weight.grad = torch.tensor([[gradient]])
        optimiser.step()
        assert weight.item() == pytest.approx(grid[np.argmin(total * grid + proximal + l1 * np.abs(grid))], abs=2e-5)


def test_ftrl_starts_from_the_networks_weights_under_any_schedule_and_sets_useless_ones_to_zero() -> None:
    weight = nn.Parameter(torch.tensor([[0.5, -0.25]]))
    optimiser = Optimiser("ftrl", [weight], learning_rate=0.1, l1=0.5, weight_decay=0.0)
    for rate in (0.1, 0.05, 0.001):
        optimiser.learning_rate = rate
        weight.grad = torch.zeros(1, 2)
        optimiser.step()
    assert weight.tolist()[0] == pytest.approx([0.5, -0.25], rel=1e-4)
    noise = np.random.default_rng(0).standard_normal(200)
    weight = nn.Parameter(torch.tensor([[0.0, 0.0]]))
    optimiser = Optimiser("ftrl", [weight], learning_rate=0.1, l1=50.0)
    for number in noise:
        weight.grad = torch.tensor([[float(number), -1.0]])
        optimiser.step()
    assert weight[0, 0] == 0.0
    assert weight[0, 1] > 0.1


def test_lamb_moves_each_layer_by_its_own_length() -> None:
    """After one step Adam's direction is the sign of the gradient, here (1, -1): worked by hand for two layers and a bias at 0."""
    large, small, bias = (nn.Parameter(torch.tensor(value)) for value in ([[30.0, 40.0]], [[0.3, 0.4]], [0.0, 0.0]))
    optimiser = Optimiser("lamb", [large, small, bias], learning_rate=0.1)
    for parameter in (large, small, bias):
        parameter.grad = torch.tensor([2.0, -0.01]).view_as(parameter)
    optimiser.step()
    side = 0.1 / 2**0.5
    torch.testing.assert_close(large.data, torch.tensor([[30.0 - 50.0 * side, 40.0 + 50.0 * side]]))
    torch.testing.assert_close(small.data, torch.tensor([[0.3 - 0.5 * side, 0.4 + 0.5 * side]]))
    torch.testing.assert_close(bias.data, torch.tensor([-0.1, 0.1]))


@pytest.mark.parametrize("name", sorted(set(get_args(OptimiserName)) - {"ftrl"}))
def test_only_matrices_are_decayed(name: OptimiserName) -> None:
    layer = nn.Linear(1, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.fill_(1.0)
    optimiser = Optimiser(name, layer.parameters(), learning_rate=0.1, weight_decay=0.5)
    layer.weight.grad, layer.bias.grad = torch.zeros(1, 1), torch.zeros(1)
    optimiser.step()
    assert layer.weight.item() < 1.0
    assert layer.bias.item() == pytest.approx(1.0, rel=2e-5 if name == "asgd" else 0.0)  # asgd has a decay of its own, of 1e-5 here


@pytest.mark.parametrize("name", get_args(OptimiserName))
def test_going_on_from_a_saved_state_gives_the_same_bits(name: OptimiserName) -> None:
    def train(module: nn.Module, optimiser: Optimiser, first: int, last: int) -> None:
        for number in range(first, last):
            optimiser.zero_grad()
            module(torch.randn(8, 3, generator=torch.Generator().manual_seed(number))).square().sum().backward()
            optimiser.step()

    modules = [network() for _ in range(3)]
    straight, interrupted, continued = (Optimiser(name, module.parameters(), learning_rate=0.01) for module in modules)
    train(modules[0], straight, 0, 6)
    train(modules[1], interrupted, 0, 3)
    modules[2].load_state_dict(modules[1].state_dict())
    continued.load_state_dict(interrupted.state_dict())
    train(modules[2], continued, 3, 6)
    assert all(torch.equal(one, other) for one, other in zip(modules[0].parameters(), modules[2].parameters(), strict=True))


def test_loading_a_network_in_place_reaches_the_optimisers_vector() -> None:
    module = network()
    optimiser = Optimiser("sgd", module.parameters(), learning_rate=1.0)
    module.load_state_dict({name: torch.full_like(tensor, 3.0) for name, tensor in module.state_dict().items()})
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    assert all((parameter == 2.0).all() for parameter in module.parameters())


def test_a_parameter_without_gradient_stays_and_a_frozen_one_is_left_out() -> None:
    module = network()
    module[0].bias.requires_grad_(False)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimiser = Optimiser("adam", module.parameters(), learning_rate=0.1)
    module[2].weight.grad = torch.ones(2, 4)
    optimiser.step()
    moved = [not torch.equal(one, other) for one, other in zip(before, module.parameters(), strict=True)]
    assert moved == [False, False, True, False]


def test_a_network_that_was_moved_away_is_noticed() -> None:
    module = network()
    optimiser = Optimiser("sgd", module.parameters(), learning_rate=0.1)
    module.to(torch.float64)
    with pytest.raises(RuntimeError, match="the parameters have left the flat vector: move the modules to their device before"):
        optimiser.step()


def test_the_state_of_another_method_is_refused() -> None:
    adam, momentum = (Optimiser(name, network().parameters(), learning_rate=0.1) for name in ("adam", "momentum"))
    with pytest.raises(
        ValueError, match=r"saved optimiser has moments of the shapes \[\(26,\), \(26,\)\]; momentum on this network has \[\(26,\)\]"
    ):
        momentum.load_state_dict(adam.state_dict())


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="optimiser is 'adm'; it must be one of sgd, momentum, nesterov, adam"):
        Optimiser("adm", nn.Linear(1, 1).parameters(), learning_rate=0.1)


def test_a_gradient_over_many_layers_is_shortened_as_one_as_torch_does_it() -> None:
    lengths = []
    for clip in (clip_gradient_norm, nn.utils.clip_grad_norm_):
        module = network()
        module(torch.ones(4, 3)).square().sum().backward()
        length = clip(module.parameters(), 0.5)
        shortened = torch.cat([parameter.grad.flatten() for parameter in module.parameters()]).norm()
        lengths.append((length.item(), shortened.item()))
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-5)
    assert lengths[0][1] == pytest.approx(0.5, rel=1e-4)


def test_learning_does_not_import_torchs_compiler() -> None:
    """It takes longer to import than torch itself, and every short run would wait for it."""
    program = """
import sys, numpy as np, torch
from gymnasium import spaces
from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.supervised import update
module = CNN(CNNConfig(dropout=0.1)).build(spaces.Box(0, 1, (8, 8, 1)), spaces.Discrete(3), np.random.default_rng(0))
optimiser = Optimiser("adamw", module.parameters(), learning_rate=0.1)
update(module, optimiser, torch.zeros(4, 8, 8, 1), torch.zeros(4, dtype=torch.long), max_gradient_norm=1.0)
print("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_other_betas_are_those_of_torch() -> None:
    ours, theirs = nn.Parameter(torch.tensor([1.0, -2.0])), nn.Parameter(torch.tensor([1.0, -2.0]))
    optimiser, oracle = Optimiser("adam", [ours], learning_rate=0.1), torch.optim.Adam([theirs], lr=0.1, betas=(0.5, 0.9))
    optimiser.set_betas(0.5, 0.9)
    for gradient in ([3.0, 0.5], [-1.0, 2.0], [0.1, -0.1]):
        for parameter, method in ((ours, optimiser), (theirs, oracle)):
            parameter.grad = torch.tensor(gradient)
            method.step()
    torch.testing.assert_close(ours, theirs)
