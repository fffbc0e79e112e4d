"""Associations of word vectors learned from a text (WEAT), and what hard debiasing leaves of them.

    python benchmarks/bias.py TEXT            # TEXT: novels.txt or the like; writes bias.md

Without a text it prints a note and ends. Groups of words are of Caliskan, Bryson, Narayanan, "Semantics derived automatically from language
corpora contain human-like biases", 2017, tests 1, 2 and 8; words that the text has fewer than five times are left out. Effects are d, in
deviations, with the share of the divisions of the targets that have one as large; the published ones are of GloVe vectors of 840 billion
words. Our vectors are skip-gram's, d = 100, of a budget of 14 million words. Occupations are of Bolukbasi et al., "Man is to computer
programmer as woman is to homemaker?", 2016, as far as a text of novels has them.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

import rl_core
from nlp_embeddings.evaluate.bias import association_test, debiased

SEEDS = (0, 1, 2)
WORDS = 14_000_000
OUT = Path(__file__).with_suffix(".md")
PLEASANT = (
    "caress freedom health love peace cheer friend heaven loyal pleasure diamond gentle honest lucky rainbow gift honor miracle sunrise"
)
UNPLEASANT = "abuse crash filth murder sickness accident death grief poison stink assault disaster hatred pollute tragedy jail poverty ugly"
FLOWERS = "aster clover hyacinth marigold poppy bluebell daffodil lilac pansy tulip buttercup daisy lily peony violet carnation orchid rose"
INSECTS = "ant caterpillar flea locust spider centipede fly maggot tarantula bee gnat mosquito beetle cricket hornet moth wasp"
INSTRUMENTS = "bagpipe cello guitar lute trombone banjo clarinet trumpet bassoon drum harp bell fiddle piano viola flute horn violin"
WEAPONS = "arrow club gun missile spear axe dagger harpoon pistol sword blade dynamite hatchet rifle bomb knife shotgun whip"
SCIENCE = "science technology physics chemistry experiment astronomy"
ARTS = "poetry art shakespeare dance literature novel symphony drama"
MALE, FEMALE = "brother father uncle grandfather son he his him", "sister mother aunt grandmother daughter she hers her"
TESTS: dict[str, tuple[str, str, str, str, str]] = {
    "1: flowers and insects, pleasant and unpleasant": (FLOWERS, INSECTS, PLEASANT, UNPLEASANT, "1.50"),
    "2: instruments and weapons, pleasant and unpleasant": (INSTRUMENTS, WEAPONS, PLEASANT, UNPLEASANT, "1.53"),
    "8: science and arts, male and female terms": (SCIENCE, ARTS, MALE, FEMALE, "1.24"),
}
"""Targets, targets, attributes, attributes, and the published effect."""
PAIRS = [("he", "she"), ("man", "woman"), ("boy", "girl"), ("brother", "sister"), ("son", "daughter"), ("father", "mother"), ("his", "her")]
OCCUPATIONS = "nurse captain soldier philosopher warrior magician housekeeper teacher doctor dancer maid lawyer"


def effects(words: Any) -> dict[str, tuple[float, float]]:
    """Return effect and p-value of each test on vectors."""
    found = {}
    for name, (*groups, _) in TESTS.items():
        known = [np.stack([words.get_vector(word) for word in group.split() if word in words.key_to_index]) for group in groups]
        effect = association_test(known[:2], known[2:], np.random.default_rng(0))
        found[name] = (effect.size, effect.p_value)
    return found


def leaning(words: Any) -> float:
    """Return the largest difference of an occupation's cosines with `he` and with `she`."""
    known = [word for word in OCCUPATIONS.split() if word in words.key_to_index]
    return max(abs(words.similarity(word, "he") - words.similarity(word, "she")) for word in known)


def main() -> None:
    """Learn vectors, test them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, nargs="?")
    given = parser.parse_args()
    if given.text is None:
        print("name a text; nothing was measured")
        return
    plain, fair, least = [], [], []
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            task = f"corpus:{given.text.resolve()}"
            run = rl_core.learn("skip-gram", task=task, seed=seed, budget=WORDS, out=Path(folder) / "run")
            words = run.agent.vectors
        after = debiased(words, PAIRS)
        plain.append(effects(words))
        fair.append(effects(after))
        least.append((leaning(words), leaning(after)))
        print(seed, plain[-1], fair[-1], least[-1], flush=True)
    lines = [
        "# Bias of word vectors",
        "",
        f"Written by `benchmarks/bias.py`, which says how it is measured: {given.text.name}, means over seeds 0 to 2 and the least effect.",
        f"{platform.machine()}, Python {platform.python_version()}.",
        "",
        "| test | effect | least | largest p | published | after debiasing |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for name, (*_, published) in TESTS.items():
        sizes, chances = ([found[name][place] for found in plain] for place in (0, 1))
        left = np.mean([found[name][0] for found in fair])
        lines.append(f"| {name} | {np.mean(sizes):.2f} | {min(sizes):.2f} | {max(chances):.4f} | {published} | {left:.2f} |")
    before, left_over = np.max(least, axis=0)
    said = f"The largest difference of an occupation's cosines with `he` and `she` is {before:.2f}, debiased {left_over:.4f}."
    lines += ["", said, "An effect below 0 is the opposite of the published sign: associations are those of the text."]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
