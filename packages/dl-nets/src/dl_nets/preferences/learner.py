"""The base of learners from preferences: a policy that begins as a language model, and that model as it was, the reference.

`--from RUN` names the run of the language model. Dropout is off while a policy learns, so that it differs from its reference by what it has
learned alone. An evaluation draws answers, as learning does.
Letters: B batch, S tokens of a prompt, T tokens of an answer.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from dl_nets.learning.devices import resolve_device
from dl_nets.learning.export import FORMATS, exportable, write
from dl_nets.learning.losses import OwnRule
from dl_nets.learning.optimisers import Optimiser
from dl_nets.learning.streams import load_module_state
from dl_nets.networks.transformer_seq2seq import Seq2Seq
from dl_nets.preferences.opinions import win_rate
from dl_nets.preferences.pairs import Pairs, PreferenceTask
from dl_nets.preferences.policy import answer_log_prob, divergence, drawn_answers, token_log_probs
from rl_core.agent import Agent
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import Predict

AT_ONCE = 500  # answers in one call of the network
UNTRAINED = (
    "the reference is a network that has learned nothing; let it learn the language first, rl-core run transformer-seq2seq --task TASK "
    "--out language, then add --from language"
)


class PreferenceLearner(Agent):
    """An agent with a policy, its optimiser and its reference."""

    state_fields: ClassVar[tuple[str, ...]] = ("policy", "reference", "optimiser", "begun")
    export_formats = FORMATS
    config: Any
    task: PreferenceTask
    network: Any

    def setup(self) -> None:
        """Build the policy, and the reference as a copy of it.

        Raises:
            ValueError: if the network is not a model whose answers can be drawn.
        """
        self.torch_device = resolve_device(self.device)
        module = self.network.build(self.task.input_space, self.task.output_space, self.seeds.numpy("network"))
        if not isinstance(module, Seq2Seq):
            raise ValueError("the network does not give the probability of an answer to a prompt; take network transformer-seq2seq")
        self.policy = module.to(self.torch_device).eval()
        self.reference = copy.deepcopy(self.policy).requires_grad_(False)
        self.optimiser = Optimiser("adam", self.policy.parameters(), learning_rate=self.config.learning_rate)
        self.draws = self.seeds.numpy("draws")
        self.begun = False  # whether policy and reference are those of another run
        self.warnings.append(UNTRAINED)

    def start_from(self, state: Mapping[str, Any]) -> None:
        """Begin with the language model of another run, or with the policy of one that learned from preferences.

        Raises:
            ValueError: if the run has neither, or its network is another one.
        """
        learned = state.get("policy") or state.get("averaged", {}).get("module") or state.get("best") or state.get("module")
        if learned is None:
            raise ValueError("it has no language model; name a run of transformer-seq2seq on this task")
        for module in (self.policy, self.reference):
            load_module_state(module, learned)
        self.begun = True
        self.warnings.remove(UNTRAINED)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state)
        if self.begun and UNTRAINED in self.warnings:
            self.warnings.remove(UNTRAINED)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an array on the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.torch_device)

    def log_prob(self, module: Seq2Seq, prompts: Tensor, answers: Tensor) -> Tensor:
        """Return the log probability [B] that a model gives to answers [B, T] to prompts [B, S]."""
        return answer_log_prob(token_log_probs(module, prompts, answers), answers)

    @torch.no_grad()
    def predict(self, inputs: Any) -> Any:
        """Return the likeliest token of an answer each time [B, T], for prompts [B, S]."""
        answers: np.ndarray = self.policy.answers(self.tensor(np.asarray(inputs))).cpu().numpy()
        return answers

    def predictor(self) -> Predict:
        """Return what answers in an evaluation: draws, from a stream that begins anew each time."""
        rng = np.random.Generator(np.random.PCG64(self.seeds.integer("evaluation draws")))

        def drawn(inputs: np.ndarray) -> np.ndarray:
            return self.draw_from(self.policy, inputs, rng).cpu().numpy()

        return drawn

    def draw_from(self, module: Seq2Seq, prompts: np.ndarray, rng: np.random.Generator) -> Tensor:
        """Return answers [B, T] that a model draws for prompts [B, S]."""
        parts = [prompts[start : start + AT_ONCE] for start in range(0, len(prompts), AT_ONCE)]
        return torch.cat([drawn_answers(module, self.tensor(part), rng) for part in parts])

    def answer(self, text: str) -> Any:
        """Return the answer to one prompt, as a text."""
        return self.task.describe(self.predict(self.task.parse(text)))[0]

    def evaluate(self, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the task's scores of answers that are drawn, and how they compare with the reference's.

        `kl` is the divergence from the reference in nats an answer; `pair accuracy` the share of the test pairs whose chosen answer the
        policy has made likelier than the other one, against the reference; equal ones count half.
        """
        scores = super().evaluate(episodes=episodes, seeds=seeds)
        pairs = self.task.pairs("test")
        chosen, rejected = self.log_ratios(pairs)
        scores["pair accuracy"] = win_rate(chosen, rejected)
        rng = seeds.apart("evaluation").numpy("answers")
        answers, others = (self.draw_from(module, pairs.prompt, rng) for module in (self.policy, self.reference))
        scores["kl"] = float(self.divergences(pairs.prompt, answers).mean())
        judged, judged_others = (self.task.scores(each.cpu().numpy()) for each in (answers, others))
        if judged is not None and judged_others is not None:
            scores["win rate against reference"] = win_rate(judged, judged_others)
        return scores

    @torch.no_grad()
    def divergences(self, prompts: np.ndarray, answers: Tensor) -> np.ndarray:
        """Return the divergence from the reference along answers [N, T] to prompts [N, S], [N]."""
        found = []
        for start in range(0, len(prompts), AT_ONCE):
            asked, part = self.tensor(prompts[start : start + AT_ONCE]), answers[start : start + AT_ONCE]
            ours, theirs = (token_log_probs(module, asked, part) for module in (self.policy, self.reference))
            found.append(divergence(ours, theirs, part))
        nats: np.ndarray = torch.cat(found).cpu().numpy()
        return nats

    def log_ratios(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Return log pi(y | x) - log pi_ref(y | x) of chosen and of rejected answers [N] each."""
        now, before = (self.pair_log_probs(module, pairs) for module in (self.policy, self.reference))
        chosen, rejected = now - before
        return chosen, rejected

    @torch.no_grad()
    def pair_log_probs(self, module: Seq2Seq, pairs: Pairs) -> np.ndarray:
        """Return the log probabilities that a model gives to chosen and rejected answers [2, N]."""
        parts = [pairs.rows(np.arange(start, min(start + AT_ONCE, len(pairs.prompt)))) for start in range(0, len(pairs.prompt), AT_ONCE)]
        sides = ([self.log_prob(module, self.tensor(part.prompt), self.tensor(part[side])) for part in parts] for side in (1, 2))
        found: np.ndarray = torch.stack([torch.cat(side) for side in sides]).cpu().numpy()
        return found

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the policy's parameters by name."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.policy.named_parameters()}

    def export(self, form: str, out: Path) -> dict[str, Any]:
        """Write the policy, in one of `export_formats`; see `dl_nets.learning.export`."""
        return write(exportable(self.policy, OwnRule("auto", 0.0), self.task.input_space), form, out)

    def draw(self, folder: Path) -> None:
        """Draw how much likelier answers have become, and the judge's scores of drawn answers, before and now."""
        pairs = self.task.pairs("test")
        rng = np.random.Generator(np.random.PCG64(self.seeds.integer("figure draws")))
        before, now = (self.task.scores(self.draw_from(each, pairs.prompt, rng).cpu().numpy()) for each in (self.reference, self.policy))
        count = 1 if before is None or now is None else 2
        figure = new_figure(5.5 * count, 4.0)
        axes = figure.add_subplot(1, count, 1)
        ratios = dict(zip(("preferred", "not preferred"), self.log_ratios(pairs), strict=True))
        _histogram(axes, ratios, "How much likelier test answers have become", "log probability less that of the reference [nats]")
        if before is not None and now is not None:
            axes = figure.add_subplot(1, count, 2)
            _histogram(axes, {"reference": before, "policy": now}, "Answers to the test prompts", "judge's score")
        figure.savefig(folder / "preferences.png", dpi=120)


def _histogram(axes: Any, groups: Mapping[str, np.ndarray], title: str, label: str) -> None:
    """Draw how numbers of some groups are spread, on common bins."""
    everything = np.concatenate(list(groups.values()))
    bins = np.linspace(everything.min() - 0.5, everything.max() + 0.5, 30).tolist()
    for name, values in groups.items():
        axes.hist(values, bins=bins, alpha=0.6, label=f"{name}, mean {values.mean():.2f}")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(label)
    axes.set_ylabel("answers")
    axes.legend(fontsize=8)
