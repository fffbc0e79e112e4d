"""Score the document and word models of nlp-embeddings on the bundled novel; writes treasure_island.md.

    python benchmarks/treasure_island.py             # some minutes

Each row is `rl-core run AGENT --seed 0` with its defaults. `treasure-island` asks for the passage that a held-out sentence belongs to,
`treasure-island-parts` for the part of the novel that a paragraph belongs to.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import rl_core
from rl_core.plugins.catalogue import Catalogue

AGENTS = ("bag-of-words", "tf-idf", "bm25", "lsa", "ppmi", "skip-gram", "cbow", "fasttext", "glove", "contextual")
ROWS = [*((agent, "treasure-island") for agent in AGENTS), ("text-classifier", "treasure-island-parts")]


def main() -> None:
    """Measure all rows and write the table."""
    catalogue = Catalogue.discover()
    lines = [
        "# The bundled novel",
        "",
        "Written by `benchmarks/treasure_island.py`: defaults, seed 0. `contextual` has random weights, since no model is bundled.",
        "",
        "| agent | task | metric | score |",
        "|---|---|---|---:|",
    ]
    for agent, task in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            result = rl_core.learn(agent, task=task, seed=0, quiet=True, out=Path(folder) / "run", catalogue=catalogue)
        lines.append(f"| `{agent}` | `{task}` | {result.metric} | {result.score:.3f} |")
        print(lines[-1], flush=True)
        Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
