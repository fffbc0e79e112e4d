from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings import scratch
from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.corpus.encoded import Corpus, DamagedCorpus
from nlp_embeddings.models.cooccurrence import count_cooccurrences
from nlp_embeddings.scratch import Scratch

FILES = ("corpus.json", "words.txt", "counts.bin", "ids.bin", "starts.bin")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "deleted": Path.unlink,
    "cut": cut,
    "flipped": flip,
    "emptied": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"0"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_of_the_cache_is_encoded_again_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture, name: str, damage: str
) -> None:
    path = tmp_path / "t.txt"
    path.write_text("one two three two one. " * 50)
    config = CorpusConfig(path=str(path))
    first = CorpusTask(config).corpus
    ids, words, fingerprint = np.array(first.ids), first.words, first.fingerprint
    DAMAGES[damage](first.folder / name)
    if (name, damage) != ("corpus.json", "flipped"):  # a flipped bit there may be white space
        with pytest.raises(DamagedCorpus):
            Corpus(first.folder)
    capsys.readouterr()
    again = CorpusTask(config).corpus
    np.testing.assert_array_equal(again.ids, ids)
    assert (again.words, again.fingerprint) == (words, fingerprint)
    assert "encoding the text again" in capsys.readouterr().err or (name, damage) == ("corpus.json", "flipped")


def test_every_bit_of_the_description_matters_or_changes_nothing(tmp_path: Path) -> None:
    corpus = encode(["a b c a"], tmp_path / "c")
    whole = (tmp_path / "c" / "corpus.json").read_bytes()
    for place in range(len(whole)):
        (tmp_path / "c" / "corpus.json").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            assert Corpus(tmp_path / "c").fingerprint == corpus.fingerprint
        except DamagedCorpus:
            continue


def test_equal_texts_have_one_fingerprint_and_a_changed_word_another(tmp_path: Path) -> None:
    texts = (["a b c"], ["a b c"], ["a b d"], ["a c b"], ["a b", "c"])
    prints = [encode(text, tmp_path / str(number)).fingerprint for number, text in enumerate(texts)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


def ask(path: str, cache: str, gate: str) -> None:
    os.environ["NLP_EMBEDDINGS_CACHE"] = cache
    while not Path(gate).exists():
        time.sleep(0.001)
    assert len(CorpusTask(CorpusConfig(path=path, phrase_passes=1, phrase_threshold=1.0)).corpus) > 0


def test_processes_that_ask_for_one_corpus_at_once_all_get_it(tmp_path: Path) -> None:
    path, cache = tmp_path / "t.txt", tmp_path / "cache"
    path.write_text("new york is large. the white whale swims. " * 2000)
    context = multiprocessing.get_context("fork")
    for attempt in range(4):
        gate = tmp_path / f"gate-{attempt}"
        processes = [context.Process(target=ask, args=(str(path), str(cache), str(gate))) for _ in range(4)]
        for process in processes:
            process.start()
        gate.touch()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0, 0, 0]
        left = [entry.name for entry in cache.iterdir() if entry.name.startswith(".") and not entry.name.endswith(".lock")]
        assert left == []
        shutil.rmtree(cache)


def test_the_folder_of_a_killed_process_is_swept_by_the_next_and_that_of_a_living_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_GRACE_SECONDS", -1.0)
    code = (
        "import sys, time, pathlib; from nlp_embeddings.scratch import Scratch;"
        f"made = Scratch('x-', pathlib.Path({str(tmp_path)!r})); print(made.path, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dead = Path(process.stdout.readline().strip())
        living = Scratch("x-", tmp_path)
        assert dead.exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert dead.exists()
    with Scratch("x-", tmp_path):
        assert not dead.exists()
        assert living.path.exists()
    living.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_counts_of_pairs_are_counted_again(tmp_path: Path, capsys: pytest.CaptureFixture, damage: str) -> None:
    path = tmp_path / "t.txt"
    path.write_text("one two three two one. " * 50)
    task = CorpusTask(CorpusConfig(path=str(path)))
    first = np.array(count_cooccurrences(task, 3, 2, tmp_path / "x"))
    DAMAGES[damage](tmp_path / "x" / "cooccurrence.bin")
    np.testing.assert_array_equal(count_cooccurrences(task, 3, 2, tmp_path / "x"), first)
    assert "is damaged; counting again" in capsys.readouterr().err


def test_an_older_format_is_encoded_again(tmp_path: Path) -> None:
    encode(["a b"], tmp_path / "c")
    about = json.loads((tmp_path / "c" / "corpus.json").read_text())
    (tmp_path / "c" / "corpus.json").write_text(json.dumps(about | {"format": 1}))
    with pytest.raises(DamagedCorpus, match="has the format 1; this version reads 3"):
        Corpus(tmp_path / "c")
