"""Evaluations as tasks: `similarity:<file>`, `analogies:<file>`, `association:<file>` and `classification:<file>`.

Each also names a corpus to learn from, so that it can be run like any task; usually a finished run is judged by it:
`rl-core eval RUN --task similarity:pairs.txt`. They see an agent only through its predictor, which returns vectors of texts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np

from nlp_embeddings.corpus.corpus_task import BUNDLED, CorpusConfig, CorpusTask, unit_vectors_of
from nlp_embeddings.corpus.text_files import open_bytes, reading, require_file
from nlp_embeddings.evaluate.bias import Association, association_test, read_association
from nlp_embeddings.evaluate.classifier import classify, linear_classifier
from nlp_embeddings.evaluate.evaluation import rank_correlation, word_analogies
from nlp_embeddings.evaluate.predictors import LabelPredict, WordPredict
from nlp_embeddings.evaluate.questions import Analogies, LabelledTexts, Pair, read_analogies, read_labelled, read_pairs
from nlp_embeddings.vectors.word_vectors import WordVectors
from rl_core.config import Doc, FilePath, configclass
from rl_core.errors import RequestError
from rl_core.seeds import Seeds
from rl_core.task import Predict


@configclass
class EvaluationConfig:
    """Questions to judge by, and a text to learn from."""

    file: Annotated[
        FilePath, Doc("the questions: `word word score`, analogies `a b c d`, groups of words, or texts `label<TAB>text`, a line each")
    ] = ""
    corpus: Annotated[FilePath, Doc("the text that an agent learns from: a file or folder; empty: the bundled novel")] = ""
    tokenizer: Annotated[Literal["regex", "whitespace", "character"], Doc("tokenizer of the corpus")] = "regex"
    sentences: Annotated[
        Literal["auto", "punctuation", "line"], Doc("sentence ends of the corpus: by the text | . ! ? and blank lines | every line break")
    ] = "auto"
    lowercase: Annotated[bool, Doc("fold capitals")] = True


class EvaluationTask(CorpusTask):
    """Base of the evaluations: a file of questions and a corpus."""

    Config: ClassVar[type] = EvaluationConfig

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        self.questions = Path(config.file).expanduser()
        if config.file:
            require_file(self.questions, "expected a text file of questions, as in similarity:pairs.txt")
        elif not isinstance(self, ClassificationTask):
            raise ValueError("file is empty; name a text file of questions, as in similarity:pairs.txt")

    @staticmethod
    def config_of_corpus(config: Any) -> CorpusConfig:
        """Return the config of the corpus that belongs to these questions."""
        return CorpusConfig(path=config.corpus, tokenizer=config.tokenizer, sentences=config.sentences, lowercase=config.lowercase)

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task of a saved run; its texts are read only when they are asked for."""
        task = super().from_state(config, state)
        task.questions = Path(config.file).expanduser()
        return task

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other questions."""
        return cls(config)


class SimilarityTask(EvaluationTask):
    """Similarity of words, judged by the rank correlation with people's scores."""

    metric = "spearman"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        _ = self.pairs  # so that a bad file is refused here

    @cached_property
    def pairs(self) -> list[Pair]:
        """The questions."""
        return read_pairs(self.questions)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return Spearman's rho of cosines with people's scores, its 95 % interval, and the share of pairs with vectors."""
        first, second = (unit_vectors_of(predict, [str(pair[side]) for pair in self.pairs]) for side in (0, 1))
        known = np.asarray(first.any(axis=1) & second.any(axis=1))
        cosines = (first * second).sum(axis=1)[known]
        rho, low, high = rank_correlation(cosines.tolist(), [p.score for p, k in zip(self.pairs, known, strict=True) if k])
        return {self.metric: rho, "low": low, "high": high, "coverage": float(known.mean())}


class AnalogyTask(EvaluationTask):
    """Analogies, a is to b as c is to d, judged by the share of right first answers.

    Answers are searched among the 30,000 most frequent words of the agent's vocabulary, as in word2vec's own evaluation. An agent without
    a vocabulary is asked for vectors of the questions' words, and answers are searched among those: that is easier, and not comparable.
    """

    metric = "accuracy"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        _ = self.groups  # so that a bad file is refused here

    @cached_property
    def groups(self) -> Analogies:
        """The questions by group."""
        return read_analogies(self.questions)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the accuracy by 3CosAdd of all, semantic and syntactic questions, and of each group; and the share that could be asked."""
        if isinstance(predict, WordPredict):
            return word_analogies(predict.vectors, self.groups)
        words = sorted({word.lower() for questions in self.groups.values() for question in questions for word in question})
        vectors = unit_vectors_of(predict, words)
        known = np.asarray(vectors.any(axis=1))
        kept = [word for word, k in zip(words, known, strict=True) if k]
        groups = {name: [tuple(w.lower() for w in q) for q in questions] for name, questions in self.groups.items()}
        return word_analogies(WordVectors(kept, vectors[known]), groups, restrict_vocab=len(kept))  # type: ignore[arg-type]


class AssociationTask(EvaluationTask):
    """Bias of an agent's words: how much nearer one group of targets is to an attribute than another group is (WEAT).

    The score is the size of the effect, in deviations. It has no target: that of a text which people wrote says something about them.
    """

    metric = "effect size"

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        _ = self.question  # so that a bad file is refused here

    @cached_property
    def question(self) -> Association:
        """Targets and attributes."""
        return read_association(self.questions)

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the effect size, its p-value, and the share of the words that have vectors.

        Raises:
            RequestError: if a group has fewer than two words with vectors.
        """
        groups: list[np.ndarray] = []
        known: list[bool] = []
        for name, words in zip(self.question.names, (*self.question.targets, *self.question.attributes), strict=True):
            vectors = unit_vectors_of(predict, words)
            known += np.asarray(vectors.any(axis=1)).tolist()
            groups.append(vectors[vectors.any(axis=1)])
            if len(groups[-1]) < 2:
                raise RequestError(
                    f"{str(self.questions)!r}: {len(groups[-1])} of the {len(words)} words of {name} have vectors; expected at least two",
                    "use words that occur in the corpus, or lower min_count",
                )
        effect = association_test(groups[:2], groups[2:], seeds.apart("divisions").numpy("divisions"))
        return {self.metric: effect.size, "p value": effect.p_value, "coverage": float(np.mean(known))}


class ClassificationTask(EvaluationTask):
    """Labels of texts, judged by the accuracy of a linear model on the texts' vectors, or of a classifier's own answers.

    Of each label every fifth text is held out for testing. Without a file the texts are paragraphs of the bundled novel, and their
    labels its six parts.

    Attributes:
        names: Names of the labels.
        all_test: Whether every text is a test text: a file that judges a classifier trained on another one.
    """

    metric = "accuracy"
    all_test: bool = False

    def __init__(self, config: EvaluationConfig) -> None:
        super().__init__(config)
        self.names: list[str] = self._labelled.names

    def state_dict(self) -> dict[str, Any]:
        """Return the names of the labels and digests of the texts."""
        corpus = self.corpus.fingerprint if "corpus" in self.__dict__ else self.saved_fingerprint
        return {"corpus": corpus, "names": list(self.names), "texts": self._saved_texts or _digest(self._labelled)}

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build the task of a saved run; its texts are read only when they are asked for."""
        task = super().from_state(config, state)
        task.names = [str(name) for name in state["names"]]
        task._saved_texts = str(state["texts"])
        return task

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Build a task on other texts with the labels of a saved run; all of them are test texts."""
        task = cls.from_state(config, state)
        task.all_test, task._saved_texts = True, ""
        require_file(task.questions, "expected a text file of labelled texts")
        return task

    def data_change(self) -> str:
        """Return a sentence if the texts are no longer those that the run learned from, else an empty text."""
        if self._saved_texts:
            try:
                changed = _digest(self._labelled) != self._saved_texts
            except ValueError as error:
                return f"the texts can no longer be read: {error}"
            if changed:
                return f"the texts of {self.config.file} have changed since the run was saved"
        return super().data_change()

    def accept_data(self) -> None:
        """Refuse to continue on other texts.

        Raises:
            RequestError: always.
        """
        raise RequestError(f"the run cannot be continued: {self.data_change()}", "restore the texts as they were, or start a new run")

    def traits(self) -> frozenset[str]:
        """Return the traits of a corpus, and `labelled`."""
        return super().traits() | {"labelled"}

    @property
    def texts(self) -> list[str]:
        """The texts [N]."""
        return self._labelled.texts

    @property
    def labels(self) -> np.ndarray:
        """Numbers of their labels [N]."""
        return self._labelled.labels

    @cached_property
    def is_test(self) -> np.ndarray:
        """Mask of the test texts [N]: every fifth of each label."""
        if self.all_test:
            return np.ones(len(self.labels), dtype=bool)
        test = np.zeros(len(self.labels), dtype=bool)
        for label in range(len(self.names)):
            test[np.flatnonzero(self.labels == label)[4::5]] = True
        return test

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the test accuracy, and that of always answering the most frequent label.

        A classifier gives its own answers; from vectors of texts a logistic regression on unit vectors is learned first.
        """
        test = self.is_test
        if isinstance(predict, LabelPredict):
            if list(predict.names) != list(self.names):
                raise ValueError(
                    f"the classifier has the labels {', '.join(predict.names[:5])}; these texts have {', '.join(self.names[:5])}"
                )
            return self.score_labels(predict(np.array(self.texts, dtype=object)[test]).argmax(axis=1))
        if test.all():
            raise ValueError(
                "all texts are test texts, so a linear model has none to learn from; evaluate an agent that names labels itself"
            )
        vectors = unit_vectors_of(predict, self.texts)
        weights = linear_classifier(vectors[~test] * np.sqrt(vectors.shape[1]), self.labels[~test], len(self.names))
        return self.score_labels(classify(weights, vectors[test] * np.sqrt(vectors.shape[1])))

    def score_labels(self, answers: np.ndarray) -> dict[str, float]:
        """Return metrics of the labels answered for the test texts [T]."""
        learned = self.labels if self.all_test else self.labels[~self.is_test]
        most = np.bincount(learned).argmax()
        right = self.labels[self.is_test]
        return {
            self.metric: float((answers == right).mean()),
            "most frequent label": float((right == most).mean()),
            "texts": float(len(right)),
        }

    _saved_texts: str = ""

    @cached_property
    def _labelled(self) -> LabelledTexts:
        known = self.__dict__.get("names", ()) if self.all_test else ()
        return read_labelled(self.questions, known) if self.config.file else parts_of_the_novel()


def parts_of_the_novel() -> LabelledTexts:
    """Return the paragraphs of at least 15 words of the bundled novel, labelled with its parts."""
    with open_bytes(BUNDLED) as file, reading(BUNDLED, "its text"):
        whole = file.read().decode("utf-8")
    pieces = re.split(r"^PART \w+--(.+)$", whole, flags=re.MULTILINE)
    texts, labels = [], []
    for part, body in enumerate(pieces[2::2]):
        for paragraph in re.split(r"\n\s*\n", body):
            if len(paragraph.split()) >= 15:
                texts.append(" ".join(paragraph.split()))
                labels.append(part)
    return LabelledTexts(texts, np.array(labels), [name.strip() for name in pieces[1::2]])


def _digest(labelled: LabelledTexts) -> str:
    """Return a digest of texts and labels."""
    digest = hashlib.blake2b(digest_size=12)
    for text, label in zip(labelled.texts, labelled.labels, strict=True):
        digest.update(f"{labelled.names[label]}\t{text}\n".encode())
    return digest.hexdigest()
