from __future__ import annotations

import math

import numpy as np
import pytest

from rl_core.text_metrics import bleu, chrf, cider_d, common_length, edit_distance, meteor, rouge_l, rouge_lsum, rouge_n, words

TEXT, FIRST, SECOND = "a red circle above a blue circle", "a red circle is above a blue square", "the red circle sits above the blue square"
TEXTS = [TEXT, "a green triangle left of a red circle", "a blue square"]
REFERENCES = [[FIRST, SECOND], ["a green triangle is left of a red circle"], ["a blue square is below a green square"]]


def test_the_corpus_example_has_the_numbers_of_coco() -> None:
    assert [round(score, 3) for score in cider_d(TEXTS, REFERENCES)] == [2.412, 6.464, 1.753]
    assert [round(bleu(TEXTS, REFERENCES, order=n, smooth="none"), 3) for n in (1, 2, 3, 4)] == [0.640, 0.589, 0.516, 0.379]


def test_a_single_image_scores_nothing_and_an_empty_text_zero() -> None:
    assert cider_d([TEXT], [[TEXT]]) == [0.0]
    assert bleu([""], [[FIRST]]) == chrf([""], [[FIRST]]) == meteor("", [FIRST]) == rouge_l("", FIRST).f1 == 0.0
    assert bleu([FIRST], [[FIRST]]) == pytest.approx(1.0, abs=1e-12)


def test_the_fewest_chunks_count() -> None:
    assert meteor("the cat the dog", ["the dog the cat"]) == pytest.approx(1 - 0.5 * (2 / 4) ** 3)


def test_common_subsequences_agree_with_the_table() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = ([str(x) for x in rng.integers(0, 4, rng.integers(0, 12))] for _ in range(2))
        table = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
        for i in range(len(one)):
            for j in range(len(other)):
                table[i + 1, j + 1] = table[i, j] + 1 if one[i] == other[j] else max(table[i, j + 1], table[i + 1, j])
        assert common_length(one, other) == table[-1, -1]
        assert edit_distance(one, other) <= len(one) + len(other) - 2 * table[-1, -1]


@pytest.mark.parametrize(
    ("texts", "references", "message"),
    [
        ([TEXT], [FIRST], "a single text was given in place of a list"),
        (TEXTS, [[FIRST]], "3 texts were given with 1 lists of references"),
        ([TEXT], [[]], "example 0 has no reference"),
        ([TEXT, TEXT], [[FIRST], [" "]], "example 1 has an empty reference"),
    ],
)
def test_transposed_and_missing_references_are_refused(texts: list[str], references: list, message: str) -> None:
    for metric in (bleu, chrf, cider_d):
        with pytest.raises(ValueError, match=message):
            metric(texts, references)


def _random_texts() -> tuple[list[str], list[list[str]]]:
    rng = np.random.default_rng(1)
    draw = lambda: " ".join(str(w) for w in rng.choice(["a", "b", "c", "dd", "ee", "f"], rng.integers(3, 14)))  # noqa: E731
    return [draw() for _ in range(40)], [[draw(), draw()] for _ in range(40)]


def test_bleu_and_chrf_are_those_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    texts, references = _random_texts()
    columns = [[own[0] for own in references], [own[1] for own in references]]
    theirs = sacrebleu.corpus_bleu(texts, columns, tokenize="none").score
    assert 100 * bleu(texts, references) == pytest.approx(theirs, abs=1e-9)
    for pair in ((texts[0], references[0][0]), ("x y z w", "p q r s")):
        assert 100 * bleu([pair[0]], [[pair[1]]]) == pytest.approx(sacrebleu.corpus_bleu([pair[0]], [[pair[1]]], tokenize="none").score)
    assert 100 * chrf(texts, references) == pytest.approx(sacrebleu.corpus_chrf(texts, columns).score, abs=1e-9)


def test_rouge_is_that_of_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="rouge-score is not installed")
    theirs = scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    for text, (reference, other) in zip(*_random_texts(), strict=True):
        pair = f"{text}\n{other}", f"{reference}\n{text[::-1]}"
        result = theirs.score(pair[1], pair[0])
        ours = {"rouge1": rouge_n(*pair), "rouge2": rouge_n(*pair, 2), "rougeL": rouge_l(*pair), "rougeLsum": rouge_lsum(*pair)}
        for name, score in ours.items():
            assert score.f1 == pytest.approx(result[name].fmeasure, abs=1e-12), name


def test_words_of_any_script_count() -> None:
    assert rouge_n("क्या हाल है", "क्या हाल है").f1 == 1.0
    assert words("Žluťoučký kůň") == ["žluťoučký", "kůň"]
    assert not math.isnan(rouge_l("。", "。").f1)
