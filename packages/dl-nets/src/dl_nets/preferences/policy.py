"""A model of answers to prompts as a policy: probabilities of whole answers, draws, and the divergence of two models.

Padding is never written, so it has no probability. Letters: B batch, S tokens of a prompt, T tokens of an answer, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dl_nets.networks.generation import choose
from dl_nets.networks.transformer_seq2seq import Seq2Seq
from dl_nets.preferences.pairs import END, PADDING

IMPOSSIBLE = -1e9  # the logit of padding: finite, so that a difference of two is 0


def counted(answers: Tensor) -> Tensor:
    """Return which tokens of answers [B, T] count: those up to the end, float32 [B, T].

    >>> counted(torch.tensor([[7, 5, END, PADDING]]))
    tensor([[1., 1., 1., 0.]])
    """
    return (answers != PADDING).float()


def token_log_probs(module: Seq2Seq, prompts: Tensor, answers: Tensor) -> Tensor:
    """Return the log probability [B, T, V] of each token at each place of answers [B, T] to prompts [B, S]."""
    logits: Tensor = module(prompts, answers).float()
    return logits.index_fill(2, torch.tensor([PADDING], device=logits.device), IMPOSSIBLE).log_softmax(dim=2)


def answer_log_prob(log_probs: Tensor, answers: Tensor) -> Tensor:
    """Return the log probability [B] of answers [B, T] from those of tokens [B, T, V]: the sum over the tokens up to the end.

    Two tokens of probability 1/2 and 1/4, and padding that does not count:

    >>> table = torch.log(torch.tensor([[[0.0, 0.5, 0.5], [0.0, 0.25, 0.75], [0.0, 0.5, 0.5]]]))
    >>> answer_log_prob(table, torch.tensor([[2, 1, 0]])).exp()
    tensor([0.1250])
    """
    chosen = log_probs.gather(2, answers[:, :, None].long()).squeeze(2)
    return torch.where(answers != PADDING, chosen, 0.0).sum(dim=1)


def divergence(log_probs: Tensor, reference: Tensor, answers: Tensor) -> Tensor:
    """Return sum_t KL(pi(. | y_<t) || pi_ref(. | y_<t)) of answers [B, T], [B], in nats.

    Its mean over answers drawn from pi is the divergence of the two models of whole answers, by the chain rule.

    >>> pi, other = (torch.log(torch.tensor([[p]])) for p in ([1e-30, 0.5, 0.5], [1e-30, 0.25, 0.75]))
    >>> divergence(pi, other, torch.tensor([[1]]))  # 1/2 ln 2 + 1/2 ln(2/3)
    tensor([0.1438])
    """
    each = (log_probs.exp() * (log_probs - reference)).sum(dim=2)
    return (each * counted(answers)).sum(dim=1)


@torch.no_grad()
def drawn_answers(module: Seq2Seq, prompts: Tensor, rng: np.random.Generator) -> Tensor:
    """Return answers [B, T] to prompts [B, S], drawn from the model token by token; behind the end they are padded.

    Args:
        module: The model.
        prompts: [B, S].
        rng: Source of one number for each token.
    """
    decoding, count = module.decoding(prompts), len(prompts)
    answers = torch.full((count, module.length), PADDING, dtype=torch.int64, device=prompts.device)
    token = module.begin(count, prompts.device)[:, 0]
    ended = torch.zeros(count, dtype=torch.bool, device=prompts.device)
    for place in range(module.length):
        logits = decoding(token[:, None])
        logits[:, PADDING] = IMPOSSIBLE
        token = choose(logits, rng)
        answers[:, place] = torch.where(ended, PADDING, token)
        ended |= token == END
        if bool(ended.all()):
            break
    return answers
