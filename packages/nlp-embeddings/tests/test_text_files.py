from __future__ import annotations

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest

from nlp_embeddings.corpus import text_files
from nlp_embeddings.corpus.encode import encode
from nlp_embeddings.corpus.text_files import BLOCK_BYTES, blocks_of_file, corpus_files, numbered_lines

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


def test_a_text_without_white_space_is_cut_between_characters_and_after_a_mark(tmp_path: Path) -> None:
    path = tmp_path / "chinese.txt"
    text = "白鯨游泳，船長看見了。" * (5 * BLOCK_BYTES // 33)
    path.write_text(text, encoding="utf-8")
    blocks = [block.decode("utf-8") for block in blocks_of_file(path)]
    assert len(blocks) > 1
    assert "".join(blocks) == text
    assert all(block[-1] in "，。" for block in blocks[:-1])
    corpus = encode(path, tmp_path / "c")
    assert sorted(corpus.words) == sorted(["白鯨游泳", "船長看見了"])


def test_a_text_of_one_endless_word_is_cut_between_characters(tmp_path: Path) -> None:
    path = tmp_path / "endless.txt"
    path.write_text("鯨" * (5 * BLOCK_BYTES // 3 + 1), encoding="utf-8")
    assert "".join(block.decode("utf-8") for block in blocks_of_file(path)) == path.read_text(encoding="utf-8")


PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_compressed_file_is_named_with_the_place_and_the_remedy(tmp_path: Path, suffix: str, damage: str) -> None:
    whole = PACKED[suffix](TEXT.encode() * 5000 + os.urandom(3000))
    changed = whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]
    path = tmp_path / f"torn{suffix}"
    path.write_bytes(whole[:-30] if damage == "cut" else changed)
    with pytest.raises(ValueError, match=rf"torn\{suffix} is damaged.* at byte \d+ of its text.*fetch or compress the file again"):
        list(blocks_of_file(path))


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("content", [b"plain text\n", b""])
def test_a_file_that_is_only_named_compressed_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"plain{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"is named \{suffix} but does not begin like such a file"):
        list(blocks_of_file(path))


def test_a_pipe_is_refused_instead_of_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(ValueError, match="is a named pipe; a corpus is a text file"):
        corpus_files(tmp_path / "pipe.txt")


def test_a_folder_without_ordinary_files_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no ordinary files; a corpus needs"):
        corpus_files(tmp_path)
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "nowhere.txt").symlink_to("nothing")
    with pytest.raises(ValueError, match=r"holds no ordinary files \(its 2 entries are pipes, devices or links"):
        corpus_files(tmp_path)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "real.txt").write_text("one")
    (tmp_path / "folder" / "link.txt").symlink_to(tmp_path / "real.txt")
    assert [path.name for path in corpus_files(tmp_path / "folder")] == ["link.txt"]


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 20])
def test_lines_are_counted_as_editors_count_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(text_files, "BLOCK_BYTES", block)
    path = tmp_path / "q.txt"
    path.write_bytes("\ufeffone\r\ntwo\u2028still\rthree\x85\x0cthree\n\nfive".encode())
    assert list(numbered_lines(path)) == [(1, "one"), (2, "two\u2028still"), (3, "three\x85\x0cthree"), (4, ""), (5, "five")]


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.txt"
    path.write_bytes(b"one\ntwo\nth\xffee\n")
    with pytest.raises(ValueError, match=r"q\.txt is not UTF-8 in line 3"):
        list(numbered_lines(path))


def test_utf16_is_guessed(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes("words".encode("utf-16"))
    with pytest.raises(ValueError, match="it looks like UTF-16"):
        list(blocks_of_file(path))
