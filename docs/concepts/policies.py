"""Policies, their gradients, models, and learning to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from concepts.drawing import label, picture


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities [..., A] of logits [..., A]."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def stochastic_policy(path: Path) -> str:
    """Draw a policy's probabilities over its temperature."""
    values, temperatures = np.array([1.0, 0.6, 0.0]), np.geomspace(0.05, 5, 60)
    chances = softmax(values / temperatures[:, None])
    with picture(path) as axes:
        for action, value in enumerate(values):
            axes.semilogx(temperatures, chances[:, action], label=f"action worth {value}")
        label(axes, "softmax(Q / temperature)", "temperature", "probability")
    return (
        "At a low temperature the policy is deterministic, at a high one uniform; in between a better action is more likely, and "
        "none is excluded."
    )


def gradient_variance(path: Path) -> str:
    """Draw the deviation of REINFORCE's gradient over the baseline that is subtracted."""
    rng = np.random.default_rng(0)
    policy, worth = np.array([0.6, 0.4]), np.array([11.0, 10.0])
    actions = rng.choice(2, size=200_000, p=policy)
    rewards = worth[actions] + rng.normal(size=len(actions))
    score = (actions == 0) - policy[0]  # of the first logit
    baselines = np.linspace(0, 20, 41)
    samples = [(rewards - baseline) * score for baseline in baselines]
    deviations = np.array([sample.std() for sample in samples])
    mean = float(policy @ worth)
    truth = policy[0] * policy[1] * (worth[0] - worth[1])
    with picture(path, 2) as (left, right):
        left.plot(baselines, deviations)
        left.axvline(mean, color="black", linestyle=":", label="expected reward")
        right.plot(baselines, [sample.mean() for sample in samples])
        right.axhline(truth, color="black", linestyle=":", label="true gradient")
        right.set_ylim(truth - 0.3, truth + 0.3)
        label(left, "Deviation of one sample", "baseline", "deviation of the gradient")
        label(right, "Mean of 200,000 samples", "baseline", "gradient")
    least = samples[int(np.abs(baselines - mean).argmin())].std()
    return (
        f"Two arms worth 11 and 10. Without a baseline one sample of the gradient ({truth:.2f}) has a deviation of "
        f"{deviations[0]:.2f}; with the"
        f" expected reward as the baseline {least:.2f}. The mean is the same for every baseline that does not depend on the action."
    )


def trust_region(path: Path) -> str:
    """Draw the true return and the surrogate along a step of a policy with one parameter."""
    # A safe state and a dangerous one. Action 1 pays in the first, leads to the second more often, and is a disaster there.
    transition = np.array([[[0.98, 0.02], [0.8, 0.2]], [[0.5, 0.5], [0.5, 0.5]]])  # state, action, next state
    reward, gamma = np.array([[0.0, 1.0], [0.0, -12.0]]), 0.95

    def policy_of(logit: float) -> np.ndarray:
        return np.tile(softmax(np.array([0.0, logit])), (2, 1))  # the same in both states

    def worth(policy: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        moves = np.einsum("sa,sat->st", policy, transition)
        value = np.linalg.solve(np.eye(2) - gamma * moves, (policy * reward).sum(1))
        q = reward + gamma * transition @ value
        visits = np.linalg.solve(np.eye(2) - gamma * moves.T, np.array([1.0, 0.0]))
        return float(value[0]), q - value[:, None], visits

    start = policy_of(-4.0)
    first, advantage, visits = worth(start)
    logits = np.linspace(-4, 1, 101)
    promised = np.array([first + (visits[:, None] * policy_of(logit) * advantage).sum() for logit in logits])
    true = np.array([worth(policy_of(logit))[0] for logit in logits])
    apart = np.array([(start[0] * np.log(start[0] / policy_of(logit)[0])).sum() for logit in logits])
    with picture(path) as axes:
        axes.plot(logits + 4, true, label="true return of the new policy")
        axes.plot(logits + 4, promised, "--", label="surrogate: old visits, new actions")
        axes.axvline(logits[int(np.searchsorted(apart, 0.01))] + 4, color="black", linestyle=":", label="divergence 0.01")
        axes.set_ylim(-12, 8)
        label(axes, "A large step harms", "length of the step", "return")
    near = int(np.searchsorted(apart, 0.01))
    return (
        f"A step of the policy is judged by the states that the old policy visited. At a divergence of 0.01 the surrogate promises"
        f" {promised[near]:.2f} and the return is {true[near]:.2f}, from {first:.2f}; at a step of 4 it promises "
        f"{promised[80]:.1f} and the return is"
        f" {true[80]:.1f}. TRPO bounds the divergence, PPO clips the ratio."
    )


def uncertainty(path: Path) -> str:
    """Draw the two uncertainties of an ensemble: noise in the data, and disagreement where there is none."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-3, -1.7, 60), rng.uniform(1.2, 3, 60)])
    noise = np.where(x > 0, 0.3, 0.05)
    y = np.sin(x) + noise * rng.normal(size=len(x))
    grid = np.linspace(-4, 4, 200)
    answers, variances = [], []
    for _ in range(40):
        chosen = rng.integers(len(x), size=len(x))
        weights = np.polyfit(x[chosen], y[chosen], 4)
        answers.append(np.polyval(weights, grid))
        misses = (y[chosen] - np.polyval(weights, x[chosen])) ** 2
        variances.append([misses[(x[chosen] > 0) == side].mean() for side in (False, True)])
    mean, epistemic = np.mean(answers, axis=0), np.std(answers, axis=0)
    left_noise, right_noise = np.sqrt(np.mean(variances, axis=0))
    with picture(path, width=5.5) as axes:
        axes.scatter(x, y, s=8, color="black", label="data")
        axes.plot(grid, mean, label="mean of 40 fits")
        axes.fill_between(grid, mean - 2 * epistemic, mean + 2 * epistemic, alpha=0.3, label="disagreement (epistemic)")
        axes.set_ylim(-3, 3)
        label(axes, "Not knowing, and noise", "x", "y")
    middle, inside = epistemic[np.abs(grid).argmin()], epistemic[np.abs(grid - 2).argmin()]
    return (
        f"Noise in the data is aleatoric: {left_noise:.2f} on the left, {right_noise:.2f} on the right, and more data do not "
        "remove it. Disagreement of"
        f" the fits is epistemic: {inside:.2f} among data, {middle:.2f} in the gap, {epistemic[-1]:.1f} outside; more data there "
        "remove it."
    )


def few_shots(path: Path) -> str:
    """Draw the error after few examples, from a prior that many tasks taught and from nothing."""
    rng = np.random.default_rng(0)
    tasks = rng.normal([2.0, -1.0], [0.3, 0.3], size=(500, 2))  # slopes and offsets
    shots, noise = range(11), 0.3
    errors = {"from nothing": [], "from what 500 tasks had in common": []}
    for name, (centre, spread) in zip(errors, ((np.zeros(2), 3.0), (tasks.mean(0), 0.3)), strict=True):
        for count in shots:
            total = []
            for task in rng.normal([2.0, -1.0], [0.3, 0.3], size=(200, 2)):
                inputs = np.stack([rng.uniform(-1, 1, count), np.ones(count)], axis=1)
                targets = inputs @ task + noise * rng.normal(size=count)
                precision = np.eye(2) / spread**2 + inputs.T @ inputs / noise**2
                learned = np.linalg.solve(precision, centre / spread**2 + inputs.T @ targets / noise**2)
                total.append(((learned - task) ** 2).sum())
            errors[name].append(np.mean(total))
    with picture(path) as axes:
        for name, error in errors.items():
            axes.semilogy(shots, error, "o-", label=name)
        label(axes, "A new line, fitted to few points", "examples of the new task", "squared error of the line")
    fresh, learned = errors.values()
    return (
        f"After two examples the error is {fresh[2]:.2f} from nothing and {learned[2]:.2f} from what other tasks of the family "
        "taught: learning to learn is a good start and the right step."
    )


def adversaries(path: Path) -> str:
    """Draw gradient play of two players whose loss is x y."""
    with picture(path) as axes:
        ends = []
        for name, look_ahead in (("both step at once", False), ("each looks one step ahead", True)):
            x, y, trace = 1.0, 0.0, []
            for _ in range(120):
                trace.append((x, y))
                seen = (x - 0.1 * y, y + 0.1 * x) if look_ahead else (x, y)
                x, y = x - 0.1 * seen[1], y + 0.1 * seen[0]
            axes.plot(*np.transpose(trace), label=name)
            ends.append(float(np.hypot(x, y)))
        axes.scatter([0], [0], color="black", zorder=3, label="equilibrium")
        axes.set_aspect("equal")
        label(axes, "min over x, max over y of x y", "x", "y")
    return (
        f"A zero-sum game, as a GAN's two networks play it: steps of both at once leave the equilibrium (distance {ends[0]:.1f} "
        "after 120 steps),"
        f" steps that look ahead approach it ({ends[1]:.2f}). Hence the care with a GAN's rates and penalties."
    )


FIGURES = {
    "stochastic-policy": stochastic_policy,
    "gradient-variance": gradient_variance,
    "trust-region": trust_region,
    "uncertainty": uncertainty,
    "few-shots": few_shots,
    "zero-sum-game": adversaries,
}
