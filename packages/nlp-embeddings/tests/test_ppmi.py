from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.models.ppmi import Ppmi, PpmiConfig, positive_pmi
from rl_core.seeds import Seeds


def learned(**config: object) -> Ppmi:
    learner = Ppmi(PpmiConfig(**config), CorpusTask(CorpusConfig()), None, seeds=Seeds(0), budget=1)
    learner.step()
    return learner


def test_pairs_at_the_rate_of_chance_have_no_association() -> None:
    chance = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert positive_pmi(sparse.csr_matrix(chance)).max() < 1e-12


def test_a_shift_takes_its_logarithm_off() -> None:
    counts = sparse.csr_matrix(np.diag([2.0, 2.0, 2.0, 2.0]))
    plain, shifted = positive_pmi(counts), positive_pmi(counts, shift=2.0)
    np.testing.assert_allclose(plain.diagonal(), np.log(4))
    np.testing.assert_allclose(shifted.diagonal(), np.log(2))


def test_smoothing_makes_rare_contexts_less_surprising() -> None:
    counts = sparse.csr_matrix(np.array([[0.0, 90.0, 1.0], [90.0, 0.0, 9.0], [1.0, 9.0, 0.0]]))
    plain, smooth = positive_pmi(counts).toarray(), positive_pmi(counts, context_exponent=0.75).toarray()
    assert smooth[1, 2] < plain[1, 2]


def test_held_out_sentences_find_their_passages_and_people_their_company() -> None:
    learner = learned(vector_size=50)
    score = learner.evaluate(episodes=1, seeds=Seeds(0))
    assert score["mean reciprocal rank"] > 2.5 * np.log(score["queries"]) / score["queries"]
    assert learner.finished


def test_a_saved_state_answers_alike() -> None:
    first = learned(vector_size=20)
    second = Ppmi(PpmiConfig(vector_size=20), first.task, None, seeds=Seeds(0), budget=1)
    second.load_state_dict(first.state_dict())
    assert second.answer("captain") == first.answer("captain")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"shift": 0.5}, "shift is 0.5; it must be >= 1"), ({"value_exponent": 2.0}, r"value_exponent is 2.0; it must be in \[0, 1\]")],
)
def test_settings_out_of_range_are_refused_in_words(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PpmiConfig(**change)
