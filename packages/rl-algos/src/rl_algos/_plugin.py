"""What this distribution brings, as data: nothing is imported until it is used. Entries are sorted by name; tables have their own list."""

from __future__ import annotations

from collections.abc import Iterator

from rl_algos.specs.control import control_agents
from rl_algos.specs.policy_gradient import policy_gradient_agents
from rl_algos.specs.q_network import q_network_agents
from rl_algos.specs.search import search_agents
from rl_algos.specs.tabular import tabular_agents, tabular_schemes, tabular_tasks
from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 1


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Agents, by name."""
    yield AgentSpec(
        name="ppo",
        target="rl_algos.ppo:PPO",
        summary="Proximal policy optimisation: clipped ratios, GAE, discrete and real actions",
        reference="Schulman, Wolski, Dhariwal, Radford, Klimov. Proximal policy optimization algorithms, 2017",
        fits=(
            "control vector-input discrete-output",
            "control vector-input continuous-output",
            "control image-input discrete-output",
            "control image-input continuous-output",
            "control discrete-input discrete-output",
            "control discrete-input continuous-output",
        ),
        unit="environment steps",
        task="CartPole-v1",
        network="mlp",
        budget=100_000,
        presets="rl_algos:presets/ppo.yaml",
        tiny={"num_envs": 2, "rollout_steps": 8, "num_epochs": 1, "batch_size": 8},
        tags=("on-policy", "policy gradient", "actor-critic"),
    )
    yield from control_agents()
    yield from policy_gradient_agents()
    yield from q_network_agents()
    yield from search_agents()
    yield from tabular_agents()


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Tasks, by name."""
    yield TaskSpec(
        name="Acrobot-v1",
        target="rl_algos.tasks.acrobot:Acrobot",
        summary="Swing the free end of a two-link pendulum above a line",
        reference="Sutton. Generalization in reinforcement learning, 1996",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="CartPole-v1",
        target="rl_algos.tasks.cartpole:CartPole",
        summary="Keep a pole upright on a cart that is pushed left or right",
        reference="Barto, Sutton, Anderson. Neuronlike adaptive elements, 1983",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="LunarLander-v3",
        target="rl_core.gym_task:GymTask",
        summary="Land a rocket softly between two flags",
        reference="Klimov. LunarLander, OpenAI Gym, 2016",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        config={"id": "LunarLander-v3"},
        requires=("Box2D",),
        extra="rl-algos[box2d]",
        tags=("box2d",),
    )
    yield TaskSpec(
        name="MountainCar-v0",
        target="rl_algos.tasks.mountain_car:MountainCar",
        summary="Climb out of a valley with an engine too weak to do it directly",
        reference="Moore. Efficient memory-based learning for robot control, 1990",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="MountainCarContinuous-v0",
        target="rl_algos.tasks.mountain_car:MountainCarContinuous",
        summary="Climb out of a valley on as little fuel as possible",
        reference="Moore. Efficient memory-based learning for robot control, 1990",
        traits=("control", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="Pendulum-v1",
        target="rl_algos.tasks.pendulum:Pendulum",
        summary="Swing a pendulum up with a weak motor and hold it there",
        traits=("control", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="masked-CartPole-v1",
        target="rl_algos.tasks.cartpole:MaskedCartPole",
        summary="CartPole with the velocities hidden: for policies with a memory",
        reference="Wierstra, Foerster, Peters, Schmidhuber. Recurrent policy gradients, 2010",
        traits=("control", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control", "partially observed"),
    )
    yield TaskSpec(
        name="pong-pixels",
        target="rl_algos.tasks.atari:PongPixels",
        summary="Pong from what moved on the screen, with two actions: up and down",
        reference="Karpathy. Deep reinforcement learning: Pong from pixels, 2016",
        traits=("control", "vector-input", "discrete-output"),
        agent="reinforce",
        requires=("ale_py",),
        extra="rl-algos[atari]",
        tags=("atari", "pixels"),
    )
    yield from tabular_tasks()


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Open families of tasks, by name."""
    yield TaskSchemeSpec(
        name="ALE",
        target="rl_algos.tasks.atari:Atari",
        summary="Any Atari game as a stack of small grey images; ALE/<Game>-v5 does too",
        reference="Bellemare, Naddaf, Veness, Bowling. The arcade learning environment, 2013",
        argument="game",
        example="ALE:Pong-v5",
        traits=("control", "image-input", "discrete-output"),
        agents=("dqn", "ppo"),
        requires=("ale_py", "cv2"),
        extra="rl-algos[atari]",
        tags=("atari", "pixels"),
    )
    yield from tabular_schemes()
