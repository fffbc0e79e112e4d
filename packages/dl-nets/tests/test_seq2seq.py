"""Recurrent networks from tokens to tokens: attention from its equations, and a decoder that answers as it was taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.language.alignment import Alignment, attention_shares
from dl_nets.language.heat_maps import draw_attention
from dl_nets.language.seq2seq import EncoderDecoder, EncoderDecoderConfig
from dl_nets.tasks.reverse import Reverse, ReverseConfig
from rl_core.tokens import Tokens

SOURCE, TARGET = Tokens(6, 9, padding=0), Tokens(5, 7, padding=0, end=1)
FORMS = [("additive", "gru"), ("dot", "lstm"), ("general", "rnn"), ("none", "lstm")]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def module(attention: str = "additive", cell: str = "lstm", **settings: object) -> EncoderDecoder:
    config = EncoderDecoderConfig(attention=attention, cell=cell, units=8, embedding=6, attention_size=5, **settings)
    return EncoderDecoder(config, SOURCE, TARGET, rng()).eval()


@torch.no_grad()
def test_scores_are_those_of_the_equations() -> None:
    steps, query = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4)
    additive = Alignment("additive", 4, 5, rng(), coverage=True)
    covered = torch.full((2, 3), 0.5)
    v, w, u, c = additive.score.weight[0], additive.key, additive.query.weight, additive.coverage
    wanted = [[v @ torch.tanh(w(steps[b, s]) + u @ query[b] + covered[b, s] * c) for s in range(3)] for b in range(2)]
    torch.testing.assert_close(additive(query, additive.keys(steps), covered), torch.tensor(wanted))
    general = Alignment("general", 4, 5, rng())
    wanted = [[query[b] @ (general.key.weight @ steps[b, s]) for s in range(3)] for b in range(2)]
    torch.testing.assert_close(general(query, general.keys(steps)), torch.tensor(wanted))


def test_shares_are_even_for_equal_scores_and_leave_padding_out() -> None:
    known = torch.tensor([[True, False, False], [True, True, True]])
    assert attention_shares(torch.full((2, 3), 2.5), known).tolist() == [[1.0, 0.0, 0.0], pytest.approx([1 / 3] * 3)]
    assert attention_shares(torch.randn(1, 1), None).tolist() == [[1.0]]


@pytest.mark.parametrize(("attention", "cell"), FORMS)
def test_an_answer_is_the_likeliest_token_after_those_before_it(attention: str, cell: str) -> None:
    """Greedy answers are those of the decoder that is taught the same tokens; padding and neighbours change nothing."""
    network = module(attention, cell)
    inputs = torch.from_numpy(rng(2).integers(2, 9, (8, 6)))
    inputs[:4, 3:] = 0
    network.output.weight.data *= 20.0  # texts that differ
    memory, place = network.encode(inputs)
    written = torch.zeros(8, 5, dtype=torch.int64)
    for t in range(5):
        before = torch.cat([network.begin(8, inputs.device), written[:, :t]], dim=1)
        logits = network.logits(network.read(memory, place, before)[0])[:, t]
        logits[:, 0] = -torch.inf
        written[:, t] = torch.where((written[:, :t] == 1).any(dim=1), 0, logits.argmax(dim=1))
    assert torch.equal(network.answers(inputs), written)
    assert torch.equal(network.answers(inputs[:4, :4]), written[:4])
    assert len({tuple(row) for row in written.tolist()}) > 2
    if attention != "none":
        shares = network.attention(inputs, written)
        torch.testing.assert_close(shares.sum(dim=2), torch.ones(8, 5))
        assert not shares[:4, :, 3:].any()


def test_the_loss_leaves_padding_out_and_counts_examples_by_their_weights() -> None:
    network = module(tied=True)
    inputs, targets = torch.tensor([[3, 4, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0]]), torch.tensor([[4, 1, 0, 0, 0], [6, 6, 6, 6, 1]])
    memory, place = network.encode(inputs)
    before = torch.cat([network.begin(2, inputs.device), targets[:, :-1]], dim=1)
    log_probs = network.logits(network.read(memory, place, before)[0]).log_softmax(dim=2)
    first = -(log_probs[0, 0, 4] + log_probs[0, 1, 1]) / 2
    loss, _ = network.training_loss(inputs, targets, torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(first.item(), rel=1e-5)
    with pytest.raises(ValueError, match="this network reads and writes tokens"):
        EncoderDecoder(EncoderDecoderConfig(), spaces.Box(0, 1, (3,)), TARGET, rng())


def test_the_attention_is_drawn(tmp_path: Path) -> None:
    task = Reverse(ReverseConfig(length=6, symbols=6, examples=100))
    network = EncoderDecoder(EncoderDecoderConfig(units=4), task.input_space, task.output_space, rng()).eval()
    with torch.no_grad():
        draw_attention(tmp_path / "attention.png", network, task)
    assert (tmp_path / "attention.png").stat().st_size > 5000
