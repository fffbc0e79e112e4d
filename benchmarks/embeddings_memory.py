"""Encoding of and learning from a corpus ten times as large as the memory that the process may use.

    python benchmarks/embeddings_memory.py                       # 32 MiB, a text of 320 MiB; a few minutes
    python benchmarks/embeddings_memory.py --megabytes 64

The text is random: words drawn by Zipf's law. After the imports and a first small run, the process may allocate so much more private
memory (RLIMIT_DATA, which does not count files mapped from disk); a request beyond it fails as on a full machine. Encoding, one round of
skip-gram and counting for glove then run under the limit. Linux only; elsewhere it prints a note and ends.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import numpy as np

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.models.word2vec import Word2Vec, Word2VecConfig
from rl_core.seeds import Seeds


def main() -> None:
    """Make the text, set the limit, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=32, help="private memory allowed after the imports, in MiB")
    options = parser.parse_args()
    if not Path("/proc/self/status").exists():
        print("embeddings_memory: skipped, because the limit needs Linux", file=sys.stderr)
        return
    import resource

    with tempfile.TemporaryDirectory() as folder:
        os.environ["NLP_EMBEDDINGS_CACHE"] = folder
        work(made_up(Path(folder) / "small.txt", 1), Path(folder), memory_mb=16)
        text = made_up(Path(folder) / "large.txt", 10 * options.megabytes)
        before = private_memory()
        limit = before + options.megabytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit << 20, limit << 20))
        try:
            np.empty((options.megabytes + 64) << 17).fill(1)
        except MemoryError:
            print(f"limit: {options.megabytes} MiB beyond the {before} MiB of Python and its libraries; more is refused")
        else:
            raise SystemExit("error: the limit has no effect\nhint: it needs Linux 4.7 or later")
        work(text, Path(folder), memory_mb=options.megabytes // 2)


def made_up(path: Path, megabytes: int) -> Path:
    """Write a text of so many MiB, words by Zipf's law."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        while file.tell() < megabytes << 20:
            ranks = rng.zipf(1.2, 200_000) % 20_000
            file.write("\n".join(" ".join(f"w{rank}" for rank in line) for line in ranks.reshape(-1, 20)) + "\n")
    return path


def work(text: Path, folder: Path, memory_mb: int) -> None:
    """Encode, learn for a round and count pairs, and print the time of each."""
    task = CorpusTask(CorpusConfig(path=str(text), sentences="line", tokenizer="whitespace"))
    started = time.perf_counter()
    words = len(task.corpus)
    print(f"{text.name}: {text.stat().st_size >> 20} MiB, {words:,} words encoded in {time.perf_counter() - started:.0f} s")
    config = Word2VecConfig(vector_size=16, window=2, negatives_per_word=2)
    agent = Word2Vec(config, task, None, seeds=Seeds(0), budget=words)
    started = time.perf_counter()
    while agent.reader.epoch == 0:
        metrics = agent.step()
    print(f"{text.name}: one round of skip-gram in {time.perf_counter() - started:.0f} s, loss {metrics['loss']:.3f}")
    started = time.perf_counter()
    pairs = count_cooccurrences(task, len(agent.vocabulary.words), 5, folder / text.stem, memory_mb=memory_mb)
    print(f"{text.name}: {len(pairs):,} pairs of words counted in {memory_mb} MiB in {time.perf_counter() - started:.0f} s")


def private_memory() -> int:
    """Return VmData of this process in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) >> 10


if __name__ == "__main__":
    main()
