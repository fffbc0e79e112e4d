"""Agents: everything that learns a task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rl_core import batches
from rl_core.configured import Configured
from rl_core.predicting import taking_lists
from rl_core.state import restore_state, saved_state
from rl_core.structured import StructuredActions
from rl_core.task import ControlTask

if TYPE_CHECKING:
    from rl_core.network import Network
    from rl_core.seeds import Seeds
    from rl_core.task import Predict, Task


class Agent(Configured):
    """Base class of everything that learns a task. The run's loop calls `step()` until `progress` reaches the budget.

    A subclass names its config as `Config`, builds itself in `setup()`, and lists in `state_fields` the attributes that change while it
    learns. `__init__` is not overridden.

    Args:
        config: An instance of `Config`.
        task: The task to learn; its `input_space` and `output_space` say what goes in and what must come out.
        network: Builds modules for this agent; `None` for an agent whose spec names no network.
        seeds: Named random streams. Streams handed out by `seeds.numpy` are saved and restored with the run.
        budget: The whole budget of the run, in the agent's unit; for schedules.
        device: "auto", "cpu" or "cuda".

    Attributes:
        progress: How much was learned so far, in the unit that the spec names. `step()` increases it.
        finished: True when there is nothing more to learn (a planner converged, early stopping applied).
        warnings: Sentences that `setup()` adds for the user to read before learning starts: a budget that ends before the first update.
        headline: The metric to show while it learns; the first one when empty.
        export_formats: Names that `export` takes; "arrays" in a class that overrides `parameters` or `arrays` and names none.
        path: How the agent computes, in words, such as "fast: compiled layers" or "torch: on cuda". The run prints it and writes it in
            the manifest. Empty: there is only one way.
        uses_device: Whether `device` was read. A run with device "cuda" is refused where `setup()` does not read it.
        state_fields: Names of the attributes that change while learning; see `state_dict`.
        learned_fields: Those of them that another run may start from: weights, tables, statistics of observations.
    """

    headline: ClassVar[str] = ""
    export_formats: ClassVar[tuple[str, ...]] = ()
    state_fields: ClassVar[tuple[str, ...]] = ()
    learned_fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, task: Task, network: Network | None, *, seeds: Seeds, budget: int, device: str = "auto") -> None:
        self.config = config
        self.task = task
        self.network = network
        self.seeds = seeds
        self.budget = budget
        self.uses_device = False
        self._device = device
        self.progress = 0
        self.finished = False
        self.path = ""
        self.warnings: list[str] = []
        self.setup()

    def __init_subclass__(cls, **options: Any) -> None:
        """Let the subclass's `predict` take lists and a single observation too, and `export` write its arrays, if it has any."""
        super().__init_subclass__(**options)
        if not {"parameters", "arrays"}.isdisjoint(cls.__dict__) and not cls.export_formats and "export_formats" not in cls.__dict__:
            type.__setattr__(cls, "export_formats", ("arrays",))
        if "predict" in cls.__dict__:
            type.__setattr__(cls, "predict", taking_lists(cls.__dict__["predict"]))

    @classmethod
    def default_budget(cls, config: Any, task: Task) -> int | None:
        """Return the budget of a run for which neither the user nor a preset gives one; `None`: the spec's.

        An agent whose unit is smaller than what a user thinks in, such as examples for epochs, computes it from the two.
        """
        return None

    @property
    def device(self) -> str:
        """The device for tensors: "auto", "cpu" or "cuda"."""
        self.uses_device = True
        return self._device

    def setup(self) -> None:
        """Build what the agent learns with, from `self.config`, `self.task`, `self.network` and `self.seeds`.

        Raises:
            ValueError: if the task cannot be learned with this config; the message says why and what would fit.
        """

    def use_processes(self, number: int) -> None:
        """Let processes share the work of each step from here on, for `--processes`; what is learned is the same to the last bit.

        Args:
            number: Processes, >= 1, this one included.

        Raises:
            ValueError: if the agent, or its config, leaves nothing to share.
        """
        if number > 1:
            raise ValueError(f"{type(self).__name__} learns in one process; leave --processes out")

    @abstractmethod
    def step(self) -> dict[str, float]:
        """Run one iteration of learning (collect, estimate, update), increase `progress`, and return metrics.

        A metric that is not known this time is left out; NaN or infinity stops the run.
        """

    @abstractmethod
    def predict(self, inputs: Any) -> Any:
        """Return the answers [B, ...] in the task's output space to inputs [B, ...]; greedy, and without touching what `step` uses.

        Inputs and answers are batches of `rl_core.batches`: arrays, unless the task's spaces have parts or ragged rows. A caller may
        also give lists, and a single input, whose answer is then a single one.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes while learning, except `progress`, `finished` and the NumPy streams, which the run keeps.

        By default the attributes that `state_fields` names: arrays, plain values, torch modules, and objects with a `state_dict` of
        their own. Override it for another layout: nested dicts (string keys) and lists of NumPy arrays, str, int, float, bool and
        None. Arrays are only read. Use `rl_core.runs.checkpoint.Block` for large arrays that no longer change, such as the full part
        of a replay buffer.
        """
        return saved_state(self, self.state_fields)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned; the next `step` then continues the interrupted run exactly.

        Raises:
            ValueError: if an array has another shape or type than the agent's own.
        """
        restore_state(self, self.state_fields, state)

    @classmethod
    def upgrade_state(cls, state: Mapping[str, Any], version: str) -> Mapping[str, Any]:
        """Return a state that an older version of the package saved, as `load_state_dict` takes it now; `version` is that version."""
        return state

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Take over what another run of this agent learned, for `rl-core run --from RUN`: by default the `learned_fields`.

        Statistics of optimisers, buffers, environments and progress begin anew.

        Args:
            state: What `state_dict` returned in that run.

        Raises:
            ValueError: if the state does not fit.
            NotImplementedError: if there is nothing that can be taken over.
        """
        if not self.learned_fields:
            raise NotImplementedError(f"{type(self).__name__} cannot start from another run")
        restore_state(self, self.learned_fields, state)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the trainable parameters by name; the conformance kit checks that a step changes each. Empty: there are none."""
        return {}

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics that the task judges this agent by, `task.metric` among them."""
        return self.task.evaluate(self.predictor(), episodes=episodes, seeds=seeds)

    def predictor(self) -> Predict:
        """Return what answers in an evaluation: `predict`, or an object that carries a state, `rl_core.task.PredictWithMemory`."""
        return self.predict

    def answer(self, text: str) -> Any:
        """Return the answer to one input as JSON holds it, for `rl-core predict RUN INPUT`; by default the task parses the text."""
        answers = self.predict(self.task.parse(text))
        if isinstance(self.task.output_space, StructuredActions):
            return self.task.describe(answers)
        if self.task.class_names and "control" in self.task.traits():  # actions with names
            return self.task.describe(answers)[0]
        return answers.tolist() if isinstance(answers, np.ndarray) else [batches.plain(answers, 0)]

    def answers(self, path: Path, folder: Path) -> list[Any]:
        """Return a JSON-able answer to each input of a file; see `rl_core.task.Task.answer_file`."""
        return self.task.answer_file(path, self.predict, folder)

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Return probabilities [B, K] of the K classes for inputs [B, ...], for `rl-core predict --probabilities`.

        Raises:
            NotImplementedError: if the agent has none.
        """
        raise NotImplementedError(f"{type(self).__name__} does not predict probabilities")

    def draw(self, folder: Path) -> None:
        """Write figures of what was learned into `folder`, at the end of a run; by default those of a control task."""
        if isinstance(self.task, ControlTask):
            self.task.draw_policy(folder, self.predictor())

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return what was learned as arrays by name, for the format "arrays" of `export`; by default the parameters."""
        return self.parameters()

    def export(self, form: str, out: Path) -> Mapping[str, Any] | None:
        """Write what was learned to the file `out`, in one of `export_formats`, for `rl-core export`.

        The format "arrays" is served here: `arrays`, as safetensors. Override the method, or define `exported`, for others: it returns
        an object whose `write(form, out)` writes the file and returns what this method returns.

        Returns:
            What the file holds, as JSON has it, which `rl-core export` writes beside the file: "inputs" and "outputs" of a graph by name,
            each with its "type", its "shape", and what it "is" in words. `None` for nothing to say.

        Raises:
            ValueError: if the agent cannot be written in this format; the message says why.
        """
        if form != "arrays":
            exported = getattr(self, "exported", None)
            if exported is None:
                raise NotImplementedError(f"{type(self).__name__} lists {form!r} in export_formats and does not override export")
            about: Mapping[str, Any] | None = exported().write(form, out)
            return about
        from safetensors.numpy import save_file

        if not self.arrays():
            raise ValueError(f"{type(self).__name__} has no arrays to write yet; let it learn first")
        save_file({name: np.ascontiguousarray(array) for name, array in self.arrays().items()}, out)
        return None
