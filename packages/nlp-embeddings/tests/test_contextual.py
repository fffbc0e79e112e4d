from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from nlp_embeddings.contextual import ContextualEncoder, pool

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


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json"):
        ContextualEncoder(tmp_path)


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="pooling is 'sum'; it must be mean, first, last or max"):
        ContextualEncoder(tmp_path, pooling="sum")


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is here")
def test_without_torch_the_remedy_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"pip install 'nlp-embeddings\[transformers\]'"):
        ContextualEncoder(tmp_path)
