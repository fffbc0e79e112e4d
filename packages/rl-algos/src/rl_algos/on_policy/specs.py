"""Specs of agents that follow the gradient of the return with respect to the policy's parameters."""

from __future__ import annotations

from collections.abc import Iterator

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


def agents() -> Iterator[AgentSpec]:
    """Yield the agents, by name."""
    yield AgentSpec(
        name="a2c",
        target="rl_algos.on_policy.a2c:A2C",
        summary="Advantage actor-critic: a step after every few steps of many environments",
        reference="Mnih and others. Asynchronous methods for deep reinforcement learning, 2016",
        fits=FITS + COMPOSED,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=500_000,
        presets="rl_algos:on_policy/presets/a2c.yaml",
        space="rl_algos:on_policy/spaces/a2c.yaml",
        tiny={"num_envs": 2, "rollout_steps": 4, "entropy_weight": 0.01, "learning_rate_schedule": "linear"},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
    yield AgentSpec(
        name="a3c",
        target="rl_algos.on_policy.a3c:A3C",
        summary="Asynchronous advantage actor-critic: processes that learn at once, without locks",
        reference="Mnih and others. Asynchronous methods for deep reinforcement learning, 2016",
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=500_000,
        presets="rl_algos:on_policy/presets/a3c.yaml",
        tiny={"num_workers": 1, "num_envs": 2, "rollout_steps": 4, "rollouts_per_step": 2, "entropy_weight": 0.01},
        tags=("on-policy", "policy gradient", "actor-critic", "asynchronous"),
    )
    yield AgentSpec(
        name="npg",
        target="rl_algos.on_policy.trpo:TRPO",
        summary="Natural policy gradient: conjugate gradient through the Fisher matrix",
        reference="Kakade. A natural policy gradient, 2002",
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        config={"line_search": False},
        presets="rl_algos:on_policy/presets/trpo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "gradient_iterations": 2, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "natural gradient"),
    )
    yield AgentSpec(
        name="ppo",
        target="rl_algos.on_policy.ppo:PPO",
        summary="Proximal policy optimisation: clipped ratios, GAE, discrete and real actions",
        reference="Schulman, Wolski, Dhariwal, Radford, Klimov. Proximal policy optimization algorithms, 2017",
        fits=FITS + COMPOSED,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:on_policy/presets/ppo.yaml",
        space="rl_algos:on_policy/spaces/ppo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
    yield AgentSpec(
        name="reinforce",
        target="rl_algos.on_policy.reinforce:Reinforce",
        summary="REINFORCE: whole episodes, actions weighted by the return that followed them",
        reference=WILLIAMS,
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:on_policy/presets/reinforce.yaml",
        tiny={"num_envs": 2, "max_episode_steps": 12},
        tags=("on-policy", "policy gradient", "Monte Carlo"),
    )
    yield AgentSpec(
        name="reinforce-baseline",
        target="rl_algos.on_policy.reinforce:Reinforce",
        summary="REINFORCE with a learned baseline: returns less the value of the state",
        reference=WILLIAMS,
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        config={"baseline": "learned", "normalise_advantage": True},
        presets="rl_algos:on_policy/presets/reinforce-baseline.yaml",
        tiny={"num_envs": 2, "max_episode_steps": 12, "value_epochs": 1},
        tags=("on-policy", "policy gradient", "Monte Carlo", "baseline"),
    )
    yield AgentSpec(
        name="reinforce-crossentropy",
        target="rl_algos.on_policy.reinforce_crossentropy:ReinforceCrossentropy",
        summary="REINFORCE as classification: actions as classes, returns as sample weights",
        reference=WILLIAMS,
        fits=tuple(traits for traits in FITS if traits.endswith("discrete-output")),
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:on_policy/presets/reinforce-crossentropy.yaml",
        tiny={"num_envs": 2, "max_episode_steps": 12},
        tags=("on-policy", "policy gradient", "Monte Carlo", "supervised"),
    )
    yield AgentSpec(
        name="trpo",
        target="rl_algos.on_policy.trpo:TRPO",
        summary="Trust-region policy optimisation: natural steps held within a KL divergence",
        reference="Schulman, Levine, Moritz, Jordan, Abbeel. Trust region policy optimization, 2015",
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:on_policy/presets/trpo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "gradient_iterations": 2, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "natural gradient", "trust region"),
    )
    yield AgentSpec(
        name="vpg",
        target="rl_algos.on_policy.vpg:VPG",
        summary="Vanilla policy gradient: one step a rollout, advantages by GAE",
        reference="Sutton, McAllester, Singh, Mansour. Policy gradient methods with function approximation, 2000",
        fits=FITS,
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:on_policy/presets/vpg.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "value_epochs": 1, "value_batch_size": 8},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
