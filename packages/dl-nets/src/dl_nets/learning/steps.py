"""Steps: how many examples are learned from, or looked at, between two moments at which a run can be saved, and how they are learned.

Sizes follow from the network and the data alone, so that they are equal on every machine.
"""

from __future__ import annotations

from torch import nn

from dl_nets.fast.classes import FastClasses
from dl_nets.learning.losses import ClassTargets, TargetRule
from dl_nets.learning.optimisers import Optimiser, Steps
from rl_core import batches
from rl_core.batches import Batch

AT_ONCE = 1024  # examples at most that are predicted in one call of the network
NUMBERS_AT_ONCE = 2**24  # numbers of the inputs at most in such a call
STEP_OPERATIONS = {"cpu": 1e11, "cuda": 1e13}  # of one step, counted too high: about a second of the slowest networks


def examples_a_step(module: nn.Module, numbers: int, device: str) -> int:
    """Return how many examples a step visits, at least 1.

    A parameter takes part at most once in each number of the input, in six operations of a forward and a backward pass.

    Args:
        module: The network.
        numbers: How many numbers the inputs of one example have.
        device: "cpu" or "cuda".

    >>> examples_a_step(nn.Linear(100, 10), 100, "cpu")  # 1e11 / (6 * 1010 * 100), less than 2**24 / 100
    165016
    """
    parameters = sum(parameter.numel() for parameter in module.parameters())
    operations = 6.0 * max(parameters, 1) * numbers
    return max(1, min(int(STEP_OPERATIONS[device] / operations), NUMBERS_AT_ONCE // numbers))


def examples_at_once(numbers: int) -> int:
    """Return how many examples with so many numbers in their inputs one call of the network predicts, at least 1.

    >>> examples_at_once(64), examples_at_once(2**22)
    (1024, 4)
    """
    return min(AT_ONCE, max(1, NUMBERS_AT_ONCE // max(numbers, 1)))


def num_numbers(batch: Batch) -> int:
    """Return how many numbers a batch holds, the splits of ragged rows not counted.

    >>> num_numbers({"a": batches.Ragged.of([[1], [2, 3]])})
    3
    """
    return sum(int(array.size) for path, array in batches.to_arrays(batch).items() if not path.endswith("splits"))


def fast_classes(module: nn.Module, optimiser: Steps, rule: TargetRule) -> FastClasses | None:
    """Return the way to the gradient of plain cross-entropy without a graph of torch's; `None` for other losses, modules and optimisers."""
    if not isinstance(optimiser, Optimiser) or not isinstance(rule, ClassTargets) or not rule.is_plain:
        return None
    return FastClasses.of(module, optimiser.flat)
