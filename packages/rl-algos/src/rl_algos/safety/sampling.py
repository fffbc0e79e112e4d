"""Evaluation of a policy as it acts while it learns: by draws from its distribution, in place of its most probable actions."""

from __future__ import annotations

import numpy as np

from rl_algos.on_policy.loop import OnPolicy
from rl_core.task import Predict


def sampled_predictor(agent: OnPolicy) -> Predict:
    """Return a predictor that draws an agent's actions from a stream of its own, which begins anew in each evaluation."""
    rng = np.random.Generator(np.random.PCG64(agent.seeds.integer("evaluation actions")))
    learner, actions = agent.actor_critic, agent.actions

    def drawn(inputs: np.ndarray) -> np.ndarray:
        head = learner.head(agent.collector.inputs(inputs))
        (noise,) = actions.noise(rng, 1, len(inputs))
        return actions.to_env(actions.sample(head, learner.sigma, noise))

    return drawn
