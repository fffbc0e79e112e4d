"""Learning from preferences: losses against exact gradients and optima, the judge, files, and runs begun from a language model."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rl_core
from dl_nets.networks.transformer_seq2seq import Seq2Seq, Seq2SeqConfig
from dl_nets.preferences.dpo import dpo_loss
from dl_nets.preferences.opinions import Opinions, OpinionsConfig, fits_grammar, optimum
from dl_nets.preferences.pairs import END, PADDING, PreferenceFile, PreferenceFileConfig
from dl_nets.preferences.policy import answer_log_prob, divergence, drawn_answers, token_log_probs
from dl_nets.preferences.rlhf import RewardModel, policy_loss
from rl_core.tokens import Tokens

REWARD = torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64)
REFERENCE = torch.log(torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64))


def small_model(seed: int = 0) -> Seq2Seq:
    config = Seq2SeqConfig(width=8, depth=1, num_heads=2)
    spaces = Tokens(3, 6, padding=PADDING), Tokens(3, 6, padding=PADDING, end=END)
    return Seq2Seq(config, *spaces, np.random.default_rng(seed)).eval()


def test_the_gradient_of_dpo_raises_the_chosen_answer_and_lowers_the_other() -> None:
    """d loss / d chosen = -beta sigmoid(-beta lead): 0.1 times sigmoid(-0.5) = 0.3775."""
    chosen, rejected = (torch.tensor([value], requires_grad=True) for value in (2.0, -3.0))
    torch.autograd.backward(dpo_loss(chosen, rejected, 0.1))
    assert chosen.grad is not None
    assert rejected.grad is not None
    assert chosen.grad.item() == pytest.approx(-0.03775, abs=1e-5)
    assert rejected.grad.item() == pytest.approx(0.03775, abs=1e-5)


def test_the_best_policy_for_the_reward_of_a_judge_is_where_dpo_on_all_its_pairs_ends() -> None:
    """The loss, convex in the logits, weighted by how often the judge prefers i to j, is flat at pi_ref exp(r / beta) alone."""
    beta = 0.7

    def slope(logits: torch.Tensor) -> float:
        logits = logits.clone().requires_grad_(True)
        ratio = logits.log_softmax(0) - REFERENCE
        pairs = itertools.permutations(range(3), 2)
        losses = [torch.sigmoid(REWARD[i] - REWARD[j]) * dpo_loss(ratio[i : i + 1], ratio[j : j + 1], beta) for i, j in pairs]
        return torch.autograd.grad(torch.stack(losses).sum(), logits)[0].norm().item()

    assert slope(REFERENCE + REWARD / beta) < 1e-12
    assert slope(REFERENCE + REWARD) > 0.05


def test_the_policy_gradient_is_on_average_that_of_reward_less_the_price_of_divergence() -> None:
    """All draws of two answers, weighted by their probability, against the derivative of the sum that is maximised."""
    beta, logits = 0.3, torch.tensor([0.3, -0.4, 0.1], dtype=torch.float64, requires_grad=True)
    log_pi = logits.log_softmax(0)
    wanted = torch.autograd.grad(-(log_pi.exp() * (REWARD - beta * (log_pi - REFERENCE))).sum(), logits)[0]
    found = torch.zeros(3, dtype=torch.float64)
    for pair in itertools.product(range(3), repeat=2):
        rows, log_pi = torch.tensor([pair]), logits.log_softmax(0)
        chance = log_pi.detach()[rows].sum().exp()
        found += chance * torch.autograd.grad(policy_loss(log_pi[rows], REFERENCE[rows], REWARD[rows], beta), logits)[0]
    torch.testing.assert_close(found, wanted)


@torch.no_grad()
def test_draws_have_the_probabilities_that_the_model_gives_and_their_divergence_is_that_of_whole_answers() -> None:
    """20,000 draws against sums over all answers: probabilities sum to 1, and the chain rule of the divergence holds."""
    model, other = small_model(0), small_model(1)
    prompt = torch.tensor([[3, 4, 0]])
    ended = [[*words, END] for length in range(3) for words in itertools.product(range(2, 6), repeat=length)]
    cut = [list(words) for words in itertools.product(range(2, 6), repeat=3)]
    answers = torch.tensor([row + [PADDING] * (3 - len(row)) for row in ended + cut])
    prompts = prompt.expand(len(answers), -1)
    ours, theirs = (token_log_probs(each, prompts, answers) for each in (model, other))
    log_p, log_q = (answer_log_prob(table, answers) for table in (ours, theirs))
    assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    exact = float((log_p.exp() * (log_p - log_q)).sum())
    assert float((log_p.exp() * divergence(ours, theirs, answers)).sum()) == pytest.approx(exact, rel=1e-4)
    drawn = drawn_answers(model, prompt.expand(20_000, -1), np.random.default_rng(0))
    known = {tuple(row): place for place, row in enumerate(answers.tolist())}
    counts = np.bincount([known[tuple(row)] for row in drawn.tolist()], minlength=len(answers))
    expected = 20_000 * log_p.exp().numpy()
    assert ((counts - expected) ** 2 / expected).sum() < len(answers) + 6 * np.sqrt(2 * len(answers))  # chi squared, six deviations


def test_a_reward_reads_the_whole_answer_and_no_padding() -> None:
    reward = RewardModel(small_model(), np.random.default_rng(0)).eval()
    prompt, answers = torch.tensor([[3, 4, 0]]), torch.tensor([[2, 5, 1], [2, 4, 1], [2, 1, 0], [2, 1, 5]])
    with torch.no_grad():
        found = reward(prompt.expand(4, -1), answers)
    assert found[0] != found[1]  # the last word counts
    assert reward(prompt, answers[2:3]).item() == pytest.approx(found[2].item(), abs=1e-6)


def test_the_judge_adds_up_valences_and_the_recorded_answers_are_of_the_grammar() -> None:
    task = Opinions(OpinionsConfig(pairs=400))
    texts = ["the hotel was very good . its room was rather awful .", "excellent excellent very very bad"]
    rows = task.encoded([text.split() for text in texts], task.output_space)  # type: ignore[arg-type]
    np.testing.assert_allclose(task.scores(rows), [1.5 - 1.0, 4.0 - 1.5])
    prompts, recorded = task.read("test", np.arange(task.num_examples("test")))
    assert all(fits_grammar(task.text(row)) for row in recorded)
    assert task.score(recorded, recorded) == {"win rate": 0.5, "mean reward": pytest.approx(0.0, abs=0.3), "grammatical": 1.0}
    pairs = task.pairs("train")
    lead = task.scores(pairs.chosen) - task.scores(pairs.rejected)
    assert abs(np.mean(lead > 0) - np.mean(1 / (1 + np.exp(-np.abs(lead[lead != 0]))))) < 0.1  # the judge errs as often as its model says
    assert len(task.describe(recorded[:1])[0].split()) == (recorded[0] > END).sum()
    assert len(prompts) == 1000


def test_a_dearer_nat_is_spent_less() -> None:
    best = [optimum(beta) for beta in (0.5, 1.0, 4.0)]
    assert best[0].reward > best[1].reward > best[2].reward > 0.0
    assert best[0].kl > best[1].kl > best[2].kl > 0.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "a", "chosen": "b"}', "line 1 of .* lacks one of the texts prompt, chosen, rejected"),
        ('{"prompt": "a", "chosen": "b", "rejected": "b"}', "line 1 of .* has two equal answers"),
        ("{", "line 1 of .* is not JSON"),
        ("", "has no rows"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        PreferenceFile(PreferenceFileConfig(path=str(path)))


def test_a_csv_of_pairs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    lines = [f'"Is {number} large, then?",Yes!,"No, it is not."' for number in range(20)]
    path.write_text("\n".join(["prompt,chosen,rejected", *lines]))
    task = PreferenceFile(PreferenceFileConfig(path=str(path), min_count=1))
    pairs = task.pairs("train")
    assert task.describe(pairs.chosen[:1]) + task.describe(pairs.rejected[:1]) == ["yes !", "no , it is not ."]
    assert task.score(pairs.chosen, pairs.chosen) == {"ROUGE-L": pytest.approx(100.0)}


def test_all_pairs_of_a_prompt_are_in_one_split(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    lines = [f"is {number % 10} large ?,answer {number},no idea" for number in range(60)]
    path.write_text("\n".join(["prompt,chosen,rejected", *lines]))
    task = PreferenceFile(PreferenceFileConfig(path=str(path), validation_fraction=0.3, test_fraction=0.3))
    rows = {split: task.pairs(split) for split in ("train", "validation", "test")}
    assert {split: len(pairs.prompt) for split, pairs in rows.items()} == {"train": 24, "validation": 18, "test": 18}


@pytest.mark.parametrize("agent", ["dpo", "rlhf"])
def test_a_policy_begins_as_the_language_model_of_another_run(tmp_path: Path, agent: str) -> None:
    small = ["task.pairs=64", "network.width=8", "network.depth=1", "network.num_heads=2"]
    options: Any = {"seed": 0, "device": "cpu", "quiet": True}
    first = rl_core.learn("supervised", task="opinions", overrides=small, budget=128, out=tmp_path / "language", **options)
    tiny = ["updates_per_step=1", *(["reward_updates=1", "batch_size=2"] if agent == "rlhf" else [])]
    options |= {"network": "transformer-seq2seq", "from_run": tmp_path / "language", "overrides": [*small, *tiny]}
    learned = rl_core.learn(agent, task="opinions", budget=2, out=tmp_path / "policy", **options).agent
    assert not learned.warnings
    begun = first.agent.parameters()
    for name, value in learned.reference.named_parameters():
        np.testing.assert_array_equal(value.numpy(), begun[name])
    assert any(not np.array_equal(value, begun[name]) for name, value in learned.parameters().items() if name in begun)


@pytest.mark.learning
def test_dpo_is_preferred_to_the_language_model_that_it_began_as(tmp_path: Path) -> None:
    """Luck of 500 answers has a deviation of 0.02; a win rate of 0.7 is ten of them above a half."""
    options: Any = {"seed": 0, "device": "cpu", "quiet": True}
    rl_core.learn("supervised", task="opinions", budget=16_800, out=tmp_path / "language", **options)
    scores = rl_core.learn("dpo", task="opinions", from_run=tmp_path / "language", budget=100, out=tmp_path / "policy", **options).metrics
    assert scores["win rate against reference"] > 0.7
    assert 0.3 < scores["kl"] < 10.0
