"""The task `opinions`: say what you think of a hotel, a film or another subject; a judge prefers the kinder answer, more or less.

Answers are drawn from a small grammar: a sentence on the subject, and mostly another one on a part of it. The judge adds up the valences of
an answer's words, an adverb scales the word behind it, and prefers the first of two answers with probability sigmoid(lead). It reads
nothing else: a model that only learns to please it forgets the grammar, unless its divergence from a model of the grammar has a price.

The best policy for a price beta is known: p*(y) is proportional to p(y) exp(r(y) / beta), with p the grammar (Rafailov and others, "Direct
preference optimization", 2023, (4)).

Source: the task of kind continuations is that of D. Ziegler and others, "Fine-tuning language models from human preferences", 2019,
section 3.1; grammar and judge are ours. Letters: N pairs, S tokens of a prompt, T tokens of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np

from dl_nets.preferences.pairs import Pairs, PreferenceTask
from rl_core.config import Count, Doc, NonNegative, Whole, configclass

SUBJECTS = {
    "book": ("plot", "style", "ending"),
    "course": ("teacher", "pace", "room"),
    "film": ("plot", "music", "ending"),
    "game": ("music", "price", "ending"),
    "hotel": ("room", "breakfast", "view"),
    "phone": ("screen", "camera", "price"),
    "restaurant": ("food", "service", "price"),
    "train": ("seat", "price", "view"),
}
PROMPTS = (
    "how was the {} ?",
    "tell me about the {} .",
    "what do you think of the {} ?",
    "is the {} worth it ?",
    "say something about the {} .",
)
FORMS = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}  # of the prompts, each counted from another one for each subject
VALENCES = {
    **dict.fromkeys(("excellent", "wonderful", "perfect"), 2.0),
    **dict.fromkeys(("good", "nice", "pleasant"), 1.0),
    **dict.fromkeys(("bad", "poor", "dull"), -1.0),
    **dict.fromkeys(("terrible", "awful", "horrible"), -2.0),
}
ADVERBS = {"very": 1.5, "rather": 0.5}
ADVERB_SHARES = (0.5, 0.25, 0.25)  # none, very, rather
TWO_SENTENCES = 0.7  # share of answers of two
_PHRASE = f"(?:(?:{'|'.join(ADVERBS)}) )?(?:{'|'.join(VALENCES)})"
_FORM = re.compile(rf"the (\w+) was {_PHRASE} \.(?: its (\w+) was {_PHRASE} \.)?")
HELD_OUT = {"validation": 200, "test": 500}
PROMPT_LENGTH, ANSWER_LENGTH = 8, 14


@configclass
class OpinionsConfig:
    """Pairs that are drawn."""

    pairs: Annotated[Count, Doc("N, training pairs")] = 4_000
    rationality: Annotated[NonNegative, Doc("scale of the judge's lead; 0: a coin, .inf: no mistakes")] = 1.0
    data_seed: Annotated[Whole, Doc("number of the sample that is drawn; independent of the run's seed")] = 0


class Optimum(NamedTuple):
    """Best policy under a penalty: its mean reward, and its divergence from the grammar in nats."""

    reward: float
    kl: float


class Opinions(PreferenceTask):
    """Prompts [S] and opinions [T], two for each prompt. The score is the share of answers that the judge prefers to a recorded one."""

    Config: ClassVar[type] = OpinionsConfig
    config: OpinionsConfig
    metric = "win rate"

    def __init__(self, config: OpinionsConfig) -> None:
        super().__init__(config)
        used = " ".join((*PROMPTS, *SUBJECTS, *(" ".join(each) for each in SUBJECTS.values()))).replace("{}", "").split()
        self.set_spaces(sorted({*used, *VALENCES, *ADVERBS, *("the", "its", "was", ".")}), PROMPT_LENGTH, ANSWER_LENGTH)
        self._valence = np.zeros(self.output_space.size)
        self._scale = np.ones(self.output_space.size)
        for table, values in ((self._valence, VALENCES), (self._scale, ADVERBS)):
            for word, value in values.items():
                table[self._number[word]] = value
        self._splits = _drawn_pairs(self, config)

    def num_examples(self, split: str) -> int:
        """Return how many answers the split has: two for each prompt."""
        return 2 * len(self._splits[split].prompt)

    def pairs(self, split: str) -> Pairs:
        """Return the pairs of a split."""
        return self._splits[split]

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return prompts [B, S] and recorded answers [B, T]; an even number is a chosen answer, an odd one the rejected one beside it."""
        pairs = self.pairs(split).rows(indices // 2)
        return pairs.prompt, np.where(indices[:, None] % 2 == 0, pairs.chosen, pairs.rejected)

    def scores(self, answers: np.ndarray) -> np.ndarray:
        """Return the judge's score of answers [B, T], [B]: the sum of all valences, each scaled by the adverb in front of it."""
        before = np.concatenate([np.zeros_like(answers[:, :1]), answers[:, :-1]], axis=1)
        total: np.ndarray = (self._valence[answers] * self._scale[before]).sum(axis=1)
        return total

    def score(self, predictions: Any, targets: Any) -> dict[str, float]:
        """Return the share of answers [N, T] preferred to recorded ones, their mean score, and the share that the grammar has.

        Two equal scores count half.
        """
        answers, recorded = np.asarray(predictions), np.asarray(targets)
        texts = zip(map(self.text, answers), map(self.text, recorded), strict=True)
        right = [fits_grammar(words) and words[1] == others[1] for words, others in texts]  # and about the same subject
        return {
            "win rate": win_rate(self.scores(answers), self.scores(recorded)),
            "mean reward": float(self.scores(answers).mean()),
            "grammatical": float(np.mean(right)),
        }


def win_rate(scores: np.ndarray, others: np.ndarray) -> float:
    """Return the share of scores [N] above others [N]; equal ones count half.

    >>> win_rate(np.array([1.0, 0.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 1.0]))
    0.625
    """
    return float((0.5 * (1.0 + np.sign(scores - others))).mean())


def fits_grammar(words: Sequence[str]) -> bool:
    """Return whether the grammar has an answer.

    >>> fits_grammar("the hotel was very good . its room was awful .".split())
    True
    >>> fits_grammar("the hotel was good . its plot was awful .".split()), fits_grammar("the hotel was good good .".split())
    (False, False)
    """
    found = _FORM.fullmatch(" ".join(words))
    return found is not None and found[1] in SUBJECTS and found[2] in (None, *SUBJECTS[found[1]])


@lru_cache(maxsize=8)
def optimum(beta: float) -> Optimum:
    """Return reward and divergence of the best policy for the mean reward less beta times the divergence from the grammar.

    Without a penalty to speak of it always says the kindest thing, 2 very excellent things, of which the grammar has
    0.7 (1/4 1/4)^2 of its answers:

    >>> best = optimum(0.01)
    >>> best.reward, round(best.kl, 3), round(float(-np.log(0.7 / 16**2)), 3)
    (6.0, 5.902, 5.902)
    """
    sentence: dict[float, float] = {}
    for share, scale in zip(ADVERB_SHARES, (1.0, *ADVERBS.values()), strict=True):
        for valence in VALENCES.values():
            sentence[scale * valence] = sentence.get(scale * valence, 0.0) + share / len(VALENCES)
    values, shares = np.array(list(sentence)), np.array(list(sentence.values()))
    rewards = np.concatenate([values, (values[:, None] + values).ravel()])
    grammar = np.concatenate([(1.0 - TWO_SENTENCES) * shares, TWO_SENTENCES * (shares[:, None] * shares).ravel()])
    exponents = np.log(grammar) + rewards / beta
    best = np.exp(exponents - exponents.max())
    best /= best.sum()
    return Optimum(float(best @ rewards), float(best @ (np.log(np.maximum(best, 1e-300)) - np.log(grammar))))


def _drawn_pairs(task: Opinions, config: OpinionsConfig) -> dict[str, Pairs]:
    """Return pairs by split; the judge has chosen. No prompt is in two splits, but each of its words is in the training split."""
    rng = np.random.Generator(np.random.PCG64([config.data_seed, 31]))
    found = {}
    for split, count in {"train": config.pairs, **HELD_OUT}.items():
        drawn = rng.integers(len(SUBJECTS), size=count)
        forms = ((rng.choice(FORMS[split], count) + drawn) % len(PROMPTS)).tolist()
        subjects = [list(SUBJECTS)[number] for number in drawn]
        asked = [PROMPTS[form].format(subject).split() for form, subject in zip(forms, subjects, strict=True)]
        texts = [[_drawn(subject, rng) for subject in subjects] for _ in range(2)]
        prompts: np.ndarray = task.encoded(asked, task.input_space)
        first, second = (task.encoded(each, task.output_space) for each in texts)
        lead = task.scores(first) - task.scores(second)
        with np.errstate(invalid="ignore", over="ignore"):
            chance = 1.0 / (1.0 + np.exp(-np.where(lead == 0.0, 0.0, config.rationality * lead)))
        prefers = (rng.random(count) < chance)[:, None]
        found[split] = Pairs(prompts, np.where(prefers, first, second), np.where(prefers, second, first))
    return found


def _drawn(subject: str, rng: np.random.Generator) -> list[str]:
    """Return the words of an opinion of a subject."""
    begins = [["the", subject]]
    if rng.random() < TWO_SENTENCES:
        begins.append(["its", SUBJECTS[subject][rng.integers(len(SUBJECTS[subject]))]])
    words = []
    for begin in begins:
        adverb = ("", *ADVERBS)[rng.choice(3, p=ADVERB_SHARES)]
        words += [*begin, "was", *adverb.split(), list(VALENCES)[rng.integers(len(VALENCES))], "."]
    return words
