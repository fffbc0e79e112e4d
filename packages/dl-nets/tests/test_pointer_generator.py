"""Pointer-generators: the mixture that they answer from, and words that no vocabulary has."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dl_nets.language.copy_summaries import CopySummariesConfig, CopySummariesTask, drawn_tables, ended
from dl_nets.language.copy_tokens import CopyTokens
from dl_nets.language.pointer_generator import PointerGeneratorConfig, PointerGeneratorModule
from rl_core.tokens import Tokens

SOURCE, TARGET = CopyTokens(6, 8, 3, ends=False), CopyTokens(5, 8, 3, ends=True)
INPUTS = torch.tensor([[8, 4, 9, 5, 8, 10], [3, 8, 2, 0, 0, 0]])
TARGETS = torch.tensor([[8, 9, 4, 1, 0], [8, 5, 1, 0, 0]])


def module(**settings: object) -> PointerGeneratorModule:
    config = PointerGeneratorConfig(units=4, embedding=5, attention_size=3, **settings)
    return PointerGeneratorModule(config, SOURCE, TARGET, np.random.default_rng(0)).eval()


def test_the_loss_is_that_of_the_mixture_and_of_coverage() -> None:
    """-log P(w) + lambda sum_i min(a_i, k_i), word by word from the probabilities with which it answers; these sum to 1."""
    network = module(coverage=0.5)
    memory, place = network.encode(INPUTS)
    before, total, covered = network.begin(2, INPUTS.device)[:, 0], [], torch.zeros(2, 6)
    for step in range(4):
        found, place, shares = network.advance(memory, place, network.project(before[:, None])[:, 0])
        log_probs = network.log_probabilities(memory, found, shares, before)
        torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(2))
        for row in range(2):
            if TARGETS[row, step]:
                penalty = torch.minimum(shares[row], covered[row]).sum()
                total.append(-log_probs[row, TARGETS[row, step]] + 0.5 * penalty)
        covered, before = covered + shares, TARGETS[:, step]
    torch.testing.assert_close(network.training_loss(INPUTS, TARGETS)[0], torch.stack(total).mean())


def test_nothing_but_copying_answers_with_the_words_of_the_input() -> None:
    network = module()
    network.switch.bias.data.fill_(-50.0)
    for row, text in zip(network.answers(INPUTS).tolist(), INPUTS.tolist(), strict=True):
        assert set(row) - {0} <= set(text)
    assert (module(copy=False).answers(INPUTS) < 8).all()
    with pytest.raises(ValueError, match="network pointer-generator reads and writes the words of one vocabulary"):
        PointerGeneratorModule(PointerGeneratorConfig(), Tokens(4, 9), TARGET, np.random.default_rng(0))


def test_names_are_in_one_table_only_and_copied_words_are_described() -> None:
    tables = [document for split in drawn_tables(0).values() for document in split]
    names = [name for document in tables for name in document.summary[:2]]
    assert len(set(names)) == len(names)
    task = CopySummariesTask(CopySummariesConfig())
    inputs, targets = task.read("test", np.arange(8))
    for row, text in zip(targets.tolist(), inputs.tolist(), strict=True):
        copied = [number for number in ended(row) if number >= task.input_space.known]
        assert len(copied) == 4  # two names, the town and the ship
        assert set(copied) <= set(text)
    document = drawn_tables(0)["test"][0]
    assert (task.parse(" ".join(document.words)) == inputs[:1]).all()
    assert task.describe(targets[:1]) == [" ".join(document.summary)]
    assert task.score(targets, targets) == {"exact match": 1.0, "ROUGE-1": 100.0, "ROUGE-2": 100.0, "ROUGE-L": 100.0}
    with pytest.raises(ValueError, match="lacks words"):
        task.parse("  ")
