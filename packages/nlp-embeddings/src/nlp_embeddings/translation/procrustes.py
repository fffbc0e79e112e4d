"""A rotation from the vectors of one language to those of another: Procrustes' problem.

R = U V', where U S V' is the singular value decomposition of X' Y, X [N, d] the unit vectors of words and Y [N, d] those of their
translations: the R with R'R = 1 for which |X R - Y| is least. Lengths and angles within the first language stay as they are.

Source: Schoenemann, "A generalized solution of the orthogonal Procrustes problem", 1966; Xing, Wang, Liu and Lin, "Normalized Word
Embedding and Orthogonal Transform for Bilingual Word Translation", 2015. Departures: none. The worked number is that of `orthogonal_map`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from nlp_embeddings.evaluate.applications import orthogonal_map
from nlp_embeddings.linear import principal_components
from nlp_embeddings.training.saved import saved_array
from nlp_embeddings.translation.word_pairs import WordPairsTask
from rl_core.agent import Agent
from rl_core.config import configclass

_DRAWN = 12  # pairs of the picture


@configclass
class ProcrustesConfig:
    """Settings of the rotation: there are none."""


class Procrustes(Agent):
    """Agent that rotates one language into another; a step is the whole solution. Deterministic."""

    Config: ClassVar[type] = ProcrustesConfig
    headline: ClassVar[str] = "loss"
    task: WordPairsTask

    def setup(self) -> None:
        """Start with the rotation that leaves everything as it is.

        Raises:
            ValueError: if the task has no pairs of words.
        """
        if not isinstance(self.task, WordPairsTask):
            raise ValueError(f"the task is a {type(self.task).__name__}; procrustes needs the task word-pairs")
        self.rotation = np.eye(self.task.source.vector_size)

    def step(self) -> dict[str, float]:
        """Find the rotation of the training pairs."""
        inputs, targets = (part.astype(np.float64) for part in self.task.read("train", np.arange(self.task.num_examples("train"))))
        self.rotation = orthogonal_map(inputs, targets)
        self.progress += 1
        self.finished = True
        return {"loss": float(np.square(inputs @ self.rotation - targets).sum(axis=1).mean())}

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Return vectors [B, d] in the second language."""
        return (np.asarray(inputs, dtype=np.float64) @ self.rotation).astype(np.float32)

    def parameters(self) -> Mapping[str, np.ndarray]:
        """Return the rotation."""
        return {"rotation": self.rotation}

    def draw(self, folder: Path) -> None:
        """Draw some test words and their translations in one plane."""
        from rl_core.figure import new_figure

        pairs = self.task.pairs["test"][:_DRAWN]
        inputs, targets = self.task.read("test", np.arange(len(pairs)))
        places, _ = principal_components(np.concatenate([self.predict(inputs), targets]).astype(np.float64), 2)
        figure = new_figure(8, 6.5)
        axes = figure.add_subplot()
        for side, (colour, label) in enumerate((("C0", "first language, rotated"), ("C1", "second language"))):
            part = places[side * len(pairs) : (side + 1) * len(pairs)]
            axes.scatter(part[:, 0], part[:, 1], s=12, color=colour, label=label)
            for pair, place in zip(pairs, part, strict=True):
                axes.annotate(pair[side][:20].replace("$", r"\$"), tuple(place), fontsize=8, color=colour)
        for left, right in zip(places[: len(pairs)], places[len(pairs) :], strict=True):
            axes.plot(*np.stack([left, right]).T, color="0.8", linewidth=0.8, zorder=0)
        axes.set_xlabel("first direction of largest variance")
        axes.set_ylabel("second direction")
        axes.set_title("Test words and their translations, joined by lines")
        axes.legend(fontsize=8)
        figure.savefig(folder / "translations.png", dpi=120)

    def state_dict(self) -> dict[str, Any]:
        """Return the rotation."""
        return {"rotation": self.rotation}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            ValueError: if the rotation has another size.
        """
        self.rotation = saved_array(state, "rotation", self.rotation.shape, np.float64)
