from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from dl_nets.learning.streams import (
    generator_state,
    load_generator_state,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    torch_generator,
)
from rl_core.seeds import Seeds


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def train(module: nn.Module, optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    for number in range(first, last):
        inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        optimizer.zero_grad()
        module(inputs).square().sum().backward()
        optimizer.step()


OPTIMIZERS = {
    "sgd": partial(torch.optim.SGD, lr=0.01, momentum=0.9),
    "adam": partial(torch.optim.Adam, lr=0.01, fused=True),
    "rmsprop": partial(torch.optim.RMSprop, lr=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_to_the_last_bit_after_a_round_trip(name: str) -> None:
    straight = small()
    interrupted, continued = small(), small()
    interrupted.load_state_dict(straight.state_dict())
    optimizers = [OPTIMIZERS[name](module.parameters()) for module in (straight, interrupted, continued)]
    train(straight, optimizers[0], 0, 6)
    train(interrupted, optimizers[1], 0, 3)
    state = (module_state(interrupted), optimizer_state(optimizers[1]))
    train(interrupted, optimizers[1], 3, 5)  # what came out is a copy, and does not follow
    load_module_state(continued, state[0])
    load_optimizer_state(optimizers[2], state[1])
    train(continued, optimizers[2], 3, 6)
    expected, got = module_state(straight), module_state(continued)
    assert expected.keys() == got.keys()
    assert all(np.array_equal(expected[key], got[key]) for key in expected)


def test_an_optimizers_state_is_arrays_and_plain_values_and_keeps_a_changed_learning_rate() -> None:
    module = small()
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.01)
    train(module, optimizer, 0, 2)
    optimizer.param_groups[0]["lr"] = 0.005

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        return "array" if isinstance(value, np.ndarray) else value

    state = optimizer_state(optimizer)
    assert json.loads(json.dumps(plain(state))) == plain(state)
    other = torch.optim.AdamW(small().parameters(), lr=0.01)
    load_optimizer_state(other, state)
    assert other.param_groups[0]["lr"] == 0.005
    assert other.param_groups[0]["betas"] == (0.9, 0.999)


def test_the_halved_precision_that_numpy_lacks_keeps_its_bits() -> None:
    module, other = nn.Linear(3, 2).to(torch.bfloat16), nn.Linear(3, 2).to(torch.bfloat16)
    load_module_state(other, module_state(module))
    assert torch.equal(other.weight, module.weight)
    assert other.weight.dtype == torch.bfloat16


def test_loading_keeps_the_very_parameters_that_an_optimizer_holds() -> None:
    module = small()
    before = [id(parameter) for parameter in module.parameters()]
    load_module_state(module, module_state(small()))
    assert [id(parameter) for parameter in module.parameters()] == before


def test_the_state_of_another_network_is_refused_by_name_and_shape() -> None:
    with pytest.raises(ValueError, match=r"lacks \['1.bias'.*and has \['bias', 'weight'\] instead; use the run's own recipe"):
        load_module_state(small()[1:], module_state(nn.Linear(3, 4)))
    with pytest.raises(ValueError, match=r"saved weight has shape \[2, 3\]; this network's has \[4, 3\]"):
        load_module_state(nn.Linear(3, 4), module_state(nn.Linear(3, 2)))


def test_the_state_of_an_optimizer_with_other_groups_is_refused() -> None:
    one = torch.optim.SGD(small().parameters(), lr=0.1)
    two = torch.optim.SGD([{"params": [parameter]} for parameter in nn.Linear(2, 2).parameters()], lr=0.1)
    with pytest.raises(ValueError, match="saved optimizer has 2 groups of parameters; this one has 1"):
        load_optimizer_state(one, optimizer_state(two))


@pytest.mark.usefixtures("global_generators_stay")
def test_a_generator_is_fixed_by_seed_and_name_and_goes_on_from_its_state() -> None:
    first, second = (torch_generator(Seeds(5), "noise") for _ in range(2))
    assert torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))
    assert not torch.equal(
        torch.rand(3, generator=torch_generator(Seeds(5), "other")), torch.rand(3, generator=torch_generator(Seeds(5), "noise"))
    )
    state = generator_state(first)
    expected = torch.rand(3, generator=first)
    load_generator_state(second, state)
    assert torch.equal(torch.rand(3, generator=second), expected)
