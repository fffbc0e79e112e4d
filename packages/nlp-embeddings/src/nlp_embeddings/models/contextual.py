"""Vectors of words in their sentences, and of texts, from a local BERT- or GPT-like model; needs the extra `transformers`.

Source: Devlin et al., "BERT", 2019; Reimers, Gurevych, "Sentence-BERT", 2019 (pooling).
The folder is one that `save_pretrained` of the library transformers wrote: a model and its tokenizer. Nothing is downloaded, and code in
the folder is never run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

Pooling = Literal["mean", "first", "last", "max"]

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")


class ContextualEncoder:
    """A transformer that turns texts into vectors.

    Args:
        folder: The model's folder.
        pooling: Reduction of a text's token vectors to one: their mean, the first (BERT's [CLS]), the last (GPT's), the maximum.
        layer: Layer of the vectors; -1 is the last.
        device: "cpu", "cuda", or "auto", which is CUDA if there is a GPU.

    Raises:
        ValueError: if the folder has no model or no tokenizer, the model has no such layer, or the libraries are missing.

    Attributes:
        vector_size: d.
    """

    def __init__(self, folder: Path | str, *, pooling: Pooling = "mean", layer: int = -1, device: str = "cpu") -> None:
        require_model(folder)
        if pooling not in ("mean", "first", "last", "max"):
            raise ValueError(f"pooling is {pooling!r}; expected mean, first, last or max")
        self._torch, transformers = _libraries()
        if device == "auto":
            device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self.pooling, self.layer, self.device = pooling, layer, device
        self._tokenizer = _loaded(folder, lambda: transformers.AutoTokenizer.from_pretrained(str(folder), **_LOCAL))
        if not self._tokenizer.is_fast:
            raise ValueError(f"the tokenizer in {folder} does not give the letters of each token; save a fast one with `save_pretrained`")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        talk = transformers.utils.logging
        shown = talk.is_progress_bar_enabled()
        talk.disable_progress_bar()  # a run has a bar of its own
        try:
            model = _loaded(folder, lambda: transformers.AutoModel.from_pretrained(str(folder), use_safetensors=True, **_LOCAL))
        finally:
            if shown:
                talk.enable_progress_bar()
        self._model = model.to(device).eval()
        config = self._model.config
        self.vector_size = int(config.hidden_size)
        if not -config.num_hidden_layers - 1 <= layer <= config.num_hidden_layers:
            raise ValueError(f"layer is {layer}; the model in {folder} has {config.num_hidden_layers} layers, and 0 is its embedding")
        self._most_tokens = min(self._tokenizer.model_max_length, getattr(config, "max_position_embeddings", 1 << 20))

    def tokens(self, texts: list[str]) -> list[tuple[list[str], np.ndarray]]:
        """Return the tokens of each text and their vectors [T, d], without special tokens."""
        batch, _, hidden = self._run(texts)
        found = []
        for row in range(len(texts)):
            ids = batch["input_ids"][row].tolist()
            special = self._tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
            kept = [i for i in range(len(ids)) if batch["attention_mask"][row, i] and not special[i]]
            found.append((self._tokenizer.convert_ids_to_tokens([ids[i] for i in kept]), hidden[row, kept]))
        return found

    def words(self, sentences: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """Return the vectors of the words of each sentence [T, d]: the means of their pieces.

        Words beyond the model's maximal length have NaN.

        Args:
            sentences: Lists of words, which are joined by spaces.
        """
        _, spans, hidden = self._run([" ".join(words) for words in sentences])
        found = []
        for words, pieces, vectors in zip(sentences, spans, hidden, strict=True):
            lengths = np.array([len(word) for word in words])
            begins = np.concatenate([[0], np.cumsum(lengths[:-1] + 1)])
            last = pieces[:, 1] - 1  # a piece belongs to the word of its last letter
            number = np.searchsorted(begins, last, side="right") - 1
            real = (last >= pieces[:, 0]) & (last < begins[number] + lengths[number])  # not special tokens, padding and spaces
            number = number[real]
            sums = np.zeros((len(words), hidden.shape[2]))
            np.add.at(sums, number, vectors[real])
            count = np.bincount(number, minlength=len(words))[:, None]
            found.append(np.where(count > 0, sums / np.maximum(count, 1), np.nan))
        return found

    def predict(self, texts: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Return vectors of texts [B, d]; a predictor for evaluation tasks: `task.evaluate(encoder.predict, ...)`."""
        parts = []
        for start in range(0, len(texts), batch_size):
            batch, _, hidden = self._run([str(text) for text in texts[start : start + batch_size]])
            parts.append(pool(hidden, batch["attention_mask"].cpu().numpy(), self.pooling))
        return np.concatenate(parts)

    def _run(self, texts: list[str]) -> tuple[Any, np.ndarray, np.ndarray]:
        """Return the tokenizer's output, the letters of each token [B, T, 2], and the layer's vectors [B, T, d]."""
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
    """Reduce token vectors [B, T, d] with a mask [B, T] to one vector of each text [B, d]; zeros if the mask is 0 everywhere.

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


def require_model(folder: Path | str) -> None:
    """Check that a folder has the files of a model and of its tokenizer.

    Raises:
        ValueError: if config.json or the tokenizer is missing: transformers would make an empty one without words.
    """
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; name a folder that `save_pretrained` wrote")
    if not any((Path(folder) / name).is_file() for name in _TOKENIZER_FILES):
        raise ValueError(f"{folder} holds no tokenizer; save it there too: tokenizer.save_pretrained({str(folder)!r})")


def _loaded(folder: Path | str, load: Callable[[], Any]) -> Any:
    """Return what `load` returns; its errors name the folder."""
    try:
        return load()
    except (OSError, ValueError, KeyError, TypeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"the model in {folder} cannot be loaded: {first}; save it again with `save_pretrained`") from error


def write_random_bert(folder: Path, words: Sequence[str], rng: np.random.Generator, *, vector_size: int = 64, layers: int = 2) -> None:
    """Write a small untrained BERT, and a tokenizer of these words and of single letters for others.

    It is a baseline for trained models: its vectors of texts are little more than random projections of their words.

    Args:
        folder: Existing folder to write to.
        words: The vocabulary.
        rng: Draws the weights: normal with standard deviation 0.02, as in BERT before training.
        vector_size: d, divisible by 4, the number of heads.
        layers: Number of layers.
    """
    torch, transformers = _libraries()
    letters = sorted({letter for word in words for letter in word})
    pieces = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters, *(f"##{letter}" for letter in letters)])
    (folder / "vocab.txt").write_text("\n".join(pieces), encoding="utf-8")
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(pieces), hidden_size=vector_size, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=4 * vector_size
    )
    with torch.device("meta"):  # shapes alone: torch's own generator is not used
        shapes = {name: tuple(parameter.shape) for name, parameter in transformers.BertModel(config).named_parameters()}
    weights = {}
    for name, shape in shapes.items():
        plain = np.ones if name.endswith("LayerNorm.weight") else np.zeros
        weights[name] = (rng.normal(0, 0.02, shape) if len(shape) == 2 else plain(shape)).astype(np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(folder)


def load_torch() -> None:
    """Import torch before a run limits the threads, so that the limit reaches it.

    Raises:
        ValueError: if it is not installed.
    """
    _libraries()


def _libraries() -> tuple[Any, Any]:
    """Import torch and transformers."""
    try:
        return importlib.import_module("torch"), importlib.import_module("transformers")
    except ImportError as error:
        raise ValueError("contextual vectors need torch and transformers: pip install 'nlp-embeddings[transformers]'") from error
