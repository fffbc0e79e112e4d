"""Rules by which a simulation selects actions in the tree.

*Source*: Kocsis and Szepesvari, Bandit Based Monte-Carlo Planning (2006) for UCB1; Rosin, Multi-armed Bandits with Episode Context
(2011) and Silver et al., Mastering the Game of Go without Human Knowledge (2017) for PUCT; Schrittwieser et al., Mastering Atari, Go,
Chess and Shogi by Planning with a Learned Model (2020), for the scale of values.

*Departures*: none.

A rule takes (tree, node, width, uniform number in [0, 1)) and returns an action. One whose prior is negative is not allowed.
"""

from __future__ import annotations

import math

from dl_nets.fast.kernels import inlined
from rl_algos.tree_search.tree import Tree


@inlined
def scaled(tree: Tree, node: int, action: int) -> float:
    """Return Q(s, a) scaled to [0, 1] by the least and largest value seen in the tree, so that one width serves all rewards."""
    return (tree.values[node, action] - tree.bounds[0]) / max(tree.bounds[1] - tree.bounds[0], 1e-12)


@inlined
def ucb1(tree: Tree, node: int, width: float, uniform: float) -> int:
    """Return an action never tried, at random; else argmax_a Q(a) + c sqrt(ln N / N(a)), ties at random."""
    num_actions = tree.visits.shape[1]
    total, untried = 0, 0
    for action in range(num_actions):
        total += tree.visits[node, action]
        untried += tree.visits[node, action] == 0 and tree.priors[node, action] >= 0
    best, ties, log_total = -math.inf, untried, math.log(max(total, 1))
    if untried == 0:
        for action in range(num_actions):
            if tree.visits[node, action] > 0:
                score = scaled(tree, node, action) + width * math.sqrt(log_total / tree.visits[node, action])
                if score > best:
                    best, ties = score, 0
                ties += score == best
    rank = int(uniform * ties)
    for action in range(num_actions):
        if untried > 0:
            chosen = tree.visits[node, action] == 0 and tree.priors[node, action] >= 0
        elif tree.visits[node, action] > 0:
            chosen = scaled(tree, node, action) + width * math.sqrt(log_total / tree.visits[node, action]) == best
        else:
            chosen = False
        if chosen:
            if rank == 0:
                return action
            rank -= 1
    return num_actions - 1


@inlined
def puct(tree: Tree, node: int, width: float, uniform: float) -> int:
    """Return argmax_a Q(a) + c P(a) sqrt(N) / (1 + N(a)), the first of equal ones; an action never tried counts as the node's value."""
    total = 0
    for action in range(tree.visits.shape[1]):
        total += tree.visits[node, action]
    best, chosen = -math.inf, 0
    for action in range(tree.visits.shape[1]):
        if tree.priors[node, action] < 0:
            continue
        score = width * tree.priors[node, action] * math.sqrt(max(total, 1)) / (1 + tree.visits[node, action])
        if tree.visits[node, action] > 0:
            score += scaled(tree, node, action)
        elif total > 0:
            score += (tree.value[node] - tree.bounds[0]) / max(tree.bounds[1] - tree.bounds[0], 1e-12)
        if score > best:
            best, chosen = score, action
    return chosen
