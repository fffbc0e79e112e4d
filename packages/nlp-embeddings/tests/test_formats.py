from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.corpus.subwords import subword_buckets
from nlp_embeddings.vectors.formats import WRITERS, load, save
from nlp_embeddings.vectors.word_vectors import WordVectors

WORDS = ["the", "naïve", "don't", "кит"]
MATRIX = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


@pytest.mark.parametrize("form", WRITERS)
def test_what_is_written_reads_back_to_the_last_bit_whether_the_format_is_named_or_found_out(tmp_path: Path, form: str) -> None:
    path = tmp_path / "vectors"
    save(WordVectors(WORDS, MATRIX), path, form)
    for read in (load(path), load(path, form)):
        assert read.index_to_key == WORDS
        np.testing.assert_array_equal(read.vectors, MATRIX)
    assert [p.name for p in tmp_path.iterdir()] == ["vectors"]


@pytest.mark.parametrize("form", ["word2vec-text", "word2vec-binary", "glove"])
def test_gensim_loads_what_we_write_and_we_load_what_gensim_writes(tmp_path: Path, form: str) -> None:
    from gensim import models

    options = {"binary": form == "word2vec-binary", "no_header": form == "glove"}
    save(WordVectors(WORDS, MATRIX), tmp_path / "ours", form)
    theirs = models.KeyedVectors.load_word2vec_format(str(tmp_path / "ours"), **options)
    assert theirs.index_to_key == WORDS
    np.testing.assert_array_equal(theirs.vectors, MATRIX)
    theirs.save_word2vec_format(str(tmp_path / "theirs"), binary=options["binary"], write_header=not options["no_header"])
    ours = load(tmp_path / "theirs")
    assert ours.index_to_key == WORDS
    np.testing.assert_array_equal(ours.vectors, MATRIX)


def test_the_native_format_is_memory_mapped_and_safetensors_reads_it(tmp_path: Path) -> None:
    from safetensors import numpy as numpy_of_safetensors

    save(WordVectors(WORDS, MATRIX, np.array([4, 3, 2, 1])), tmp_path / "v.safetensors", "safetensors", {"agent": "skip-gram"})
    ours = load(tmp_path / "v.safetensors")
    assert isinstance(ours.vectors, np.memmap)
    assert ours.counts is not None
    assert ours.counts.tolist() == [4, 3, 2, 1]
    theirs = numpy_of_safetensors.load_file(tmp_path / "v.safetensors")
    np.testing.assert_array_equal(theirs["vectors"], MATRIX)


def test_the_c_programs_binary_without_line_ends_and_its_text_with_trailing_blanks_are_read(tmp_path: Path) -> None:
    rows = b"".join(word.encode() + b" " + row.tobytes() for word, row in zip(WORDS, MATRIX, strict=True))
    (tmp_path / "b").write_bytes(b"4 3\n" + rows)
    np.testing.assert_array_equal(load(tmp_path / "b").vectors, MATRIX)
    (tmp_path / "t").write_text("2 2\na 1 2 \nb 3 4 \n")
    assert load(tmp_path / "t").vectors.tolist() == [[1, 2], [3, 4]]


def test_gloves_words_may_hold_spaces(tmp_path: Path) -> None:
    (tmp_path / "g").write_text("the 1 2\n. . . 3 4\n")
    assert load(tmp_path / "g", "glove").index_to_key == ["the", ". . ."]


def test_a_compressed_file_is_read_and_a_limit_kept(tmp_path: Path) -> None:
    (tmp_path / "v.gz").write_bytes(gzip.compress(b"3 1\na 1\nb 2\nc 3\n"))
    assert load(tmp_path / "v.gz", limit=2).index_to_key == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"2 2\na 1 2\nb 1 nan\n", r"the vector of 'b' \(word 2\) holds NaN or infinity"),
        (b"2 2\na 1 2\nb 1\n", "line 3 does not hold a word and 2 numbers"),
        (b"2 2\na 1 2\nb 1 2 3\n", "line 3 does not hold a word and 2 numbers"),
        (b"3 2\na 1 2\nb 1 2\n", "promises 3 words, but the file has 2"),
        (b"2 2\na 1 2\na 3 4\n", "the word 'a' appears twice"),
        (b"99 2\na 1 2\n", "promises 99 words, but the file has 1"),
        (b"a 1 2\nb x y\n", "line 2 does not hold a word and 2 numbers"),
    ],
)
def test_a_bad_text_file_is_refused_with_the_place(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


@pytest.mark.parametrize("cut", [5, 12, 25, -1])
def test_a_truncated_binary_is_refused(tmp_path: Path, cut: int) -> None:
    save(WordVectors(WORDS, MATRIX), tmp_path / "whole", "word2vec-binary")
    content = (tmp_path / "whole").read_bytes()[:-1]  # the last line end is no loss
    (tmp_path / "torn").write_bytes(content[:cut])
    with pytest.raises(ValueError, match="cut short"):
        load(tmp_path / "torn", "word2vec-binary")


@pytest.mark.parametrize("cut", [3, 50, -1])
def test_a_truncated_native_file_is_refused(tmp_path: Path, cut: int) -> None:
    save(WordVectors(WORDS, MATRIX), tmp_path / "whole", "safetensors")
    (tmp_path / "torn").write_bytes((tmp_path / "whole").read_bytes()[:cut])
    with pytest.raises(ValueError, match="cut short"):
        load(tmp_path / "torn", "safetensors")


@pytest.mark.parametrize("form", WRITERS)
def test_nothing_is_written_of_vectors_that_are_not_finite(tmp_path: Path, form: str) -> None:
    bad = MATRIX.copy()
    bad[1, 1] = np.nan
    with pytest.raises(ValueError, match="the vector of 'naïve' is not finite; nothing was written"):
        save(WordVectors(WORDS, bad), tmp_path / "v", form)
    assert not list(tmp_path.iterdir())


def test_a_word_with_a_space_goes_only_into_the_native_format(tmp_path: Path) -> None:
    vectors = WordVectors(["new york"], np.ones((1, 2), dtype=np.float32))
    with pytest.raises(ValueError, match="the word 'new york' contains white space"):
        save(vectors, tmp_path / "v", "word2vec-text")
    save(vectors, tmp_path / "v", "safetensors")
    assert load(tmp_path / "v").index_to_key == ["new york"]


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format is 'pickle'; expected one of safetensors, word2vec-text"):
        save(WordVectors(WORDS, MATRIX), tmp_path / "v", "pickle")


def fasttext_bin(matrix: np.ndarray, words: list[str], num_buckets: int, quantised: bool = False) -> bytes:
    """A model file as Facebook's program lays it out."""
    settings = (matrix.shape[1], 5, 5, 1, 5, 1, 2, 2, num_buckets, 3, 6, 100)
    content = struct.pack("<2i", 793712314, 12) + struct.pack("<12i", *settings) + struct.pack("<d", 1e-4)
    content += struct.pack("<3i", len(words), len(words), 0) + struct.pack("<2q", 100, -1)
    for word in words:
        content += word.encode() + b"\0" + struct.pack("<qb", 7, 0)
    return content + struct.pack("<?", quantised) + struct.pack("<2q", *matrix.shape) + matrix.astype("<f4").tobytes()


def test_facebooks_model_files_are_read_with_vectors_for_unseen_words(tmp_path: Path) -> None:
    matrix = np.random.default_rng(0).normal(size=(2 + 50, 4)).astype(np.float32)
    (tmp_path / "m.bin").write_bytes(fasttext_bin(matrix, ["where", "кит"], 50))
    vectors = load(tmp_path / "m.bin")
    for number, word in enumerate(["where", "кит"]):
        rows = [number, *(2 + subword_buckets(word, 3, 6, 50))]
        np.testing.assert_allclose(vectors[word], matrix[rows].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(vectors["unseen"], matrix[2 + subword_buckets("unseen", 3, 6, 50)].mean(axis=0), atol=1e-6)
    assert vectors.counts is not None
    assert vectors.counts.tolist() == [7, 7]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:30], "ends at byte 30 within its header"),
        (lambda content: content[:105], "cut short"),
        (lambda content: content[:-2], "cut short"),
        (lambda content: b"\1" + content[1:], "a fastText model begins with 793712314, 12"),
    ],
)
def test_a_damaged_model_file_is_refused(tmp_path: Path, change, message: str) -> None:
    matrix = np.ones((2 + 50, 4), dtype=np.float32)
    (tmp_path / "m.bin").write_bytes(change(fasttext_bin(matrix, ["where", "as"], 50)))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "m.bin", "fasttext-bin")


def test_a_quantised_model_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.ftz").write_bytes(fasttext_bin(np.ones((52, 4), dtype=np.float32), ["a", "b"], 50, quantised=True))
    with pytest.raises(ValueError, match=r"export vectors from fastText as \.vec instead"):
        load(tmp_path / "m.ftz")


def test_facebooks_model_files_written_by_gensim_are_read_as_gensim_reads_them(tmp_path: Path) -> None:
    from gensim.models import fasttext

    texts = [["where", "the", "whale", "swims"], ["the", "whale", "and", "the", "naïve", "ship"]] * 20
    model = fasttext.FastText(texts, vector_size=8, min_count=1, epochs=2, bucket=500, seed=1, workers=1)
    fasttext.save_facebook_model(model, str(tmp_path / "m.bin"))
    ours, theirs = load(tmp_path / "m.bin"), fasttext.load_facebook_vectors(str(tmp_path / "m.bin"))
    for word in ("whale", "naïve", "whales", "swimming"):
        np.testing.assert_allclose(ours[word], theirs[word], atol=1e-6)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_model_file_is_read(tmp_path: Path, pack) -> None:
    suffix = {gzip.compress: ".gz", bz2.compress: ".bz2", lzma.compress: ".xz"}[pack]
    content = fasttext_bin(np.random.default_rng(0).normal(size=(52, 4)).astype(np.float32), ["where", "кит"], 50)
    (tmp_path / "m.bin").write_bytes(content)
    (tmp_path / f"m.bin{suffix}").write_bytes(pack(content))
    plain, packed = load(tmp_path / "m.bin"), load(tmp_path / f"m.bin{suffix}")
    np.testing.assert_array_equal(packed.vectors, plain.vectors)
    (tmp_path / f"torn.bin{suffix}").write_bytes(pack(content[:-9]))
    with pytest.raises(ValueError, match="within its matrix; it was cut short"):
        load(tmp_path / f"torn.bin{suffix}")


def test_a_limit_is_kept_for_a_model_file(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(fasttext_bin(np.random.default_rng(0).normal(size=(53, 4)), ["where", "кит", "as"], 50))
    whole, part = load(tmp_path / "m.bin"), load(tmp_path / "m.bin", limit=2)
    assert part.index_to_key == ["where", "кит"]
    np.testing.assert_array_equal(part.vectors, whole.vectors[:2])
    np.testing.assert_array_equal(part["unseen"], whole["unseen"])


@pytest.mark.parametrize(
    ("place", "form", "value", "message"),
    [
        (64, "<2i", (2**31 - 1, 2**31 - 1), "within its vocabulary, which would take"),  # entries and words
        (-52 * 16 - 16, "<q", (2**34,), "within its matrix, which would take"),  # rows
    ],
)
def test_sizes_are_compared_with_the_files_length_before_memory_is_taken(tmp_path: Path, place, form, value, message: str) -> None:
    content = bytearray(fasttext_bin(np.ones((52, 4), dtype=np.float32), ["where", "as"], 50))
    place %= len(content)
    content[place : place + struct.calcsize(form)] = struct.pack(form, *value)
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "m.bin")


def test_a_binary_that_promises_more_than_its_length_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"4000000000 60000\n" + b"a " + bytes(240))
    with pytest.raises(ValueError, match="promises 4000000000 words of width 60000, more than fit its"):
        load(tmp_path / "v", "word2vec-binary")


@pytest.mark.parametrize("first", ["new york", "a b c", "12", "1 x", "naïve", "\u00a0", "x\u0085y"])
@pytest.mark.parametrize("header", [True, False])
def test_a_text_whose_first_word_is_strange_is_still_a_text(tmp_path: Path, first: str, header: bool) -> None:
    rows = f"{first} 0.5 -1 2e-3\nship 1 2 3\nthe whale 4 5 6\n"
    (tmp_path / "v").write_text(("3 3\n" if header else "") + rows, encoding="utf-8")
    vectors = load(tmp_path / "v")
    assert vectors.index_to_key == [first, "ship", "the whale"]
    np.testing.assert_array_equal(vectors.vectors, np.array([[0.5, -1, 2e-3], [1, 2, 3], [4, 5, 6]], dtype=np.float32))


def test_a_first_line_longer_than_the_sample_is_read(tmp_path: Path) -> None:
    width = 20_000
    (tmp_path / "v").write_text(f"1 {width}\nword " + " ".join(["0.12345678"] * width) + "\n")
    assert load(tmp_path / "v").vectors.shape == (1, width)


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "h").write_text("\ufeff1 2\nship 1 2\n", encoding="utf-8")
    (tmp_path / "g").write_text("\ufeffship 1 2\nsea 3 4\n", encoding="utf-8")
    assert load(tmp_path / "h").index_to_key == ["ship"]
    assert load(tmp_path / "g").index_to_key == ["ship", "sea"]


@pytest.mark.parametrize("form", ["word2vec-text", "word2vec-binary", "glove"])
def test_bad_words_are_refused_or_skipped_with_their_number(tmp_path: Path, capsys: pytest.CaptureFixture, form: str) -> None:
    save(WordVectors(["a", "b", "XX", "c"], np.arange(8, dtype=np.float32).reshape(4, 2)), tmp_path / "v", form)
    content = (tmp_path / "v").read_bytes()
    (tmp_path / "encoding").write_bytes(content.replace(b"XX", b"\xff\xfe"))
    (tmp_path / "repeated").write_bytes(content.replace(b"XX ", b"a "))
    with pytest.raises(ValueError, match=r"\(word 3\) is not UTF-8; load\(\.\.\., bad_words='skip'\) leaves such words out"):
        load(tmp_path / "encoding", form)
    with pytest.raises(ValueError, match="the word 'a' appears twice"):
        load(tmp_path / "repeated", form)
    for name, numbers in (("encoding", "1 words that are not UTF-8 and 0"), ("repeated", "0 words that are not UTF-8 and 1")):
        vectors = load(tmp_path / name, form, bad_words="skip")
        assert vectors.index_to_key == ["a", "b", "c"]
        assert vectors.vectors.tolist() == [[0, 1], [2, 3], [6, 7]]
        assert numbers in capsys.readouterr().err


def test_any_word_survives_the_native_format(tmp_path: Path) -> None:
    words = ["a\nb", "a", "b", "", " ", "\u2028", "\x00", "naïve"]
    save(WordVectors(words, np.ones((8, 2), dtype=np.float32)), tmp_path / "v", "safetensors")
    assert load(tmp_path / "v").index_to_key == words


def test_a_damaged_compressed_vector_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "v.gz").write_bytes(gzip.compress(b"3 1\na 1\nb 2\nc 3\n" * 2000)[:-12])
    with pytest.raises(ValueError, match=r"v\.gz is damaged or cut short"):
        load(tmp_path / "v.gz")
