"""Texts that go on behind a beginning: tokens drawn with temperature, top-k and top-p, or the most probable ones by beam search.

Sources: top-k, Fan, Lewis and Dauphin, *Hierarchical neural story generation*, 2018; top-p, Holtzman and others, *The curious case of
neural text degeneration*, 2020. The order is temperature, top-k, top-p.
Letters: B texts, n tokens of a text, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import numpy as np

from rl_core import config as configs
from rl_core.config import Count, Doc, Fraction, NonNegative, Whole, configclass
from rl_core.errors import RequestError
from rl_core.task import Task


@configclass
class WritingConfig:
    """Settings of the texts that a task writes; `rl-core predict --set` changes them for one answer."""

    written: Annotated[Count, Doc("tokens that an answer writes behind a text")] = 200
    temperature: Annotated[
        NonNegative, Doc("of the tokens written: 1 draws as the model says, less prefers the likely ones, 0 takes the likeliest")
    ] = 0.8
    top_k: Annotated[Whole, Doc("draw among so many likeliest tokens; 0: all")] = 0
    top_p: Annotated[Fraction, Doc("draw among the likeliest tokens whose probabilities reach this sum")] = 0.95
    beams: Annotated[Count, Doc("texts that beam search follows, to take the likeliest one; 1: tokens are drawn")] = 1


def filtered(probabilities: np.ndarray, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Return probabilities [V] after temperature and filters, with sum 1.

    Args:
        probabilities: p [V].
        temperature: p^(1 / temperature); 0 puts all weight on the most probable token.
        top_k: Keep the k most probable tokens; 0 keeps all.
        top_p: Keep the smallest set of tokens whose probabilities reach this sum, the token that crosses it among them.

    >>> p = np.array([0.5, 0.3, 0.2])
    >>> filtered(p, top_p=0.6).round(3).tolist(), filtered(p, top_k=1).tolist(), filtered(p, temperature=0.0).tolist()
    ([0.625, 0.375, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    """
    if temperature == 0:
        return (np.arange(len(probabilities)) == probabilities.argmax()).astype(np.float64)
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities) / temperature
    result = np.exp(scores - scores.max())
    result /= result.sum()
    order = np.argsort(-result, kind="stable")
    if 0 < top_k < len(result):
        result[order[top_k:]] = 0.0
        result /= result.sum()
    if top_p < 1:
        before = np.cumsum(result[order]) - result[order]
        before[0] = -1.0  # the most probable token always stays
        result[order[before >= top_p]] = 0.0
    filtered_sum: np.ndarray = result / result.sum()
    return filtered_sum


def continued(tokens: Sequence[int], scores: Callable[[np.ndarray], np.ndarray], config: WritingConfig) -> list[int]:
    """Return tokens with `config.written` more behind them; the same beginning gets the same text.

    Args:
        tokens: The beginning [n], at least one token.
        scores: Function from texts [B, n] to logits [B, V] of the token after each.
        config: How they are written.

    Raises:
        ValueError: if the beginning is empty.

    A model in which 0 is followed by 1 with the probability 0.6, but 1 by all three tokens and 2 by 2 alone, so that two 2 are likelier
    than any text with a 1:

    >>> chances = np.array([[0.0, 0.6, 0.4], [0.3, 0.3, 0.4], [0.0, 0.0, 1.0]])
    >>> def scores(texts):
    ...     with np.errstate(divide="ignore"):
    ...         return np.log(chances[texts[:, -1]])
    >>> continued([0], scores, WritingConfig(written=2, temperature=0.0)), continued([0], scores, WritingConfig(written=2, beams=2))
    ([0, 1, 2], [0, 2, 2])
    """
    if not tokens:
        raise ValueError("the input has no tokens to go on from; expected a text")
    texts, total = np.array([tokens], dtype=np.int64), np.zeros(1)
    rng = np.random.Generator(np.random.PCG64(0))
    for _ in range(config.written):
        logits = scores(texts).astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        if config.beams == 1:
            p = filtered(np.exp(logs[0]), temperature=config.temperature, top_k=config.top_k, top_p=config.top_p)
            rows, chosen = np.zeros(1, dtype=np.int64), np.array([rng.choice(len(p), p=p)])
        else:
            sums = (total[:, None] + logs).ravel()
            best = np.argsort(-sums, kind="stable")[: config.beams]
            best = best[np.isfinite(sums[best])]
            (rows, chosen), total = np.divmod(best, logs.shape[1]), sums[best]
        texts = np.concatenate([texts[rows], chosen[:, None]], axis=1)
    return [int(token) for token in texts[0]]


def change_writing(task: Task, overrides: Iterable[str]) -> None:
    """Let a task write texts with other settings from now on.

    Args:
        task: Its config is changed.
        overrides: Fields of `WritingConfig`, as `--set` takes them: "task.temperature=0.5".

    Raises:
        RequestError: if the task writes no texts, a field is another, or a value is outside its range.
    """
    names = [field.name for field in dataclasses.fields(WritingConfig)]
    given = configs.parse_overrides(overrides)
    wrong = [f"{scope}.{name}" for scope, values in given.items() for name in values if scope != "task" or name not in names]
    if wrong or not isinstance(task.config, WritingConfig):
        reason = f"{wrong[0]} is a setting of learning" if wrong else "this task writes no texts that go on"
        raise RequestError(
            f"{reason}; --set of predict changes how texts are written", f"it takes {', '.join(f'task.{name}' for name in names)}"
        )
    now = {name: getattr(task.config, name) for name in names} | given["task"]
    try:
        checked = configs.build(WritingConfig, now, where="task")
    except RequestError as error:
        raise RequestError(error.message, f"predict takes {', '.join(f'task.{name}' for name in names)}") from error
    task.config = dataclasses.replace(task.config, **dataclasses.asdict(checked))
