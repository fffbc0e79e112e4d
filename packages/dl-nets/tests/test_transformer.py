"""Attention from its equations, and the transformers built of it: encoder, decoder with a cache, and both together with beam search."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from dl_nets.networks.attention import Attention
from dl_nets.networks.generation import beam_search, choose, filtered
from dl_nets.networks.transformer import Transformer, TransformerConfig
from dl_nets.networks.transformer_seq2seq import Seq2Seq, Seq2SeqConfig
from rl_core.tokens import Tokens

TEXT = Tokens(8, 9)
PADDED = Tokens(6, 9, padding=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def decoder(**config: Any) -> Transformer:
    return Transformer(TransformerConfig(width=16, causal=True, tied=True, **config), TEXT, TEXT, rng()).eval()


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_that_of_the_equations(causal: bool) -> None:
    """softmax(Q K' / sqrt(d)) V, head by head and step by step, in float64."""
    module = Attention(6, 2, rng()).double()
    steps = torch.from_numpy(rng(1).standard_normal((2, 5, 6)))
    query = module.query(steps)
    keys, values = module.key_value(steps).chunk(2, dim=2)
    read = torch.zeros_like(steps)
    for b, head, t in itertools.product(range(2), range(2), range(5)):
        part, last = slice(3 * head, 3 * head + 3), t + 1 if causal else 5
        scores = torch.stack([query[b, t, part] @ keys[b, s, part] / math.sqrt(3) for s in range(last)])
        weights = torch.exp(scores) / torch.exp(scores).sum()
        read[b, t, part] = sum(weights[s] * values[b, s, part] for s in range(last))
    torch.testing.assert_close(module(steps, module.read(steps), causal=causal), module.output(read), rtol=0, atol=1e-5)


def test_padding_changes_no_answer() -> None:
    for pooling in ("mean", "first", "last"):
        module = Transformer(TransformerConfig(width=16, pooling=pooling), PADDED, spaces.Discrete(3), rng()).eval()
        short = Transformer(TransformerConfig(width=16, pooling=pooling), Tokens(3, 9, padding=0), spaces.Discrete(3), rng()).eval()
        weights = module.state_dict()
        weights["embedding.positions"] = weights["embedding.positions"][:3]
        short.load_state_dict(weights)
        torch.testing.assert_close(module(torch.tensor([[4, 2, 7, 0, 0, 0]])), short(torch.tensor([[4, 2, 7]])))
        assert torch.isfinite(module(torch.zeros(1, 6, dtype=torch.int64))).all()


def test_a_causal_network_does_not_look_ahead() -> None:
    module, tokens = decoder(), torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8]])
    changed = tokens.clone()
    changed[0, 5:] = 0
    torch.testing.assert_close(module(tokens)[:, :5], module(changed)[:, :5])
    assert not torch.allclose(module(tokens)[:, 5:], module(changed)[:, 5:])


def test_the_cache_changes_no_token_and_no_logit() -> None:
    module, prompt = decoder(), torch.tensor([[1, 2, 3], [4, 5, 6]])
    for settings in ({"temperature": 20.0}, {"temperature": 20.0, "top_k": 4, "top_p": 0.9}, {"temperature": 0.0}):
        kept, anew = (module.generate(prompt, 20, rng(1), cached=cached, **settings) for cached in (True, False))
        assert torch.equal(kept, anew)
        assert kept.shape == (2, 20)
    with pytest.raises(ValueError, match="does not model the next token; it needs causal=true"):
        Transformer(TransformerConfig(width=16), TEXT, TEXT, rng()).generate(prompt, 1, rng())
    with pytest.raises(ValueError, match="expected \\[B, n\\] with at least one token"):
        module.generate(prompt[:, :0], 1, rng())


def test_draws_have_the_probabilities_that_were_asked_for() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(20_000, 1)
    assert np.bincount(choose(logits, rng()), minlength=4) / 20_000 == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.015)
    nucleus = np.bincount(choose(logits, rng(), top_p=0.6), minlength=4) / 20_000
    assert nucleus == pytest.approx([0.625, 0.375, 0.0, 0.0], abs=0.015)
    assert filtered(logits[:1], top_k=2, top_p=0.4).isinf().tolist() == [[False, True, True, True]]
    with pytest.raises(ValueError, match=r"expected temperature >= 0, top_k >= 0, top_p in \(0, 1\]"):
        choose(logits, rng(), top_p=0.0)


class Table:
    """A model whose next token depends on the last two tokens alone."""

    def __init__(self, size: int) -> None:
        self.log_probs = torch.from_numpy(rng(3).standard_normal((size + 1, size + 1, size))).mul(2.0).log_softmax(dim=2)
        self.texts: Tensor | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        self.texts = tokens if self.texts is None else torch.cat([self.texts, tokens], dim=1)
        before = self.texts[:, -2] if self.texts.shape[1] > 1 else torch.full((len(tokens),), self.log_probs.shape[0] - 1)
        return self.log_probs[before, self.texts[:, -1]]

    def reorder(self, rows: Tensor) -> None:
        assert self.texts is not None
        self.texts = self.texts[rows]


@pytest.mark.parametrize(("end", "penalty"), [(None, 0.0), (1, 0.0), (1, 1.0)])
def test_a_beam_as_wide_as_all_texts_finds_the_best_one(end: int | None, penalty: float) -> None:
    size, length = 4, 4
    begin = torch.tensor([[size], [2]])
    found = beam_search(Table(size), begin, length, beams=size**length, end=end, padding=0, length_penalty=penalty)
    for row in range(2):
        best: tuple[float, list[int]] = (-math.inf, [])
        for text in itertools.product(range(size), repeat=length):
            kept = list(text[: text.index(end) + 1] if end in text else text)
            if end is not None and 0 in kept:
                continue  # padding comes behind the end only
            table, total, before = Table(size), 0.0, begin[row : row + 1]
            for token in kept:
                logits = table(before)
                logits = logits if end is None else logits.clone().index_fill(1, torch.tensor([0]), -torch.inf)
                total += float(logits.log_softmax(dim=1)[0, token])
                before = torch.tensor([[token]])
            best = max(best, (total / ((5 + len(kept)) / 6) ** penalty, kept + [0] * (length - len(kept))))
        assert found[row].tolist() == best[1]


def test_a_decoder_that_keeps_its_keys_answers_as_one_that_is_run_anew() -> None:
    """Greedy answers of `answers` are those of the whole decoder, called with one more token each time."""
    module = Seq2Seq(Seq2SeqConfig(width=16), PADDED, Tokens(5, 7, padding=0, end=1), rng()).eval()
    inputs = torch.from_numpy(rng(2).integers(0, 9, (16, 6)))
    module.output.weight.data *= 20.0  # texts that differ
    written = torch.zeros(16, 5, dtype=torch.int64)
    for t in range(5):
        logits = module(inputs, written)[:, t]
        logits[:, 0] = -torch.inf
        ended = (written[:, :t] == 1).any(dim=1)
        written[:, t] = torch.where(ended, 0, logits.argmax(dim=1))
    assert torch.equal(module.answers(inputs), written)
    assert torch.equal(module.traced_answers(inputs)[0], written)
    assert len({tuple(row) for row in written.tolist()}) > 2


def test_the_loss_of_an_answer_leaves_padding_out() -> None:
    module = Seq2Seq(Seq2SeqConfig(width=16), PADDED, Tokens(5, 7, padding=0, end=1), rng()).eval()
    inputs, targets = torch.tensor([[3, 4, 0, 0, 0, 0]]), torch.tensor([[4, 1, 0, 0, 0]])
    loss, metrics = module.training_loss(inputs, targets)
    log_probs = module(inputs, targets).log_softmax(dim=2)
    assert loss.item() == pytest.approx(-(log_probs[0, 0, 4] + log_probs[0, 1, 1]).item() / 2, rel=1e-5)
    assert 0.0 <= float(metrics["token_accuracy"]) <= 1.0


@pytest.mark.parametrize(
    ("config", "given", "wanted", "message"),
    [
        ({}, Tokens(6, 9), Tokens(5, 9), "transformer-seq2seq answers with any number of tokens"),
        ({"tied": True}, Tokens(6, 9), Tokens(6, 8), "not tokens of one vocabulary"),
        ({"width": 10}, Tokens(6, 9), spaces.Discrete(2), "width must be a multiple of num_heads"),
        ({"patch_size": 3}, spaces.Box(0, 1, (8, 8, 1)), spaces.Discrete(2), "patch_size is 3, but the image is 8 x 8"),
        ({"patch_size": 2}, spaces.Box(0, 1, (8,)), spaces.Discrete(2), "set patch_size=0 where inputs are not images"),
        ({}, spaces.MultiDiscrete([3, 4]), spaces.Discrete(2), "a transformer reads tokens"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(config: dict[str, Any], given: Any, wanted: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Transformer(TransformerConfig(**{"width": 16, **config}), given, wanted, rng())


def test_sequences_of_numbers_have_an_answer_at_each_step() -> None:
    module = Transformer(TransformerConfig(width=16, positions="sinusoidal"), spaces.Box(-1, 1, (7, 3)), spaces.Box(-1, 1, (7, 2)), rng())
    assert module(torch.zeros(4, 7, 3)).shape == (4, 7, 2)


@pytest.mark.learning
def test_an_encoder_and_a_decoder_learn_to_write_backwards() -> None:
    import rl_core

    result = rl_core.learn("transformer-seq2seq", task="reverse", seed=0)
    assert result.reached
