"""Specs of the agents that plan with a model of the dynamics, known or learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rl_core.api import AgentSpec

ANY = ("control vector-input discrete-output", "control vector-input continuous-output")
FITS = ("control dynamics vector-input discrete-output", "control dynamics vector-input continuous-output")

_TINY_MODEL: Mapping[str, Any] = {
    "num_envs": 2,
    "steps_per_iteration": 3,
    "learning_starts": 4,
    "fit_every": 4,
    "horizon": 2,
    "num_candidates": 4,
    "num_iterations": 1,
    "num_particles": 2,
    "num_members": 2,
    "hidden_layers": (4,),
    "model_updates": 2,
    "model_batch_size": 4,
    "num_held_steps": 2,
}
_TINY_VALUE: Mapping[str, Any] = {
    "num_envs": 2,
    "iteration_steps": 4,
    "learning_starts": 4,
    "batch_size": 4,
    "buffer_size": 12,
    "num_updates": 1,
    "num_members": 2,
    "num_particles": 2,
    "hidden_layers": (4,),
    "fit_every": 4,
    "model_updates": 2,
    "model_batch_size": 4,
}


def agents() -> Iterator[AgentSpec]:
    """Yield the specs of agents that plan with known dynamics, and of those that learn them."""
    yield from _planners()
    yield from _learners()
    yield from _value_learners()
    yield from _processes()


def _learners() -> Iterator[AgentSpec]:
    chua = "Chua, Calandra, McAllister, Levine. Deep reinforcement learning in a handful of trials, 2018"
    nagabandi = "Nagabandi, Kahn, Fearing, Levine. Neural network dynamics for model-based deep reinforcement learning, 2018"
    shooting = {"optimiser": "random", "num_candidates": 100, "horizon": 10, "num_particles": 1, "learning_starts": 100}
    for name, summary, reference, task, budget, config in (
        ("pets", "Plans by CEM through a probabilistic ensemble that it learns", chua, "Pendulum-v1", 2_000, {}),
        (
            "deterministic-model",
            "Plans by CEM through one deterministic network that it learns",
            nagabandi,
            "Pendulum-v1",
            2_000,
            {"model": "deterministic", "num_particles": 1},
        ),
        (
            "dropout-model",
            "Plans by CEM through one network with dropout, a mask a trajectory",
            "Gal, McAllister, Rasmussen. Improving PILCO with Bayesian neural network dynamics models, 2016",
            "Pendulum-v1",
            2_000,
            {"model": "dropout"},
        ),
        (
            "simple-mbrl",
            "Learns a small model, shoots 100 random sequences, takes the best one",
            nagabandi,
            "CartPole-v1",
            2_000,
            {"model": "deterministic", **shooting},
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.model_based.pets:PETS",
            summary=summary,
            reference=reference,
            fits=ANY,
            unit="environment steps",
            task=task,
            budget=budget,
            config=config,
            presets=f"rl_algos:model_based/presets/{'mbrl' if name == 'simple-mbrl' else 'pets'}.yaml",
            tiny=_TINY_MODEL,
            tags=("model-based", "learned model", "planning"),
        )


def _value_learners() -> Iterator[AgentSpec]:
    pathak = "Pathak, Gandhi, Gupta. Self-supervised exploration via disagreement, 2019"
    buckman = "Buckman and others. Sample-efficient reinforcement learning with stochastic ensemble value expansion, 2018"
    tiny: dict[str, dict[str, Any]] = {"mbpo": {"rollouts_per_step": 2, "num_elites": 1}, "curiosity": {}}
    for name, module, summary, reference, budget, config in (
        ("curiosity", "curiosity:Curiosity", "SAC paid for what its ensemble of models disagrees about", pathak, 10_000, {}),
        (
            "mbpo",
            "mbpo:MBPO",
            "SAC on short rollouts of its policy in a learned ensemble",
            "Janner, Fu, Zhang, Levine. When to trust your model, 2019",
            4_000,
            {},
        ),
        (
            "mve",
            "steve:STEVE",
            "SAC whose targets look three steps ahead in a learned model",
            "Feinberg and others. Model-based value estimation for efficient model-free reinforcement learning, 2018",
            5_000,
            {"weighting": "last"},
        ),
        ("steve", "steve:STEVE", "SAC whose targets weigh horizons by the model's uncertainty", buckman, 5_000, {}),
    ):
        yield AgentSpec(
            name=name,
            target=f"rl_algos.model_based.{module}",
            summary=summary,
            reference=reference,
            fits=("control vector-input continuous-output",),
            unit="environment steps",
            task="pendulum-sparse" if name == "curiosity" else "Pendulum-v1",
            network="mlp",
            budget=budget,
            config=config,
            presets=f"rl_algos:model_based/presets/{'mbpo' if name == 'mbpo' else 'value_learners'}.yaml",
            tiny={**_TINY_VALUE, **tiny.get(name, {"rollout_horizon": 1})},
            tags=("model-based", "learned model", "actor-critic", "off-policy"),
        )


def _processes() -> Iterator[AgentSpec]:
    yield AgentSpec(
        name="gp-mpc",
        target="rl_algos.model_based.gp_mpc:GPMPC",
        summary="Plans through Gaussian processes by the moments of their predictions",
        reference="Kamthe, Deisenroth. Data-efficient reinforcement learning with probabilistic model predictive control, 2018",
        fits=("control vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        budget=400,
        tiny={
            "num_envs": 2,
            "steps_per_iteration": 3,
            "learning_starts": 4,
            "fit_every": 6,
            "fit_iterations": 2,
            "horizon": 2,
            "num_candidates": 4,
            "num_iterations": 1,
            "num_points": 6,
        },
        tags=("model-based", "learned model", "planning", "gaussian process"),
    )


def _planners() -> Iterator[AgentSpec]:
    for name, summary, reference, config in (
        (
            "mpc-cem",
            "Plans with the task's dynamics by the cross-entropy method",
            "Chua, Calandra, McAllister, Levine. Deep reinforcement learning in a handful of trials, 2018",
            {},
        ),
        (
            "mpc-cma",
            "Plans with the task's dynamics by CMA-ES over action sequences",
            "Hansen. The CMA evolution strategy: a tutorial, 2016",
            {"optimiser": "cma-es", "num_candidates": 20, "num_iterations": 10, "first_std": 0.3},
        ),
        (
            "mpc-mppi",
            "Plans with the task's dynamics by path-integral control",
            "Williams and others. Information theoretic MPC for model-based reinforcement learning, 2017",
            {"optimiser": "mppi", "num_candidates": 200, "num_iterations": 1},
        ),
        (
            "mpc-random",
            "Plans with the task's dynamics: the best of random action sequences",
            "Nagabandi, Kahn, Fearing, Levine. Neural network dynamics for model-based deep reinforcement learning, 2018",
            {"optimiser": "random", "num_candidates": 1_000},
        ),
    ):
        yield AgentSpec(
            name=name,
            target="rl_algos.model_based.mpc:MPC",
            summary=summary,
            reference=reference,
            fits=FITS,
            unit="environment steps",
            task="Pendulum-v1",
            budget=2_000,
            config=config,
            presets="rl_algos:model_based/presets/mpc.yaml",
            tiny={"num_envs": 2, "horizon": 4, "num_candidates": 8, "num_iterations": 2, "steps_per_iteration": 4},
            tags=("model-based", "planning"),
        )
    yield AgentSpec(
        name="mpc-gradient",
        target="rl_algos.model_based.gradient:MPCGradient",
        summary="Plans with the task's dynamics by iterative LQR",
        reference="Tassa, Mansard, Todorov. Control-limited differential dynamic programming, 2014",
        fits=("control dynamics vector-input continuous-output",),
        unit="environment steps",
        task="Pendulum-v1",
        budget=2_000,
        tiny={"num_envs": 2, "horizon": 4, "num_candidates": 2, "steps_per_iteration": 4},
        tags=("model-based", "planning", "trajectory optimisation"),
    )
    yield AgentSpec(
        name="lqr",
        target="rl_algos.model_based.lqr:LQR",
        summary="Best control of a linear system with a quadratic cost, exactly",
        reference="Kalman. Contributions to the theory of optimal control, 1960",
        fits=("control dynamics linear vector-input continuous-output",),
        unit="sweeps",
        task="linear-quadratic",
        budget=1_000,
        tiny={"sweeps_per_iteration": 2},
        tags=("model-based", "planning", "trajectory optimisation"),
    )
