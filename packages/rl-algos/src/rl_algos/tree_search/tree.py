"""Search trees: statistics of nodes and actions, and how a simulation adds to them.

*Source*: Browne et al., A Survey of Monte Carlo Tree Search Methods (2012); Keller and Helmert, Trial-based Heuristic Tree Search for
Finite Horizon MDPs (2013), for backups by the best action and, with known probabilities, over the outcomes met so far; Childs, Brodeur
and Kocsis, Transpositions and Move Groups in Monte Carlo Tree Search (2008), for nodes with several parents.

*Departures*: equally valued actions are compared by the length of the way to the end of the episode.

*Letters*: M nodes, A actions, E edges, D depth.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dl_nets.fast.kernels import inlined

FAR = 1e9  # steps; longer ways count as equal


class Tree(NamedTuple):
    """A search tree; node 0 is the root. States that are reached in several ways may share a node.

    Attributes:
        key: Number of a node's state or observation [M].
        estimate: Value of a node when it was new; minus infinity for the root [M].
        value: Value of a node by its simulations [M].
        length: Estimated steps from a node to the end of the episode [M].
        visits: N(s, a) [M, A].
        values: Q(s, a), meaningful where N > 0 [M, A].
        lengths: Estimated steps to the end of the episode from an action on [M, A].
        rewards: Mean reward of an action [M, A].
        going: Probability that the episode goes on after an action, where the world says so [M, A].
        priors: P(s, a), for rules that use it [M, A].
        edge: First edge of an action, 0 for none [M, A].
        target: Node at the end of an edge [E].
        arrivals: How often an edge was taken; its probability, where the world says so [E].
        next_edge: Next edge of the same action, 0 for none [E].
        counts: Number of nodes, and of edges including the unused edge 0 [2].
        bounds: Least and largest value of an action so far [2].
        slots: Hash table of the nodes by key, one more than the node, 0 where empty [a power of two].
    """

    key: np.ndarray
    estimate: np.ndarray
    value: np.ndarray
    length: np.ndarray
    visits: np.ndarray
    values: np.ndarray
    lengths: np.ndarray
    rewards: np.ndarray
    going: np.ndarray
    priors: np.ndarray
    edge: np.ndarray
    target: np.ndarray
    arrivals: np.ndarray
    next_edge: np.ndarray
    counts: np.ndarray
    bounds: np.ndarray
    slots: np.ndarray


class Search(NamedTuple):
    """Settings of a search.

    Attributes:
        num_simulations: Simulations from the root.
        width: c, weight of exploration in the selection rule.
        max_depth: Steps of a simulation.
        discount: gamma.
        best: Whether a node is worth its best action, instead of the mean of its simulations.
        merge: Whether equal keys share one node, instead of one node for each way.
        exact: Whether the world says mean rewards and the probabilities of outcomes, which are counted otherwise.
    """

    num_simulations: int
    width: float
    max_depth: int
    discount: float
    best: bool
    merge: bool
    exact: bool = False


def new_tree(num_simulations: int, num_actions: int, key: int) -> Tree:
    """Return a tree of the root alone, with room for a node and an edge per simulation."""
    nodes, pairs = num_simulations + 1, (num_simulations + 1, num_actions)
    whole, real = np.int64, np.float64
    tree = Tree(
        np.zeros(nodes, whole), np.full(nodes, -math.inf), np.zeros(nodes, real), np.zeros(nodes, real), np.zeros(pairs, whole),
        np.zeros(pairs, real), np.zeros(pairs, real), np.zeros(pairs, real), np.ones(pairs, real), np.full(pairs, 1.0 / num_actions),
        np.zeros(pairs, whole), np.zeros(nodes, whole), np.zeros(nodes, real), np.zeros(nodes, whole), np.ones(2, whole),
        np.array([math.inf, -math.inf]), np.zeros(1 << (2 * nodes).bit_length(), whole),
    )  # fmt: skip
    tree.key[0] = key
    tree.slots[slot_of(tree, key)] = 1
    return tree


def tree_bytes(num_simulations: int, num_actions: int) -> int:
    """Return the memory that `new_tree` takes, in bytes."""
    return 8 * (num_simulations + 1) * (11 + 6 * num_actions)


@inlined
def slot_of(tree: Tree, key: int) -> int:
    """Return the slot of the hash table that holds a key, or the empty one where it belongs."""
    mask = len(tree.slots) - 1
    slot = (key * 40503) & mask
    while tree.slots[slot] > 0 and tree.key[tree.slots[slot] - 1] != key:
        slot = (slot + 1) & mask
    return slot


@inlined
def descend(tree: Tree, node: int, action: int, key: int, merge: bool) -> tuple[int, int, bool]:
    """Return the node that an action led to, the edge to it, and whether the edge is new; what is missing is made."""
    edge, last = tree.edge[node, action], 0
    while edge > 0:
        if tree.key[tree.target[edge]] == key:
            return tree.target[edge], edge, False
        last, edge = edge, tree.next_edge[edge]
    target = tree.counts[0]
    if merge:
        slot = slot_of(tree, key)
        if tree.slots[slot] > 0:
            target = tree.slots[slot] - 1
        else:
            tree.slots[slot] = target + 1
    if target == tree.counts[0]:
        tree.key[target] = key
        tree.value[target] = math.nan  # not evaluated yet
        tree.counts[0] += 1
    new = tree.counts[1]
    tree.counts[1] += 1
    tree.target[new] = target
    if last > 0:
        tree.next_edge[last] = new
    else:
        tree.edge[node, action] = new
    return target, new, True


@inlined
def better(value: float, length: float, best_value: float, best_length: float) -> bool:
    """Return whether a value is larger than the best one, or equal and preferable by the length of the way to the end of the episode.

    As under a discount near 1, what is gained is better soon, and what is lost is better late; of a value of 0 no length is preferable.
    """
    if best_value == -math.inf:
        return True
    margin = 1e-12 * max(1.0, abs(best_value))
    if abs(value - best_value) > margin:
        return value > best_value
    return length < best_length if value > margin else (length > best_length and value < -margin)


@inlined
def back_up(tree: Tree, path: np.ndarray, rewards: np.ndarray, depth: int, rest: float, search: Search) -> None:
    """Add a simulation to the statistics of the nodes and actions that it passed, from its end to the root.

    Mean: N <- N + 1, Q <- Q + (G - Q) / N, G <- R + gamma G, V = sum_a N Q / sum_a N. Best: Q = mean R + gamma sum_s' (n(s') / N) V(s')
    for all actions of a passed node, V = max_a Q.

    Args:
        tree: The tree.
        path: Nodes, actions, and edges taken, 0 where the episode was over [D, 3].
        rewards: [D].
        depth: Steps of the simulation.
        rest: Value of what follows the last step.
        search: Settings.
    """
    return_ = rest
    for index in range(depth - 1, -1, -1):
        node, action = path[index, 0], path[index, 1]
        tree.visits[node, action] += 1
        if not search.exact:
            tree.arrivals[path[index, 2]] += 1  # those of edge 0, the ends of episodes, are never read
            tree.rewards[node, action] += (rewards[index] - tree.rewards[node, action]) / tree.visits[node, action]
        return_ = rewards[index] + search.discount * return_
        if not search.best:
            tree.values[node, action] += (return_ - tree.values[node, action]) / tree.visits[node, action]
        summarise(tree, node, search)


@inlined
def summarise(tree: Tree, node: int, search: Search) -> None:
    """Compute values and lengths of a node and its actions from the nodes that the actions lead to.

    As long as an action was not tried, a node is worth at least its first estimate: an action that happened to be tried first and is bad
    would else keep simulations away from the node. With known probabilities, outcomes that were not met yet count as the mean of those
    that were.
    """
    total, untried, value, length = 0, 0, -math.inf, math.inf
    sum_of_values, sum_of_lengths = 0.0, 0.0
    for action in range(tree.visits.shape[1]):
        visits = tree.visits[node, action]
        if visits == 0:
            untried += 1
            continue
        following, steps, whole, edge = 0.0, 1.0, float(visits), tree.edge[node, action]
        if search.exact:
            whole = 0.0
            while edge > 0:
                whole += tree.arrivals[edge] / tree.going[node, action]
                edge = tree.next_edge[edge]
            edge = tree.edge[node, action]
        while edge > 0:
            share = tree.arrivals[edge] / whole
            following += share * tree.value[tree.target[edge]]
            steps += share * tree.length[tree.target[edge]]
            edge = tree.next_edge[edge]
        tree.lengths[node, action] = min(steps, FAR)
        if search.best:
            tree.values[node, action] = tree.rewards[node, action] + search.discount * following
        tree.bounds[0] = min(tree.bounds[0], tree.values[node, action])
        tree.bounds[1] = max(tree.bounds[1], tree.values[node, action])
        total += visits
        sum_of_values += visits * tree.values[node, action]
        sum_of_lengths += visits * tree.lengths[node, action]
        if better(tree.values[node, action], tree.lengths[node, action], value, length):
            value, length = tree.values[node, action], tree.lengths[node, action]
    if not search.best:
        value, length = sum_of_values / total, sum_of_lengths / total
    elif untried > 0 and tree.estimate[node] > value:
        value, length = tree.estimate[node], tree.length[node]
    tree.value[node], tree.length[node] = value, length


@inlined
def simulate(select: Any, restart: Any, advance: Any, evaluate: Any, world: Any, tree: Tree, search: Search, rng: Any) -> None:
    """Run `search.num_simulations` simulations from the root; the one search loop, compiled or, as `simulate.py_func`, in Python.

    Args:
        select: (tree, node, width, uniform) -> action.
        restart: (world, rng): put the world back to the root's state.
        advance: (world, tree, node, action, rng) -> (reward, key, over, probability of the key): take an action. Where `search.exact`, it
            writes `tree.rewards` and `tree.going`; elsewhere the probability is not read.
        evaluate: (world, tree, node, depth, rng) -> (value, length) of the state that the world is in; it may write `tree.priors`.
        world: State of the simulation and what the functions need.
        tree: The tree, extended in place.
        search: Settings.
        rng: Stream of the search.
    """
    path, rewards = np.empty((search.max_depth, 3), dtype=np.int64), np.empty(search.max_depth)
    for _ in range(search.num_simulations):
        restart(world, rng)
        node, depth, over, new = 0, 0, False, False
        while depth < search.max_depth and not over and not new:
            action = select(tree, node, search.width, rng.random())
            reward, key, over, probability = advance(world, tree, node, action, rng)
            path[depth, 0], path[depth, 1], path[depth, 2], rewards[depth] = node, action, 0, reward
            if not over:
                node, path[depth, 2], new = descend(tree, node, action, key, search.merge)
                if new and search.exact:
                    tree.arrivals[path[depth, 2]] = probability
            depth += 1
        rest = 0.0
        if not over:
            if math.isnan(tree.value[node]):
                tree.value[node], tree.length[node] = evaluate(world, tree, node, depth, rng)
                tree.estimate[node] = tree.value[node]
            rest = tree.value[node]
        back_up(tree, path, rewards, depth, rest, search)


def best_action(tree: Tree) -> int:
    """Return the root's action of largest value; of equal ones the `better` by length, then the one visited most, then the first."""
    best = -1
    for action in np.argsort(-tree.visits[0], kind="stable"):
        if tree.visits[0, action] > 0 and (
            best < 0 or better(tree.values[0, action], tree.lengths[0, action], tree.values[0, best], tree.lengths[0, best])
        ):
            best = int(action)
    return best
