from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.syntax.kernels import LEFT, RIGHT, SHIFT, costs
from nlp_embeddings.syntax.parser import DependencyParser, ParserConfig
from nlp_embeddings.syntax.task import ParsingConfig, ParsingTask
from rl_core.seeds import Seeds


def projective_trees(size: int) -> list[tuple[int, ...]]:
    """All heads of `size` words, the root numbered `size`, that some sequence of moves gives."""
    found = set()

    def go(stack: tuple[int, ...], front: int, heads: dict[int, int]) -> None:
        if not stack and front == size:
            found.add(tuple(heads[word] for word in range(size)))
        for after in moves(stack, front, size).values():
            go(after[0], after[1], heads | after[2])

    go((), 0, {})
    return sorted(found)


def moves(stack: tuple[int, ...], front: int, size: int) -> dict[int, tuple[tuple[int, ...], int, dict[int, int]]]:
    found = {}
    if front < size:
        found[SHIFT] = ((*stack, front), front + 1, {})
    if len(stack) > 1:
        found[RIGHT] = (stack[:-1], front, {stack[-1]: stack[-2]})
    if stack:
        found[LEFT] = (stack[:-1], front, {stack[-1]: front})
    return found


def test_the_oracle_counts_what_the_best_continuation_loses() -> None:
    rng = np.random.default_rng(0)
    trees = projective_trees(4)
    for number in rng.choice(len(trees), 12, replace=False):
        true = np.array(trees[number])

        @cache
        def best(stack: tuple[int, ...], front: int, true: tuple[int, ...] = trees[number]) -> int:
            following = moves(stack, front, 4)
            return max((sum(true[w] == h for w, h in new.items()) + best(s, f) for s, f, new in following.values()), default=0)

        for _ in range(8):
            stack, front = (), 0
            while stack or front < 4:
                cost = np.zeros(3, dtype=np.int64)
                costs(true, np.array([*stack, 0, 0, 0, 0, 0]), len(stack), front, cost)
                options = moves(stack, front, 4)
                for move in range(3):
                    lost = -1
                    if move in options:
                        s, f, new = options[move]
                        lost = best(stack, front) - sum(true[w] == h for w, h in new.items()) - best(s, f)
                    assert cost[move] == lost, (trees[number], stack, front, move)
                stack, front, _ = options[int(rng.choice(list(options)))]


def test_trees_of_a_grammar_are_learned() -> None:
    task = ParsingTask(ParsingConfig())
    agent = DependencyParser(ParserConfig(move_bits=14, relation_bits=12), task, None, seeds=Seeds(0), budget=3 * 400)
    while agent.progress < agent.budget:
        agent.step()
    assert agent.evaluate(episodes=1, seeds=Seeds(0))["LAS"] >= task.target
    inputs, targets = task.read("test", np.arange(20))
    assert task.judge().result()["words"] == 0
    judge = task.judge()
    judge.add(agent.predict(inputs), targets)
    assert judge.result()["LAS"] >= 0.95
    assert agent.answer("the cat sees a dog .")[1] == [2, "cat", "NOUN", 3, "sees", "nsubj"]


def test_a_file_without_trees_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("one\tA\n\n" * 20)
    with pytest.raises(ValueError, match="line 1: this sentence has no tree"):
        ParsingTask(ParsingConfig(file=str(tmp_path / "a.tsv")))
