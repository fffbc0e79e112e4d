"""Specs of the agents that play bandits."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec

BOOK = "Sutton, Barto. Reinforcement Learning: An Introduction, 2nd edition, 2018"


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of the bandit agents, sorted by name."""
    for name, summary, config, reference in (
        ("bandit-epsilon-greedy", "Mean rewards, and a random arm now and then", {}, BOOK),
        (
            "bandit-gradient",
            "Preferences that follow the gradient of the mean reward",
            {"method": "gradient", "learning_rate": 0.1},
            BOOK,
        ),
        (
            "bandit-kl-ucb",
            "The arm whose mean could be largest, judged by the divergence of its rewards",
            {"method": "kl-ucb"},
            "Garivier, Cappe. The KL-UCB algorithm for bounded stochastic bandits and beyond, 2011",
        ),
        (
            "bandit-optimistic",
            "Greedy, from estimates too high to be true",
            {"exploration": "greedy", "initial_value": 5.0, "learning_rate": 0.1},
            BOOK,
        ),
        ("bandit-thompson", "Draws a mean for every arm from what is believed of it", {"method": "thompson"}, "Thompson, 1933"),
        (
            "bandit-ucb",
            "The arm whose upper confidence bound is largest (UCB1)",
            {"exploration": "ucb", "exploration_rate": 1.4142135623730951},
            "Auer, Cesa-Bianchi, Fischer. Finite-time analysis of the multiarmed bandit problem, 2002",
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.bandits.agents:BanditAgent",
            summary=summary,
            reference=reference,
            fits=("control bandit discrete-output",),
            unit="pulls",
            budget=1_000,
            task="bandit-gaussian",
            config=config,
            tiny={"pulls_per_iteration": 10},
            tags=("bandit", "exploration"),
        )
    for name, method, summary, reference in (
        (
            "bandit-discounted-ucb",
            "discounted",
            "UCB that forgets: a reward counts less with each later pull",
            "Garivier, Moulines. On upper-confidence bound policies for switching bandit problems, 2011",
        ),
        (
            "bandit-monitored-ucb",
            "monitored",
            "UCB that starts anew when the rewards of an arm have changed",
            "Cao, Wen, Kveton, Xie. Nearly optimal adaptive procedure with change detection for piecewise-stationary bandit, 2019",
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.bandits.changing:ChangingBandit",
            summary=summary,
            reference=reference,
            fits=("control bandit discrete-output",),
            unit="pulls",
            budget=10_000,
            task="bandit-switching",
            config={"method": method},
            tiny={"pulls_per_iteration": 10, "window": 4},
            tags=("bandit", "exploration", "robustness"),
        )
    for name, target, summary, reference in (
        (
            "exp4",
            "Exp4",
            "Weighs experts by what their advice earned, whatever the rewards do",
            "Auer, Cesa-Bianchi, Freund, Schapire. The nonstochastic multiarmed bandit problem, 2002",
        ),
        (
            "lin-thompson",
            "LinThompson",
            "Draws what each item pays a user from linear models, and shows the best",
            "Agrawal, Goyal. Thompson sampling for contextual bandits with linear payoffs, 2013",
        ),
        (
            "linucb",
            "LinUCB",
            "Shows the item whose upper confidence bound is largest, by linear models",
            "Li, Chu, Langford, Schapire. A contextual-bandit approach to personalized news article recommendation, 2010",
        ),
    ):
        yield AgentSpec(
            name=name,
            target=f"rl_algos.bandits.contextual:{target}",
            summary=summary,
            reference=reference,
            fits=("control contextual vector-input discrete-output",),
            unit="pulls",
            budget=5_000,
            task="contextual-bandit",
            tiny={"pulls_per_iteration": 10},
            tags=("bandit", "exploration", "recommendation"),
        )
