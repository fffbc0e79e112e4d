from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.corpus.corpus_task import CorpusConfig, CorpusTask
from nlp_embeddings.evaluate.evaluation import rank_correlation
from nlp_embeddings.evaluate.questions import read_pairs
from nlp_embeddings.models.contextual import ContextualEncoder, pool, write_random_bert
from nlp_embeddings.models.contextual_agent import Contextual, ContextualConfig
from rl_core.seeds import Seeds

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("torch") is None,
    reason="the extra `transformers` is absent",
)
WORDS = ["the", "white", "whale", "swims", "ship"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = importlib.import_module("transformers")
    folder = tmp_path_factory.mktemp("bert")
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=10, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = importlib.import_module("transformers")
    folder = tmp_path_factory.mktemp("gpt")
    letters = sorted({*"".join(WORDS), "Ġ", "<|endoftext|>"})
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    config = transformers.GPT2Config(vocab_size=len(letters), n_embd=16, n_layer=2, n_head=2, n_positions=64)
    transformers.GPT2Model(config).save_pretrained(folder)
    return folder


@needs_transformers
@pytest.mark.parametrize("model", ["bert", "gpt"])
@pytest.mark.parametrize("pooling", ["mean", "first", "last", "max"])
def test_a_text_has_the_same_vector_alone_and_beside_a_longer_one(model: str, pooling: str, request: pytest.FixtureRequest) -> None:
    encoder = ContextualEncoder(request.getfixturevalue(model), pooling=pooling)
    together = encoder.predict(np.array(["the whale", "the white whale swims the ship"], dtype=object))
    alone = encoder.predict(np.array(["the whale"], dtype=object))
    assert together.shape == (2, 16)
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)


@needs_transformers
def test_a_word_has_another_vector_in_another_sentence(bert: Path) -> None:
    (first, one), (second, other) = ContextualEncoder(bert).tokens(["the whale swims", "the white whale"])
    assert (first, second) == (["the", "whale", "swims"], ["the", "white", "whale"])
    assert np.abs(one[1] - other[2]).max() > 1e-3


def test_pooling_looks_only_where_the_mask_is() -> None:
    hidden = np.arange(12, dtype=float).reshape(1, 4, 3)
    mask = np.array([[0, 1, 1, 0]])
    assert pool(hidden, mask, "mean").tolist() == [[4.5, 5.5, 6.5]]
    assert pool(hidden, mask, "first").tolist() == [[3.0, 4.0, 5.0]]
    assert pool(hidden, mask, "last").tolist() == [[6.0, 7.0, 8.0]]
    assert pool(hidden, mask, "max").tolist() == [[6.0, 7.0, 8.0]]
    for how in ("mean", "first", "last", "max"):
        nowhere = pool(np.concatenate([hidden, hidden]), np.concatenate([mask, 0 * mask]), how)
        assert nowhere.tolist() == [pool(hidden, mask, how)[0].tolist(), [0.0, 0.0, 0.0]]


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        ContextualEncoder(tmp_path)


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocab.txt").write_text("the")
    with pytest.raises(ValueError, match="pooling is 'sum'; expected mean, first, last or max"):
        ContextualEncoder(tmp_path, pooling="sum")


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is here")
def test_without_torch_the_remedy_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocab.txt").write_text("the")
    with pytest.raises(ValueError, match=r"pip install 'nlp-embeddings\[transformers\]'"):
        ContextualEncoder(tmp_path)


@needs_transformers
def test_a_layer_that_the_model_has_not_is_refused(bert: Path) -> None:
    with pytest.raises(ValueError, match=r"layer is 3; the model in .* has 2 layers, and 0 is its embedding"):
        ContextualEncoder(bert, layer=3)


@needs_transformers
@pytest.mark.parametrize("model", ["bert", "gpt"])
def test_a_words_vector_is_the_mean_of_its_pieces(model: str, request: pytest.FixtureRequest) -> None:
    encoder = ContextualEncoder(request.getfixturevalue(model))
    ((pieces, of_pieces),) = encoder.tokens(["the white whale"])
    (of_words,) = encoder.words([["the", "white", "whale"]])
    assert of_words.shape == (3, 16)
    letters = [(piece, vector) for piece, vector in zip(pieces, of_pieces, strict=True) if piece != "Ġ"]  # that one is a space
    for word, vector in zip(["the", "white", "whale"], of_words, strict=True):
        spelled, parts = "", []
        while spelled != word:
            piece, part = letters.pop(0)
            spelled, parts = spelled + piece, [*parts, part]
        np.testing.assert_allclose(vector, np.mean(parts, axis=0), atol=1e-6)


@needs_transformers
@pytest.mark.parametrize("model", ["bert", "gpt"])
def test_a_text_longer_than_the_model_is_cut_and_an_empty_one_has_a_finite_vector(model: str, request: pytest.FixtureRequest) -> None:
    encoder = ContextualEncoder(request.getfixturevalue(model))
    assert np.isfinite(encoder.predict(np.array(["", "whale " * 700], dtype=object))).all()
    assert np.isfinite(encoder.predict(np.array([""], dtype=object))).all()
    (vectors,) = encoder.words([["whale"] * 700])
    whole = np.isfinite(vectors).all(axis=1)
    assert whole[0]
    assert not whole[-1]


@pytest.fixture(scope="module")
def random_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("random")
    write_random_bert(folder, WORDS, np.random.default_rng(0), vector_size=16)
    return folder


@needs_transformers
def test_the_random_model_is_that_of_its_seed_and_moves_no_generator(random_bert: Path, tmp_path: Path) -> None:
    torch = importlib.import_module("torch")
    before = torch.random.get_rng_state()
    write_random_bert(tmp_path, WORDS, np.random.default_rng(0), vector_size=16)
    text = np.array(["the white whale"], dtype=object)
    np.testing.assert_array_equal(ContextualEncoder(tmp_path).predict(text), ContextualEncoder(random_bert).predict(text))
    assert torch.equal(torch.random.get_rng_state(), before)
    write_random_bert(tmp_path, WORDS, np.random.default_rng(1), vector_size=16)
    assert np.abs(ContextualEncoder(tmp_path).predict(text) - ContextualEncoder(random_bert).predict(text)).max() > 0.1


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusTask:
    path = tmp_path / "whales.txt"
    path.write_text("the white whale swims\nthe ship\nthe whale\nship the whale the ship\n" * 5)
    return CorpusTask(CorpusConfig(path=str(path), sentences="line"))


def agent(task: CorpusTask, folder: Path, **config: object) -> Contextual:
    return Contextual(ContextualConfig(folder=str(folder), **config), task, None, seeds=Seeds(0), budget=10**9, device="cpu")


@needs_transformers
def test_a_words_vector_is_its_mean_over_the_corpus(corpus: CorpusTask, random_bert: Path) -> None:
    learner = agent(corpus, random_bert, chunk_words=10, batch_size=3)
    while not learner.finished:
        learner.step()
    assert learner.progress == len(corpus.corpus)
    encoder, found = ContextualEncoder(random_bert), []
    for begin, end in itertools.pairwise(corpus.corpus.starts):
        words = [corpus.corpus.words[index] for index in corpus.read(int(begin), int(end)) if index >= 0]
        found += [vector for word, vector in zip(words, encoder.words([words])[0], strict=True) if word == "whale"] if words else []
    np.testing.assert_allclose(learner.vectors["whale"], np.mean(found, axis=0), atol=1e-5)
    assert {word for word, _ in learner.answer("whale")} == {"the", "ship", "white", "swims"}


@needs_transformers
def test_a_reading_cut_in_the_middle_ends_with_the_same_bits(corpus: CorpusTask, random_bert: Path) -> None:
    whole, first, second = (agent(corpus, random_bert, chunk_words=10) for _ in range(3))
    while not whole.finished:
        whole.step()
    first.step()
    second.load_state_dict(first.state_dict())
    second.progress = first.progress
    while not second.finished:
        second.step()
    assert second.progress == whole.progress
    np.testing.assert_array_equal(second.sums, whole.sums)


@needs_transformers
def test_a_run_of_a_local_model_is_judged_by_pairs_of_words(random_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("whale ship 3\nwhale swims 2\nthe ship 1\nwhite whale 2.5\n")
    command = [sys.executable, "-m", "rl_core", "run", "contextual", "--task", f"similarity:{tmp_path / 'pairs.txt'}", "--json"]
    ended = subprocess.run(
        [*command, "--set", f"folder={random_bert}", "--budget", "500", "--out", str(tmp_path / "run"), "--device", "cpu"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["metric"] == "spearman"
    pairs = read_pairs(tmp_path / "pairs.txt")
    encoder = ContextualEncoder(random_bert)
    units = {w: v / np.linalg.norm(v) for w in WORDS for v in encoder.predict(np.array([w], dtype=object))}
    rho, _, _ = rank_correlation([float(units[p.first] @ units[p.second]) for p in pairs], [p.score for p in pairs])
    assert result["score"] == pytest.approx(rho)


def test_a_folder_without_a_model_is_refused_by_the_config(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json; name a folder that `save_pretrained` wrote"):
        ContextualConfig(folder=str(tmp_path))


def test_settings_out_of_range_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"batch_size is 0; it must be in \[1, "):
        ContextualConfig(batch_size=0)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    for make in (ContextualEncoder, lambda folder: ContextualConfig(folder=str(folder))):
        with pytest.raises(ValueError, match=r"holds no tokenizer; save it there too: tokenizer\.save_pretrained"):
            make(tmp_path)


@needs_transformers
def test_code_in_the_folder_is_never_run(random_bert: Path, tmp_path: Path) -> None:
    folder, trace = tmp_path / "model", tmp_path / "trace"
    shutil.copytree(random_bert, folder)
    (folder / "strange.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Strange: ...\n")
    for name in ("config.json", "tokenizer_config.json"):
        config = json.loads((folder / name).read_text())
        classes = {"AutoConfig": "strange.Strange", "AutoModel": "strange.Strange", "AutoTokenizer": ["strange.Strange", "strange.Strange"]}
        (folder / name).write_text(json.dumps(config | {"auto_map": classes}))
    with contextlib.suppress(ValueError):  # refused, or loaded as the library's own class
        ContextualEncoder(folder)
    assert not trace.exists()
