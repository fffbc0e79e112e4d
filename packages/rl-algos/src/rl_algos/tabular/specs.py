"""Specs of the agents that learn tables from experience."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec

BOOK = "Sutton, Barto. Reinforcement Learning: An Introduction, 2nd edition, 2018"
PLAYED = ("control discrete-input discrete-output",)
KNOWN = ("mdp discrete-input discrete-output",)
FEW_STEPS = {"steps_per_iteration": 20}
FEW_EPISODES = {"steps_per_iteration": 20, "max_episode_steps": 20}


def _learner(name: str, target: str, summary: str, reference: str = BOOK, **fields: Any) -> AgentSpec:
    settings = {"task": "FrozenLake-v1", "budget": 200_000, "fits": PLAYED, "tiny": FEW_STEPS, "tags": ("tabular", "control"), **fields}
    return AgentSpec(
        name=name, target=f"rl_algos.tabular.{target}", summary=summary, reference=reference, unit="environment steps", **settings
    )


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of the tabular learners, sorted by name."""
    yield _learner(
        "double-q-learning",
        "td_control:TDControl",
        "Q-learning with two tables, one of which chooses and the other values",
        "van Hasselt. Double Q-learning, 2010",
        config={"target": "double-q-learning"},
        presets="rl_algos:tabular/presets/q-learning.yaml",
    )
    yield _learner(
        "dyna-q",
        "dyna:Dyna",
        "Q-learning from what happens and from a learned model",
        "Sutton. Integrated architectures for learning, planning, and reacting, 1990",
        presets="rl_algos:tabular/presets/dyna-q.yaml",
        tags=("tabular", "control", "model-based"),
    )
    yield _learner(
        "dyna-q-plus",
        "dyna:Dyna",
        "Dyna-Q that is curious about what it has not tried for long",
        "Sutton. Integrated architectures for learning, planning, and reacting, 1990",
        config={"time_bonus": 1e-4},
        task="maze",
        budget=20_000,
        tags=("tabular", "control", "model-based"),
    )
    yield _learner(
        "expected-sarsa",
        "td_control:TDControl",
        "Sarsa with the mean over next actions in place of the one taken",
        "van Seijen, van Hasselt, Whiteson, Wiering. A theoretical and empirical analysis of Expected Sarsa, 2009",
        config={"target": "expected-sarsa"},
        presets="rl_algos:tabular/presets/sarsa.yaml",
    )
    yield _learner(
        "mc-control",
        "monte_carlo:MonteCarlo",
        "On-policy Monte Carlo control with a soft policy",
        presets="rl_algos:tabular/presets/mc-control.yaml",
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "mc-exploring-starts",
        "monte_carlo:MonteCarlo",
        "Greedy Monte Carlo control whose episodes start anywhere",
        config={"method": "exploring-starts"},
        fits=KNOWN,
        task="blackjack",
        budget=2_000_000,
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "mc-off-policy",
        "mc_off_policy:MCOffPolicy",
        "Monte Carlo control of the greedy policy from the episodes of another",
        config={"exploration_rate": 0.3},
        presets="rl_algos:tabular/presets/mc-off-policy.yaml",
        task="blackjack",
        budget=2_000_000,
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "mc-off-policy-prediction",
        "prediction.mc_prediction:MCPrediction",
        "What a policy is worth, by importance sampling from random play",
        config={"behaviour": "uniform"},
        task="blackjack",
        budget=1_000_000,
        tiny=FEW_EPISODES,
        tags=("tabular", "prediction"),
    )
    yield _learner(
        "mc-prediction",
        "prediction.mc_prediction:MCPrediction",
        "What a policy is worth, as the mean of returns",
        task="blackjack",
        budget=1_000_000,
        tiny=FEW_EPISODES,
        tags=("tabular", "prediction"),
    )
    yield _learner(
        "mc-q-learning",
        "monte_carlo:MonteCarlo",
        "Q-learning with Monte Carlo updates: returns for as long as actions were greedy",
        "Watkins. Learning from delayed rewards, 1989",
        config={"method": "q-learning", "learning_rate": 0.05},
        presets="rl_algos:tabular/presets/mc-q-learning.yaml",
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "n-step-sarsa", "n_step:NStepSarsa", "Sarsa that looks n rewards ahead", presets="rl_algos:tabular/presets/n-step-sarsa.yaml"
    )
    yield _learner(
        "q-learning",
        "td_control:TDControl",
        "Learns the best policy's action values while exploring with another",
        "Watkins. Learning from delayed rewards, 1989",
        presets="rl_algos:tabular/presets/q-learning.yaml",
    )
    yield _learner(
        "sarsa",
        "td_control:TDControl",
        "Learns the action values of the policy that it explores with",
        "Rummery, Niranjan. On-line Q-learning using connectionist systems, 1994",
        config={"target": "sarsa"},
        presets="rl_algos:tabular/presets/sarsa.yaml",
    )
    yield _learner(
        "sarsa-lambda",
        "traces:SarsaLambda",
        "Sarsa with eligibility traces",
        "Singh, Sutton. Reinforcement learning with replacing eligibility traces, 1996",
        presets="rl_algos:tabular/presets/n-step-sarsa.yaml",
    )
    yield _learner(
        "td-lambda",
        "prediction.td_prediction:TDPrediction",
        "What a policy is worth, step by step, with eligibility traces",
        "Sutton. Learning to predict by the methods of temporal differences, 1988",
        config={"trace_decay": 0.8},
        task="random-walk",
        budget=10_000,
        tags=("tabular", "prediction"),
    )
    yield _learner(
        "td0",
        "prediction.td_prediction:TDPrediction",
        "What a policy is worth, step by step",
        "Sutton. Learning to predict by the methods of temporal differences, 1988",
        task="random-walk",
        budget=10_000,
        tags=("tabular", "prediction"),
    )
