from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning import class_losses, losses, number_losses


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
    values = number_losses.huber(errors, torch.zeros(4, 1), delta=2.0)
    assert values.tolist() == pytest.approx([0.045, 1.999**2 / 2, 2 * (2.001 - 1), 2 * (10 - 1)], rel=1e-5)
    values.sum().backward()
    assert errors.grad.flatten().tolist() == pytest.approx([0.3, 1.999, 2.0, 2.0])


@pytest.mark.parametrize("loss", list(losses.STANDARDISED.values()))
def test_losses_of_numbers_are_zero_for_right_answers_and_one_for_each_example(loss: losses.Loss) -> None:
    targets = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert loss(targets, targets).tolist() == [0.0, 0.0, 0.0]


def test_an_example_of_weight_three_counts_as_three_examples_and_one_of_weight_zero_as_none() -> None:
    weighted = losses.weighted_mean(torch.tensor([1.0, 5.0, 100.0]), torch.tensor([3.0, 1.0, 0.0]))
    assert weighted.item() == losses.weighted_mean(torch.tensor([1.0, 1.0, 1.0, 5.0])).item() == 2.0


def test_each_loss_is_torchs_own() -> None:
    """Where torch has the loss; the worked numbers of the docstrings hold the others."""
    generator = torch.Generator().manual_seed(0)
    logits, classes = torch.randn(6, 4, generator=generator), torch.randint(4, (6,), generator=generator)
    numbers, flags = torch.rand(6, 4, generator=generator), torch.randint(2, (6, 4), generator=generator).float()
    probabilities = torch.softmax(torch.randn(6, 4, generator=generator), 1)
    pairs = {
        "cross-entropy": (losses.CLASS_LOSSES["cross-entropy"](logits, classes), nn.CrossEntropyLoss()(logits, classes)),
        "hinge": (losses.CLASS_LOSSES["hinge"](logits, classes), nn.MultiMarginLoss()(logits, classes)),
        "flags": (losses.FLAG_LOSSES["binary-cross-entropy"](logits, flags), nn.BCEWithLogitsLoss()(logits, flags)),
        "squared-error": (losses.STANDARDISED["squared-error"](logits, numbers), nn.MSELoss()(logits, numbers)),
        "absolute-error": (losses.STANDARDISED["absolute-error"](logits, numbers), nn.L1Loss()(logits, numbers)),
        "huber": (losses.STANDARDISED["huber"](logits, numbers), nn.HuberLoss()(logits, numbers)),
        "cosine": (losses.IN_UNITS["cosine"](logits, numbers), nn.CosineEmbeddingLoss()(logits, numbers, torch.ones(6))),
        "poisson": (losses.LINKED["poisson"][0](logits, numbers), nn.PoissonNLLLoss()(logits, numbers)),
        "kl": (
            losses.LINKED["kl-divergence"][0](logits, probabilities),
            nn.KLDivLoss(reduction="batchmean")(torch.log_softmax(logits, 1), probabilities),
        ),
        "smoothed": (
            class_losses.smoothed_divergence(logits, classes, 0.2) - class_losses.smoothed_divergence(torch.zeros(6, 4), classes, 0.2),
            nn.CrossEntropyLoss(label_smoothing=0.2)(logits, classes) - math.log(4),
        ),
    }
    for name, (ours, theirs) in pairs.items():
        torch.testing.assert_close(ours.mean(), theirs, msg=name)


@pytest.mark.parametrize(
    ("space", "loss", "fitting"),
    [
        (spaces.Discrete(3), "mae", "loss is 'mae', but the task asks for classes; use cross-entropy, hinge, focal"),
        (spaces.Discrete(3), "binary-cross-entropy", "use cross-entropy, hinge, focal, squared-error, kl-divergence, or auto"),
        (spaces.MultiBinary(3), "poisson", "the task asks for flags; use binary-cross-entropy"),
        (spaces.Box(-1, 1, (2,)), "hinge", "the task asks for numbers; use squared-error, absolute-error"),
    ],
)
def test_a_loss_that_does_not_suit_the_space_is_refused_with_those_that_do(space: spaces.Space, loss: str, fitting: str) -> None:
    with pytest.raises(ValueError, match=fitting):
        losses.target_rule(space, loss, 0.0, lambda: np.zeros((1, 2)), torch.device("cpu"))
