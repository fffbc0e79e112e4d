"""Every component of this package, held to the contract; and the kit's check of gradients, which only a package with torch can prove."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from rl_core.conformance import conformance_tests
from rl_core.conformance.checks import Check, all_checks, perform
from rl_core.conformance.subjects import NetworkSubject
from rl_core.plugins.catalogue import Catalogue

test_conformance = conformance_tests("dl-nets")


class _WithAnIdlePart(NetworkSubject):
    """A network whose module holds a parameter that its outputs do not depend on."""

    def module(self, spaces: Any = None, seed: int = 0) -> nn.Module:
        module = super().module(spaces, seed)
        module.idle = nn.Parameter(torch.zeros(2))
        return module


class _WithAnInfinitePart(NetworkSubject):
    """A network whose gradients are infinite: the root of a number that starts at 0."""

    def module(self, spaces: Any = None, seed: int = 0) -> nn.Module:
        module = super().module(spaces, seed)
        module.register_parameter("zero", nn.Parameter(torch.zeros(())))
        forward = module.forward
        module.forward = lambda inputs: forward(inputs) + module.zero.sqrt()
        return module


def _result_for(kind: type[NetworkSubject]) -> tuple[str, str]:
    catalogue = Catalogue.discover()
    entry = catalogue.find("mlp", "network")
    check: Check = next(check for check in all_checks() if check.name == "passes-gradients-to-every-parameter")
    result = perform(check, kind(catalogue, "network", entry.name, entry.package, entry))
    return result.status, result.message


def test_the_check_of_gradients_passes_a_sound_network() -> None:
    assert _result_for(NetworkSubject) == ("passed", "")


def test_the_check_of_gradients_catches_a_parameter_without_a_part_in_the_outputs() -> None:
    status, message = _result_for(_WithAnIdlePart)
    assert status == "failed"
    assert message.startswith("parameter 'idle' has no part in the outputs")


def test_the_check_of_gradients_catches_one_that_is_not_finite() -> None:
    status, message = _result_for(_WithAnInfinitePart)
    assert status == "failed"
    assert "the gradient of 'zero' is not finite" in message


def test_the_gradients_are_those_of_a_weighted_sum_of_outputs() -> None:
    from rl_core.conformance import modules

    module = nn.Linear(1, 1, bias=False)
    [(name, gradient)] = modules.gradients(module, np.array([[2.0]], dtype=np.float32)).items()
    weight = np.random.default_rng(0).standard_normal((1, 1)).item()
    assert name == "weight"
    assert gradient is not None
    np.testing.assert_allclose(gradient, [[2.0 * weight]], rtol=1e-6)
