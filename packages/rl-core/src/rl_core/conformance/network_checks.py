"""Checks of what a network builds. A module of torch is asked through the torch that its plugin imported; any other is called."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core.conformance import inputs, modules, probes
from rl_core.conformance.agent_state_checks import leaves_the_generators_alone, leaves_the_process_alone
from rl_core.conformance.subjects import NetworkSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.plugins.catalogue import fits


def builds_the_right_shape(subject: NetworkSubject) -> None:
    """For its default task and every plain pair of spaces that fits, outputs are [B, K]: K classes, or the numbers of a Box."""
    _hold_shape(subject.module(), subject.task.input_space, subject.task.output_space, subject.batch)
    for given, wanted in _plain_pairs(subject):
        batch = inputs.samples(given, 3, np.random.default_rng(0))
        try:
            module = subject.module((given, wanted))
        except ValueError as error:  # it may be choosy, in words
            if not str(error).strip():
                raise Fault(f"inputs {given} with outputs {wanted} are refused without a word; say what is needed") from error
            continue
        _hold_shape(module, given, wanted, batch)


def refuses_wrong_spaces(subject: NetworkSubject) -> None:
    """Spaces that it cannot take are refused with a ValueError in words, not with whatever breaks first."""
    odd: list[gymnasium.Space[Any]] = [spaces.Dict({"a": spaces.Discrete(2)}), spaces.Text(5), *probes.INPUTS.values()]
    for given in odd:
        for wanted in (*probes.OUTPUTS.values(), spaces.Text(5)):
            try:
                subject.module((given, wanted))
            except ValueError as error:
                if str(error).strip():
                    continue
                raise Fault(f"inputs {given} with outputs {wanted} are refused without a word; say what is needed") from error
            except Exception as error:
                raise Fault(
                    f"inputs {given} with outputs {wanted} are met with {type(error).__name__}: {error}; raise a ValueError that says "
                    "which spaces it takes"
                ) from error


def repeats_from_its_generator(subject: NetworkSubject) -> None:
    """Generators in the same state build the same numbers to the last bit; in another state, other numbers."""
    one, same, other = (modules.numbers(subject.module(seed=seed), subject.batch) for seed in (0, 0, 1))
    for name, value in one.items():
        if name not in same or value.tobytes() != same[name].tobytes():
            raise Fault(
                f"two modules from generators in the same state differ in {name!r}; draw every number from the rng that build is given"
            )
    drawn = {name: value for name, value in one.items() if value.dtype.kind == "f" and value.size and np.unique(value).size > 1}
    if drawn and all(value.tobytes() == other[name].tobytes() for name, value in drawn.items()):
        raise Fault("generators in different states build the same numbers; draw them from the rng that build is given")


def passes_gradients_to_every_parameter(subject: NetworkSubject) -> None:
    """Every trainable parameter of a torch module takes part in its outputs: it gets a finite gradient."""
    module = subject.module()
    if not modules.is_torch(module):
        raise Skipped("what it builds is no module of torch")
    for name, gradient in modules.gradients(module, subject.batch).items():
        if gradient is None:
            raise Fault(f"parameter {name!r} has no part in the outputs: its gradient is None; use it, or do not register it")
        if not np.isfinite(gradient).all():
            raise Fault(f"the gradient of {name!r} is not finite on inputs of {subject.task.input_space}; mend what divides by zero")


def answers_each_input_for_itself(subject: NetworkSubject) -> None:
    """A batch in another order gives the same outputs in that order, and a part of it the same part of them."""
    module, batch = subject.module(), subject.batch
    whole = modules.outputs(module, batch)
    order = np.random.default_rng(0).permutation(len(batch))
    for what, got, wanted in (
        ("a permuted batch", modules.outputs(module, batch[order]), whole[order]),
        ("a part of a batch", modules.outputs(module, batch[:2]), whole[:2]),
    ):
        if not np.allclose(got, wanted, rtol=1e-4, atol=1e-5):
            gap = float(np.abs(got - wanted).max())
            raise Fault(f"{what} gives other outputs, up to {gap:.2g} apart; when it answers, an example must not depend on its neighbours")


def _plain_pairs(subject: NetworkSubject) -> Iterator[tuple[gymnasium.Space[Any], gymnasium.Space[Any]]]:
    for given, wanted in probes.pairs():
        if any(fits((kind, given, wanted), subject.entry.spec.fits) for kind in ("control", "data")):
            yield probes.INPUTS[given], probes.OUTPUTS[wanted]


def _hold_shape(module: Any, given: gymnasium.Space[Any], wanted: gymnasium.Space[Any], batch: np.ndarray) -> None:
    size = int(wanted.n) if isinstance(wanted, spaces.Discrete) else math.prod(wanted.shape) if wanted.shape is not None else None
    got = modules.outputs(module, batch)
    if size is not None and got.shape != (len(batch), size):
        raise Fault(f"{len(batch)} inputs of {given} give outputs of shape {list(got.shape)}; for {wanted} it must be {[len(batch), size]}")
    if not np.isfinite(got).all():
        raise Fault(f"inputs of {given} give outputs that are not finite; scale what goes in, or the first weights")


NETWORK: tuple[Callable[[Any], None], ...] = (
    builds_the_right_shape,
    refuses_wrong_spaces,
    repeats_from_its_generator,
    passes_gradients_to_every_parameter,
    answers_each_input_for_itself,
    leaves_the_process_alone,
    leaves_the_generators_alone,
)
