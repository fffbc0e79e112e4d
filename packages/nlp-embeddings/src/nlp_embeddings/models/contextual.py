"""Vectors of words in their sentence, and of sentences, from a local BERT- or GPT-like model; needs the extra `transformers`.

Source: Devlin et al., "BERT", 2019; Reimers, Gurevych, "Sentence-BERT", 2019 (pooling).
The folder is what `save_pretrained` of the library transformers writes: a model and its tokenizer. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

Pooling = Literal["mean", "first", "last", "max"]


class ContextualEncoder:
    """Texts to vectors through a transformer.

    Args:
        folder: The model's folder.
        pooling: How a text's token vectors become one: their mean, the first (BERT's [CLS]), the last (GPT's), the maximum.
        layer: Which layer's vectors; -1 is the last.
        device: "cpu", "cuda", or "auto", which takes CUDA where there is one.

    Raises:
        ValueError: if the folder is none, holds no model, has no such layer, or the libraries are missing.

    Attributes:
        vector_size: d.
    """

    def __init__(self, folder: Path | str, *, pooling: Pooling = "mean", layer: int = -1, device: str = "cpu") -> None:
        refuse_no_model(folder)
        if pooling not in ("mean", "first", "last", "max"):
            raise ValueError(f"pooling is {pooling!r}; it must be mean, first, last or max")
        self._torch, transformers = _libraries()
        if device == "auto":
            device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self.pooling, self.layer, self.device = pooling, layer, device
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        talk = transformers.utils.logging
        shown = talk.is_progress_bar_enabled()
        talk.disable_progress_bar()  # a small file needs none, and a run has one of its own
        try:
            model = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
        finally:
            if shown:
                talk.enable_progress_bar()
        self._model = model.to(device).eval()
        config = self._model.config
        self.vector_size = int(config.hidden_size)
        if not -config.num_hidden_layers - 1 <= layer <= config.num_hidden_layers:
            raise ValueError(f"layer is {layer}; the model in {folder} has {config.num_hidden_layers}, and 0 is its embedding")
        self._most_tokens = min(self._tokenizer.model_max_length, getattr(config, "max_position_embeddings", 1 << 20))

    def tokens(self, texts: list[str]) -> list[tuple[list[str], np.ndarray]]:
        """Of each text its tokens and their vectors [T, d], special tokens left out."""
        batch, _, hidden = self._run(texts)
        found = []
        for row in range(len(texts)):
            ids = batch["input_ids"][row].tolist()
            special = self._tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
            kept = [i for i in range(len(ids)) if batch["attention_mask"][row, i] and not special[i]]
            found.append((self._tokenizer.convert_ids_to_tokens([ids[i] for i in kept]), hidden[row, kept]))
        return found

    def words(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Of each sentence the vectors of its words [T, d]: the means of their pieces.

        NaN for words beyond the length that the model takes.

        Args:
            sentences: Words each, which are joined by spaces.
        """
        _, spans, hidden = self._run([" ".join(words) for words in sentences])
        found = []
        for words, pieces, vectors in zip(sentences, spans, hidden, strict=True):
            lengths = np.array([len(word) for word in words])
            begins = np.concatenate([[0], np.cumsum(lengths[:-1] + 1)])
            last = pieces[:, 1] - 1  # a piece's last letter tells its word
            number = np.searchsorted(begins, last, side="right") - 1
            real = (last >= pieces[:, 0]) & (last < begins[number] + lengths[number])  # not special tokens, padding and spaces
            number = number[real]
            sums = np.zeros((len(words), hidden.shape[2]))
            np.add.at(sums, number, vectors[real])
            count = np.bincount(number, minlength=len(words))[:, None]
            found.append(np.where(count > 0, sums / np.maximum(count, 1), np.nan))
        return found

    def predict(self, texts: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Vectors of texts [B, d]; what the evaluation tasks take: `task.evaluate(encoder.predict, ...)`."""
        parts = []
        for start in range(0, len(texts), batch_size):
            batch, _, hidden = self._run([str(text) for text in texts[start : start + batch_size]])
            parts.append(pool(hidden, batch["attention_mask"].cpu().numpy(), self.pooling))
        return np.concatenate(parts)

    def _run(self, texts: list[str]) -> tuple[Any, np.ndarray, np.ndarray]:
        """What the tokenizer gave, the letters [B, T, 2] that each token stands for, and the layer's vectors [B, T, d]."""
        batch = self._tokenizer(
            texts, return_tensors="pt", padding=True, truncation=True, max_length=self._most_tokens, return_offsets_mapping=True
        )
        spans = batch.pop("offset_mapping").numpy() * batch["attention_mask"].numpy()[:, :, None]
        if batch["input_ids"].shape[1] == 0:  # a GPT has no token for an empty text
            return batch, spans, np.zeros((len(texts), 0, self.vector_size), dtype=np.float32)
        batch = batch.to(self.device)
        with self._torch.no_grad():
            states = self._model(**batch, output_hidden_states=True).hidden_states
        return batch, spans, states[self.layer].float().cpu().numpy()


def pool(hidden: np.ndarray, mask: np.ndarray, pooling: Pooling) -> np.ndarray:
    """One vector [B, d] of each text's token vectors [B, T, d], where the mask [B, T] is 1; zeros where it is 1 nowhere.

    Example:
        >>> hidden = np.array([[[1.0], [3.0], [9.0]]])
        >>> [pool(hidden, np.array([[1, 1, 0]]), how).item() for how in ("mean", "first", "last", "max")]
        [2.0, 1.0, 3.0, 3.0]
    """
    kept = mask[:, :, None].astype(hidden.dtype)
    if not mask.any(axis=1).all():
        pooled = np.zeros((len(hidden), hidden.shape[2]), dtype=hidden.dtype)
        some = mask.any(axis=1)
        if some.any():
            pooled[some] = pool(hidden[some], mask[some], pooling)
        return pooled
    if pooling == "mean":
        return (hidden * kept).sum(axis=1) / kept.sum(axis=1)
    if pooling == "max":
        return np.where(kept > 0, hidden, -np.inf).max(axis=1)
    place = mask.argmax(axis=1) if pooling == "first" else mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return hidden[np.arange(len(hidden)), place]


def refuse_no_model(folder: Path | str) -> None:
    """Nothing, for a folder that may hold a model.

    Raises:
        ValueError: if there is no config.json.
    """
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; name a folder that `save_pretrained` wrote")


def write_random_bert(folder: Path, words: Sequence[str], rng: np.random.Generator, *, vector_size: int = 64, layers: int = 2) -> None:
    """Write a small BERT that was never trained, and a tokenizer of these words and of single letters for the others.

    What a trained model is to be compared with: its vectors of texts are little more than random projections of their words.

    Args:
        folder: Where to; it must exist.
        words: The vocabulary.
        rng: Of the weights: normal with standard deviation 0.02, as BERT's before training.
        vector_size: d, divisible by 4, the number of heads.
        layers: How many.
    """
    torch, transformers = _libraries()
    letters = sorted({letter for word in words for letter in word})
    pieces = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)])
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=vector_size, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=4 * vector_size
    )
    with torch.device("meta"):  # shapes alone: torch's own generator is left as it is
        shapes = {name: tuple(parameter.shape) for name, parameter in transformers.BertModel(config).named_parameters()}
    weights = {}
    for name, shape in shapes.items():
        plain = np.ones if name.endswith("LayerNorm.weight") else np.zeros
        weights[name] = (rng.normal(0, 0.02, shape) if len(shape) == 2 else plain(shape)).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)


def _libraries() -> tuple[Any, Any]:
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError as error:
        raise ValueError("contextual vectors need torch and transformers: pip install 'nlp-embeddings[transformers]'") from error
