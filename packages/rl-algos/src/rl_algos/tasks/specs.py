"""Specs of the tasks: classic control, Atari, Markov decision processes and bandits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import TaskSchemeSpec, TaskSpec

BOOK = "Sutton, Barto. Reinforcement Learning: An Introduction, 2nd edition, 2018"


def tasks() -> Iterator[TaskSpec]:
    """Yield the specs of the tasks."""
    yield from _control_tasks()
    yield from _table_tasks()


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the specs of the open families of tasks."""
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
    yield TaskSchemeSpec(
        name="binned",
        target="rl_algos.tasks.binned:Binned",
        summary="A Gymnasium environment whose observations are cut into bins",
        reference="Michie, Chambers. BOXES: an experiment in adaptive control, 1968",
        argument="id",
        example="binned:CartPole-v1",
        traits=("control", "discrete-input", "discrete-output"),
        agents=("q-learning",),
    )
    yield TaskSchemeSpec(
        name="mdp",
        target="rl_algos.tasks.toy_text:ToyText",
        summary="A Gymnasium environment that shows its table of outcomes P",
        argument="id",
        example="mdp:FrozenLake-v1",
        traits=("control", "mdp", "discrete-input", "discrete-output"),
        agents=("value-iteration",),
    )


def _control_tasks() -> Iterator[TaskSpec]:
    yield TaskSpec(
        name="Acrobot-v1",
        target="rl_algos.tasks.acrobot:Acrobot",
        summary="Swing the free end of a two-link pendulum above a line",
        reference="Sutton. Generalization in reinforcement learning, 1996",
        traits=("control", "dynamics", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="CartPole-v1",
        target="rl_algos.tasks.cartpole:CartPole",
        summary="Keep a pole upright on a cart that is pushed left or right",
        reference="Barto, Sutton, Anderson. Neuronlike adaptive elements, 1983",
        traits=("control", "dynamics", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="CartPoleContinuous-v1",
        target="rl_algos.tasks.cartpole:ContinuousCartPole",
        summary="CartPole with a force of any size, 200 steps",
        reference="Barto, Sutton, Anderson. Neuronlike adaptive elements, 1983",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="pets",
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
        traits=("control", "dynamics", "vector-input", "discrete-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="MountainCarContinuous-v0",
        target="rl_algos.tasks.mountain_car:MountainCarContinuous",
        summary="Climb out of a valley on as little fuel as possible",
        reference="Moore. Efficient memory-based learning for robot control, 1990",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="Pendulum-v1",
        target="rl_algos.tasks.pendulum:Pendulum",
        summary="Swing a pendulum up with a weak motor and hold it there",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="ppo",
        tags=("classic control",),
    )
    yield TaskSpec(
        name="cartpole-pixels",
        target="rl_algos.tasks.pixels:PixelCartPole",
        summary="Keep a pole upright that is seen in pictures of 64 x 64 pixels",
        reference="Hafner and others. Learning latent dynamics for planning from pixels, 2019",
        traits=("control", "image-input", "discrete-output"),
        agent="dreamer",
        tiny={"time_limit": 20},
        tags=("classic control", "pixels"),
    )
    yield TaskSpec(
        name="linear-quadratic",
        target="rl_algos.tasks.linear_quadratic:LinearQuadratic",
        summary="Bring two coupled masses to rest: linear dynamics, quadratic cost",
        reference="Kalman. Contributions to the theory of optimal control, 1960",
        traits=("control", "dynamics", "linear", "vector-input", "continuous-output"),
        agent="lqr",
        tiny={"time_limit": 20},
        tags=("optimal control",),
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
        name="pendulum-damping",
        target="rl_algos.tasks.pendulum:DampedPendulum",
        summary="Bring a swinging pendulum to rest: the dynamics of Pendulum-v1",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="pets",
        tags=("classic control", "transfer"),
    )
    yield TaskSpec(
        name="pendulum-pixels",
        target="rl_algos.tasks.pixels:PixelPendulum",
        summary="Swing a pendulum up that is seen in pictures of 64 x 64 pixels",
        reference="Hafner and others. Learning latent dynamics for planning from pixels, 2019",
        traits=("control", "image-input", "continuous-output"),
        agent="dreamer",
        tiny={"time_limit": 20},
        tags=("classic control", "pixels"),
    )
    yield TaskSpec(
        name="pendulum-sparse",
        target="rl_algos.tasks.pendulum:SparsePendulum",
        summary="Swing a hanging pendulum up: paid only upright, and torque costs",
        traits=("control", "dynamics", "vector-input", "continuous-output"),
        agent="curiosity",
        tags=("classic control", "exploration"),
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


def _model(name: str, target: str, summary: str, reference: str, **fields: Any) -> TaskSpec:
    settings = {"agent": "value-iteration", **fields}
    return TaskSpec(
        name=name,
        target=f"rl_algos.tasks.{target}",
        summary=summary,
        reference=reference,
        traits=("control", "mdp", "discrete-input", "discrete-output"),
        **settings,
    )


def _table_tasks() -> Iterator[TaskSpec]:
    gymnasium = "Gymnasium, toy text environments"
    for name, id, options, summary in (
        ("CliffWalking-v1", "CliffWalking-v1", {}, "Walk along a cliff to the goal, and do not fall"),
        ("CliffWalkingSlippery-v1", "CliffWalkingSlippery-v1", {}, "Walk along a cliff on slippery ground"),
        ("FrozenLake-v1", "FrozenLake-v1", {}, "Cross a lake of slippery ice with four holes"),
        ("FrozenLake-v1-firm", "FrozenLake-v1", {"is_slippery": False}, "Cross the lake on ice that does not slip"),
        ("FrozenLake8x8-v1", "FrozenLake8x8-v1", {}, "Cross a larger lake of slippery ice"),
        ("FrozenLake8x8-v1-firm", "FrozenLake8x8-v1", {"is_slippery": False}, "Cross the larger lake on ice that does not slip"),
        ("Taxi-v4", "Taxi-v4", {}, "Fetch a passenger and bring them where they want to go"),
    ):
        yield _model(
            name,
            "toy_text:ToyText",
            summary,
            gymnasium,
            config={"id": id, **({"options": options} if options else {})},
            agent="q-learning",
            tags=("toy text",),
        )
    yield TaskSpec(
        name="Blackjack-v1",
        target="rl_algos.tasks.blackjack:BlackjackByGymnasium",
        summary="Blackjack through Gymnasium, its model hidden",
        reference=gymnasium,
        traits=("control", "discrete-input", "discrete-output", "layout", "policy"),
        agent="mc-control",
        tags=("toy text",),
    )
    for name, summary, config in (
        ("bandit-bernoulli", "Ten arms that pay one or nothing", {"rewards": "bernoulli"}),
        ("bandit-drifting", "Ten arms whose mean rewards wander", {"drift": 0.01}),
        ("bandit-gaussian", "Ten arms whose rewards scatter around their means", {}),
        (
            "bandit-switching",
            "Five arms that change places every thousand pulls",
            {"num_arms": 5, "rewards": "bernoulli", "means": (0.8, 0.5, 0.3, 0.2, 0.1), "switch_pulls": 1_000},
        ),
    ):
        yield TaskSpec(
            name=name,
            target="rl_algos.tasks.bandit:Bandit",
            summary=summary,
            reference=BOOK,
            traits=("bandit", "control", "discrete-input", "discrete-output"),
            agent="bandit-ucb",
            config=config,
            tags=("bandit",),
        )
    for name, summary, config in (
        ("contextual-bandit", "Show each user the item they rate highest", {}),
        ("thumbnails", "Show each user the picture they click", {"rewards": "clicks"}),
    ):
        yield TaskSpec(
            name=name,
            target="rl_algos.tasks.contextual_bandit:ContextualBandit",
            summary=summary,
            reference="Li, Chu, Langford, Schapire. A contextual-bandit approach to personalized news article recommendation, 2010",
            traits=("contextual", "control", "vector-input", "discrete-output"),
            agent="linucb",
            config=config,
            tags=("bandit", "recommendation"),
        )
    yield _model("blackjack", "blackjack:Blackjack", "Blackjack with an endless deck, its model known", BOOK, tags=("cards",))
    yield _model(
        "epidemic",
        "operations:Epidemic",
        "Choose measures against an infection in a closed group",
        "Abbey. An examination of the Reed-Frost theory of epidemics, 1952",
        tags=("health",),
    )
    yield _model("gamblers-problem", "classic:GamblersProblem", "Bet on a coin until rich or ruined", BOOK)
    yield _model(
        "garnet",
        "classic:Garnet",
        "A random process of any size",
        "Archibald, McKinnon, Thomas. On the generation of Markov decision processes, 1995",
    )
    yield _model(
        "grid-robot",
        "grids:GridRobot",
        "Drive a robot over slippery ground, around obstacles",
        "Russell, Norvig. Artificial Intelligence: A Modern Approach, 4th edition, 2020",
        tags=("grid",),
    )
    yield _model(
        "inventory",
        "operations:Inventory",
        "Order goods for a warehouse before the demand is known",
        "Puterman. Markov decision processes, 1994",
        tags=("operations",),
    )
    yield _model(
        "job-scheduling",
        "operations:JobScheduling",
        "Serve waiting jobs of several kinds at the least cost",
        "Buyukkoc, Varaiya, Walrand. The c-mu rule revisited, 1985",
        tags=("operations",),
    )
    yield _model("maze", "grids:Maze", "Find the way out of a maze, and do not bump into walls", BOOK, agent="dyna-q", tags=("grid",))
    yield _model(
        "random-walk", "classic:RandomWalk", "A step to either side until an end is reached", BOOK, agent="td0", tags=("prediction",)
    )
    yield _model(
        "smart-grid",
        "operations:SmartGrid",
        "Charge a battery while electricity is cheap, and use it while it is dear",
        "stated in the source",
        tags=("energy",),
    )
    yield _model(
        "student-mrp",
        "classic:StudentProcess",
        "A student's day between classes, pub and feed",
        "Silver. Lectures on reinforcement learning, 2015",
        agent="policy-evaluation",
        tags=("prediction",),
    )
    yield _model("windy-gridworld", "grids:WindyGridworld", "Reach the goal though the wind lifts", BOOK, agent="sarsa", tags=("grid",))
