from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.corpus.text_files import BLOCK_BYTES, blocks_of_file, corpus_files

TEXT = "The white whale swam.\nThe ship followed the whale.\n"


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".txt", bytes)])
def test_a_compressed_file_reads_as_the_plain_one(tmp_path: Path, suffix: str, compress) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_bytes(compress(TEXT.encode()))
    assert b"".join(blocks_of_file(path)) == TEXT.encode()


def test_a_folder_is_read_in_sorted_order_without_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.txt", "b/x.txt", "a.txt", ".hidden"):
        (tmp_path / name).write_text(name)
    assert [str(p.relative_to(tmp_path)) for p in corpus_files(tmp_path)] == ["a.txt", "b/x.txt", "c.txt"]


def test_bytes_that_are_not_utf8_are_refused_with_file_and_offset(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"good words\ncaf\xe9 au lait\n")
    with pytest.raises(ValueError, match=r"latin.txt is not UTF-8 at byte 14 \(0xe9"):
        list(blocks_of_file(path))


def test_bytes_that_are_not_utf8_are_replaced_as_asked_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes(b"caf\xe9 au lait\n")
    assert b"".join(blocks_of_file(path, undecodable="replace")).decode() == "caf\ufffd au lait\n"
    assert "1 sequences that are not UTF-8 were replaced, the first at byte 3" in capsys.readouterr().err


def test_an_offset_past_the_first_block_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"word " * (BLOCK_BYTES // 5 + 100) + b"bad\xff\n")
    offset = path.read_bytes().index(b"\xff")
    with pytest.raises(ValueError, match=f"at byte {offset} "):
        list(blocks_of_file(path))


def test_a_block_never_cuts_a_character(tmp_path: Path) -> None:
    path = tmp_path / "wide.txt"
    text = "naïve€ " * (BLOCK_BYTES // 6)
    path.write_text(text, encoding="utf-8")
    blocks = list(blocks_of_file(path))
    assert len(blocks) > 1
    assert "".join(block.decode("utf-8") for block in blocks) == text


def test_a_truncated_compressed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "torn.gz"
    path.write_bytes(gzip.compress(TEXT.encode() * 1000)[:-20])
    with pytest.raises(ValueError, match=r"is damaged or cut short at byte .* check it with `gzip -t"):
        list(blocks_of_file(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is neither a file nor a folder"):
        corpus_files(tmp_path / "nowhere.txt")


def test_an_item_of_an_iterable_corpus_must_be_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="an item of the corpus is a list"):
        encode([["a", "b"]], tmp_path / "out")  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())
