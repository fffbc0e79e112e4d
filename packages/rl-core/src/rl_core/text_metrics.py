"""Metrics of texts against references: BLEU, ROUGE, METEOR, CIDEr-D, chrF and word error rate, in plain Python.

Source: Papineni et al., "BLEU", 2002; Lin, "ROUGE", 2004; Banerjee, Lavie, "METEOR", 2005; Vedantam et al., "CIDEr", 2015; Popovic, "chrF",
2015. Departures: METEOR matches equal words only, with the fewest chunks; its later versions with stems and synonyms give other numbers.
All values are in [0, 1], but CIDEr-D, which is in [0, 10]; other programs print BLEU and chrF times 100.

Words are what is between spaces, unless `tokenize` is given. Each example has a text and a list of references, so that nothing can be
transposed. An empty text scores 0; an empty reference is refused.

>>> text, first = "a red circle above a blue circle", "a red circle is above a blue square"
>>> round(100 * bleu([text], [[first]]), 2), bleu([text], [[first]], smooth="none")
(35.64, 0.0)
>>> [round(bleu([text], [[first]], order=n), 3) for n in (1, 2, 3)]
[0.743, 0.655, 0.53]
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Tokenize = Callable[[str], list[str]]
Smooth = Literal["exp", "none"]
METEOR_STATES = 64  # partial alignments that are kept: exact for sentences without many repeated words


class Score(NamedTuple):
    """Precision, recall and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def words(text: str) -> list[str]:
    """Return the lower-case words of a text in any script: letters and digits with their combining marks.

    >>> words("The cat's 2 toys"), words("क्या")
    (['the', 'cat', 's', '2', 'toys'], ['क्या'])
    """
    return "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in text.lower()).split()


def latin_words(text: str) -> list[str]:
    """Return the words of a text as the package rouge-score has them: only a to z and digits.

    >>> latin_words("Über 2 toys")
    ['ber', '2', 'toys']
    """
    return re.findall("[a-z0-9]+", text.lower())


def ngrams(tokens: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """Return how often each sequence of `order` tokens occurs.

    >>> ngrams(["a", "b", "a", "b"], 2)[("a", "b")]
    2
    """
    return Counter(zip(*(tokens[start:] for start in range(order)), strict=False))


def bleu_counts(tokens: Sequence[str], references: Sequence[Sequence[str]], order: int = 4) -> list[int]:
    """Return the counts of one text that BLEU adds up over a corpus: matches and totals of each length, and both lengths in words.

    Matches are clipped by the largest count in any one reference; the length is that of the closest reference, of two the shorter.

    >>> bleu_counts("the the the the the the the".split(), ["the cat is on the mat".split(), "there is a cat on the mat".split()], 1)
    [2, 7, 7, 7]
    """
    counts: list[int] = []
    for length in range(1, order + 1):
        own = ngrams(tokens, length)
        largest: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            largest |= ngrams(reference, length)
        counts += [sum((own & largest).values()), max(len(tokens) - length + 1, 0)]
    closest = min((len(reference) for reference in references), key=lambda length: (abs(length - len(tokens)), length))
    return [*counts, len(tokens), closest]


def bleu_of_counts(counts: Sequence[int], smooth: Smooth = "exp") -> float:
    """Return BLEU from summed counts: BP exp(mean of ln p_n), BP = exp(1 - r/c) where c < r.

    Args:
        counts: Sum of `bleu_counts` over a corpus.
        smooth: "exp": the k-th p_n that is 0 counts as 1 / (2^k total), as sacrebleu has it. "none": 0.
    """
    *pairs, length, reference = counts
    logs, zeros = [], 0
    for matches, total in zip(pairs[::2], pairs[1::2], strict=True):
        if not total or not length or (not matches and smooth == "none"):
            return 0.0
        if not matches:
            zeros += 1
        logs.append(math.log(matches / total if matches else 1 / (2**zeros * total)))
    if zeros == len(logs):
        return 0.0
    penalty = 1 - reference / length if length < reference else 0.0
    return math.exp(penalty + sum(logs) / len(logs))


def bleu(
    texts: Sequence[str], references: Sequence[Sequence[str]], *, order: int = 4, smooth: Smooth = "exp", tokenize: Tokenize = str.split
) -> float:
    """Return the BLEU of a corpus.

    Args:
        texts: N texts.
        references: For each text its references.
        order: Longest n-gram.
        smooth: Treatment of lengths without a match; see `bleu_of_counts`.
        tokenize: Function from a text to tokens.

    Raises:
        ValueError: if the numbers differ, a text has no reference, or a reference is empty.
    """
    total = [0] * (2 * order + 2)
    for text, own in _examples(texts, references, tokenize):
        total = [a + b for a, b in zip(total, bleu_counts(text, own, order), strict=True)]
    return bleu_of_counts(total, smooth)


def rouge_n(text: str, reference: str, order: int = 1, *, tokenize: Tokenize = words) -> Score:
    """Return ROUGE-N: the overlap of n-grams.

    >>> [round(x, 3) for x in rouge_n("a red circle above a blue circle", "a red circle is above a blue square", 2)]
    [0.667, 0.571, 0.615]
    """
    own, wanted = ngrams(tokenize(text), order), ngrams(tokenize(reference), order)
    return _score(sum((own & wanted).values()), sum(own.values()), sum(wanted.values()))


def rouge_l(text: str, reference: str, *, tokenize: Tokenize = words) -> Score:
    """Return ROUGE-L: the longest common subsequence of the words.

    >>> round(rouge_l("a red circle above a blue circle", "a red circle is above a blue square").f1, 3)
    0.8
    """
    own, wanted = tokenize(text), tokenize(reference)
    return _score(common_length(own, wanted), len(own), len(wanted))


def rouge_l_coco(text: str, references: Sequence[str], *, beta: float = 1.2, tokenize: Tokenize = str.split) -> float:
    """Return ROUGE-L as captions are scored: the best precision and the best recall of any reference, (1 + b^2) P R / (R + b^2 P).

    >>> round(rouge_l_coco("a red circle above a blue circle", ["a red circle is above a blue square"]), 3)
    0.79
    """
    ((own, wanted),) = _examples([text], [references], tokenize)
    lengths = [common_length(own, reference) for reference in wanted]
    precision = max(lengths) / len(own) if own else 0.0
    recall = max(length / len(reference) for length, reference in zip(lengths, wanted, strict=True))
    return (1 + beta**2) * precision * recall / (recall + beta**2 * precision) if precision and recall else 0.0


def rouge_lsum(text: str, reference: str, *, tokenize: Tokenize = words) -> Score:
    r"""Return ROUGE-Lsum: of each sentence of the reference the words in a longest common subsequence with any sentence of the text.

    Sentences end at line breaks.

    >>> round(rouge_lsum("a b\nc d", "c d\na b").f1, 3), round(rouge_l("a b\nc d", "c d\na b").f1, 3)
    (1.0, 0.5)
    """
    own = [tokenize(line) for line in text.split("\n") if line.strip()]
    wanted = [tokenize(line) for line in reference.split("\n") if line.strip()]
    left, right = Counter(t for line in own for t in line), Counter(t for line in wanted for t in line)
    totals, hits = (sum(left.values()), sum(right.values())), 0
    for sentence in wanted:
        for place in sorted({place for line in own for place in _common_places(sentence, line)}):
            token = sentence[place]
            if left[token] > 0 and right[token] > 0:
                left[token] -= 1
                right[token] -= 1
                hits += 1
    return _score(hits, *totals)


def common_length(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, row by row in the bits of one integer (Hyyro, 2004).

    >>> common_length("a red circle above".split(), "the red circle is above".split())
    3
    """
    places: dict[str, int] = {}
    for place, token in enumerate(one):
        places[token] = places.get(token, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for token in other:
        kept = row & places.get(token, 0)
        row = ((row + kept) | (row - kept)) & full
    return len(one) - row.bit_count()


def meteor(text: str, references: Sequence[str], *, tokenize: Tokenize = words) -> float:
    """Return METEOR with equal words only: F = 10 P R / (R + 9 P), less 0.5 (chunks / matches)^3 of it; the best reference counts.

    >>> round(meteor("a red circle above a blue circle", ["a red circle is above a blue square"]), 4)
    0.7454
    """
    ((own, wanted),) = _examples([text], [references], tokenize)
    best = 0.0
    for reference in wanted:
        matches = sum((Counter(own) & Counter(reference)).values())
        if matches:
            precision, recall = matches / len(own), matches / len(reference)
            mean = 10 * precision * recall / (recall + 9 * precision)
            best = max(best, mean * (1 - 0.5 * (_fewest_chunks(own, reference, matches) / matches) ** 3))
    return best


def cider_d(
    texts: Sequence[str], references: Sequence[Sequence[str]], *, sigma: float = 6.0, tokenize: Tokenize = str.split
) -> list[float]:
    """Return the CIDEr-D of each text: clipped cosine of n-grams weighted by their rarity among the examples, n = 1 to 4, times 10.

    A corpus of a single example always scores 0, as each of its n-grams is in all examples.

    >>> cider_d(["a b", "a c"], [["a b"], ["a c"]]), [round(x, 4) for x in cider_d(["b a", "a c"], [["a b"], ["a c"]])]
    ([5.0, 5.0], [2.5, 5.0])
    """
    examples = _examples(texts, references, tokenize)
    frequency: Counter[tuple[str, ...]] = Counter()
    for _, wanted in examples:
        frequency.update({gram for reference in wanted for order in range(1, 5) for gram in ngrams(reference, order)})
    most = math.log(len(examples)) if examples else 0.0

    def weighted(tokens: Sequence[str], order: int) -> dict[tuple[str, ...], float]:
        return {gram: count * (most - math.log(max(frequency[gram], 1))) for gram, count in ngrams(tokens, order).items()}

    scores = []
    for own, wanted in examples:
        total = 0.0
        for reference in wanted:
            closeness = math.exp(-((len(own) - len(reference)) ** 2) / (2 * sigma**2))
            for order in range(1, 5):
                one, other = weighted(own, order), weighted(reference, order)
                norms = math.sqrt(sum(v * v for v in one.values())) * math.sqrt(sum(v * v for v in other.values()))
                if norms:
                    total += closeness * sum(min(one[gram], value) * value for gram, value in other.items() if gram in one) / norms
        scores.append(10 * total / (4 * len(wanted)))
    return scores


def chrf(texts: Sequence[str], references: Sequence[Sequence[str]], *, order: int = 6, beta: float = 2.0) -> float:
    """Return the chrF of a corpus: F-beta of the mean precision and recall of character n-grams without spaces.

    Of several references the one with the best score counts; n-grams longer than the reference do not.

    >>> round(100 * chrf(["a red circle above a blue circle"], [["a red circle is above a blue square"]]), 2)
    60.92
    """
    total = [(0, 0, 0)] * order
    for own, wanted in _examples(texts, references, lambda text: list("".join(text.split()))):
        found = []
        for reference in wanted:
            pairs = [(ngrams(own, n), ngrams(reference, n)) for n in range(1, order + 1)]
            found.append([(sum((a & b).values()), sum(a.values()) if b else 0, sum(b.values())) for a, b in pairs])
        best = max(found, key=lambda counts: _chrf_of_counts(counts, beta))
        total = [(a + x, b + y, c + z) for (a, b, c), (x, y, z) in zip(total, best, strict=True)]
    return _chrf_of_counts(total, beta)


def edit_distance(one: Sequence[object], other: Sequence[object]) -> int:
    """Return the fewest insertions, deletions and replacements that turn one sequence into another (Levenshtein, 1966).

    >>> edit_distance("kitten", "sitting")
    3
    """
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, right in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (left != right))
    return row[-1]


def word_error_rate(texts: Sequence[str], references: Sequence[str], *, tokenize: Tokenize = str.split) -> float:
    """Return the edits from texts to references, divided by the words of the references; it may exceed 1.

    >>> word_error_rate(["a red circle above a blue circle"], ["a red circle is above a blue square"])
    0.25
    """
    examples = _examples(texts, [[reference] for reference in references], tokenize)
    return sum(edit_distance(own, wanted[0]) for own, wanted in examples) / max(sum(len(wanted[0]) for _, wanted in examples), 1)


def distinct(texts: Sequence[str], order: int = 2, *, tokenize: Tokenize = str.split) -> float:
    """Return the share of different n-grams among all n-grams of some texts: near 0 for texts that repeat themselves.

    >>> distinct(["a b a b"], 1)
    0.5
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for text in texts:
        counts.update(ngrams(tokenize(text), order))
    return len(counts) / max(sum(counts.values()), 1)


def _examples(texts: Sequence[str], references: Sequence[Sequence[str]], tokenize: Tokenize) -> list[tuple[list[str], list[list[str]]]]:
    """Return the tokens of each text and of its references.

    Raises:
        ValueError: if the numbers differ, texts are given in place of lists, a text has no reference, or a reference is empty.
    """
    if isinstance(texts, str) or any(isinstance(own, str) for own in references):
        raise ValueError("a single text was given in place of a list; expected a list of texts, and for each a list of references")
    if len(texts) != len(references):
        raise ValueError(f"{len(texts)} texts were given with {len(references)} lists of references; expected one list for each text")
    found = []
    for number, (text, own) in enumerate(zip(texts, references, strict=True)):
        wanted = [tokenize(reference) for reference in own]
        if not wanted or not all(wanted):
            raise ValueError(f"example {number} has {'an empty reference' if wanted else 'no reference'}; a reference needs a word")
        found.append((tokenize(text), wanted))
    return found


def _score(matches: int, given: int, wanted: int) -> Score:
    precision, recall = matches / max(given, 1), matches / max(wanted, 1)
    return Score(precision, recall, 2 * precision * recall / (precision + recall) if matches else 0.0)


def _chrf_of_counts(counts: Sequence[tuple[int, int, int]], beta: float) -> float:
    known = [(matches / given, matches / wanted) for matches, given, wanted in counts if given and wanted]
    precision = sum(p for p, _ in known) / max(len(known), 1)
    recall = sum(r for _, r in known) / max(len(known), 1)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall) if precision + recall else 0.0


def _common_places(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return the places in `one` of a longest common subsequence with `other`."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one, start=1):
        for j, right in enumerate(other, start=1):
            table[i][j] = table[i - 1][j - 1] + 1 if left == right else max(table[i - 1][j], table[i][j - 1])
    places, i, j = [], len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places[::-1]


def _fewest_chunks(own: Sequence[str], reference: Sequence[str], matches: int) -> int:
    """Return the fewest runs of neighbours in which all possible matches can be aligned, searched with `METEOR_STATES` alignments."""
    places = {token: [place for place, other in enumerate(reference) if other == token] for token in set(own)}
    spare = Counter(own) - Counter(reference)  # a word that the text has more often than the reference may stay unmatched
    states: dict[tuple[int, int, tuple[tuple[str, int], ...]], int] = {(0, -2, ()): 0}  # used places, last place, skipped: chunks
    for token in own:
        following: dict[tuple[int, int, tuple[tuple[str, int], ...]], int] = {}
        for (used, last, skipped), chunks in states.items():
            options = [
                (used | 1 << place, place, skipped, chunks + (place != last + 1)) for place in places[token] if not used >> place & 1
            ]
            done = dict(skipped)
            if done.get(token, 0) < spare[token]:
                options.append((used, -2, tuple(sorted({**done, token: done.get(token, 0) + 1}.items())), chunks))
            for new_used, new_last, new_skipped, count in options:
                key = (new_used, new_last, new_skipped)
                following[key] = min(following.get(key, count), count)
        states = dict(sorted(following.items(), key=lambda item: item[1])[:METEOR_STATES])
    return min(states.values(), default=matches)
