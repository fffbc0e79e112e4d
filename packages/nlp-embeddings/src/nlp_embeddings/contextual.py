"""Vectors of words in their sentence, and of sentences, from a local BERT- or GPT-like model; needs the extra `transformers`.

Source: Devlin et al., "BERT", 2019; Reimers, Gurevych, "Sentence-BERT", 2019 (pooling).
The folder is what `save_pretrained` of the library transformers writes: a model and its tokenizer. Nothing is downloaded.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

Pooling = Literal["mean", "first", "last", "max"]


class ContextualEncoder:
    """Texts to vectors through a transformer.

    Args:
        folder: The model's folder.
        pooling: How a text's token vectors become one: their mean, the first (BERT's [CLS]), the last (GPT's), the maximum.
        layer: Which layer's vectors; -1 is the last.
        device: "cpu" or "cuda".

    Raises:
        ValueError: if the folder is none, holds no model, or the libraries are missing.
    """

    def __init__(self, folder: Path | str, *, pooling: Pooling = "mean", layer: int = -1, device: str = "cpu") -> None:
        if not (Path(folder) / "config.json").is_file():
            raise ValueError(f"{folder} holds no config.json; name a folder that `save_pretrained` wrote")
        if pooling not in ("mean", "first", "last", "max"):
            raise ValueError(f"pooling is {pooling!r}; it must be mean, first, last or max")
        try:
            self._torch = importlib.import_module("torch")
            transformers = importlib.import_module("transformers")
        except ImportError as error:
            raise ValueError("contextual vectors need torch and transformers: pip install 'nlp-embeddings[transformers]'") from error
        self.pooling, self.layer, self.device = pooling, layer, device
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).to(device).eval()

    def tokens(self, texts: list[str]) -> list[tuple[list[str], np.ndarray]]:
        """Of each text its tokens and their vectors [T, d], special tokens left out."""
        batch, hidden = self._run(texts)
        found = []
        for row in range(len(texts)):
            ids = batch["input_ids"][row].tolist()
            special = self._tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
            kept = [i for i in range(len(ids)) if batch["attention_mask"][row, i] and not special[i]]
            found.append((self._tokenizer.convert_ids_to_tokens([ids[i] for i in kept]), hidden[row, kept]))
        return found

    def predict(self, texts: np.ndarray, batch_size: int = 32) -> np.ndarray:
        """Vectors of texts [B, d]; what the evaluation tasks take: `task.evaluate(encoder.predict, ...)`."""
        parts = []
        for start in range(0, len(texts), batch_size):
            batch, hidden = self._run([str(text) for text in texts[start : start + batch_size]])
            parts.append(pool(hidden, batch["attention_mask"].cpu().numpy(), self.pooling))
        return np.concatenate(parts)

    def _run(self, texts: list[str]) -> tuple[Any, np.ndarray]:
        batch = self._tokenizer(texts, return_tensors="pt", padding=True, truncation=True).to(self.device)
        with self._torch.no_grad():
            states = self._model(**batch, output_hidden_states=True).hidden_states
        return batch, states[self.layer].float().cpu().numpy()


def pool(hidden: np.ndarray, mask: np.ndarray, pooling: Pooling) -> np.ndarray:
    """One vector [B, d] of each text's token vectors [B, T, d], where the mask [B, T] is 1.

    Example:
        >>> hidden = np.array([[[1.0], [3.0], [9.0]]])
        >>> [pool(hidden, np.array([[1, 1, 0]]), how).item() for how in ("mean", "first", "last", "max")]
        [2.0, 1.0, 3.0, 3.0]
    """
    kept = mask[:, :, None].astype(hidden.dtype)
    if pooling == "mean":
        return (hidden * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
    if pooling == "max":
        return np.where(kept > 0, hidden, -np.inf).max(axis=1)
    place = mask.argmax(axis=1) if pooling == "first" else mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    return hidden[np.arange(len(hidden)), place]
