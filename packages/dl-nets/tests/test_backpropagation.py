from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from dl_nets.learning.backpropagation import INPUT, LAYERS, TARGET, error, forward, gradient

PAGE = Path(__file__).parents[1] / "docs" / "backpropagation.md"


def test_every_derivative_of_the_worked_network_is_autodiffs() -> None:
    parameters = [[torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in layer] for layer in LAYERS]
    values = torch.tensor([INPUT], dtype=torch.float64)
    for weights, biases in parameters:
        values = torch.sigmoid(weights @ values + biases)
    loss = 0.5 * (values - TARGET).square().sum()
    loss.backward()
    assert loss.item() == pytest.approx(error(LAYERS, [INPUT], TARGET), rel=1e-15)
    for tensors, layer in zip(parameters, gradient(LAYERS, [INPUT], TARGET), strict=True):
        for tensor, derivative in zip(tensors, layer, strict=True):
            torch.testing.assert_close(tensor.grad, torch.tensor(derivative, dtype=torch.float64), rtol=1e-14, atol=0.0)


def test_the_page_shows_the_numbers_of_the_code() -> None:
    passed, derivatives = forward(LAYERS, [INPUT]), gradient(LAYERS, [INPUT], TARGET)
    numbers = [value for layer in (*passed.sums, *passed.outputs[1:]) for value in layer]
    for by_weights, by_biases in derivatives:
        numbers += [*(value for row in by_weights for value in row), *by_biases]
    shown = {float(text) for text in re.findall(r"-?\d+\.\d{10}\b", PAGE.read_text(encoding="utf-8"))}
    missing = [number for number in numbers if round(number, 10) not in shown]
    assert not missing, f"the page lacks {missing}"
