"""Small files of each scheme, which the conformance kit builds: sentences of a small grammar, and what belongs to them."""

from __future__ import annotations

import itertools
import json
import lzma
from collections.abc import Iterable, Iterator
from pathlib import Path

_NOUNS, _VERBS, _TOWNS = ("cat", "dog", "bird"), ("sees", "likes", "hears"), ("Oslo", "Rome", "New York")


def write_trees(path: Path) -> None:
    """Write sentences with tags and trees, in CoNLL-U."""
    lines = []
    for one, verb, other in _sentences():
        words = [
            ("the", "DET", 2, "det"),
            (one, "NOUN", 3, "nsubj"),
            (verb, "VERB", 0, "root"),
            ("a", "DET", 5, "det"),
            (other, "NOUN", 3, "obj"),
        ]
        lines += [f"{i}\t{word}\t{word}\t{tag}\t_\t_\t{head}\t{label}\t_\t_" for i, (word, tag, head, label) in enumerate(words, 1)]
        lines.append("")
    _write(path, lines)


def write_entities(path: Path) -> None:
    """Write sentences with places, a word and its tag a line."""
    lines = []
    for (noun, verb, _), town in itertools.product(_sentences(), _TOWNS):
        first, *others = town.split()
        lines += [f"the\tO\n{noun}\tO\n{verb}\tO\n{first}\tB-LOC", *(f"{word}\tI-LOC" for word in others), ""]
    _write(path, lines)


def write_labels(path: Path) -> None:
    """Write texts with labels, `label<TAB>text` a line."""
    _write(path, (f"{'good' if verb == 'likes' else 'bad'}\tthe {one} {verb} a {other}" for one, verb, other in _sentences()))


def write_text(path: Path) -> None:
    """Write a text, packed where the name says so."""
    text = "".join(f"The {one} {verb} a {other} in {town}.\n" for (one, verb, other), town in itertools.product(_sentences(), _TOWNS)) * 20
    path.write_bytes(lzma.compress(text.encode()) if path.suffix == ".xz" else text.encode())


def write_pairs(path: Path) -> None:
    """Write sentences and their translations into a language that turns words around, `source<TAB>target` a line."""
    _write(path, (f"the {one} {verb} a {other}\t{other[::-1]} {verb[::-1]} {one[::-1]}" for one, verb, other in _sentences()))


def write_dialogue(path: Path) -> None:
    """Write questions and answers, two a line, or as conversations where the name ends in .yml."""
    turns = [(f"what does the {one} see in {town}", f"a {other}") for (one, _, other), town in itertools.product(_sentences(), _TOWNS)]
    yaml = ["conversations:", *(f"- - {question}\n  - {answer}" for question, answer in turns)]
    _write(path, yaml if path.suffix == ".yml" else ("\t".join(turn) for turn in turns))


def write_questions(path: Path) -> None:
    """Write questions about passages, as SQuAD's JSON has them."""
    paragraphs = []
    for number, (one, verb, other) in enumerate(_sentences()):
        passage = f"The {one} {verb} a {other}."
        answer = {"text": other, "answer_start": passage.index(f"a {other}") + 2}
        paragraphs.append({"context": passage, "qas": [{"id": str(number), "question": f"What does the {one} see?", "answers": [answer]}]})
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "animals", "paragraphs": paragraphs}]}), encoding="utf-8")


def write_summaries(path: Path) -> None:
    """Write documents and their summaries, a JSON object a line."""
    texts = [f"The {one} {verb} a {other}." for one, verb, other in _sentences()]
    documents = [texts[place : place + 4] for place in range(len(texts) - 3)]
    _write(path, (json.dumps({"document": " ".join(document), "summary": document[0]}) for document in documents))


def write_documents(path: Path) -> None:
    """Write documents about two topics, one a line."""
    towns = (f"{one} {other} street river bridge" for one, other in itertools.product(_TOWNS, repeat=2))
    _write(path, [*(f"{one} {verb} {other} animal fur" for one, verb, other in _sentences()), *towns])


def write_similarities(path: Path) -> None:
    """Write pairs of words and how similar they are, a pair a line."""
    words = (*_NOUNS, *_VERBS)
    _write(path, (f"{a} {b} {8 if (a in _NOUNS) == (b in _NOUNS) else 2}" for a, b in itertools.combinations(words, 2)))


def write_analogies(path: Path) -> None:
    """Write analogies, four words a line below the name of their group."""
    _write(
        path,
        [": animals", *(f"{a} {b} {c} {d}" for a, b, c, d in itertools.product(("cat", "dog"), ("sees", "likes"), ("bird",), ("hears",)))],
    )


def write_associations(path: Path) -> None:
    """Write two groups of targets and two of attributes."""
    _write(path, ["target nouns: cat dog", "target verbs: sees likes", "attribute one: bird the", "attribute two: hears a"])


def _sentences() -> Iterator[tuple[str, str, str]]:
    """Yield the words of each sentence: who, what, whom."""
    return itertools.product(_NOUNS, _VERBS, _NOUNS)


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
