"""IBM's alignment models 1 and 2: words of the source that each word of the target comes from, learned by expectation maximisation.

Source: Brown et al., "The Mathematics of Statistical Machine Translation", 1993, models 1 and 2. Departures: a translation is the most
probable word at each place, of the length that sources of that length most often have, without a language model.
Letters: l words of a source (place 0 is the empty word), m of a target, P pairs of words that occur together, C cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from scipy import sparse

from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.translation.task import END, TranslationTask, ended
from rl_core.agent import Agent
from rl_core.compiling import announced, kernel
from rl_core.config import Doc, Meta, Whole, configclass
from rl_core.memory import require_memory

_DRAWN, _SEEN = 3, 500  # pairs of the picture, and those that it is chosen from


@configclass
class IBMConfig:
    """Settings of the alignment models."""

    uniform_iterations: Annotated[Whole, Doc("iterations of model 1, in which every place is as probable; then model 2")] = 5
    longest: Annotated[int, Meta(ge=1, le=40), Doc("longer pairs are left out")] = 20


@kernel
def expectations(
    cells: np.ndarray,
    lengths: np.ndarray,
    words: np.ndarray,
    places: np.ndarray,
    counts: np.ndarray,
    place_counts: np.ndarray,
) -> float:
    """Add the expected number of times that each pair of words, and each pair of places, belong together; return the log-likelihood.

    P(i | j) = t(e_j | f_i) a(i | j, l, m) / sum over i, equations 20 and 25 of the paper.

    Args:
        cells: Number of the pair of words at each cell [C]: of each sentence its target places, of each of these its l + 1 source places.
        lengths: l and m of each sentence [S, 2].
        words: t of each pair of words [P].
        places: a [l + 1, m + 1, m + 1, l + 2], by l, m, j and i.
        counts: Added to [P].
        place_counts: Added to, as `places`.
    """
    cell, total = 0, 0.0
    for s in range(len(lengths)):
        long, wide = lengths[s]
        for j in range(wide):
            mass = 0.0
            for i in range(long + 1):
                mass += words[cells[cell + i]] * places[long, wide, j, i]
            total += np.log(mass)
            for i in range(long + 1):
                share = words[cells[cell + i]] * places[long, wide, j, i] / mass
                counts[cells[cell + i]] += share
                place_counts[long, wide, j, i] += share
            cell += long + 1
    return total


class IBMModel(Agent):
    """Agent that learns which words belong to each other; one step is an iteration over all pairs. Deterministic."""

    Config: ClassVar[type] = IBMConfig
    headline: ClassVar[str] = "loss"
    config: IBMConfig
    task: TranslationTask

    def setup(self) -> None:
        """Start with every word as probable.

        Raises:
            ValueError: if the task has no pairs of texts.
        """
        if not isinstance(self.task, TranslationTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; an alignment model needs translation:<file>")
        size = min(self.config.longest, max(self.task.source_length, self.task.target_length))
        require_memory(8 * 4 * (size + 1) ** 4, f"places of texts of up to {size} words", "lower longest")
        self._size = size
        self.pairs = np.zeros(0, dtype=np.int64)
        self.words = np.zeros(0)
        self.places = np.zeros((size + 1, size + 1, size + 1, size + 2))
        for length in range(size + 1):
            self.places[length, :, :, : length + 1] = 1 / (length + 1)
        self.lengths = np.zeros((self.task.source_length + 1, self.task.target_length + 1), dtype=np.int64)

    def step(self) -> dict[str, float]:
        """Count by the present probabilities, and set them to the counts' shares."""
        self.begin()
        cells, lengths = self._cells
        counts, place_counts = np.zeros(len(self.pairs)), np.zeros(self.places.shape)
        with announced("ibm-model"):
            total = expectations(cells, lengths, self.words, self.places, counts, place_counts)
        sources = self.pairs // len(self.task.target_tokens)
        self.words = counts / np.bincount(sources, counts, len(self.task.source_tokens))[sources]
        if self.progress >= self.config.uniform_iterations:
            sums = place_counts.sum(axis=3, keepdims=True)
            self.places = np.where(sums > 0, place_counts / np.maximum(sums, 1e-300), self.places)
        self.progress += 1
        self.__dict__.pop("_table", None)
        return {"loss": -total / max(int(lengths[:, 1].sum()), 1), "word_pairs": float((self.words > 0.01).sum())}

    def begin(self) -> None:
        """Number the pairs of words that occur together, and count the lengths."""
        if len(self.pairs):
            return
        keys, lengths = self._keys
        if not len(keys):
            raise ValueError(f"no pair is short enough for longest = {self.config.longest}; raise it")
        self.pairs = np.unique(keys)
        sources = self.pairs // len(self.task.target_tokens)
        self.words = 1 / np.bincount(sources)[sources]
        np.add.at(self.lengths, (lengths[:, 0], lengths[:, 1]), 1)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return the most probable word at each place of a target [B, T'], ended by 1."""
        rows = [self._translated([number for number in row if number]) for row in np.asarray(inputs).tolist()]
        return self.task.padded(rows, self.task.target_length)

    def alignment(self, source: list[int], target: list[int]) -> np.ndarray:
        """Return P(i | j) [m, l + 1]: the source places that each target word belongs to; place 0 is the empty word."""
        table, places = self._table, self._place_shares(len(source), len(target))
        shares = np.asarray(table[[0, *source]][:, target].todense()).T * places
        return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)

    def answer(self, text: str) -> Any:
        """Return the translation of a text."""
        return self.task.describe(self.predict(self.task.parse(text)))[0]

    def draw(self, folder: Path) -> None:
        """Draw the alignments of a few validation pairs."""
        from rl_core.figure import new_figure

        split = "validation" if self.task.examples["validation"] else "test"
        inputs, targets = self.task.read(split, np.arange(min(_SEEN, self.task.num_examples(split))))
        chosen = np.argsort(-np.minimum((inputs != 0).sum(axis=1), 10), kind="stable")[:_DRAWN]  # long ones, but not too long to see
        inputs, targets = inputs[chosen], targets[chosen]
        figure = new_figure(4.2 * len(inputs), 4.2)
        for number, (source, target) in enumerate(zip(inputs.tolist(), targets.tolist(), strict=True)):
            left, right = [k for k in source if k], ended(target)
            axes = figure.add_subplot(1, len(inputs), number + 1)
            image = axes.imshow(self.alignment(left, right).T, cmap="Blues", vmin=0, vmax=1)
            axes.set_xticks(range(len(right)), [self.task.target_tokens[k] for k in right], rotation=90, fontsize=8)
            axes.set_yticks(range(len(left) + 1), ["(none)", *(self.task.source_tokens[k] for k in left)], fontsize=8)
            axes.set_xlabel("target word")
            axes.set_ylabel("source word")
        figure.colorbar(image, label="probability that the words belong together", shrink=0.7)
        figure.suptitle(f"Alignments of {split} pairs after {self.progress} iterations", fontsize=11)
        figure.savefig(folder / "alignments.png", dpi=120)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the probabilities of words."""
        self.begin()
        return {"words": self.words}

    def state_dict(self) -> dict[str, Any]:
        """Return pairs and probabilities."""
        return {name: getattr(self, name) for name in ("pairs", "words", "places", "lengths")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if an array does not fit the vocabularies.
        """
        self.pairs = saved_array(state, "pairs", np.shape(state["pairs"]), np.int64)
        if len(self.pairs) and not 0 <= self.pairs.min() <= self.pairs.max() < len(self.task.source_tokens) * len(self.task.target_tokens):
            raise ValueError("pairs is saved with numbers outside of the vocabularies")
        self.words = saved_array(state, "words", self.pairs.shape, np.float64)
        self.places = saved_array(state, "places", self.places.shape, np.float64)
        self.lengths = saved_array(state, "lengths", self.lengths.shape, np.int64)
        self.__dict__.pop("_table", None)

    def _translated(self, source: list[int]) -> list[int]:
        source = source[: self._size]
        known = self.lengths[len(source)] if len(self.pairs) else self.lengths[0]
        count = int(known.argmax()) if known.any() else min(len(source), self._size)
        if not count or not len(self.pairs):
            return [END]
        scores = sparse.csr_matrix(self._place_shares(len(source), count)) @ self._table[[0, *source]]
        return [*np.asarray(scores.argmax(axis=1)).ravel().tolist(), END]

    def _place_shares(self, source: int, target: int) -> np.ndarray:
        """Return a(i | j, l, m) [m, l + 1]; for texts that are too long every place is as probable."""
        if max(source, target) > self._size:
            return np.full((target, source + 1), 1 / (source + 1))
        shares: np.ndarray = self.places[source, target, :target, : source + 1]
        return shares

    @cached_property
    def _table(self) -> sparse.csr_matrix:
        """t(e | f), source words by target words."""
        size = len(self.task.target_tokens)
        shape = (len(self.task.source_tokens), size)
        return sparse.csr_matrix((self.words, (self.pairs // size, self.pairs % size)), shape=shape)

    @cached_property
    def _keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the pairs of words at all cells [C], and the lengths of the sentences [S, 2]."""
        inputs, targets = self.task.read("train", np.arange(self.task.num_examples("train")))
        size, found, lengths = len(self.task.target_tokens), [np.zeros(0, dtype=np.int64)], []
        for source, target in zip(inputs, targets, strict=True):
            left, right = source[source != 0], target[target > END]
            if 0 < len(left) <= self._size and 0 < len(right) <= self._size:
                found.append((np.append(0, left)[None] * size + right[:, None]).ravel())
                lengths.append((len(left), len(right)))
        return np.concatenate(found), np.array(lengths, dtype=np.int64).reshape(-1, 2)

    @cached_property
    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        keys, lengths = self._keys
        return np.searchsorted(self.pairs, keys), lengths
