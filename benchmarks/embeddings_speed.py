"""Speed of word vectors beside gensim, Facebook's fastText and the reference GloVe program, in paired, interleaved runs.

    python benchmarks/embeddings_speed.py novels.txt                 # any large text; about ten minutes on an idle machine
    python benchmarks/embeddings_speed.py novels.txt --glove GloVe/build --words 1000000 --pairs 2

Without a text it prints a note and ends. Both sides read the same tokens; a side that is not installed is left out with a note.
In each case the two sides run in turn, A B A B, after a warm-up in which kernels are compiled. Reported are in-vocabulary words
(before subsampling) per second of processor time (one thread) or of wall time (two threads), and the median ratio of neighbours.
Writes embeddings_speed.md beside this file, or where --out says.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")


from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.models.fasttext import FastText, FastTextConfig
from nlp_embeddings.models.glove import GloVe, GloVeConfig
from nlp_embeddings.models.word2vec import Word2Vec, Word2VecConfig
from rl_core.seeds import Seeds

Run = Callable[[], float]
"""Function that does the work once and returns the seconds that count."""


def main() -> None:
    """Run the cases and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", type=Path)
    parser.add_argument("--words", type=int, default=2_000_000, help="words of the text to use")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of runs of each case")
    parser.add_argument("--glove", type=Path, help="folder with the reference program's vocab_count, cooccur, shuffle and glove")
    parser.add_argument("--only", default="", help="run only cases whose name holds this")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    if options.text is None or not options.text.exists():
        print("embeddings_speed: skipped, because no text was given: python benchmarks/embeddings_speed.py TEXT", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NLP_EMBEDDINGS_CACHE"] = folder
        rows = run_cases(options, Path(folder))
    lines = [
        "# Speed of word vectors beside other programs",
        "",
        "Written by `benchmarks/embeddings_speed.py`, which says how it is measured:",
        f"{options.words:,} words of {options.text.name}, median of {options.pairs} pairs.",
        f"{platform.machine()}, Python {platform.python_version()}, {', '.join(versions())}.",
        "",
        "| case | ours, words/s | theirs, words/s | ratio | pairs of ratios |",
        "|---|---:|---:|---:|---|",
        *rows,
    ]
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def versions() -> list[str]:
    """Return the libraries that take part, with their versions."""
    found = []
    for name in ("numpy", "numba", "gensim", "fasttext"):
        try:
            found.append(f"{name} {getattr(importlib.import_module(name), '__version__', '')}".strip())
        except ImportError:
            print(f"{name} is not installed; its cases are left out", file=sys.stderr)
    return found


def run_cases(options: argparse.Namespace, folder: Path) -> list[str]:
    """Return a row of the table for each case."""
    text = folder / "tokens.txt"
    whole = encode(options.text, folder / "whole", sentences="line")
    with text.open("w", encoding="utf-8") as file:
        count = 0
        for sentence in whole.sentences():
            file.write(" ".join(sentence) + "\n")
            count += len(sentence)
            if count >= options.words:
                break
    task = CorpusTask(CorpusConfig(path=str(text), tokenizer="whitespace", sentences="line", passage_words=10**9))
    words = int(task.counts[task.counts >= 5].sum())
    rows = []
    for name, (ours, theirs) in cases(task, text, words, options.glove, folder).items():
        if theirs is None or options.only not in name:
            continue
        rows.append(measure(name, ours, theirs, words, options.pairs))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def measure(name: str, ours: Run, theirs: Run, words: int, pairs: int) -> str:
    """Warm up, run both sides in turn, and return a row of the table."""
    ours()
    seconds = [(ours(), theirs()) if pair % 2 == 0 else (theirs(), ours())[::-1] for pair in range(pairs)]
    ratios = [b / a for a, b in seconds]
    rates = [words / statistics.median(side) for side in zip(*seconds, strict=True)]
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | **{statistics.median(ratios):.2f}** | {shown} |"


def clocked(threads: int, work: Callable[[], Any]) -> float:
    """Return seconds of processor time for one thread, of wall time for more."""
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start


def cases(task: CorpusTask, text: Path, words: int, glove: Path | None, folder: Path) -> dict[str, tuple[Run, Run | None]]:
    """Return our side and the other side by name."""
    gensim = importlib.util.find_spec("gensim") is not None
    found: dict[str, tuple[Run, Run | None]] = {}
    for threads in (1, 2):
        unit = "1 thread" if threads == 1 else "2 threads, wall"
        for name, size, config, theirs in (
            ("skip-gram d=100", 100, {}, {"sg": 1}),
            ("skip-gram d=300", 300, {}, {"sg": 1}),
            ("skip-gram d=100, negatives=window", 100, {"negatives": "window"}, {"sg": 1}),
            ("cbow d=100", 100, {"architecture": "cbow"}, {"sg": 0}),
            ("skip-gram, hierarchical softmax d=100", 100, {"loss": "hierarchical"}, {"sg": 1, "hs": 1, "negative": 0}),
            ("skip-gram, hierarchical softmax d=300", 300, {"loss": "hierarchical"}, {"sg": 1, "hs": 1, "negative": 0}),
        ):
            found[f"{name}, gensim, {unit}"] = (
                our_round(task, words, threads, vector_size=size, **config),
                gensim_round("Word2Vec", text, threads, vector_size=size, **theirs) if gensim else None,
            )
        found[f"fasttext d=100, gensim, {unit}"] = (
            our_round(task, words, threads, fasttext=True),
            gensim_round("FastText", text, threads, vector_size=100, sg=1) if gensim else None,
        )
        found[f"fasttext d=100, Facebook's fasttext, {unit}"] = (
            our_round(task, words, threads, fasttext=True, subsample=1e-4, learning_rate=0.05),
            facebook_round(text, threads),
        )
    found["reading and encoding, gensim's build_vocab"] = (
        lambda: clocked(1, lambda: encode(text, folder / "again", tokenizer="whitespace", lowercase=False)),
        gensim_vocabulary(text) if gensim else None,
    )
    if glove is not None:
        found["glove: counting, reference program"] = our_counting(task, folder), reference_counting(text, glove, folder)
        found["glove: one round of training, reference program"] = our_glove(task), reference_training(glove, folder)
    return found


def our_round(task: CorpusTask, words: int, threads: int, *, fasttext: bool = False, **config: Any) -> Run:
    """Return one round over the corpus."""
    run: dict[str, Any] = {"seeds": Seeds(0), "budget": 10 * words}
    if fasttext:
        agent: Word2Vec | FastText = FastText(FastTextConfig(threads=threads, **config), task, None, **run)
    else:
        agent = Word2Vec(Word2VecConfig(threads=threads, **config), task, None, **run)

    def once() -> float:
        if not agent.parameters():
            agent.begin()
        rounds = agent.reader.epoch + 1

        def work() -> None:
            while agent.reader.epoch < rounds:
                agent.step()

        return clocked(threads, work)

    return once


def gensim_round(kind: str, text: Path, threads: int, **options: Any) -> Run:
    """Return one round of gensim's training, its vocabulary built beforehand."""
    model = getattr(importlib.import_module("gensim.models"), kind)(window=5, min_count=5, workers=threads, **{"negative": 5, **options})
    ready: list[bool] = []

    def once() -> float:
        if not ready:
            model.build_vocab(corpus_file=str(text))
            ready.append(True)
        total = model.corpus_total_words
        return clocked(threads, lambda: model.train(corpus_file=str(text), total_words=total, epochs=1))

    return once


def gensim_vocabulary(text: Path) -> Run:
    """Return gensim's pass that builds the vocabulary; it does not encode the text."""
    models = importlib.import_module("gensim.models")
    lines = importlib.import_module("gensim.models.word2vec").LineSentence
    return lambda: clocked(1, lambda: models.Word2Vec(min_count=5).build_vocab(lines(str(text))))


def facebook_round(text: Path, threads: int) -> Run | None:
    """Return one round of Facebook's program: half the difference between three rounds and one."""
    try:
        fasttext = importlib.import_module("fasttext")
    except ImportError:
        return None

    def once() -> float:
        def rounds(count: int) -> float:
            return clocked(
                threads,
                lambda: fasttext.train_unsupervised(
                    str(text), model="skipgram", dim=100, ws=5, neg=5, epoch=count, thread=threads, verbose=0
                ),
            )

        return max((rounds(3) - rounds(1)) / 2, 1e-9)

    return once


def our_counting(task: CorpusTask, folder: Path) -> Run:
    """Return our counting into a fresh folder."""
    number = iter(range(10**6))
    kept = int((task.corpus.counts >= 5).sum())
    return lambda: clocked(1, lambda: count_cooccurrences(task, kept, 10, folder / f"pairs-{next(number)}"))


def reference_counting(text: Path, programs: Path, folder: Path) -> Run:
    """Return the reference program's counting, after its own pass for the vocabulary."""

    def once() -> float:
        with (folder / "vocab.txt").open("wb") as out, text.open("rb") as file:
            subprocess.run([programs / "vocab_count", "-min-count", "5", "-verbose", "0"], stdin=file, stdout=out, check=True)
        before = os.times()
        command = [programs / "cooccur", "-memory", "0.5", "-vocab-file", folder / "vocab.txt", "-window-size", "10", "-verbose", "0"]
        with text.open("rb") as file, (folder / "cooccurrence.bin").open("wb") as out:
            subprocess.run([*command, "-overflow-file", str(folder / "overflow")], stdin=file, stdout=out, check=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    return once


def our_glove(task: CorpusTask) -> Run:
    """Return one round over all pairs."""
    agent = GloVe(GloVeConfig(), task, None, seeds=Seeds(0), budget=10**12)

    def once() -> float:
        rounds = agent.epoch + 1

        def work() -> None:
            while agent.epoch < rounds:
                agent.step()

        return clocked(1, work)

    return once


def reference_training(programs: Path, folder: Path) -> Run:
    """Return one round of the reference program: half the difference between three rounds and one."""

    def rounds(count: int) -> float:
        before = os.times()
        command = [programs / "glove", "-input-file", folder / "shuffled.bin", "-vocab-file", folder / "vocab.txt", "-vector-size", "100"]
        command += ["-threads", "1", "-iter", str(count), "-x-max", "10", "-save-file", str(folder / "vectors"), "-verbose", "0"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def once() -> float:
        shuffled = folder / "shuffled.bin"
        if not shuffled.exists():
            with (folder / "cooccurrence.bin").open("rb") as file, shuffled.open("wb") as out:
                subprocess.run([programs / "shuffle", "-memory", "0.5", "-verbose", "0"], stdin=file, stdout=out, check=True)
        return max((rounds(3) - rounds(1)) / 2, 1e-9)

    return once


if __name__ == "__main__":
    main()
