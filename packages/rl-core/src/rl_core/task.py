"""Tasks: problems with a score. A task says in spaces what goes in and what must come out, and judges the answers."""

from __future__ import annotations

import reprlib
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from gymnasium import spaces

from rl_core import batches, parsing
from rl_core.batches import Batch
from rl_core.configured import Configured
from rl_core.envs import Envs
from rl_core.errors import RequestError, WorkError
from rl_core.judge import Collected, Judge
from rl_core.traits import input_trait, output_trait

if TYPE_CHECKING:
    import gymnasium

    from rl_core.seeds import Seeds


class Predict(Protocol):
    """A predictor: a function from a batch of inputs to a batch of answers in the task's output space."""

    def __call__(self, inputs: Any, /) -> Any:
        """Return the answers [B, ...] to inputs [B, ...]."""


@runtime_checkable
class PredictWithMemory(Predict, Protocol):
    """A predictor that carries a state from step to step, such as a recurrent policy.

    A control task asks about the same environment in the same row throughout.
    """

    def begin(self, starts: np.ndarray) -> None:
        """Reset the state of the rows whose episode starts [B], bool; called before the first question and after every step."""


@runtime_checkable
class PredictAllowed(Predict, Protocol):
    """A predictor that takes none but allowed actions, on a control task with the extra `legal`."""

    def allow(self, legal: np.ndarray) -> None:
        """Take note of the actions that are allowed at the next inputs [B, A], bool; called before each question."""


@runtime_checkable
class PredictByChance(Predict, Protocol):
    """A predictor that draws its answers, and knows how likely each was."""

    def chance_of(self, answers: np.ndarray) -> np.ndarray:
        """Return the probability [B] with which it answers so [B] at the inputs of the last question."""


@runtime_checkable
class PredictLikelihood(Predict, Protocol):
    """A predictor that also says how likely it held the right answers, for tasks that judge by likelihood (`DataTask.by_likelihood`)."""

    def with_likelihood(self, inputs: Any, targets: Any, /) -> Mapping[str, Any]:
        """Return "answers" [B, ...] and "log_likelihood" [B, ...], ln of the probability of each target: of a class or of each token."""


@runtime_checkable
class ContinuesText(Protocol):
    """A task whose answer to a text is what goes on behind it, drawn token by token from an agent that scores the next one."""

    def continued(self, text: str, scores: Callable[[Any], np.ndarray]) -> str:
        """Return a text with what was drawn behind it.

        Args:
            text: The beginning.
            scores: Function from inputs [B, ...] to logits of the token that follows each input [B, V].

        Raises:
            ValueError: if the text cannot be read.
        """


@runtime_checkable
class DrawsAnswers(Protocol):
    """A task whose answer to a text is a file, such as a sheet of pictures."""

    def answer_text(self, text: str, predict: Predict, folder: Path) -> Any:
        """Return what JSON holds of the answer to one input, such as the path of a file written into `folder`, which is made then.

        Raises:
            ValueError: if the text cannot be read.
        """


class Task(Configured):
    """Base class of every kind of task.

    Args:
        config: An instance of `Config`, a frozen dataclass.

    Attributes:
        kind: "control", "mdp", "data", "offline", "corpus" or "family"; the first of the task's traits.
        input_space: Space of one input: an observation, an example.
        output_space: Space of one answer: an action, a label, a value.
        metric: Name of the number that the task is judged by.
        target: The published or derived number that counts as solved; `None` where there is none.
        higher_is_better: The direction of the metric.
        class_names: Names of the classes of a `Discrete`, label-map, boxes or instances output, or of the flags of a `MultiBinary` one, in
            order, or the names of actions; empty where there are none.
        file_suffixes: Suffixes of the files that `parse_file` reads.
    """

    kind: ClassVar[str]
    file_suffixes: ClassVar[tuple[str, ...]] = (".jsonl",)
    input_space: gymnasium.Space
    output_space: gymnasium.Space
    metric: str
    target: float | None = None
    higher_is_better: bool = True
    class_names: tuple[str, ...] = ()

    def __init__(self, config: Any) -> None:
        self.config = config

    def state_dict(self) -> dict[str, Any]:
        """Return what the task took from its data when it was built, for the run's checkpoints; empty where it took nothing.

        Encodings, class names, splits and a digest of the file: whatever an answer depends on. The kinds of values are those of
        `Agent.state_dict`. A run with such a state predicts and evaluates without the data, and after the data changed.
        """
        return {}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task as it was when `state_dict` returned `state`; the data is read when it is asked for, and need not exist.

        Raises:
            ValueError: if `state` was not written by such a task.
        """
        return cls(config)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other data, named by `config`, that judges an agent trained on a task of this class with this `state`.

        The encoding and the classes are those of `state`, and all of the data is the test split.

        Raises:
            ValueError: if the data does not fit the state.
        """
        return cls(config)

    def data_change(self) -> str:
        """Return a sentence that says how the data differs from that of the state the task was built from, or ""."""
        return ""

    def accept_data(self) -> None:
        """Go on with the data as it is now, in the encoding of the state, and let `state_dict` describe this data from now on."""

    def traits(self) -> frozenset[str]:
        """Return what this task offers, in the words of `rl_core.api`; a subclass adds its own to these."""
        return frozenset({self.kind, input_trait(self.input_space), output_trait(self.output_space)})

    @abstractmethod
    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return scores of `predict`, `metric` among them; only control tasks use `episodes`.

        The same seeds give the same evaluation, which never moves the training's streams.
        """

    def parse(self, text: str) -> Any:
        """Return a batch of one input [1, ...] from what a user typed: JSON in the shape of the input space.

        Raises:
            ValueError: if the text is not JSON, or does not have the shape and the kind of numbers of the input space.
        """
        return parsing.parse(self.input_space, text)

    def parse_file(self, path: Path) -> Any:
        """Return a batch of inputs [B, ...] from a file with one of `file_suffixes`: one input a line, each as `parse` reads it.

        Raises:
            ValueError: naming the file and the line that cannot be read.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
        inputs = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                try:
                    inputs.append(self.parse(line))
                except ValueError as error:
                    raise ValueError(f"line {number} of {path}: {error}") from error
        if not inputs:
            raise ValueError(f"{path} has no inputs; expected one JSON value a line")
        return batches.concatenate(inputs)

    def describe(self, predictions: Any) -> list[Any]:
        """Return predictions [B, ...] as values that JSON holds: names where the classes have some, and of flags the names of those on."""
        if self.class_names and isinstance(self.output_space, spaces.Discrete):
            return [self.class_names[int(number) - int(self.output_space.start)] for number in predictions]
        if self.class_names and isinstance(self.output_space, spaces.MultiBinary):
            return [[name for name, on in zip(self.class_names, flags, strict=True) if on] for flags in predictions]
        return [batches.plain(predictions, index) for index in range(batches.count(predictions))]

    def answer_file(self, path: Path, predict: Predict, folder: Path) -> list[Any]:
        """Return a JSON-able answer to each input of a file with one of `file_suffixes`, for `rl-core predict RUN FILE`.

        Args:
            path: The file.
            predict: From inputs to answers.
            folder: Where a task of pictures writes them with its answers drawn in; it is made when something is written.

        Raises:
            ValueError: naming the file, and the line where it has lines, that cannot be read.
        """
        return self.describe(predict(self.parse_file(path)))

    def facts(self) -> dict[str, str]:
        """Return what `rl-core show SCHEME:FILE` prints of the data, by name: counts, classes, sizes, what was left out."""
        return {}

    def caveat(self) -> str:
        """Return a sentence that the run prints at its start: a promise that this task cannot keep; "" if there is none."""
        return ""

    def reached(self, score: float) -> bool | None:
        """Return whether the score meets the target; `None` without a target."""
        if self.target is None:
            return None
        return score >= self.target if self.higher_is_better else score <= self.target


class ControlTask(Task):
    """A Gymnasium environment, or several in step: the score is the mean return of fresh episodes.

    A learned model of an environment is a control task as well: its `envs` are an `Envs` whose steps the model predicts.

    Attributes:
        extras: Names of the arrays that transitions carry in `Transition.extras`: "cost", "legal", "goal". They are traits of the
            task, too, and its spec declares them.
        discount: gamma that the task is stated with, in [0, 1]; an agent's own setting goes before it.
        frames_per_second: Pictures in a second of an animation of it.
        input_names: Names of the numbers of an observation, with their units, for figures; empty where they have none.
        output_names: Names of the numbers of an action that is not a choice, with their units.
        returns: Returns of the episodes of the last evaluation; empty before the first.
    """

    kind: ClassVar[str] = "control"
    metric = "mean return"
    extras: tuple[str, ...] = ()
    discount: float = 1.0
    returns: tuple[float, ...] = ()

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and the names of the extras."""
        return super().traits() | frozenset(self.extras)

    @abstractmethod
    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return environments stepped together, whose every random number comes from `seeds`."""

    def draw_policy(self, folder: Path, predict: Predict) -> None:
        """Write figures of a policy into `folder`, at the end of a run; none by default."""

    def legal_at(self, inputs: np.ndarray) -> np.ndarray | None:
        """Return which actions are allowed at observations [B, ...], bool [B, A]; `None` where observations do not show it, as by default.

        A task with the extra `legal` gives it to an agent that is asked outside of an episode.
        """
        return None

    frames_per_second: float = 30.0
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()

    def watched_envs(self, seeds: Seeds, *, human: bool = False) -> Envs:
        """Return one environment whose episodes are watched.

        Args:
            seeds: Source of its random numbers.
            human: Whether it opens a window and draws itself there.

        Raises:
            RequestError: if it cannot open a window.
        """
        if human:
            raise RequestError("this task cannot open a window", "leave out --human, or name an environment of Gymnasium: gym:CartPole-v1")
        return self.envs(1, seeds)

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return a picture [H, W, 3], uint8, of the first of `watched_envs` as it is; `None` where the task is not drawn, as by default."""
        return None

    def evaluation_envs(self, episodes: int, seeds: Seeds) -> Envs:
        """Return the environments that `episodes` episodes of an evaluation are played in, at most one for each."""
        return self.envs(min(episodes, 100), seeds)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return mean, deviation and length of `episodes` whole episodes, split evenly over the environments.

        The number of episodes of each environment is fixed beforehand: to take whichever episodes end first would favour short ones.
        A task with the extra `cost` also gets the mean cost of an episode, undiscounted.
        """
        envs = self.evaluation_envs(episodes, seeds.apart("evaluation"))
        num_envs = envs.num_envs
        quota = np.full(num_envs, episodes // num_envs)
        quota[: episodes % num_envs] += 1
        memory = predict if isinstance(predict, PredictWithMemory) else None
        masked = predict if "legal" in self.extras and isinstance(predict, PredictAllowed) else None
        obs = envs.reset()
        if memory is not None:
            memory.begin(np.ones(num_envs, dtype=np.bool_))
        returns, lengths, costs, cost = [], [], [], np.zeros(num_envs)
        while quota.any():
            if masked is not None:
                masked.allow(envs.extras()["legal"])
            answers = predict(obs)
            _require_actions(answers, self.output_space, num_envs)
            transition = envs.step(answers)
            obs = transition.obs
            cost += transition.extras.get("cost", 0.0)
            if memory is not None:
                memory.begin(transition.terminated | transition.truncated)
            for env, return_, length in envs.pop_episodes():
                if quota[env] > 0:
                    quota[env] -= 1
                    returns.append(return_)
                    lengths.append(length)
                    costs.append(float(cost[env]))
                cost[env] = 0.0
        envs.close()
        self.returns = tuple(map(float, returns))
        return {
            "mean return": float(np.mean(returns)),
            "standard deviation": float(np.std(returns)),
            "mean length": float(np.mean(lengths)),
            **({"mean cost": float(np.mean(costs))} if "cost" in self.extras else {}),
            "episodes": float(episodes),
        }


def _require_actions(answers: Any, space: gymnasium.Space[Any], count: int) -> None:
    """Check that a policy's answers are one action of the space for each of `count` observations.

    Raises:
        WorkError: if they are not.
    """
    if not isinstance(space, spaces.Discrete | spaces.Box):
        return
    actions = np.asarray(answers)
    fine = actions.shape == (count, *space.shape) and actions.dtype.kind in ("biuf" if isinstance(space, spaces.Box) else "biu")
    if fine and (isinstance(space, spaces.Box) or (space.start <= actions.min() and actions.max() < space.start + space.n)):
        return
    shown = reprlib.repr(actions.tolist())
    raise WorkError(f"the policy answered {count} observations with {shown}, which are not {count} actions of {space}", _FAULT_OF_AGENT)


_FAULT_OF_AGENT = "this is a fault of the agent: report it to the authors of its package"


class Dynamics(Protocol):
    """The transition function of a control task, known or learned, on many states at once; planners play in it."""

    def state_of(self, obs: np.ndarray) -> np.ndarray:
        """Return the states [N, S] that observations [N, ...] show."""

    def step(self, state: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return next states [N, S], rewards [N] and terminations [N] of actions [N, ...] in states [N, S], which stay as they are."""


class DynamicsTask(ControlTask):
    """A control task that shows its dynamics; it offers the trait `dynamics`."""

    @abstractmethod
    def dynamics(self) -> Dynamics:
        """Return the transition function."""


class NumberedTask(Protocol):
    """Protocol of a control task with numbered states and actions that also says how prediction and pictures see it.

    A task with the trait "mdp" has all of these. Any other has the trait of each that it has: "policy", "layout".

    Attributes:
        discount: gamma, in [0, 1].
        policy: Probabilities of actions [S, A] that prediction is about.
        layout: Object with `draw(path, values, policy, title)`, which draws values [S] and actions [S] on a map of the states.
    """

    discount: float
    policy: np.ndarray
    layout: Any


class TabularTask(NumberedTask, Protocol):
    """Protocol of a task with the trait "mdp": its model is known.

    Attributes:
        mdp: Markov decision process that planners read.
    """

    mdp: Any


class DataTask(Task):
    """Examples with answers, in splits "train", "validation" and "test", read by index arrays.

    A subclass defines `num_examples`, `read`, and either `score`, for splits that fit in memory, or `judge`, which streams.

    Attributes:
        augments: Whether learners read the training split through `read_augmented`, which then differs from `read`.
        costly: Whether examples take long to read, as pictures in files do: no learner reads a split whole before it begins.
        by_likelihood: Whether the judge also takes what `PredictLikelihood.with_likelihood` returns in place of answers, and prefers it.
    """

    kind: ClassVar[str] = "data"
    augments: bool = False
    costly: bool = False
    by_likelihood: bool = False

    @property
    def example_space(self) -> gymnasium.Space:
        """The space of one of the inputs that `read` returns: the input space, unless the examples hold more than an agent is asked."""
        return self.input_space

    @abstractmethod
    def num_examples(self, split: str) -> int:
        """Return how many examples the split has."""

    @abstractmethod
    def read(self, split: str, indices: np.ndarray) -> tuple[Batch, Batch]:
        """Return inputs and targets of the examples at `indices` [B], each a batch of `rl_core.batches`.

        It may be called by a thread that reads ahead, never by two threads at once.
        """

    def read_augmented(self, indices: np.ndarray, *, seed: int, progress: float) -> tuple[Batch, Batch]:
        """Return training examples at `indices` [B] as one epoch varies them; by default as they are.

        The result depends on the arguments alone, and each example's variation on its own index, so that a run which is continued
        inside an epoch learns from the same numbers. Called as `read` is.

        Args:
            indices: Of the training split [B].
            seed: Of the epoch, >= 0: another one in each epoch of each run.
            progress: Share of the budget that was learned when the epoch began, in [0, 1]; strong variations may end before the run.
        """
        return self.read("train", indices)

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return metrics of predictions [N, ...] against targets [N, ...], `metric` among them."""
        judge = self.judge()
        judge.add(predictions, targets)
        return judge.result()

    def judge(self) -> Judge:
        """Return a new judge, which takes predictions batch by batch; by default one that keeps them and calls `score`."""
        if type(self).score is DataTask.score:
            raise NotImplementedError(f"{type(self).__name__} must define score(predictions, targets), or judge()")
        return Collected(self.score)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the metrics on the test split."""
        return self.evaluate_split(predict, "test")

    def draw_answers(self, folder: Path, predict: Predict) -> None:
        """Write figures of an agent's answers into `folder`, at the end of a run; none by default."""

    def evaluate_split(self, predict: Predict, split: str, batch_size: int = 1024) -> dict[str, float]:
        """Return the metrics on a split, read and judged in batches."""
        count = self.num_examples(split)
        judge = self.judge()
        for start in range(0, count, batch_size):
            inputs, targets = self.read(split, np.arange(start, min(start + batch_size, count)))
            if self.by_likelihood and isinstance(predict, PredictLikelihood):
                judge.add(predict.with_likelihood(inputs, targets), targets)
            else:
                judge.add(predict(inputs), targets)
        return judge.result()
