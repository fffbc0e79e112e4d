"""Compiled transitions of a dependency parser, and the oracle that says what each one costs.

Source: Kuhlmann, Gomez-Rodriguez, Satta, "Dynamic programming algorithms for transition-based dependency parsers", 2011, for the arc-hybrid
system; Goldberg, Nivre, "Training Deterministic Parsers with Non-Deterministic Oracles", 2013, for its dynamic oracle.

Words are 0 to n - 1, and n is the root, at the end of the buffer. Letters: R rows of weights, L relations, n words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rl_core.compiling import inlined, kernel

SHIFT, RIGHT, LEFT = 0, 1, 2
MOVE_FEATURES = 40
RELATION_FEATURES = 16
_PRIME = np.uint64(0x9E3779B97F4A7C15)
_SHIFT_BITS = np.uint64(29)


@inlined
def _mixed(template: int, a: int, b: int, c: int, size: int) -> Any:
    """Return the row of a feature: a hash of its template and up to three values."""
    h = np.uint64(template + 1) * _PRIME
    h = (h ^ np.uint64(a + 3)) * _PRIME
    h = (h ^ (h >> _SHIFT_BITS) ^ np.uint64(b + 3)) * _PRIME
    h = (h ^ (h >> _SHIFT_BITS) ^ np.uint64(c + 3)) * _PRIME
    return np.int64((h ^ (h >> _SHIFT_BITS)) % np.uint64(size))


@kernel
def move_rows(rows: Any, words: Any, tags: Any, stack: Any, depth: int, front: int, left: Any, right: Any, counts: Any, size: int) -> None:
    """Fill `rows` [MOVE_FEATURES] with the rows of the active features.

    Args:
        rows: Filled.
        words: Word numbers [n + 1], the root last.
        tags: Tag numbers [n + 1].
        stack: Words on the stack [depth].
        depth: Their number.
        front: First word of the buffer.
        left: First and second newest child on the left of each word [n + 1, 2], -1 for none.
        right: The same on the right.
        counts: Numbers of children on the left and right [n + 1, 2].
        size: R.
    """
    end = len(words)
    s0 = stack[depth - 1] if depth > 0 else -1
    s1 = stack[depth - 2] if depth > 1 else -1
    s2 = stack[depth - 3] if depth > 2 else -1
    b1 = front + 1 if front + 1 < end else -1
    b2 = front + 2 if front + 2 < end else -1
    ws0, ts0 = (words[s0], tags[s0]) if s0 >= 0 else (-2, -2)
    ws1, ts1 = (words[s1], tags[s1]) if s1 >= 0 else (-2, -2)
    wb0, tb0 = words[front], tags[front]
    wb1, tb1 = (words[b1], tags[b1]) if b1 >= 0 else (-2, -2)
    ts2 = tags[s2] if s2 >= 0 else -2
    tb2 = tags[b2] if b2 >= 0 else -2
    tl0 = tags[left[s0, 0]] if s0 >= 0 and left[s0, 0] >= 0 else -2
    tr0 = tags[right[s0, 0]] if s0 >= 0 and right[s0, 0] >= 0 else -2
    tl1 = tags[left[s1, 0]] if s1 >= 0 and left[s1, 0] >= 0 else -2
    tr1 = tags[right[s1, 0]] if s1 >= 0 and right[s1, 0] >= 0 else -2
    tlb = tags[left[front, 0]] if left[front, 0] >= 0 else -2
    wlb = words[left[front, 0]] if left[front, 0] >= 0 else -2
    wr0 = words[right[s0, 0]] if s0 >= 0 and right[s0, 0] >= 0 else -2
    tr0b = tags[right[s0, 1]] if s0 >= 0 and right[s0, 1] >= 0 else -2
    tl0b = tags[left[s0, 1]] if s0 >= 0 and left[s0, 1] >= 0 else -2
    far = min(front - s0, 8) if s0 >= 0 else 0
    apart = min(s0 - s1, 8) if s1 >= 0 else 0
    v0 = min(counts[s0, 1], 3) * 4 + min(counts[s0, 0], 3) if s0 >= 0 else -1
    v1 = min(counts[s1, 1], 3) if s1 >= 0 else -1
    vb = min(counts[front, 0], 3)
    features = (
        (ws0, ts0, 0), (ws0, -1, 0), (ts0, -1, 0), (wb0, tb0, 0), (wb0, -1, 0), (tb0, -1, 0), (wb1, tb1, 0), (tb1, tb2, 0),
        (ws1, ts1, 0), (ts1, -1, 0), (ws0, wb0, 0), (ws0, ts0, tb0), (ts0, wb0, tb0), (ts0, tb0, 0), (ts0, tb0, tb1), (tb0, tb1, tb2),
        (ts1, ts0, tb0), (ts2, ts1, ts0), (ws1, ws0, 0), (ts1, ts0, 0), (ts1, ws0, ts0), (ws1, ts1, ts0), (ws0, tb0, tb1), (ts1, ts0, tb1),
        (ts0, tl0, tb0), (ts0, tr0, tb0), (ts0, tlb, tb0), (ts1, tr1, ts0), (ts1, tl1, ts0), (ts0, tr0, tr0b), (ts0, tl0, tl0b),
        (wlb, tb0, ts0), (ts0, far, tb0), (ws0, far, 0), (wb0, far, 0), (ts0, v0, tb0),
        (ws0, v0, 0), (ts1, v1, apart), (tb0, vb, ts0), (wr0, ts0, tb0),
    )  # fmt: skip
    for place in range(MOVE_FEATURES):
        a, b, c = features[place]
        rows[place] = _mixed(place, a, b, c, size)


@kernel
def relation_rows(rows: Any, words: Any, tags: Any, heads: Any, child: int, size: int) -> None:
    """Fill `rows` [RELATION_FEATURES] with the rows of the features of a word and its head."""
    head, last = heads[child], len(words) - 1
    wh, th, wc, tc = words[head], tags[head], words[child], tags[child]
    side = 1 if head < child else 0
    if head == last:
        side = 2
    far = min(abs(head - child), 6) * 3 + side
    before = tags[child - 1] if child > 0 else -2
    after = tags[child + 1]
    hb = tags[head - 1] if head > 0 else -2
    ha = tags[head + 1] if head < last else -2
    case, elder, younger, own = -2, 0, 0, 0
    for k in range(last):
        if heads[k] == child and k < child and case == -2:
            case = words[k]
        if heads[k] == child:
            own += 1
        if heads[k] == head and k != child:
            if k < child:
                elder += 1
            else:
                younger += 1
    grand = tags[heads[head]] if head < last else -2
    features = (
        (tc, th, side), (wc, th, side), (tc, wh, side), (wc, wh, side), (wc, -1, 0), (wh, -1, 0), (tc, th, far), (tc, before, after),
        (th, hb, ha), (tc, th, case), (wc, case, side), (wh, tc, case), (tc, th, min(elder, 3) * 3 + side),
        (tc, th, min(younger, 3) * 3 + side), (tc, th, grand), (tc, min(own, 3), side),
    )  # fmt: skip
    for place in range(RELATION_FEATURES):
        a, b, c = features[place]
        rows[place] = _mixed(place + MOVE_FEATURES, a, b, c, size)


@kernel
def costs(true: Any, stack: Any, depth: int, front: int, result: Any) -> None:
    """Fill `result` [3] with the number of true arcs that each move makes impossible; -1 where it is not allowed.

    Args:
        true: True heads [n].
        stack: Words on the stack [depth].
        depth: Their number.
        front: First word of the buffer; n is the root.
        result: Filled.
    """
    last = len(true)
    result[SHIFT] = 0 if front < last else -1
    result[RIGHT] = 0 if depth > 1 else -1
    result[LEFT] = 0 if depth > 0 else -1
    if front < last:
        for k in range(depth):
            word = stack[k]
            if true[word] == front:
                result[SHIFT] += 1
            if true[front] == word and k < depth - 1:
                result[SHIFT] += 1
    if depth > 0:
        top = stack[depth - 1]
        lost = 0
        for k in range(front, last):
            if true[k] == top:
                lost += 1
        result[LEFT] += lost + (1 if true[top] > front or (depth > 1 and true[top] == stack[depth - 2]) else 0)
        if depth > 1:
            result[RIGHT] += lost + (1 if true[top] >= front else 0)


@kernel
def parse_sentences(
    sentences: Any, order: Any, true: Any, answers: Any, move: Any, relation: Any, clock: int, explore: bool
) -> tuple[int, int, int, int]:
    """Parse sentences; while learning, correct the weights after each costly move and each wrong relation.

    Args:
        sentences: Word numbers [N + S] and tag numbers [N + S], a root behind each sentence, and the first place of each [S + 1].
        order: Numbers of the sentences, in this order.
        true: True heads [N + S] and relations [N + S] within sentences, only read while learning.
        answers: Filled with heads and relations, as `true`.
        move: Weights of moves [R, 3], and for learning their totals, else [0, 3].
        relation: Weights of relations [R', L], and for learning their totals, else [0, L].
        clock: Number of moves learned from so far, plus one.
        explore: While learning, follow the model's own move in place of the best true one.

    Returns:
        Costly moves, moves, wrong relations, and the new clock.
    """
    words, tags, splits = sentences
    weights, totals = move
    named, named_totals = relation
    learn = len(totals) > 0
    rows, named_rows = np.zeros(MOVE_FEATURES, np.int64), np.zeros(RELATION_FEATURES, np.int64)
    scores, cost, named_scores = np.zeros(3), np.zeros(3, np.int64), np.zeros(named.shape[1])
    mistakes, moves, wrong = 0, 0, 0
    for sentence in order:
        begin, end = splits[sentence], splits[sentence + 1]
        w, t = words[begin:end], tags[begin:end]
        last = end - begin - 1
        heads = np.full(last, last, np.int64)
        gold = true[0][begin : begin + last]
        stack, depth, front = np.zeros(last + 1, np.int64), 0, 0
        left, right = np.full((last + 1, 2), -1, np.int64), np.full((last + 1, 2), -1, np.int64)
        counts = np.zeros((last + 1, 2), np.int64)
        while depth > 0 or front < last:
            move_rows(rows, w, t, stack, depth, front, left, right, counts, len(weights))
            scores[:] = 0
            for row in rows:
                for k in range(3):
                    scores[k] += weights[row, k]
            allowed = (front < last, depth > 1, depth > 0)
            best = -1
            for k in range(3):
                if allowed[k] and (best < 0 or scores[k] > scores[best]):
                    best = k
            if learn:
                costs(gold, stack, depth, front, cost)
                right_move = -1
                for k in range(3):
                    if cost[k] >= 0 and (
                        right_move < 0 or cost[k] < cost[right_move] or (cost[k] == cost[right_move] and scores[k] > scores[right_move])
                    ):
                        right_move = k
                moves += 1
                if cost[best] > cost[right_move]:
                    mistakes += 1
                    for row in rows:
                        weights[row, right_move] += 1
                        weights[row, best] -= 1
                        totals[row, right_move] += clock
                        totals[row, best] -= clock
                    if not explore:
                        best = right_move
                clock += 1
            if best == SHIFT:
                stack[depth] = front
                depth += 1
                front += 1
            else:
                depth -= 1
                child = stack[depth]
                if best == LEFT:
                    heads[child] = front
                    left[front, 1] = left[front, 0]
                    left[front, 0] = child
                    counts[front, 0] += 1
                else:
                    head = stack[depth - 1]
                    heads[child] = head
                    right[head, 1] = right[head, 0]
                    right[head, 0] = child
                    counts[head, 1] += 1
        for child in range(last):
            relation_rows(named_rows, w, t, gold if learn else heads, child, len(named))
            named_scores[:] = 0
            for row in named_rows:
                for k in range(len(named_scores)):
                    named_scores[k] += named[row, k]
            best = 0
            for k in range(1, len(named_scores)):
                if named_scores[k] > named_scores[best]:
                    best = k
            if learn:
                wanted = true[1][begin + child]
                if best != wanted:
                    wrong += 1
                    for row in named_rows:
                        named[row, wanted] += 1
                        named[row, best] -= 1
                        named_totals[row, wanted] += clock
                        named_totals[row, best] -= clock
            else:
                answers[0][begin + child] = heads[child]
                answers[1][begin + child] = best
    return mistakes, moves, wrong, clock
