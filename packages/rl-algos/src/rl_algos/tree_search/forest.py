"""Many search trees grown in step, whose leaves are evaluated together: by a network, by rollouts, by anything that takes a batch.

Each tree is a `Tree`, which single searches use too; here its arrays have one more axis in front. A simulation is three calls: `walk`
goes down every tree to an action that has no node yet, a model says what follows from these actions, and `grow` adds the nodes and
passes their values up. Only the walk and the growth are compiled, so that any model serves.

Source: as of `tree`; the split of tree, rule and model is that of Babuschkin and others, "The DeepMind JAX ecosystem" (mctx), 2020.

Departures: none.

Letters: G trees, A actions, D depth.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from dl_nets.fast.kernels import announced, copy_into, inlined, kernel
from rl_algos.tree_search.select import puct, ucb1
from rl_algos.tree_search.tree import Search, Tree, back_up, descend, new_tree

FORBIDDEN = -1.0
"""Prior of an action that is not allowed."""


class Leaves(NamedTuple):
    """A model's answers about the ends of a walk.

    Attributes:
        reward: Of the last action, to the player who took it [G].
        over: Whether it ended the episode [G].
        value: Of the state it led to, for the player who moves there [G]; not read where the episode is over.
        priors: P(a) of the actions there [G, A], `FORBIDDEN` for those that are not allowed.
    """

    reward: np.ndarray
    over: np.ndarray
    value: np.ndarray
    priors: np.ndarray


class Model(Protocol):
    """Protocol of what a search asks of the world, known or learned."""

    def expand(self, node: np.ndarray, action: np.ndarray, place: np.ndarray) -> Leaves:
        """Return what follows from actions [G] in the states of nodes [G]; the states reached are kept as those of nodes `place` [G]."""


class Walks(NamedTuple):
    """Room for a walk in every tree.

    Attributes:
        path: Nodes, actions and edges [G, D, 3].
        rewards: [G, D].
        depth: [G].
    """

    path: np.ndarray
    rewards: np.ndarray
    depth: np.ndarray


def new_forest(num_trees: int, num_simulations: int, num_actions: int) -> Tree:
    """Return trees of a root alone each, as one `Tree` whose arrays have the axis G in front."""
    return Tree(*(np.repeat(array[None], num_trees, axis=0) for array in new_tree(num_simulations, num_actions, 0)))


@inlined
def tree_at(forest: Tree, g: int) -> Tree:
    """Return one tree of a forest."""
    return Tree(
        forest.key[g],
        forest.estimate[g],
        forest.value[g],
        forest.length[g],
        forest.visits[g],
        forest.values[g],
        forest.lengths[g],
        forest.rewards[g],
        forest.going[g],
        forest.priors[g],
        forest.edge[g],
        forest.target[g],
        forest.arrivals[g],
        forest.next_edge[g],
        forest.counts[g],
        forest.bounds[g],
        forest.slots[g],
    )


@kernel
def walk(forest: Tree, walks: Walks, width: float, by_priors: bool, rng: np.random.Generator) -> None:
    """Go down every tree to an action that has no node yet, or to the greatest depth.

    Args:
        forest: The trees.
        walks: Becomes the walks.
        width: c of the rule.
        by_priors: Whether the rule is `puct`, instead of `ucb1`.
        rng: Breaks the ties of `ucb1`.
    """
    for g in range(len(walks.depth)):
        tree, node, depth = tree_at(forest, g), 0, 0
        while depth < walks.path.shape[1]:
            action = puct(tree, node, width, 0.0) if by_priors else ucb1(tree, node, width, rng.random())
            edge = tree.edge[node, action]
            walks.path[g, depth, 0], walks.path[g, depth, 1], walks.path[g, depth, 2] = node, action, edge
            walks.rewards[g, depth] = tree.rewards[node, action]
            depth += 1
            if edge == 0:
                break
            node = tree.target[edge]
        walks.depth[g] = depth


@kernel
def grow(forest: Tree, walks: Walks, search: Search, reward: np.ndarray, over: np.ndarray, value: np.ndarray, priors: np.ndarray) -> None:
    """Add the nodes that the walks ended at, and pass their values up; the arguments are those of `Leaves`."""
    for g in range(len(walks.depth)):
        tree, last, rest = tree_at(forest, g), walks.depth[g] - 1, 0.0
        walks.rewards[g, last] = reward[g]
        if not over[g]:
            node, action = walks.path[g, last, 0], walks.path[g, last, 1]
            target, edge, _ = descend(tree, node, action, 0, False)
            walks.path[g, last, 2] = edge
            tree.value[target] = tree.estimate[target] = rest = value[g]
            copy_into(tree.priors[target], priors[g])
        back_up(tree, walks.path[g], walks.rewards[g], walks.depth[g], rest, search)


def grown(
    model: Model,
    value: np.ndarray,
    priors: np.ndarray,
    search: Search,
    rng: np.random.Generator,
    *,
    bounds: tuple[float, float] | None = None,
    by_priors: bool = True,
) -> Tree:
    """Return trees after `search.num_simulations` simulations each.

    Args:
        model: What follows from actions; it holds the states of the roots as those of node 0.
        value: Of the roots [G].
        priors: Of the actions of the roots [G, A].
        search: Settings; a discount of -1 makes the players take turns. `best` and `merge` must be false.
        rng: Breaks ties.
        bounds: Least and largest value there can be; what is seen, without them.
        by_priors: Whether actions are selected by `puct`, instead of `ucb1`.
    """
    forest = new_forest(len(value), search.num_simulations, priors.shape[1])
    forest.value[:, 0], forest.priors[:, 0] = value, priors
    if bounds is not None:
        forest.bounds[:] = bounds
    depth = min(search.max_depth, search.num_simulations)
    walks = Walks(np.zeros((len(value), depth, 3), np.int64), np.zeros((len(value), depth)), np.zeros(len(value), np.int64))
    trees = np.arange(len(value))
    with announced("tree search"):
        for _ in range(search.num_simulations):
            walk(forest, walks, search.width, by_priors, rng)
            last = walks.path[trees, walks.depth - 1]
            leaves = model.expand(last[:, 0], last[:, 1], forest.counts[:, 0])
            grow(forest, walks, search, *(np.asarray(part) for part in leaves))
    return forest


def visit_shares(forest: Tree) -> np.ndarray:
    """Return the shares of the simulations that each action of the roots took [G, A]."""
    visits = forest.visits[:, 0].astype(np.float64)
    shares: np.ndarray = visits / visits.sum(axis=1, keepdims=True)
    return shares


def root_values(forest: Tree) -> np.ndarray:
    """Return the values of the roots by their simulations [G]."""
    return np.asarray(forest.value[:, 0])


def noisy(priors: np.ndarray, alpha: float, weight: float, rng: np.random.Generator) -> np.ndarray:
    """Return priors [G, A] mixed with Dirichlet noise on the allowed actions: (1 - epsilon) P + epsilon Dir(alpha).

    Source: Silver et al., *A general reinforcement learning algorithm that masters chess, shogi and Go*, 2018, methods.

    >>> noisy(np.array([[0.5, 0.5, FORBIDDEN]]), 1.0, 0.25, np.random.default_rng(0)).round(3).tolist()
    [[0.475, 0.525, -1.0]]
    """
    allowed = priors >= 0
    drawn = rng.standard_gamma(alpha, priors.shape) * allowed
    total = drawn.sum(axis=1, keepdims=True)
    noise = np.divide(drawn, total, out=np.where(allowed, 1.0 / allowed.sum(axis=1, keepdims=True), 0.0), where=total > 0)
    return np.where(allowed, (1 - weight) * priors + weight * noise, FORBIDDEN)


def masked_priors(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return the softmax of logits [G, A] over the allowed actions [G, A]; `FORBIDDEN` elsewhere.

    >>> masked_priors(np.array([[0.0, 5.0, 0.0]]), np.array([[True, False, True]])).tolist()
    [[0.5, -1.0, 0.5]]
    """
    logits = np.where(allowed, logits, -np.inf)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.where(allowed, weights / weights.sum(axis=1, keepdims=True), FORBIDDEN)
