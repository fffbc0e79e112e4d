"""Evaluations as tasks: `similarity:<file>`, `analogies:<file>` and `classification:<file>`.

Each also names a corpus to learn from, so that it can be run as any task; most often a finished run is judged by it:
`rl-core eval RUN --task similarity:pairs.txt`. They see an agent only through `predict`, which gives vectors of texts.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np

from nlp_embeddings.corpus.corpus_task import BUNDLED, CorpusConfig, CorpusTask, unit_vectors_of
from nlp_embeddings.corpus.text_files import open_bytes
from nlp_embeddings.evaluate.evaluation import (
    classify,
    linear_classifier,
    rank_correlation,
    read_analogies,
    read_pairs,
    word_analogies,
)
from nlp_embeddings.training.word_agent import WordPredict
from nlp_embeddings.vectors.word_vectors import WordVectors
from rl_core.config import Doc, configclass
from rl_core.seeds import Seeds
from rl_core.task import Predict

FASTTEXT_MARK = "__label__"
"""What a line of labelled text begins with in files made for Facebook's fastText."""


def _corpus_of(config: EvaluationConfig) -> CorpusConfig:
    return CorpusConfig(path=config.corpus, tokenizer=config.tokenizer, sentences=config.sentences, lowercase=config.lowercase)


@configclass
class EvaluationConfig:
    """What to judge by, and what to learn from."""

    file: Annotated[str, Doc("the questions: pairs `word word score`, analogies `a b c d`, or texts `label<TAB>text`, a line each")] = ""
    corpus: Annotated[str, Doc("what an agent learns from: a text file or folder; empty: the bundled novel")] = ""
    tokenizer: Annotated[Literal["regex", "whitespace", "character"], Doc("of the corpus")] = "regex"
    sentences: Annotated[Literal["punctuation", "line"], Doc("of the corpus: . ! ? and blank lines | every line break")] = "punctuation"
    lowercase: Annotated[bool, Doc("fold capitals")] = True

    def __post_init__(self) -> None:
        if self.file and not Path(self.file).expanduser().is_file():
            raise ValueError(f"file is {self.file!r}, which is no file; name a text file, as in similarity:pairs.txt")
        _corpus_of(self)


class EvaluationTask(CorpusTask):
    """What the three have in common: the questions' file and the corpus."""

    Config: ClassVar[type] = EvaluationConfig

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(_corpus_of(config))
        self.questions = Path(config.file).expanduser()
        if not config.file and not isinstance(self, ClassificationTask):
            raise ValueError("file is empty; name a text file of questions, as in similarity:pairs.txt")


class SimilarityTask(EvaluationTask):
    """How alike are two words? Judged by the rank correlation with what people said."""

    metric = "spearman"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        self.pairs = read_pairs(self.questions)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Spearman's rho of cosines with people's scores, its 95 % interval, and the share of pairs with vectors."""
        first, second = (unit_vectors_of(predict, [str(pair[side]) for pair in self.pairs]) for side in (0, 1))
        known = np.asarray(first.any(axis=1) & second.any(axis=1))
        cosines = (first * second).sum(axis=1)[known]
        rho, low, high = rank_correlation(cosines.tolist(), [p.score for p, k in zip(self.pairs, known, strict=True) if k])
        return {self.metric: rho, "low": low, "high": high, "coverage": float(known.mean())}


class AnalogyTask(EvaluationTask):
    """a is to b as c is to what? Judged by the share of right first answers.

    They are looked for among the 30,000 most frequent words of the agent's vocabulary, as word2vec's own evaluation does it. An agent
    that has no vocabulary is asked for vectors of the questions' words alone, and finds answers among those: that is easier, and not
    to be compared.
    """

    metric = "accuracy"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        self.groups = read_analogies(self.questions)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Accuracy by 3CosAdd: of all, semantic and syntactic questions, and of each group; and the share that could be asked."""
        if isinstance(predict, WordPredict):
            return word_analogies(predict.vectors, self.groups)
        words = sorted({word.lower() for questions in self.groups.values() for question in questions for word in question})
        vectors = unit_vectors_of(predict, words)
        known = np.asarray(vectors.any(axis=1))
        kept = [word for word, k in zip(words, known, strict=True) if k]
        groups = {name: [tuple(w.lower() for w in q) for q in questions] for name, questions in self.groups.items()}
        return word_analogies(WordVectors(kept, vectors[known]), groups, restrict_vocab=len(kept))  # type: ignore[arg-type]


class ClassificationTask(EvaluationTask):
    """What kind of text is this? Judged by the accuracy of a linear model on the texts' vectors.

    The file's lines, `label<TAB>text`, are dealt by turns: four learn, the fifth tests, within each label. Without a file the
    texts are paragraphs of the bundled novel, and their labels the six parts of it that they stand in.
    """

    metric = "accuracy"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        self.texts, self.labels, self.names = read_labelled(self.questions) if config.file else parts_of_the_novel()

    def traits(self) -> frozenset[str]:
        """Those of a corpus, and `labelled`."""
        return super().traits() | {"labelled"}

    @cached_property
    def is_test(self) -> np.ndarray:
        """Which texts test [N]: every fifth of each label."""
        test = np.zeros(len(self.labels), dtype=bool)
        for label in range(len(self.names)):
            test[np.flatnonzero(self.labels == label)[4::5]] = True
        return test

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Test accuracy of logistic regression on unit vectors, and that of always saying the most frequent label."""
        vectors, test = unit_vectors_of(predict, self.texts), self.is_test
        weights = linear_classifier(vectors[~test] * np.sqrt(vectors.shape[1]), self.labels[~test], len(self.names))
        return self.score_labels(classify(weights, vectors[test] * np.sqrt(vectors.shape[1])))

    def score_labels(self, answers: np.ndarray) -> dict[str, float]:
        """Metrics of labels given to the texts that test [T]."""
        most = np.bincount(self.labels[~self.is_test]).argmax()
        right = self.labels[self.is_test]
        return {
            self.metric: float((answers == right).mean()),
            "most frequent label": float((right == most).mean()),
            "texts": float(len(right)),
        }


def read_labelled(path: Path) -> tuple[list[str], np.ndarray, list[str]]:
    """Texts, their labels as numbers [N], and the labels' names in sorted order.

    Args:
        path: A line for each text, UTF-8: `label<TAB>text`, or `__label__label text` as fastText has it. Empty lines are passed over.

    Raises:
        ValueError: if a line is not `label<TAB>text`, or there are fewer than two labels with five texts each.
    """
    names, texts = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            name, gap, text = line.partition(" " if line.startswith(FASTTEXT_MARK) else "\t")
            if not gap or not text.strip():
                raise ValueError(f"{path}, line {number}: {line[:60]!r} is not `label<TAB>text`")
            names.append(name.removeprefix(FASTTEXT_MARK).strip())
            texts.append(text)
    known = sorted(set(names))
    few = [name for name in known if names.count(name) < 5]
    if len(known) < 2 or few:
        raise ValueError(f"{path} holds {len(texts)} texts of labels {known}; at least two labels with five texts each are needed")
    number_of = {name: number for number, name in enumerate(known)}
    return texts, np.array([number_of[name] for name in names]), known


def parts_of_the_novel() -> tuple[list[str], np.ndarray, list[str]]:
    """Paragraphs of at least 15 words of the bundled novel, the part that each stands in [N], and the parts' names."""
    with open_bytes(BUNDLED) as file:
        whole = file.read().decode("utf-8")
    pieces = re.split(r"^PART \w+--(.+)$", whole, flags=re.MULTILINE)
    texts, labels = [], []
    for part, body in enumerate(pieces[2::2]):
        for paragraph in re.split(r"\n\s*\n", body):
            if len(paragraph.split()) >= 15:
                texts.append(" ".join(paragraph.split()))
                labels.append(part)
    return texts, np.array(labels), [name.strip() for name in pieces[1::2]]
