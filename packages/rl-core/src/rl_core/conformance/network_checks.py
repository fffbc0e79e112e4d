"""Checks of the modules that a network builds, of torch or of any other library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl_core import batches
from rl_core.batches import Batch, Ragged
from rl_core.conformance import inputs, modules, probes
from rl_core.conformance.agent_state_checks import leaves_the_generators_alone, leaves_the_process_alone
from rl_core.conformance.subjects import NetworkSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.plugins.catalogue import fits
from rl_core.task import DataTask
from rl_core.traits import input_trait, output_shape, output_trait


def builds_the_right_shape(subject: NetworkSubject) -> None:
    """Check that outputs have the shape that `rl_core.network` states, for the default task and every pair of spaces that fits."""
    if subject.loaded.own_loss:
        raise Skipped("its modules bring their own loss, and answer in the output space")
    _hold_shape(subject.module(), subject.task.input_space, subject.task.output_space, subject.batch)
    for given, wanted in _pairs(subject):
        batch = inputs.samples(given, 3, np.random.default_rng(0))
        try:
            module = subject.module((given, wanted))
        except ValueError as error:  # it may be choosy, in words
            if not str(error).strip():
                raise Fault(f"inputs {given} with outputs {wanted} are refused without a word; say what is needed") from error
            continue
        _hold_shape(module, given, wanted, batch)


def refuses_wrong_spaces(subject: NetworkSubject) -> None:
    """Check that unsupported spaces are refused with a ValueError that says what is needed."""
    structured = [(pair[0], pair[1]) for pair in probes.STRUCTURED]
    odd: list[gymnasium.Space[Any]] = [spaces.Text(5), *(given for given, _ in structured), *probes.INPUTS.values()]
    for given in odd:
        for wanted in (*probes.OUTPUTS.values(), *(wanted for _, wanted in structured), spaces.Text(5)):
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
    """Check that generators in the same state build the same numbers to the last bit; in another state, other numbers."""
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
    """Check that every trainable parameter of a torch module gets a finite gradient from its outputs or its own loss."""
    module = subject.module()
    if not modules.is_torch(module):
        raise Skipped("the module is not a torch.nn.Module")
    given, targets = subject.batch, None
    if subject.loaded.own_loss:
        given, targets = _examples(subject)
    for name, gradient in modules.gradients(module, given, targets).items():
        if gradient is None:
            raise Fault(f"parameter {name!r} has no part in the outputs: its gradient is None; use it, or do not register it")
        if not np.isfinite(gradient).all():
            raise Fault(f"the gradient of {name!r} is not finite on inputs of {subject.task.input_space}; look for a division by zero")


def answers_each_input_for_itself(subject: NetworkSubject) -> None:
    """Check that a batch in another order gives the same outputs in that order, and a part of it the same part of them."""
    module, batch = subject.module(), subject.batch
    whole = modules.outputs(module, batch)
    order = np.random.default_rng(0).permutation(batches.count(batch))
    for what, indices in (("a permuted batch", order), ("a part of a batch", np.arange(2))):
        got = batches.to_arrays(modules.outputs(module, batches.take(batch, indices)))
        wanted = batches.to_arrays(batches.take(whole, indices))
        for path, array in wanted.items():
            if got[path].shape != array.shape or not np.allclose(got[path], array, rtol=1e-4, atol=1e-5):
                gap = float(np.abs(got[path] - array).max()) if got[path].shape == array.shape else float("inf")
                raise Fault(
                    f"{what} gives other outputs, up to {gap:.2g} apart; when it answers, an example must not depend on its neighbours"
                )


def keeps_its_word_on_losses(subject: NetworkSubject) -> None:
    """Check that modules of a network with `own_loss = True`, and only those, have a finite `training_loss` and `answers`."""
    module, declared = subject.module(), subject.loaded.own_loss
    if declared != modules.has_own_loss(module):
        has = [name for name in ("training_loss", "answers") if callable(getattr(module, name, None))]
        raise Fault(
            f"own_loss is {declared}, and the module has {' and '.join(has) or 'neither training_loss nor answers'}; "
            "give it both methods and set own_loss = True, or neither"
        )
    if not declared:
        raise Skipped("its modules leave the loss to the learner")
    given, targets = _examples(subject)
    made = (modules.tensors(given), modules.tensors(targets)) if modules.is_torch(module) else (given, targets)
    loss, metrics = module.training_loss(*made, None)
    for name, value in {"the loss": loss, **metrics}.items():
        if np.ndim(value.detach().cpu().numpy() if hasattr(value, "detach") else value) or not math.isfinite(float(value)):
            raise Fault(f"training_loss gives {name} = {value!r}; expected one finite number")
    if problem := inputs.members(subject.task.output_space, modules.outputs(module, given)):
        raise Fault(f"answers are outside the output space: {problem}")


def _examples(subject: NetworkSubject) -> tuple[Any, Any]:
    """Return a few training examples of the default task."""
    task = subject.task
    if not isinstance(task, DataTask):
        raise Skipped("its default task has no examples to compute its own loss on")
    return task.read("train", np.arange(min(4, task.num_examples("train"))))


def _pairs(subject: NetworkSubject) -> Iterator[tuple[gymnasium.Space[Any], gymnasium.Space[Any]]]:
    for pair in ((probes.INPUTS[given], probes.OUTPUTS[wanted]) for given, wanted in probes.pairs()):
        if any(fits((kind, *_traits(*pair)), subject.entry.spec.fits) for kind in ("control", "data")):
            yield pair
    for pair in probes.STRUCTURED:
        if fits(("data", *_traits(*pair)), subject.entry.spec.fits):
            yield pair


def _traits(given: gymnasium.Space[Any], wanted: gymnasium.Space[Any]) -> tuple[str, str]:
    return input_trait(given), output_trait(wanted)


def _hold_shape(module: Any, given: gymnasium.Space[Any], wanted: gymnasium.Space[Any], batch: Batch) -> None:
    got = modules.outputs(module, batch)
    if isinstance(wanted, spaces.Dict):
        if not isinstance(got, dict) or set(got) != set(wanted.spaces):
            raise Fault(f"inputs of {given} give {type(got).__name__}; for {wanted} it must be a dict of {', '.join(wanted.spaces)}")
        for name, part in wanted.spaces.items():
            _hold_part(got[name], given, part, batches.count(batch))
    else:
        _hold_part(got, given, wanted, batches.count(batch))


def _hold_part(got: Any, given: gymnasium.Space[Any], wanted: gymnasium.Space[Any], size: int) -> None:
    """Hold the outputs for one answer to its space."""
    shape = output_shape(wanted)
    if isinstance(got, Ragged):
        got = got.values
    elif shape is not None:
        allowed = [(size, *shape), (size, math.prod(shape))]
        if got.shape not in allowed:
            needed = " or ".join(str(list(each)) for each in dict.fromkeys(allowed))
            raise Fault(f"{size} inputs of {given} give outputs of shape {list(got.shape)}; for {wanted} it must be {needed}")
    if not np.isfinite(got).all():
        raise Fault(f"inputs of {given} give outputs that are not finite; scale what goes in, or the first weights")


NETWORK: tuple[Callable[[Any], None], ...] = (
    builds_the_right_shape,
    refuses_wrong_spaces,
    repeats_from_its_generator,
    passes_gradients_to_every_parameter,
    answers_each_input_for_itself,
    keeps_its_word_on_losses,
    leaves_the_process_alone,
    leaves_the_generators_alone,
)
