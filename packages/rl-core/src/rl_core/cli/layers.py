"""The layers of a network as a table: kind, shape of the outputs, parameters, in the order of their use.

No deep-learning library is imported here: the network's own package does that when it builds the module.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rl_core.conformance import inputs, modules
from rl_core.network import Network
from rl_core.task import ControlTask, Task

EXAMPLES = 7  # unlike the sizes of most layers, so that the axis of the batch can be found


class Layer(NamedTuple):
    """One row of the table.

    Attributes:
        name: Name within the network.
        kind: Class.
        shape: Shape of the first of its outputs, B for the batch; "" where it gives none.
        parameters: Trainable numbers of its own that no earlier row has.
    """

    name: str
    kind: str
    shape: str
    parameters: int


def layers_of(network: Network, task: Task) -> list[Layer]:
    """Return the layers of the module that a network builds for a task, in the order of their first use; empty for one without layers.

    Raises:
        ValueError: if the network does not take the spaces of the task.
    """
    space, answers = task.input_space, task.output_space
    rng = np.random.default_rng(0)
    try:
        module = network.build(space, answers, rng)
        call = lambda: modules.outputs(module, inputs.batch(task, EXAMPLES))  # noqa: E731
    except ValueError:
        if not network.stateful or not isinstance(task, ControlTask):
            raise
        module = network.build_stepped(space, answers, rng)
        call = lambda: _step(module, inputs.batch(task, EXAMPLES))  # noqa: E731
    if not modules.is_torch(module):
        return []
    seen: dict[str, Any] = {}
    own = {name: part for name, part in module.named_modules() if name and (not list(part.children()) or list(part._parameters))}
    hooks = [part.register_forward_hook(partial(_keep_first, seen, name)) for name, part in own.items()]
    call()
    for hook in hooks:
        hook.remove()
    counted: set[int] = set()
    rows = []
    for name in [*seen, *(name for name in own if name not in seen)]:
        parameters = [value for value in own[name]._parameters.values() if value is not None and id(value) not in counted]
        counted.update(map(id, parameters))
        size = sum(value.numel() for value in parameters if value.requires_grad)
        if size or name in seen:
            rows.append(Layer(name, type(own[name]).__name__, _shape(seen.get(name)), size))
    rest = [value for value in module._parameters.values() if value is not None]
    if rest:
        rows.append(Layer("", type(module).__name__, "", sum(value.numel() for value in rest)))
    return rows


def _keep_first(seen: dict[str, Any], name: str, _part: Any, _given: Any, outputs: Any) -> None:
    """Keep the first outputs of a layer. It returns nothing: what a hook returns takes the place of the outputs."""
    seen.setdefault(name, outputs)


def _step(module: Any, given: Any) -> None:
    """Call a module that carries a state for one step."""
    tensors = modules.tensors(given)
    state = module.initial_state(len(given))
    module.eval()(tensors[None], state, state[None, :, 0] > 0)


def _shape(outputs: Any) -> str:
    first = outputs[0] if isinstance(outputs, tuple) else outputs
    sizes = getattr(first, "shape", None)
    if sizes is None:
        return ""
    return "[" + ", ".join("B" if size == EXAMPLES else str(size) for size in sizes) + "]"
