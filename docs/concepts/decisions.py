"""Markov processes, values and what is learned from delayed rewards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concepts.drawing import label, picture

CHAIN = 7  # states of the walk below, between two ends


def walk_values(discount: float) -> np.ndarray:
    """Return the values [CHAIN] of a random walk that earns 1 at its right end and 0 at its left one."""
    moves = 0.5 * (np.eye(CHAIN, k=1) + np.eye(CHAIN, k=-1))
    reward = np.zeros(CHAIN)
    reward[-1] = 0.5
    return np.linalg.solve(np.eye(CHAIN) - discount * moves, reward)


def discount(path: Path) -> str:
    """Draw values over the discount."""
    states = np.arange(1, CHAIN + 1)
    with picture(path) as axes:
        for gamma in (1.0, 0.95, 0.8, 0.5):
            axes.plot(states, walk_values(gamma), "o-", label=f"discount {gamma}")
        label(axes, "A reward far away is worth less", "state; reward 1 behind the last", "value")
    return (
        f"Values of a random walk. In the middle state a discount of 0.95 leaves {walk_values(0.95)[3]:.2f} of the "
        f"{walk_values(1.0)[3]:.2f}"
        " that the reward is worth undiscounted: the same as a chance of 5 % that each step is the last."
    )


def markov_property(path: Path) -> str:
    """Draw that a state with its velocity predicts, and a position alone does not."""
    rng = np.random.default_rng(0)
    position, velocity = rng.normal(size=4000), rng.choice([-1.0, 1.0], 4000)
    after = position + 0.5 * velocity + 0.05 * rng.normal(size=4000)
    by_position = after - np.polyval(np.polyfit(position, after, 1), position)
    by_both = after - position - 0.5 * velocity
    with picture(path, 2) as (left, right):
        left.hist(by_position, 60, color="tab:orange")
        right.hist(by_both, 60, color="tab:blue")
        label(left, "From the position alone", "error of the prediction", "count")
        label(right, "From position and velocity", "error of the prediction", "count")
    return (
        f"The next position of a body. From its position alone the error has a deviation of {by_position.std():.2f} and two peaks, "
        "since the"
        f" past (the velocity) still matters: the position is not a Markov state. With the velocity it is {by_both.std():.2f}, "
        "pure noise."
    )


def bellman(path: Path) -> str:
    """Draw the error of sweeps of Bellman's equation, and of averages of sampled returns."""
    gamma, truth = 0.95, walk_values(0.95)
    moves = 0.5 * (np.eye(CHAIN, k=1) + np.eye(CHAIN, k=-1))
    value, errors = np.zeros(CHAIN), []
    for _ in range(40):
        value = gamma * moves @ value + np.eye(CHAIN)[-1] * 0.5
        errors.append(np.abs(value - truth).max())
    rng, middle = np.random.default_rng(0), CHAIN // 2
    returns = []
    for _ in range(2000):
        state, weight = middle, 1.0
        while 0 <= state < CHAIN:
            state += 1 if rng.random() < 0.5 else -1
            weight *= gamma
        returns.append(weight / gamma if state == CHAIN else 0.0)
    means = np.cumsum(returns) / np.arange(1, len(returns) + 1)
    with picture(path, 2) as (left, right):
        left.semilogy(range(1, 41), errors, "o-", markersize=3)
        right.plot(means)
        right.axhline(truth[middle], color="black", linestyle=":", label="solution of the linear system")
        label(left, "Sweeps of V <- r + gamma P V", "sweep", "largest error")
        label(right, "Mean of sampled returns", "episodes", "value of the middle state")
    return (
        "The value is the expected return, and by the law of iterated expectations the expected reward plus the discounted value "
        "of the next"
        f" state. Both ways agree: {truth[middle]:.3f} by the linear system, {means[-1]:.3f} as the mean of 2,000 returns."
    )


def backup_diagrams(path: Path) -> str:
    """Draw the backup diagrams of the four Bellman equations."""
    with picture(path, 4, height=2.6, width=2.0) as axes:
        for each, (title, first, optimal) in zip(
            axes,
            (("V of a policy", "state", False), ("Q of a policy", "action", False), ("best V", "state", True), ("best Q", "action", True)),
            strict=True,
        ):
            levels = [[0.5], [0.25, 0.75], [0.125, 0.375, 0.625, 0.875]]
            kinds = [first, "action" if first == "state" else "state", first]
            for depth in range(2):
                for number, x in enumerate(levels[depth]):
                    for child in levels[depth + 1][2 * number : 2 * number + 2]:
                        each.plot([x, child], [2 - depth, 1 - depth], color="black", zorder=1)
                    if optimal and kinds[depth] == "state":
                        each.plot([x - 0.06, x + 0.06], [2 - depth - 0.3] * 2, color="tab:red", linewidth=2)
            for depth, row in enumerate(levels):
                filled = "black" if kinds[depth] == "action" else "white"
                each.scatter(row, [2 - depth] * len(row), s=90 if filled == "white" else 40, c=filled, edgecolors="black", zorder=2)
            each.set_title(title, fontsize=9)
            each.axis("off")
    return (
        "Circles are states, dots are actions. Below a state the policy chooses, or the best action (red) is taken; below an action the"
        " environment chooses. Each equation backs values up from the leaves to the root."
    )


def delayed_reward(path: Path) -> str:
    """Draw how a reward at the end of a corridor travels back, by one-step and by n-step learning."""
    length = 12
    with picture(path, 2) as axes:
        counts = []
        for each, steps in zip(axes, (1, 4), strict=True):
            value, episodes = np.zeros(length + 1), 0
            while value[0] < 0.5:
                before = value.copy()
                for state in range(length):
                    end = min(state + steps, length)
                    target = 1.0 if end == length else before[end]
                    value[state] += 0.5 * (target - value[state])
                episodes += 1
                if episodes in (1, 5, 10, 20):
                    each.plot(value[:length], label=f"after {episodes} episodes")
            counts.append(episodes)
            label(each, f"{steps}-step targets", "steps from the start", "value")
    return (
        f"A reward at the end of a corridor of 12 steps. The first state is worth 0.5 after {counts[0]} episodes with one-step "
        f"targets, after {counts[1]} with four-step ones."
    )


def overestimation(path: Path) -> str:
    """Draw the bias of the maximum of noisy means, and of the double estimate."""
    rng = np.random.default_rng(0)
    actions = np.array([2, 4, 8, 16, 32])
    single, double = [], []
    for count in actions:
        first, second = rng.normal(size=(2, 5000, 10, count)).mean(axis=2)
        single.append(first.max(axis=1).mean())
        double.append(np.take_along_axis(second, first.argmax(axis=1)[:, None], axis=1).mean())
    with picture(path) as axes:
        axes.plot(actions, single, "o-", label="maximum of the means (Q-learning)")
        axes.plot(actions, double, "s-", label="other sample's mean of that action (double)")
        axes.axhline(0, color="black", linestyle=":", label="truth")
        label(axes, "All actions are worth 0; ten samples of each", "actions", "estimated value of the best")
    return (
        f"Among 32 actions the maximum of ten-sample means is {single[-1]:+.2f} on average though every action is worth 0; the "
        f"double estimate is {double[-1]:+.2f}."
    )


def drift(path: Path) -> str:
    """Draw how a mean of all rewards and a mean with a constant step follow an arm that drifts."""
    rng = np.random.default_rng(0)
    truth = np.cumsum(rng.normal(0, 0.03, (200, 2000)), axis=1)
    reward = truth + rng.normal(size=truth.shape)
    average, constant = np.zeros_like(truth), np.zeros_like(truth)
    for step in range(1, truth.shape[1]):
        average[:, step] = average[:, step - 1] + (reward[:, step - 1] - average[:, step - 1]) / step
        constant[:, step] = constant[:, step - 1] + 0.05 * (reward[:, step - 1] - constant[:, step - 1])
    errors = [np.sqrt(((estimate - truth) ** 2).mean(axis=0)) for estimate in (average, constant)]
    with picture(path) as axes:
        for error, name in zip(errors, ("mean of all rewards", "constant step 0.05"), strict=True):
            axes.plot(error, label=name)
        label(axes, "A world that changes", "step", "error of the estimate")
    return (
        f"After 2,000 steps of a drifting arm the mean of everything is off by {errors[0][-1]:.2f}; forgetting at a constant rate "
        f"keeps the error at {errors[1][-1]:.2f}."
    )


FIGURES = {
    "discount": discount,
    "markov-property": markov_property,
    "bellman": bellman,
    "backup-diagrams": backup_diagrams,
    "delayed-reward": delayed_reward,
    "overestimation": overestimation,
    "drift": drift,
}
