from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.evaluate.senses import Occurrence, described, grouped, occurrences
from nlp_embeddings.evaluate.two_senses import FIELDS, TEXT, TwoSenses, TwoSensesConfig, sentences
from nlp_embeddings.models.ppmi import Ppmi, PpmiConfig
from nlp_embeddings.models.vector_space import VectorSpace, VectorSpaceConfig
from rl_core.seeds import Seeds


def read(agent_class: type, config: object, task: CorpusTask):
    agent = agent_class(config, task, None, seeds=Seeds(0), budget=1_000_000)
    while not agent.finished:
        agent.step()
    return agent


@pytest.fixture(scope="module")
def ppmi() -> Ppmi:
    return read(Ppmi, PpmiConfig(vector_size=10), TwoSenses(TwoSensesConfig()))


def test_the_bundled_sentences_are_those_of_the_templates() -> None:
    assert TEXT.read_text(encoding="utf-8").splitlines() == sentences()


def test_senses_are_told_apart_by_the_words_around_and_not_by_counts(ppmi: Ppmi) -> None:
    assert ppmi.evaluate(episodes=1, seeds=Seeds(0))["adjusted Rand index"] > 0.85
    counts = read(VectorSpace, VectorSpaceConfig(weighting="count"), ppmi.task)
    assert abs(counts.evaluate(episodes=1, seeds=Seeds(0))["adjusted Rand index"]) < 0.1  # the sentences' frames are no senses


def test_a_question_names_the_senses_of_a_word(ppmi: Ppmi) -> None:
    found = ppmi.answer("senses: bank")
    assert [sense["occurrences"] for sense in found] == [100, 100]
    fields = [set(" ".join(field.values()).split()) for field in FIELDS["bank"]]
    assert sorted(next(i for i in (0, 1) if set(sense["words"]) <= fields[i]) for sense in found) == [0, 1]
    assert all(" bank" in f" {sense['example']}" for sense in found)
    json.dumps(found)
    assert ppmi.answer("senses: bnk")["unknown"] == "bnk"
    with pytest.raises(ValueError, match="expected one word after `senses:`, got 'bank duck'"):
        ppmi.answer("senses: bank duck")


def test_a_word_of_one_meaning_has_one_sense() -> None:
    points = np.random.default_rng(0).normal(size=(200, 10))
    groups = grouped(points, np.random.default_rng(1))
    assert not groups.any()
    (sense,) = described([Occurrence(["a", "white", "whale"], 2)] * 200, points, groups)
    assert (sense.occurrences, sense.words) == (200, ["white"])


def test_contexts_end_at_the_sentence_and_twenty_words_away(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ship sails\n" + "far " * 30 + "whale" + " near" * 30 + "\nwhale dives\n" * 3)
    task = CorpusTask(CorpusConfig(path=str(tmp_path / "a.txt"), sentences="line"))
    long, short, *_ = occurrences(task, "whale")
    assert (len(long.words), long.place, long.words[20]) == (41, 20, "whale")
    assert short == Occurrence(["whale", "dives"], 0)
    assert occurrences(task, "octopus") == []
