"""Domain adaptation: reversed gradients, covariances, and images of two domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch.nn import functional

from dl_nets.adaptation.adapted import Adapted, AdaptedConfig, AdaptedNetwork, coral_loss
from dl_nets.adaptation.shifted import Shifted, ShiftedConfig

IMAGE = spaces.Box(0.0, 1.0, (8, 8, 1), np.float32)


def _module(**settings: Any) -> Adapted:
    return Adapted(AdaptedConfig(channels=(4,), code=6, hidden=5, **settings), IMAGE, 10, np.random.default_rng(0))


def _batch() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    images = torch.from_numpy(np.random.default_rng(1).random((2, 12, 8, 8, 1), np.float32))
    return {"image": images[0], "unlabelled": images[1]}, torch.arange(12) % 10


def test_the_discriminator_learns_to_tell_the_domains_and_the_encoder_to_hide_them() -> None:
    """The encoder's gradient is that of the classes minus lambda times that of the domains; the discriminator's is plain."""
    inputs, targets = _batch()
    module = _module(weight=0.7, rise=1.0)
    module.updates += 1000  # lambda is 0.7 by now
    module.training_loss(inputs, targets)[0].backward()
    reversed_ = module.encoder.layers[-1].weight.grad.clone()
    plain = module.discriminator[0].weight.grad.clone()
    module.zero_grad()
    codes = module.codes(torch.cat([inputs["image"], inputs["unlabelled"]]))
    functional.cross_entropy(module.classifier(codes[:12]), targets).backward(retain_graph=True)
    of_classes = module.encoder.layers[-1].weight.grad.clone()
    module.zero_grad()
    domains = torch.cat([torch.zeros(12), torch.ones(12)])
    functional.binary_cross_entropy_with_logits(module.discriminator(codes)[:, 0], domains).backward()
    torch.testing.assert_close(reversed_, of_classes - 0.7 * module.encoder.layers[-1].weight.grad)
    torch.testing.assert_close(plain, module.discriminator[0].weight.grad)


def test_coral_compares_the_covariances_that_numpy_computes() -> None:
    one, other = np.random.default_rng(0).standard_normal((2, 9, 3))
    wanted = np.square(np.cov(one.T) - np.cov(other.T)).sum() / 36
    assert float(coral_loss(torch.from_numpy(one), torch.from_numpy(other))) == pytest.approx(wanted)


def test_the_weight_rises_only_while_learning() -> None:
    module, (inputs, targets) = _module(method="coral", weight=2.0, rise=10.0), _batch()
    module.eval().training_loss(inputs, targets)
    assert module.weight == 0.0
    module.train().training_loss(inputs, targets)
    assert module.weight == pytest.approx(2.0 * (2.0 / (1.0 + np.exp(-1.0)) - 1.0))


def test_no_image_is_seen_in_both_domains_and_only_the_source_has_labels() -> None:
    task = Shifted(ShiftedConfig(task="digits", strength=0.0))
    inputs, labels = task.read("train", np.arange(task.num_examples("train")))
    images, classes = task.source.read("train", np.arange(task.source.num_examples("train")))
    np.testing.assert_array_equal(inputs["image"], images[0 : 2 * len(labels) : 2])
    np.testing.assert_array_equal(inputs["unlabelled"], images[1 : 2 * len(labels) : 2])
    np.testing.assert_array_equal(labels, classes[0 : 2 * len(labels) : 2])


def test_a_pattern_is_that_of_the_image_whatever_the_batch() -> None:
    task = Shifted(ShiftedConfig(task="digits", learn="target"))
    whole, part = task.read("test", np.arange(20))[0], task.read("test", np.array([7, 3]))[0]
    np.testing.assert_array_equal(whole[[7, 3]], part)
    assert np.abs(whole - task.numbers("test", np.arange(20))).mean() > 0.1


def test_tasks_and_spaces_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected images and a class"):
        Shifted(ShiftedConfig(task="wine"))
    with pytest.raises(ValueError, match="reads the parts image and unlabelled: take a task shifted:<task>"):
        AdaptedNetwork(AdaptedConfig()).build(IMAGE, spaces.Discrete(10), np.random.default_rng(0))
