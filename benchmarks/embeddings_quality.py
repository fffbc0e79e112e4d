"""Quality of word vectors beside gensim's and the reference GloVe program's, trained on the same tokens.

    python benchmarks/embeddings_quality.py novels.txt WORDS            # WORDS holds wordsim353.txt, simlex999.txt, questions-words.txt
    python benchmarks/embeddings_quality.py novels.txt WORDS --models cbow --systems ours --seeds 0

Without a text it prints a note and ends. d = 100, window 5, 5 negatives, 3 rounds, minimum count 5; everything else is each side's default
(for gensim's skip-gram and cbow a learning rate of 0.025), and glove has on both sides x_max 10 and, unless --glove-window and
--glove-rounds say otherwise, its reference settings: window 10, 15 rounds. All systems are judged on the same words in the same
order. Trained vectors are kept in --keep and not trained again, so that a long benchmark can be interrupted and continued; other
settings need another folder. Intervals are the mean over seeds +- Student's 95 % half-width.
Writes embeddings_quality.md beside this file, or where --out says.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np
from scipy import stats

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.evaluate.evaluation import word_analogies, word_similarity
from nlp_embeddings.evaluate.questions import read_analogies, read_pairs
from nlp_embeddings.models.fasttext import FastText, FastTextConfig
from nlp_embeddings.models.glove import GloVe, GloVeConfig
from nlp_embeddings.models.word2vec import Word2Vec, Word2VecConfig
from nlp_embeddings.training.word_agent import WordAgent
from nlp_embeddings.vectors import formats
from nlp_embeddings.vectors.word_vectors import WordVectors
from rl_core.seeds import Seeds

ROUNDS = 3
OURS: dict[str, dict[str, Any]] = {
    "skip-gram": {},
    "skip-gram, negatives=window": {"negatives": "window"},
    "skip-gram, hierarchical softmax": {"loss": "hierarchical"},
    "cbow": {"architecture": "cbow", "learning_rate": 0.075},
    "cbow, classic gradient": {"architecture": "cbow", "cbow_gradient": "classic"},
    "fasttext": {},
    "fasttext, Facebook's settings": {"learning_rate": 0.05, "subsample": 1e-4, "noise_exponent": 0.5},
}
THEIRS: dict[str, tuple[str, dict[str, Any]]] = {
    "skip-gram": ("Word2Vec", {"sg": 1}),
    "skip-gram, hierarchical softmax": ("Word2Vec", {"sg": 1, "hs": 1, "negative": 0}),
    "cbow": ("Word2Vec", {"sg": 0}),
    "fasttext": ("FastText", {"sg": 1}),
}
SCORES = ("WordSim-353", "SimLex-999", "analogies", "semantic", "syntactic")


def main() -> None:
    """Train models that are not kept yet, judge all, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path)
    parser.add_argument("words", nargs="?", type=Path)
    parser.add_argument("--models", nargs="+", default=[*OURS, "glove"])
    parser.add_argument("--systems", nargs="+", default=["ours", "gensim", "reference"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--glove", type=Path, help="folder with the reference program's vocab_count, cooccur, shuffle and glove")
    parser.add_argument("--glove-window", type=int, default=10)
    parser.add_argument("--glove-rounds", type=int, default=15)
    parser.add_argument("--keep", type=Path, default=Path("runs") / "embeddings_quality")
    parser.add_argument("--judge-only", action="store_true", help="train nothing")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    if options.text is None or options.words is None or not options.text.exists():
        print("embeddings_quality: skipped, because it needs a text and a folder of word pairs; see its --help", file=sys.stderr)
        return
    options.keep.mkdir(parents=True, exist_ok=True)
    os.environ["NLP_EMBEDDINGS_CACHE"] = str(options.keep.resolve() / "cache")
    tokens = options.keep / "tokens.txt"
    if not tokens.exists():
        with tokens.open("w", encoding="utf-8") as file:
            file.writelines(" ".join(s) + "\n" for s in encode(options.text, options.keep / "encoded", sentences="line").sentences())
    task = CorpusTask(CorpusConfig(path=str(tokens), tokenizer="whitespace", sentences="line", passage_words=10**9))
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    neighbours: dict[tuple[str, str], str] = {}
    kept_words = task.corpus.words[: int((task.corpus.counts >= 5).sum())]
    for model in options.models:
        for system in options.systems:
            for seed in options.seeds:
                path = options.keep / f"{system}-{model.replace(', ', '-').replace(' ', '-')}-{seed}.bin"
                if not path.exists() and not options.judge_only:
                    train(system, model, seed, task, tokens, path, options)
                if not path.exists():
                    continue
                vectors = in_order(formats.load(path), kept_words)
                rows.setdefault((model, system), []).append(judge(vectors, options.words))
                if all(word in vectors for word in ("whale", "ship", "parlour")):
                    near = [word for word, _ in vectors.most_similar("whale", topn=5)]
                    ship, parlour = vectors.similarity("whale", "ship"), vectors.similarity("whale", "parlour")
                    neighbours.setdefault((model, system), f"{ship:.2f}, {parlour:.2f}: {', '.join(near)}")
                print(model, system, seed, rows[model, system][-1], file=sys.stderr, flush=True)
    write(options, rows, neighbours, len(kept_words), len(task.corpus))


def train(system: str, model: str, seed: int, task: CorpusTask, tokens: Path, path: Path, options: argparse.Namespace) -> None:
    """Train one system's model with a seed and write its vectors; a system that is not installed is left out with a note."""
    if system == "ours":
        agent = ours(model, seed, task, options)
        while agent.progress < agent.budget:
            agent.step()
        agent.export("word2vec-binary", path)
    elif system == "gensim" and model in THEIRS and importlib.util.find_spec("gensim"):
        kind, settings = THEIRS[model]
        common = {"vector_size": 100, "window": 5, "negative": 5, "min_count": 5, "epochs": ROUNDS, "seed": seed, "workers": 1}
        learned = getattr(importlib.import_module("gensim.models"), kind)(corpus_file=str(tokens), **common | settings)
        learned.wv.save_word2vec_format(str(path), binary=True)
    elif system == "reference" and model == "glove" and options.glove is not None:
        reference_glove(tokens, seed, path, options)
    else:
        print(f"{model} of {system} is not available and is left out", file=sys.stderr)


def ours(model: str, seed: int, task: CorpusTask, options: argparse.Namespace) -> WordAgent:
    """Return our agent, with its budget."""
    words = int(task.counts[task.corpus.counts >= 5].sum())
    if model == "glove":
        config = GloVeConfig(window=options.glove_window)
        return GloVe(config, task, None, seeds=Seeds(seed), budget=options.glove_rounds * words)
    run: dict[str, Any] = {"seeds": Seeds(seed), "budget": ROUNDS * words}
    if model.startswith("fasttext"):
        return FastText(FastTextConfig(**OURS[model]), task, None, **run)
    return Word2Vec(Word2VecConfig(**OURS[model]), task, None, **run)


def reference_glove(tokens: Path, seed: int, path: Path, options: argparse.Namespace) -> None:
    """Run the reference program from tokens to vectors."""
    vocabulary, pairs, shuffled = (path.with_name(name) for name in ("vocab.txt", "pairs.bin", "shuffled.bin"))
    programs = options.glove

    def run(command: list[Any], source: Path, target: Path) -> None:
        with source.open("rb") as file, target.open("wb") as out:
            subprocess.run(list(map(str, command)), stdin=file, stdout=out, check=True)

    run([programs / "vocab_count", "-min-count", 5, "-verbose", 0], tokens, vocabulary)
    count = [programs / "cooccur", "-memory", 2, "-vocab-file", vocabulary, "-window-size", options.glove_window, "-verbose", 0]
    run(count, tokens, pairs)
    run([programs / "shuffle", "-memory", 2, "-verbose", 0, "-seed", seed + 1], pairs, shuffled)
    command = [
        programs / "glove",
        "-input-file",
        shuffled,
        "-vocab-file",
        vocabulary,
        "-save-file",
        path.with_suffix(""),
        "-write-header",
        1,
    ]
    command += ["-threads", 1, "-x-max", 10, "-iter", options.glove_rounds, "-vector-size", 100]
    command += ["-binary", 0, "-verbose", 0, "-seed", seed + 1]
    subprocess.run(list(map(str, command)), check=True)
    lines = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()[1:]
    fields = [line.split(" ") for line in lines if not line.startswith("<unk>")]
    formats.save(WordVectors([f[0] for f in fields], np.array([f[1:] for f in fields], dtype=np.float32)), path, "word2vec-binary")


def in_order(vectors: WordVectors, words: list[str]) -> WordVectors:
    """Return vectors of the same words in the same order for every system: order decides which words may be answers."""
    kept = [word for word in words if word in vectors]
    return WordVectors(kept, np.stack([vectors[word] for word in kept]))


def judge(vectors: WordVectors, folder: Path) -> dict[str, float]:
    """Return all scores of one model."""
    pairs = {"WordSim-353": "wordsim353.txt", "SimLex-999": "simlex999.txt"}
    scores = {name: word_similarity(vectors, read_pairs(folder / file))["spearman"] for name, file in pairs.items()}
    analogies = word_analogies(vectors, read_analogies(folder / "questions-words.txt"))
    return scores | {"analogies": analogies["accuracy"], "semantic": analogies["semantic"], "syntactic": analogies["syntactic"]}


def write(options: argparse.Namespace, rows: dict[Any, list[dict[str, float]]], neighbours: dict[Any, str], words: int, total: int) -> None:
    """Write the table to standard output and to the file."""
    lines = [
        "# Quality of word vectors beside other programs",
        "",
        "Written by `benchmarks/embeddings_quality.py`, which says how it is measured:",
        f"{options.text.name}, {total:,} words, {words:,} of them different and at least five times there.",
        f"{platform.machine()}, Python {platform.python_version()}. Similarity is Spearman's rho, analogies are accuracy by 3CosAdd.",
        "",
        f"| model | system | seeds | {' | '.join(SCORES)} |",
        f"|---|---|---:|{'---:|' * len(SCORES)}",
        *(f"| {model} | {system} | {len(found)} | {' | '.join(interval([f[name] for f in found]) for name in SCORES)} |"
          for (model, system), found in rows.items()),
        "",
        "Of the first seed: the cosines of `whale` with `ship` and with `parlour`, and the words nearest to `whale`.",
        "",
        *(f"- {model}, {system}: {text}" for (model, system), text in neighbours.items()),
    ]  # fmt: skip
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def interval(values: list[float]) -> str:
    """Return mean and half-width of Student's 95 % interval; the mean alone for one value."""
    if len(values) == 1:
        return f"{values[0]:.3f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.3f} ± {half:.3f}"


if __name__ == "__main__":
    main()
