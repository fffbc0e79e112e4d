from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest
import reference.fasttext
import reference.glove
import reference.word2vec

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.evaluate.applications import bilingual_map, k_means, orthogonal_map
from nlp_embeddings.evaluate.bias import association_test, debiased, read_association
from nlp_embeddings.evaluate.classifier import classify, linear_classifier
from nlp_embeddings.evaluate.evaluation import rank_correlation, word_analogies, word_similarity
from nlp_embeddings.evaluate.predictors import LabelPredict
from nlp_embeddings.evaluate.questions import Pair, read_analogies, read_labelled, read_pairs
from nlp_embeddings.evaluate.tasks import AnalogyTask, AssociationTask, ClassificationTask, EvaluationConfig, SimilarityTask
from nlp_embeddings.evaluate.word_map import draw_map
from nlp_embeddings.models.glove import GloVeConfig
from nlp_embeddings.training.word_agent import WordAgent
from nlp_embeddings.vectors.word_vectors import WordVectors
from rl_core.seeds import Seeds

GRID = {
    f"{row}{column}": np.eye(3)[row_number] + 0.5 * np.eye(3)[::-1][column_number % 3] * (1 + column_number)
    for row_number, row in enumerate("abc")
    for column_number, column in enumerate("xyz")
}
VECTORS = WordVectors(list(GRID), np.array(list(GRID.values()), dtype=np.float32))


def predict(texts: np.ndarray) -> np.ndarray:
    return np.stack([GRID.get(str(text).lower(), np.zeros(3)) for text in texts])


def test_the_rank_correlation_and_its_interval_are_those_of_the_textbook() -> None:
    rho, low, high = rank_correlation(list(range(30)), [*range(1, 30), 0])
    assert rho == pytest.approx(1 - 6 * (29 + 29**2) / (30 * (30**2 - 1)))
    half = 1.96 * np.sqrt((1 + rho**2 / 2) / 27)
    assert np.arctanh(high) - np.arctanh(rho) == pytest.approx(half)
    assert np.arctanh(rho) - np.arctanh(low) == pytest.approx(half)


def test_a_constant_has_no_rank_correlation() -> None:
    assert rank_correlation([1, 1, 1], [1, 2, 3])[0] == 0.0


def test_pairs_that_people_order_as_the_cosines_do_score_one_and_unknown_ones_lower_the_coverage() -> None:
    names = [("ax", "ay"), ("ax", "bx"), ("ax", "cz"), ("by", "bz"), ("cx", "az")]
    pairs = [Pair(a, b, VECTORS.similarity(a, b)) for a, b in names]
    score = word_similarity(VECTORS, [*pairs, Pair("ax", "unheard", 3.0)])
    assert score["spearman"] == pytest.approx(1)
    assert score["coverage"] == pytest.approx(5 / 6)


def parallelograms() -> WordVectors:
    """Words such that b - a + c is d exactly."""
    rng = np.random.default_rng(0)
    bases, offset = rng.normal(size=(6, 12)), rng.normal(size=12)
    words = [f"s{i}" for i in range(6)] + [f"p{i}" for i in range(6)]
    vectors = np.concatenate([bases, bases + offset])
    return WordVectors(words, vectors.astype(np.float32))


@pytest.mark.parametrize("method", ["add", "mul"])
@pytest.mark.parametrize("batch", [1, 512])
def test_parallelograms_are_solved_in_any_batch(method: str, batch: int) -> None:
    questions = [(f"s{i}", f"p{i}", f"S{j}", f"P{j}") for i in range(6) for j in range(6) if i != j]
    groups = {"things": questions[:10], "gram1-plural": questions[10:], "gram2": [("s0", "p0", "unheard", "s1")]}
    score = word_analogies(parallelograms(), groups, method=method, batch=batch)
    solve = parallelograms().most_similar if method == "add" else parallelograms().most_similar_cosmul
    assert score["accuracy"] == pytest.approx(
        np.mean([solve([q[1], q[2].lower()], [q[0]], topn=1)[0][0] == q[3].lower() for q in questions])
    )
    assert score["accuracy"] > 0.7  # one in nine by chance
    assert score["questions"] == 30
    assert score["coverage"] == pytest.approx(30 / 31)
    assert set(score) >= {"semantic", "syntactic", "things", "gram1-plural"}


@pytest.mark.parametrize("method", ["add", "mul"])
def test_an_analogy_is_never_answered_with_one_of_its_own_words(method: str) -> None:
    vectors = np.array([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0]], dtype=np.float32)
    small_step = WordVectors(["a", "b", "c", "d"], vectors)  # b - a + c lies nearer to c than to d
    assert word_analogies(small_step, {"all": [("a", "b", "c", "d")]}, method=method)["accuracy"] == 1


def test_analogies_agree_with_gensim(tmp_path: Path) -> None:
    from gensim import models

    rng = np.random.default_rng(1)
    words = [f"w{number}" for number in range(40)]
    matrix = rng.normal(size=(40, 5)).astype(np.float32)
    questions = rng.choice(words, (300, 4))
    questions = questions[[len(set(q)) == 4 for q in questions]]
    path = tmp_path / "q.txt"
    path.write_text(": all\n" + "\n".join(" ".join(q) for q in questions))
    theirs = models.KeyedVectors(5)
    theirs.add_vectors(words, matrix)
    expected, _ = theirs.evaluate_word_analogies(str(path), case_insensitive=False)
    ours = word_analogies(WordVectors(words, matrix), read_analogies(path))
    assert ours["accuracy"] == pytest.approx(expected)
    assert expected > 0


def test_similarity_agrees_with_gensim(tmp_path: Path) -> None:
    from gensim import models

    rng = np.random.default_rng(1)
    words = [f"w{number}" for number in range(40)]
    matrix = rng.normal(size=(40, 5)).astype(np.float32)
    path = tmp_path / "p.txt"
    path.write_text("\n".join(f"{a}\t{b}\t{rng.random():.2f}" for a, b in rng.choice(words, (100, 2))))
    theirs = models.KeyedVectors(5)
    theirs.add_vectors(words, matrix)
    expected = theirs.evaluate_word_pairs(str(path), case_insensitive=False)[1].statistic
    assert word_similarity(WordVectors(words, matrix), read_pairs(path))["spearman"] == pytest.approx(expected)


def test_the_linear_classifier_agrees_with_scikit_learn() -> None:
    from sklearn import linear_model

    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(90, 4)), rng.integers(0, 3, 90)
    features[:, 0] += labels
    theirs = linear_model.LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(features, labels)
    ours = linear_classifier(features, labels, 3)
    ours = ours - ours.mean(axis=1, keepdims=True)  # a constant over classes changes no answer
    np.testing.assert_allclose(ours[:-1].T, theirs.coef_ - theirs.coef_.mean(axis=0), atol=2e-3)
    assert (classify(ours, features) == theirs.predict(features)).mean() > 0.98


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        (read_pairs, "a b 1\nc d\n", "line 2: expected `word word score`, got 'c d'"),
        (read_pairs, "a b 1\n", "holds 1 pairs of words"),
        (read_analogies, ": g\na b c\n", "line 2: expected four words, got 'a b c'"),
        (read_analogies, "", "holds no analogies"),
    ],
)
def test_a_bad_file_of_questions_is_refused_with_the_line(tmp_path: Path, reader, content: str, message: str) -> None:
    path = tmp_path / "q.txt"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        reader(path)


def test_a_header_and_comments_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("Word 1,Word 2,Human\n# from a book\na,b,1\nc,d,2\ne,f,3\n")
    assert [pair.score for pair in read_pairs(path)] == [1, 2, 3]


def test_similarity_is_a_task(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    names = [("ax", "AY"), ("ax", "bx"), ("ax", "cz"), ("by", "bz"), ("unheard", "az")]
    path.write_text("\n".join(f"{a} {b} {number}" for number, (a, b) in enumerate(names)))
    task = SimilarityTask(EvaluationConfig(file=str(path)))
    score = task.evaluate(predict, episodes=1, seeds=Seeds(0))
    assert score["coverage"] == 0.8
    assert -1 <= score["spearman"] <= 1
    assert task.traits() == {"corpus", "text-input", "vector-output"}


def test_analogies_are_a_task(tmp_path: Path) -> None:
    vectors = parallelograms()
    path = tmp_path / "q.txt"
    path.write_text("\n".join(f"s{i} p{i} s{j} p{j}" for i in range(6) for j in range(6) if i != j))
    score = AnalogyTask(EvaluationConfig(file=str(path))).evaluate(
        lambda texts: np.stack([vectors.get_vector(str(text)) for text in texts]), episodes=1, seeds=Seeds(0)
    )
    assert score["accuracy"] >= 0.9


class Parallelograms(WordAgent):
    """Word vectors that are known."""

    def step(self) -> dict[str, float]:
        raise NotImplementedError

    def word_vectors(self) -> np.ndarray:
        return self.known.vectors

    def state_dict(self) -> dict:
        return {}

    def load_state_dict(self, state: object) -> None:
        self.known = state


def test_a_word_agent_answers_analogies_from_its_whole_vocabulary(tmp_path: Path) -> None:
    known = parallelograms()
    path = tmp_path / "q.txt"
    path.write_text("\n".join(f"s{i} p{i} s{j} p{j}" for i in range(6) for j in range(6) if i != j))
    task = AnalogyTask(EvaluationConfig(file=str(path)))
    right = word_analogies(known, task.groups)["accuracy"]
    between = [(known["p0"] - known["s0"] + known[f"s{j}"]) for j in range(1, 6)]  # words of no question, where the answers are looked for
    crowd = WordVectors([*known.index_to_key, *(f"near{j}" for j in range(5))], np.concatenate([known.vectors, between]))
    scores = []
    for vectors in (known, crowd):
        agent = Parallelograms(GloVeConfig(), CorpusTask(CorpusConfig()), None, seeds=Seeds(0), budget=1)
        agent.load_state_dict(vectors)
        agent.vocabulary.words = vectors.index_to_key
        scores.append(task.evaluate(agent.predictor(), episodes=1, seeds=Seeds(0))["accuracy"])
    assert scores[0] == right >= 0.9
    assert scores[1] < right - 0.1


def test_classification_is_a_task(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("\n".join(f"{row}\t{row}{column}" for row in "abc" for column in "xyz" for _ in range(5)))
    task = ClassificationTask(EvaluationConfig(file=str(path)))
    score = task.evaluate(lambda texts: np.eye(3)[["abc".index(text[0]) for text in texts]] + 0.1, episodes=1, seeds=Seeds(0))
    assert score["accuracy"] == 1.0
    assert score["texts"] == 9
    assert score["most frequent label"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [("good film\n", "expected `label<TAB>text`, got 'good film'"), ("good\ta\n" * 9, "at least two labels with 5 texts each")],
)
def test_a_bad_file_of_texts_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "c.tsv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        ClassificationTask(EvaluationConfig(file=str(path)))


def test_labels_may_be_marked_as_fasttext_marks_them(tmp_path: Path) -> None:
    ours, fasttexts = tmp_path / "ours.tsv", tmp_path / "fasttexts.txt"
    ours.write_text("good\ta fine film\nbad\tdull\n" * 5)
    fasttexts.write_text("__label__good a fine film\n__label__bad dull\n" * 5)
    first, second = read_labelled(ours), read_labelled(fasttexts)
    assert second[0] == first[0] == ["a fine film", "dull"] * 5
    assert second[1].tolist() == first[1].tolist()
    assert second[2] == first[2] == ["bad", "good"]


def test_a_missing_file_of_questions_is_named() -> None:
    with pytest.raises(ValueError, match=r"there is neither a file nor a folder nowhere\.txt"):
        SimilarityTask(EvaluationConfig(file="nowhere.txt"))


def test_a_task_of_word_questions_needs_a_file() -> None:
    with pytest.raises(ValueError, match="file is empty; name a text file of questions"):
        SimilarityTask(EvaluationConfig())


def test_without_a_file_the_parts_of_the_novel_are_told_apart() -> None:
    task = ClassificationTask(EvaluationConfig())
    assert task.names[0] == "The Old Buccaneer"
    assert len(task.names) == 6
    assert min(np.bincount(task.labels)) > 50


def test_the_rotation_between_two_languages_is_recovered() -> None:
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    english = rng.normal(size=(30, 6)).astype(np.float32)
    np.testing.assert_allclose(orthogonal_map(english.astype(float), english @ rotation), rotation, atol=1e-6)
    ours = WordVectors([f"en{i}" for i in range(30)], english)
    theirs = WordVectors([f"de{i}" for i in range(30)], (english @ rotation).astype(np.float32))
    mapped = bilingual_map(ours, theirs, [(f"en{i}", f"de{i}") for i in range(10)])
    assert theirs.similar_by_vector(mapped["en20"], topn=1)[0][0] == "de20"


def test_a_dictionary_without_known_words_is_refused() -> None:
    with pytest.raises(ValueError, match="none of the 1 pairs of the dictionary"):
        bilingual_map(VECTORS, VECTORS, [("x", "y")])


def test_well_separated_groups_are_found() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(centre, 0.1, (20, 2)) for centre in (0, 5, 10)])
    groups, _ = k_means(points, 3, np.random.default_rng(1))
    assert [len(set(groups[start : start + 20])) for start in (0, 20, 40)] == [1, 1, 1]
    assert len(set(groups)) == 3


def test_more_groups_than_points_are_refused() -> None:
    with pytest.raises(ValueError, match="2 points cannot make 3 groups"):
        k_means(np.zeros((2, 2)), 3, np.random.default_rng(0))


def test_a_second_label_is_refused_instead_of_read_as_text(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_text("__label__good fine\n__label__good __label__yes w1 w2\n")
    with pytest.raises(ValueError, match=r"line 2: the text has several labels \(__label__good, __label__yes, \.\.\.\)"):
        read_labelled(path)


@pytest.mark.parametrize("line", ["__label__good", "__label__good  ", "__label__\ttext", "\ttext"])
def test_a_line_without_text_or_label_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "c.txt"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1: expected `"):
        read_labelled(path)


def test_a_tab_may_follow_fasttexts_label(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_text("__label__good\tfine film\n__label__bad dull\n" * 5)
    assert read_labelled(path).texts[:2] == ["fine film", "dull"]


def test_labels_of_few_texts_are_left_out_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("good\tfine\nbad\tdull\n" * 5 + "rare\tonce\nodd\ta\nodd\tb\n")
    labelled = read_labelled(path)
    assert labelled.names == ["bad", "good"]
    assert len(labelled.texts) == len(labelled.labels) == 10
    assert "3 texts of 2 labels with fewer than 5 texts were left out: odd, rare" in capsys.readouterr().err


def test_the_error_about_thousands_of_labels_is_short(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("".join(f"label{number}{'x' * 500}\ttext\n" for number in range(3000)))
    with pytest.raises(ValueError, match="0 of its 3000 labels") as caught:
        read_labelled(path)
    assert len(str(caught.value)) < 600


def test_strange_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    labelled, analogies, pairs = tmp_path / "c.tsv", tmp_path / "a.txt", tmp_path / "p.txt"
    labelled.write_text("\ufeffgood\tone\u2028two\x85three\x0cfour\nbad\tdull\n" * 1 + "good\ta\nbad\tb\n" * 4, encoding="utf-8")
    found = read_labelled(labelled)
    assert (found.names, found.texts[0]) == (["bad", "good"], "one\u2028two\x85three\x0cfour")
    analogies.write_text("\ufeff: capitals\na b c d\n", encoding="utf-8")
    assert read_analogies(analogies) == {"capitals": [("a", "b", "c", "d")]}
    pairs.write_text("\ufeffa b 1\r\nc d 2\re f 3\n", encoding="utf-8")
    assert [pair.first for pair in read_pairs(pairs)] == ["a", "c", "e"]
    analogies.write_text("a b c d\u2028\na b c\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        read_analogies(analogies)


@pytest.mark.parametrize("name", ["accuracy", "semantic", "syntactic", "coverage", "questions"])
def test_a_group_with_the_name_of_a_total_does_not_overwrite_it(name: str) -> None:
    right = [(f"s{i}", f"p{i}", f"s{j}", f"p{j}") for i in range(6) for j in range(6) if i != j]
    wrong = [(a, b, c, "s5") for a, b, c, _ in right[:5]]
    score = word_analogies(parallelograms(), {"others": right, name: wrong})
    assert score[f"group {name}"] == 0
    assert score["accuracy"] == word_analogies(parallelograms(), {"others": right, "x": wrong})["accuracy"] > 0.5
    assert score["questions"] == 35


def test_there_is_no_score_where_nothing_was_asked(tmp_path: Path) -> None:
    assert np.isnan(word_analogies(parallelograms(), {"g": [("un", "heard", "of", "words")]})["accuracy"])
    assert np.isnan(word_similarity(VECTORS, [Pair("un", "heard", 1.0)])["spearman"])
    path = tmp_path / "t.txt"
    path.write_text("one two three four five six. " * 2)
    score = CorpusTask(CorpusConfig(path=str(path))).evaluate(lambda texts: np.ones((len(texts), 2)), episodes=1, seeds=Seeds(0))
    assert np.isnan(score["mean reciprocal rank"])
    assert score["queries"] == 0


def test_labels_of_the_map_are_cut(tmp_path: Path) -> None:
    words = ["ship", "x" * 300_000, "$a_{b}$", "tab\tstop"]
    draw_map(WordVectors(words, np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)), words, tmp_path / "w.png")
    header = (tmp_path / "w.png").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") < 2000


def test_a_classifier_is_judged_by_its_own_answers_on_a_file_of_others(tmp_path: Path) -> None:
    learned, other = tmp_path / "a.tsv", tmp_path / "b.tsv"
    learned.write_text("good\tfine\nbad\tdull\n" * 5)
    other.write_text("bad\tfine\nbad\tdull\ngood\tdull\n")
    trained = ClassificationTask(EvaluationConfig(file=str(learned)))
    task = ClassificationTask.for_evaluation(EvaluationConfig(file=str(other)), trained.state_dict())
    predict = LabelPredict(lambda texts: np.array([[0.1, 0.9] if "fine" in text else [0.9, 0.1] for text in texts]), ["bad", "good"])
    score = task.evaluate(predict, episodes=1, seeds=Seeds(0))
    assert score["accuracy"] == pytest.approx(1 / 3)
    assert score["texts"] == 3
    other.write_text("strange\tfine\n")
    task = ClassificationTask.for_evaluation(EvaluationConfig(file=str(other)), trained.state_dict())
    with pytest.raises(ValueError, match="labels that were not learned: strange; the known ones are bad, good"):
        task.evaluate(predict, episodes=1, seeds=Seeds(0))


def test_the_formulas_of_the_references_hold() -> None:
    for module in (reference.word2vec, reference.fasttext, reference.glove):
        assert doctest.testmod(module).failed == 0


def test_the_effect_of_an_association_is_that_of_its_definition() -> None:
    x, y, a, b = np.random.default_rng(0).normal(size=(4, 4, 5))

    def cosine(u: np.ndarray, v: np.ndarray) -> float:
        return float(u @ v / np.sqrt((u @ u) * (v @ v)))

    scores = [np.mean([cosine(w, c) for c in a]) - np.mean([cosine(w, c) for c in b]) for w in (*x, *y)]
    expected = (np.mean(scores[:4]) - np.mean(scores[4:])) / np.std(scores, ddof=1)
    effect = association_test([x, y], [a, b], np.random.default_rng(0))
    assert effect.size == pytest.approx(expected)
    assert association_test([y, x], [a, b], np.random.default_rng(0)).size == pytest.approx(-expected)
    assert 0 < effect.p_value <= 1


def test_debiasing_leaves_no_difference_and_spares_what_it_is_told_to() -> None:
    rng = np.random.default_rng(0)
    words = WordVectors(["she", "he", "woman", "man", "nurse", "queen"], rng.normal(size=(6, 8)).astype(np.float32))
    fair = debiased(words, [("she", "he"), ("woman", "man")], keep=["queen"])
    for first, second in (("she", "he"), ("woman", "man")):
        assert fair.similarity("nurse", first) == pytest.approx(fair.similarity("nurse", second), abs=1e-6)
    assert fair.similarity("queen", "queen") == pytest.approx(1.0)
    np.testing.assert_allclose(fair.get_vector("queen", norm=True), words.get_vector("queen", norm=True), atol=1e-6)


def test_an_association_task_judges_an_agents_words_and_names_a_bad_line(tmp_path: Path) -> None:
    question = tmp_path / "groups.txt"
    question.write_text("# rows\ntarget one: ax ay\ntarget two: bx by\nattribute left: ax ay az\nattribute right: bx by bz\n")
    scores = AssociationTask(EvaluationConfig(file=str(question))).evaluate(predict, episodes=1, seeds=Seeds(0))
    assert scores["effect size"] > 1
    assert scores["coverage"] == 1
    question.write_text("target one: ax ay\ntargets two: bx by\n")
    with pytest.raises(ValueError, match=r"groups.txt, line 2: expected `target NAME"):
        read_association(question)
