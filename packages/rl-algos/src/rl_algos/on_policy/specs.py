"""Specs of agents that follow the gradient of the return with respect to the policy's parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec

FITS = tuple(
    f"control {input_}-input {output}-output" for input_ in ("vector", "image", "discrete") for output in ("discrete", "continuous")
)
"""Tasks whose observations any network takes and whose actions a policy can give."""

COMPOSED = tuple(
    f"control {input_}-input {output}-output"
    for input_ in ("vector", "image", "discrete")
    for output in ("token", "map", "multidiscrete", "binary", "composed")
)
"""Tasks whose actions have several parts."""

WILLIAMS = "Williams. Simple statistical gradient-following algorithms for connectionist reinforcement learning, 1992"


def _agent(name: str, target: str, summary: str, reference: str, **fields: Any) -> AgentSpec:
    presets = f"rl_algos:on_policy/presets/{name}.yaml"
    settings = {"fits": FITS, "task": "CartPole-v1", "network": "mlp", "budget": 100_000, "presets": presets, **fields}
    return AgentSpec(
        name=name, target=f"rl_algos.on_policy.{target}", summary=summary, reference=reference, unit="environment steps", **settings
    )


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield _agent(
        "a2c",
        "a2c:A2C",
        "Advantage actor-critic: a step after every few steps of many environments",
        "Mnih and others. Asynchronous methods for deep reinforcement learning, 2016",
        fits=FITS + COMPOSED,
        budget=500_000,
        space="rl_algos:on_policy/spaces/a2c.yaml",
        tiny={"num_envs": 2, "rollout_steps": 4, "entropy_weight": 0.01, "learning_rate_schedule": "linear"},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
    yield _agent(
        "a3c",
        "a3c:A3C",
        "Asynchronous advantage actor-critic: processes that learn at once, without locks",
        "Mnih and others. Asynchronous methods for deep reinforcement learning, 2016",
        budget=500_000,
        tiny={"num_workers": 1, "num_envs": 2, "rollout_steps": 4, "rollouts_per_step": 2, "entropy_weight": 0.01},
        tags=("on-policy", "policy gradient", "actor-critic", "asynchronous"),
    )
    yield _agent(
        "npg",
        "trpo:TRPO",
        "Natural policy gradient: conjugate gradient through the Fisher matrix",
        "Kakade. A natural policy gradient, 2002",
        config={"line_search": False},
        presets="rl_algos:on_policy/presets/trpo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "gradient_iterations": 2, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "natural gradient"),
    )
    yield _agent(
        "ppo",
        "ppo:PPO",
        "Proximal policy optimisation: clipped ratios, GAE, discrete and real actions",
        "Schulman, Wolski, Dhariwal, Radford, Klimov. Proximal policy optimization algorithms, 2017",
        fits=FITS + COMPOSED,
        space="rl_algos:on_policy/spaces/ppo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
    yield _agent(
        "reinforce",
        "reinforce:Reinforce",
        "REINFORCE: whole episodes, actions weighted by the return that followed them",
        WILLIAMS,
        tiny={"num_envs": 2, "max_episode_steps": 12},
        tags=("on-policy", "policy gradient", "Monte Carlo"),
    )
    yield _agent(
        "reinforce-baseline",
        "reinforce:Reinforce",
        "REINFORCE with a learned baseline: returns less the value of the state",
        WILLIAMS,
        config={"baseline": "learned", "normalise_advantage": True},
        tiny={"num_envs": 2, "max_episode_steps": 12, "value_epochs": 1},
        tags=("on-policy", "policy gradient", "Monte Carlo", "baseline"),
    )
    yield _agent(
        "reinforce-crossentropy",
        "reinforce_crossentropy:ReinforceCrossentropy",
        "REINFORCE as classification: actions as classes, returns as sample weights",
        WILLIAMS,
        fits=tuple(traits for traits in FITS if traits.endswith("discrete-output")),
        tiny={"num_envs": 2, "max_episode_steps": 12},
        tags=("on-policy", "policy gradient", "Monte Carlo", "supervised"),
    )
    yield _agent(
        "trpo",
        "trpo:TRPO",
        "Trust-region policy optimisation: natural steps held within a KL divergence",
        "Schulman, Levine, Moritz, Jordan, Abbeel. Trust region policy optimization, 2015",
        tiny={"num_envs": 2, "rollout_steps": 8, "gradient_iterations": 2, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "natural gradient", "trust region"),
    )
    yield _agent(
        "vpg",
        "vpg:VPG",
        "Vanilla policy gradient: one step a rollout, advantages by GAE",
        "Sutton, McAllester, Singh, Mansour. Policy gradient methods with function approximation, 2000",
        tiny={"num_envs": 2, "rollout_steps": 8, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
