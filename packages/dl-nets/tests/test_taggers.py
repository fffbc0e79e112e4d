"""Taggers and convolutions over words: the random field against sums over all paths, padding, and letters."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.language.crf import CRF, log_partition, path_score, viterbi
from dl_nets.language.phrase_order import ORDERS, PhraseOrder, PhraseOrderConfig
from dl_nets.language.tagger import Spelling, Tagger, TaggerConfig
from dl_nets.language.text_cnn import TextCNN, TextCNNConfig
from rl_core.tokens import Tokens

WORDS, TAGS = Tokens(6, 9, padding=0), Tokens(6, 4, padding=0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_random_field_is_that_of_all_paths() -> None:
    """log Z, its gradient, which is the marginals, and the best path, for 3 tags and rows of 5, 3 and 1 steps in one padded batch."""
    drawn = rng(4)
    scores = torch.tensor(drawn.standard_normal((3, 5, 3)), requires_grad=True)
    transitions, lengths = torch.tensor(drawn.standard_normal((4, 4))), torch.tensor([5, 3, 1])
    log_z = log_partition(scores, transitions, lengths)
    gradient = torch.autograd.grad(log_z.sum(), scores)[0]
    best = viterbi(scores, transitions, lengths)
    for row, length in enumerate(lengths.tolist()):
        paths = torch.tensor(list(itertools.product(range(3), repeat=length)))
        part, end = scores[row, :length].detach(), transitions[paths[:, -1] + 1, 0]
        values = part[torch.arange(length), paths].sum(dim=1) + transitions[0, paths[:, 0] + 1] + end
        values = values + transitions[paths[:, :-1] + 1, paths[:, 1:] + 1].sum(dim=1)
        assert log_z[row].item() == pytest.approx(values.logsumexp(dim=0).item(), abs=1e-9)
        shares = values.softmax(dim=0)
        marginals = torch.stack([torch.stack([shares[paths[:, t] == k].sum() for k in range(3)]) for t in range(length)])
        torch.testing.assert_close(gradient[row, :length], marginals)
        assert not gradient[row, length:].any()
        assert torch.equal(best[row, :length], paths[values.argmax()])
        padded = torch.nn.functional.pad(paths[:2], (0, 5 - length))
        both = path_score(scores[row : row + 1].expand(2, -1, -1), transitions, padded, torch.tensor([length] * 2))
        torch.testing.assert_close(both.detach(), values[:2])


def test_answers_hold_no_pair_that_the_training_sequences_lack() -> None:
    layer, lengths = CRF(3, rng()), torch.tensor([4])
    scores = torch.tensor([[[9.0, 0, 0], [0, 0, 9.0], [9.0, 0, 0], [0, 0, 9.0]]])
    assert layer.answers(scores, lengths).tolist() == [[0, 2, 0, 2]]
    layer.losses(scores, torch.tensor([[0, 1, 2, 0]]), lengths)
    layer.eval().losses(scores, torch.tensor([[0, 2, 0, 2]]), lengths)  # a validation sequence teaches nothing
    assert layer.answers(scores, lengths).tolist() == [[0, 1, 2, 0]]


@pytest.mark.parametrize("crf", [False, True])
def test_padding_changes_no_tag_and_no_loss(crf: bool) -> None:
    space = spaces.Dict(words=WORDS, letters=spaces.MultiDiscrete(np.full((6, 4), 7)))
    network = Tagger(TaggerConfig(crf=crf, units=5, embedding=4, filters=3), space, TAGS, rng()).eval()
    inputs = {
        "words": torch.tensor([[3, 4, 0, 0, 0, 0], [5, 6, 7, 8, 2, 2]]),
        "letters": torch.from_numpy(rng(1).integers(0, 7, (2, 6, 4))),
    }
    targets = torch.tensor([[1, 2, 0, 0, 0, 0], [3, 1, 2, 3, 3, 1]])
    alone = {name: part[:1, :2] for name, part in inputs.items()}
    answers = network.answers(inputs)
    assert torch.equal(answers[:1, :2], network.answers(alone))
    assert (answers[0, 2:] == 0).all()
    assert (answers[1] > 0).all()
    loss = network.training_loss(inputs, targets, torch.tensor([1.0, 0.0]))[0]
    torch.testing.assert_close(loss, network.training_loss(alone, targets[:1, :2])[0])
    with pytest.raises(ValueError, match="a tagger reads words, tokens"):
        Tagger(TaggerConfig(), WORDS, Tokens(5, 4), rng())


def test_a_word_that_is_left_out_is_read_by_its_letters_while_training_only() -> None:
    space = spaces.Dict(words=WORDS, letters=spaces.MultiDiscrete(np.full((6, 4), 7)))
    config = TaggerConfig(units=5, embedding=4, filters=3, filter_width=5, dropout=0.0, word_dropout=0.999)
    network = Tagger(config, space, TAGS, rng())
    letters = torch.from_numpy(rng(1).integers(1, 7, (2, 6, 4)))
    one, other = ({"words": torch.full((2, 6), word), "letters": letters} for word in (3, 4))
    assert torch.equal(network.train().scores(one)[0], network.scores(other)[0])
    assert not torch.equal(network.scores(one)[0], network.scores(one | {"letters": letters.flip(0)})[0])
    assert not torch.equal(network.eval().scores(one)[0], network.scores(other)[0])
    with pytest.raises(ValueError, match="filter_width is 4; expected an odd number"):
        TaggerConfig(filter_width=4)


def test_letters_are_read_three_at_a_time_and_their_maximum_is_taken() -> None:
    layer = Spelling(5, 2, 3, 3, rng())
    one, two = layer(torch.tensor([[[1, 2, 3, 0, 0]]])), layer(torch.tensor([[[1, 2, 3]]]))
    torch.testing.assert_close(one, two)
    vectors = torch.nn.functional.pad(layer.letters.weight[[1, 2, 3]], (0, 0, 1, 1))
    windows = torch.stack([torch.tanh(layer.filters(vectors[place : place + 3].flatten())) for place in range(3)])
    torch.testing.assert_close(two[0, 0], windows.amax(dim=0))


def test_convolutions_see_neighbours_wherever_they_are_and_no_padding() -> None:
    network = TextCNN(TextCNNConfig(widths=(2, 3), filters=4, embedding=5), Tokens(8, 9, padding=0), spaces.Discrete(3), rng()).eval()
    short, long = torch.tensor([[5, 6, 7]]), torch.tensor([[5, 6, 7, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]])
    torch.testing.assert_close(network(long)[:1], network(short))
    assert not torch.allclose(network(short), network(short.flip(1)))
    task = PhraseOrder(PhraseOrderConfig(held_out=600))
    words, classes = task.read("test", np.arange(600))
    for row, name in zip(words, classes, strict=True):
        place = int(np.flatnonzero(np.isin(row, (1, 2, 3)))[0])
        assert (row[place : place + 3] == ORDERS[name]).all()
        assert np.isin(row, (1, 2, 3)).sum() == 3
    assert np.bincount(classes).min() > 60
