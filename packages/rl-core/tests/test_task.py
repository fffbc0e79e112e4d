"""Traits of spaces, what is typed, and judges that stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rl_core import batches, parsing
from rl_core.batches import Ragged
from rl_core.conformance import inputs, probes
from rl_core.errors import WorkError
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds
from rl_core.task import DataTask, PredictWithMemory
from rl_core.tokens import Tokens, end_of, padding_of
from rl_core.traits import input_trait, output_shape, output_trait

BOX = spaces.Box(0.0, 1.0, (4,), np.float32)
MASK = spaces.MultiBinary((4, 4))


@pytest.mark.parametrize(
    ("space", "trait", "shape"),
    [
        (spaces.Discrete(3), "discrete-output", (3,)),
        (spaces.Box(-1, 1, (2,)), "continuous-output", (2,)),
        (spaces.Box(-1, 1, (2, 3)), "continuous-output", (2, 3)),
        (spaces.Box(0, 255, (8, 6, 3), np.uint8), "image-output", (8, 6, 3)),
        (spaces.MultiBinary(4), "binary-output", (4,)),
        (spaces.MultiDiscrete(np.full((8, 6), 5)), "map-output", (8, 6, 5)),
        (spaces.MultiDiscrete([9, 9, 9]), "token-output", (3, 9)),
        (spaces.MultiDiscrete([2, 3]), "multidiscrete-output", None),
        (spaces.Text(5), "text-output", None),
        (spaces.Sequence(spaces.Discrete(4)), "ragged-output", None),
        (spaces.Sequence(spaces.Dict(box=BOX, label=spaces.Discrete(2))), "boxes-output", None),
        (spaces.Sequence(spaces.Dict(box=BOX, label=spaces.Discrete(2), mask=MASK)), "instances-output", None),
    ],
)
def test_an_output_space_has_its_trait_and_shape(space: spaces.Space[Any], trait: str, shape: tuple[int, ...] | None) -> None:
    assert (output_trait(space), output_shape(space)) == (trait, shape)


@pytest.mark.parametrize(
    ("space", "trait"),
    [
        (spaces.Box(-1, 1, (2,)), "vector-input"),
        (spaces.Box(0, 255, (8, 6, 3), np.uint8), "image-input"),
        (spaces.Box(-1, 1, (2, 3)), "array-input"),
        (spaces.MultiDiscrete([9, 9]), "token-input"),
        (spaces.Dict(a=spaces.Discrete(2)), "dict-input"),
        (spaces.Sequence(spaces.Discrete(4)), "ragged-input"),
        (spaces.Text(4), "text-input"),
    ],
)
def test_an_input_space_has_its_trait(space: spaces.Space[Any], trait: str) -> None:
    assert input_trait(space) == trait


def test_a_space_of_tokens_says_what_its_ids_mean() -> None:
    space = Tokens(3, 9, padding=0, end=1)
    assert (input_trait(space), output_trait(space), output_shape(space)) == ("token-input", "token-output", (3, 9))
    assert (padding_of(space), end_of(space), padding_of(spaces.MultiDiscrete([9, 9]))) == (0, 1, None)
    with pytest.raises(ValueError, match=r"padding is 9; expected an id in \[0, 9\)"):
        Tokens(3, 9, padding=9)


STRUCTURED = spaces.Dict(
    image=spaces.Box(0, 255, (2, 2, 1), np.uint8),
    words=spaces.Sequence(spaces.Discrete(9)),
    boxes=spaces.Sequence(spaces.Dict(box=BOX, label=spaces.Discrete(2))),
)


def test_a_structured_input_is_read_as_it_is_printed() -> None:
    import json

    drawn = inputs.samples(STRUCTURED, 12, np.random.default_rng(0))
    assert batches.problem(drawn) == inputs.members(STRUCTURED, drawn) == ""
    for index in range(12):
        read = parsing.parse(STRUCTURED, json.dumps(batches.plain(drawn, index)))
        assert inputs.members(STRUCTURED, read) == ""
        assert batches.plain(read, 0)["words"] == batches.plain(drawn, index)["words"]
        np.testing.assert_allclose(read["boxes"]["box"].values, drawn["boxes"]["box"][index])  # type: ignore[index,call-overload]


def test_boxes_may_be_typed_one_by_one() -> None:
    space = STRUCTURED["boxes"]
    read = parsing.parse(space, '[{"box": [0, 0, 1, 1], "label": 1}, {"box": [0, 0, 0.5, 0.5], "label": 0}]')
    assert isinstance(read, dict)
    assert read["label"].rows()[0].tolist() == [1, 0]
    assert read["box"].values.shape == (2, 4)


@pytest.mark.parametrize(
    ("space", "text", "words"),
    [
        (spaces.Dict(a=spaces.Discrete(2)), '{"b": 1}', "is not a JSON object with the keys a"),
        (spaces.Sequence(spaces.Discrete(2)), "3", "is not a JSON list"),
        (spaces.Sequence(spaces.Discrete(2)), "[2]", "is outside of what this task takes"),
        (spaces.Text(3), "too long", "1 to 3 characters"),
        (BOX, "{", "is not a JSON array of numbers"),
        (BOX, "[1, 2]", r"has shape \[2\]; this task takes \[4\]"),
    ],
)
def test_what_is_typed_wrongly_is_refused_in_words(space: spaces.Space[Any], text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parsing.parse(space, text)


class Streamed(probes.DataProbe):
    """Judges by a mean that is never held whole."""

    def judge(self) -> Any:
        seen = self.seen = []

        class Judge:
            def add(self, predictions: Any, targets: Any) -> None:
                seen.append(len(targets))

            def result(self) -> dict[str, float]:
                return {"mean absolute error": float(sum(seen))}

        return Judge()

    score = DataTask.score


def test_an_evaluation_streams_through_the_judge() -> None:
    task = Streamed(spaces.Box(-1, 1, (3,)), spaces.Discrete(4))
    answers = inputs.RandomAnswers(task.output_space)
    assert task.evaluate_split(answers, "train", batch_size=10) == {"mean absolute error": 24.0}
    assert task.seen == [10, 10, 4]
    assert task.score(np.zeros(5), np.zeros(5)) == {"mean absolute error": 5.0}


def test_a_task_without_score_and_judge_says_what_it_lacks() -> None:
    class Bare(probes.DataProbe):
        score, judge = DataTask.score, DataTask.judge

    with pytest.raises(NotImplementedError, match=r"Bare must define score\(predictions, targets\), or judge\(\)"):
        Bare(spaces.Discrete(2), spaces.Discrete(2)).evaluate(inputs.RandomAnswers(spaces.Discrete(2)), episodes=1, seeds=Seeds(0))


def test_a_predictor_with_a_memory_is_told_where_episodes_start() -> None:
    class Remembers:
        starts: list[Any]

        def __init__(self) -> None:
            self.starts = []

        def __call__(self, obs: Any) -> Any:
            return np.zeros(len(obs), dtype=np.int64)

        def begin(self, starts: np.ndarray) -> None:
            self.starts.append(starts.copy())

    predict = Remembers()
    assert isinstance(predict, PredictWithMemory)
    assert not isinstance(predict.__call__, PredictWithMemory)
    task = probes.ControlProbe(spaces.Box(-1, 1, (3,)), spaces.Discrete(2))
    task.evaluate(predict, episodes=2, seeds=Seeds(0))
    assert predict.starts[0].all()
    assert [bool(starts.any()) for starts in predict.starts[1:]] == [number == probes.EPISODE_STEPS for number in range(1, 6)]


def test_ragged_samples_repeat_and_have_empty_rows() -> None:
    drawn = inputs.samples(spaces.Sequence(spaces.Discrete(9)), 40, np.random.default_rng(1))
    assert isinstance(drawn, Ragged)
    assert 0 in drawn.lengths
    assert batches.equal(drawn, inputs.samples(spaces.Sequence(spaces.Discrete(9)), 40, np.random.default_rng(1)))


def test_answers_that_are_no_actions_are_a_fault_of_the_agent() -> None:
    task = GymTask(GymConfig(id="CartPole-v1"))
    for answer in (7, 0.0, None):
        with pytest.raises(WorkError, match=r"which are not 1 actions of Discrete\(2\)") as failed:
            task.evaluate(lambda obs, answer=answer: np.array([answer] * len(obs)), episodes=1, seeds=Seeds(0))
        assert "fault of the agent" in failed.value.hint
