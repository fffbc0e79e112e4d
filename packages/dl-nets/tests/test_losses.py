from __future__ import annotations

import math

import pytest
import torch

from dl_nets.learning import losses


def test_smoothed_cross_entropy_of_three_classes_is_what_paper_and_pencil_say() -> None:
    logits = torch.log(torch.tensor([[0.7, 0.2, 0.1]]))
    by_hand = -(0.8 + 0.2 / 3) * math.log(0.7) - (0.2 / 3) * (math.log(0.2) + math.log(0.1))
    assert losses.cross_entropy(logits, torch.tensor([0]), label_smoothing=0.2).item() == pytest.approx(by_hand, rel=1e-6)


def test_cross_entropy_of_even_odds_is_the_logarithm_of_the_classes_with_any_smoothing() -> None:
    for smoothing in (0.0, 0.3):
        assert losses.cross_entropy(torch.zeros(1, 8), torch.tensor([5]), smoothing).item() == pytest.approx(math.log(8))


def test_adding_a_constant_to_all_logits_changes_nothing() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5]])
    torch.testing.assert_close(losses.cross_entropy(logits + 7.0, torch.tensor([1])), losses.cross_entropy(logits, torch.tensor([1])))


def test_huber_is_half_the_square_within_delta_and_smooth_where_the_line_begins() -> None:
    errors = torch.tensor([[0.3], [1.999], [2.001], [10.0]], requires_grad=True)
    values = losses.huber(errors, torch.zeros(4, 1), delta=2.0)
    assert values.tolist() == pytest.approx([0.045, 1.999**2 / 2, 2 * (2.001 - 1), 2 * (10 - 1)], rel=1e-5)
    values.sum().backward()
    assert errors.grad.flatten().tolist() == pytest.approx([0.3, 1.999, 2.0, 2.0])


@pytest.mark.parametrize("loss", [losses.squared_error, losses.absolute_error, losses.huber])
def test_losses_of_numbers_are_zero_for_right_answers_and_one_for_each_example(loss: losses.Loss) -> None:
    targets = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert loss(targets, targets).tolist() == [0.0, 0.0, 0.0]


def test_an_example_of_weight_three_counts_as_three_examples_and_one_of_weight_zero_as_none() -> None:
    weighted = losses.weighted_mean(torch.tensor([1.0, 5.0, 100.0]), torch.tensor([3.0, 1.0, 0.0]))
    assert weighted.item() == losses.weighted_mean(torch.tensor([1.0, 1.0, 1.0, 5.0])).item() == 2.0
