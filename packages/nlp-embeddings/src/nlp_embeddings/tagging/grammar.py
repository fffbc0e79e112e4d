"""Sentences of known grammars: a hidden Markov model, whose best possible tagger can be computed, and templates of entities.

Departures: none; the model is drawn from the seed. Letters: K tags, V words.
"""

from __future__ import annotations

import numpy as np

from nlp_embeddings.draws import number_of, one_of, steps_of
from nlp_embeddings.reading.columns import Sentence

GRAMMAR_SENTENCES = {"train": 1000, "validation": 60, "test": 300}
TAGS = ("ADJ", "ADV", "DET", "NOUN", "PREP", "VERB")
_WORDS = 80
_MONTHS = ("January", "March", "April", "June", "July", "August", "October", "November")
_TEMPLATES = (
    "{PER} met {PER} in {LOC} on {DATE} .",
    "{ORG} opened an office in {LOC} .",
    "On {DATE} {ORG} hired {PER} .",
    "The mayor of {LOC} thanked {PER} and {ORG} .",
    "{PER} left {LOC} for {LOC} before {DATE} .",
    "Nothing of this was known in the village .",
    "{PER} sold the old mill to {ORG} .",
    "People in {LOC} say that {PER} works for {ORG} .",
)
_START = ("Ka", "Be", "Mo", "Li", "Tor", "San", "Ve", "Gra", "Hel", "Ru", "Fen", "Jo", "Pal", "Dor")
_END = ("lan", "dor", "mi", "ra", "ton", "vek", "sia", "bert", "na", "quist", "mar", "lo")


def grammar(seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the transitions [K + 1, K], the first row for the start, the emissions [K, V], and the V words of the model of a seed."""
    rng = np.random.default_rng([seed, 1])
    transitions = rng.dirichlet(np.full(len(TAGS), 0.5), size=len(TAGS) + 1)
    emissions = rng.dirichlet(np.full(_WORDS, 0.08), size=len(TAGS))
    words = [f"{_START[n % 14].lower()}{_END[n // 14 % 12]}{'' if n < 168 else n}" for n in range(_WORDS)]
    return transitions, emissions, words


def grammar_sentences(seed: int, split: str) -> list[Sentence]:
    """Return sentences of 4 to 12 words of the model of a seed."""
    transitions, emissions, words = grammar(seed)
    to_tags, to_words = steps_of(transitions), steps_of(emissions)
    rng = np.random.default_rng([seed, 2, list(GRAMMAR_SENTENCES).index(split)])
    found = []
    for number in range(GRAMMAR_SENTENCES[split]):
        tag, tags, chosen = 0, [], []
        for _ in range(int(rng.integers(4, 13))):
            current = number_of(rng, to_tags[tag])
            chosen.append(words[number_of(rng, to_words[current])])
            tags.append(TAGS[current])
            tag = current + 1
        found.append(Sentence(chosen, tags, [], [], number))
    return found


def posteriors(transitions: np.ndarray, emissions: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return P(tag | sentence) [n, K] of a hidden Markov model by the forward-backward recursions.

    Args:
        transitions: [K + 1, K]; the first row is the start.
        emissions: [K, V].
        words: Word numbers [n].

    Source: Rabiner, "A tutorial on hidden Markov models", 1989, equations 19 to 27.

    Example:
        >>> steps = np.array([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
        >>> posteriors(steps, np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1])).round(4).tolist()
        [[1.0, 0.0], [0.3333, 0.6667]]
    """
    seen = emissions[:, words].T  # [n, K]
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    for place in range(len(words)):
        before = transitions[0] if place == 0 else forward[place - 1] @ transitions[1:]
        forward[place] = before * seen[place]
        forward[place] /= forward[place].sum()
    for place in range(len(words) - 2, -1, -1):
        backward[place] = transitions[1:] @ (seen[place + 1] * backward[place + 1])
        backward[place] /= backward[place].sum()
    both = forward * backward
    return both / both.sum(axis=1, keepdims=True)


def right_share(seed: int) -> float:
    """Return the share of right tags that the true model reaches on its test sentences: no tagger does better on average."""
    transitions, emissions, words = grammar(seed)
    number_of = {word: number for number, word in enumerate(words)}
    right = total = 0
    for sentence in grammar_sentences(seed, "test"):
        best = posteriors(transitions, emissions, np.array([number_of[word] for word in sentence.words])).argmax(axis=1)
        right += sum(TAGS[tag] == true for tag, true in zip(best, sentence.tags, strict=True))
        total += len(best)
    return right / total


def entity_sentences(seed: int, split: str) -> list[Sentence]:
    """Return sentences with persons, organisations, places and dates. The words of the test's names occur in no other split."""
    rng = np.random.default_rng([seed, 3, list(GRAMMAR_SENTENCES).index(split)])
    return [_entity_sentence(rng, split == "test", number) for number in range(GRAMMAR_SENTENCES[split] // 4)]


def _entity_sentence(rng: np.random.Generator, unseen: bool, number: int) -> Sentence:
    words: list[str] = []
    tags: list[str] = []
    for part in one_of(rng, _TEMPLATES).split():
        kind = part.strip("{}")
        name = _name(rng, kind, unseen) if part.startswith("{") else []
        words += name or [part]
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)] if name else ["O"]
    return Sentence(words, tags, [], [], number)


def _name(rng: np.random.Generator, kind: str, unseen: bool) -> list[str]:
    def made() -> str:
        middle = "" if not unseen else one_of(rng, ["ki", "zo", "wu"])
        return f"{one_of(rng, _START)}{middle}{one_of(rng, _END)}"

    if kind == "DATE":
        return [str(rng.integers(1, 29)), one_of(rng, _MONTHS), str(rng.integers(1900, 2000))]
    if kind == "ORG":
        return [made(), one_of(rng, ["Bank", "Group", "Works", "Press"])]
    return [made(), made()] if kind == "PER" else [made()]
