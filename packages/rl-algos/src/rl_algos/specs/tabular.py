"""What tables learn and plan: agents, tasks and the scheme `binned:<id>`, as data. Entries of a group are sorted by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec

BOOK = "Sutton, Barto. Reinforcement Learning: An Introduction, 2nd edition, 2018"
PLAYED = ("control discrete-input discrete-output",)
KNOWN = ("mdp discrete-input discrete-output",)
FEW_STEPS = {"steps_per_iteration": 20}
FEW_EPISODES = {"steps_per_iteration": 20, "max_episode_steps": 20}


def tabular_agents() -> Iterator[AgentSpec]:
    """Planners, learners and bandit agents."""
    yield from _bandit_agents()
    yield from _learners()
    yield from _planners()


def _learner(name: str, target: str, summary: str, reference: str = BOOK, **fields: Any) -> AgentSpec:
    settings = {"task": "FrozenLake-v1", "budget": 200_000, "fits": PLAYED, "tiny": FEW_STEPS, "tags": ("tabular", "control"), **fields}
    return AgentSpec(
        name=name, target=f"rl_algos.tabular.{target}", summary=summary, reference=reference, unit="environment steps", **settings
    )


def _learners() -> Iterator[AgentSpec]:
    yield _learner(
        "double-q-learning",
        "td_control:TDControl",
        "Q-learning with two tables, one of which chooses and the other values",
        "van Hasselt. Double Q-learning, 2010",
        config={"target": "double-q-learning"},
        presets="rl_algos:presets/q-learning.yaml",
    )
    yield _learner(
        "dyna-q",
        "dyna:Dyna",
        "Q-learning from what happens and from a learned model",
        "Sutton. Integrated architectures for learning, planning, and reacting, 1990",
        presets="rl_algos:presets/dyna-q.yaml",
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
        presets="rl_algos:presets/sarsa.yaml",
    )
    yield _learner(
        "mc-control",
        "monte_carlo:MonteCarlo",
        "On-policy Monte Carlo control with a soft policy",
        presets="rl_algos:presets/mc-control.yaml",
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
        presets="rl_algos:presets/mc-off-policy.yaml",
        task="blackjack",
        budget=2_000_000,
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "mc-off-policy-prediction",
        "mc_prediction:MCPrediction",
        "What a policy is worth, by importance sampling from random play",
        config={"behaviour": "uniform"},
        task="blackjack",
        budget=1_000_000,
        tiny=FEW_EPISODES,
        tags=("tabular", "prediction"),
    )
    yield _learner(
        "mc-prediction",
        "mc_prediction:MCPrediction",
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
        presets="rl_algos:presets/mc-q-learning.yaml",
        tiny=FEW_EPISODES,
    )
    yield _learner(
        "mcts",
        "mcts:MCTS",
        "Tree search by simulation before every decision (UCT)",
        "Kocsis, Szepesvari. Bandit based Monte-Carlo planning, 2006",
        config={"leaf": "value", "exploration": 0.5, "num_simulations": 2_000},
        fits=("control discrete-input discrete-output",),
        budget=2_000,
        tiny={"num_simulations": 10, "rollout_depth": 10},
        tags=("planning", "simulation"),
    )
    yield _learner(
        "mcts-rollouts",
        "mcts:MCTS",
        "Tree search that plays on at random from its leaves, on any observation",
        "Kocsis, Szepesvari. Bandit based Monte-Carlo planning, 2006",
        fits=("control discrete-output",),
        task="maze",
        budget=100,
        tiny={"num_simulations": 10, "rollout_depth": 10},
        tags=("planning", "simulation"),
    )
    yield _learner("n-step-sarsa", "n_step:NStepSarsa", "Sarsa that looks n rewards ahead", presets="rl_algos:presets/n-step-sarsa.yaml")
    yield _learner(
        "q-learning",
        "td_control:TDControl",
        "Learns the best policy's action values while exploring with another",
        "Watkins. Learning from delayed rewards, 1989",
        presets="rl_algos:presets/q-learning.yaml",
    )
    yield _learner(
        "sarsa",
        "td_control:TDControl",
        "Learns the action values of the policy that it explores with",
        "Rummery, Niranjan. On-line Q-learning using connectionist systems, 1994",
        config={"target": "sarsa"},
        presets="rl_algos:presets/sarsa.yaml",
    )
    yield _learner(
        "sarsa-lambda",
        "traces:SarsaLambda",
        "Sarsa with eligibility traces",
        "Singh, Sutton. Reinforcement learning with replacing eligibility traces, 1996",
        presets="rl_algos:presets/n-step-sarsa.yaml",
    )
    yield _learner(
        "td-lambda",
        "td_prediction:TDPrediction",
        "What a policy is worth, step by step, with eligibility traces",
        "Sutton. Learning to predict by the methods of temporal differences, 1988",
        config={"trace_decay": 0.8},
        task="random-walk",
        budget=10_000,
        tags=("tabular", "prediction"),
    )
    yield _learner(
        "td0",
        "td_prediction:TDPrediction",
        "What a policy is worth, step by step",
        "Sutton. Learning to predict by the methods of temporal differences, 1988",
        task="random-walk",
        budget=10_000,
        tags=("tabular", "prediction"),
    )


def _planner(name: str, target: str, summary: str, reference: str, **fields: Any) -> AgentSpec:
    settings = {"task": "FrozenLake-v1", "budget": 100_000, "fits": KNOWN, "tags": ("deterministic", "planning", "tabular"), **fields}
    return AgentSpec(name=name, target=f"rl_algos.tabular.{target}", summary=summary, reference=reference, unit="sweeps", **settings)


def _planners() -> Iterator[AgentSpec]:
    yield _planner(
        "modified-policy-iteration",
        "policy_iteration:PolicyIteration",
        "Policy iteration that evaluates by a few sweeps",
        "Puterman, Shin. Modified policy iteration algorithms, 1978",
        config={"evaluation": "partial"},
    )
    yield _planner(
        "policy-evaluation",
        "policy_evaluation:PolicyEvaluation",
        "What a given policy is worth, from the model",
        BOOK,
        task="random-walk",
    )
    yield _planner(
        "policy-iteration",
        "policy_iteration:PolicyIteration",
        "Evaluates a policy, improves it, until nothing improves",
        "Howard. Dynamic programming and Markov processes, 1960",
    )
    yield _planner(
        "prioritised-sweeping",
        "value_iteration:ValueIteration",
        "Value iteration that updates first what is most wrong",
        "Moore, Atkeson. Prioritized sweeping, 1993",
        config={"order": "prioritised"},
    )
    yield _planner(
        "value-iteration",
        "value_iteration:ValueIteration",
        "Sweeps the Bellman optimality equation, with a proven bound on the error",
        "Bellman. Dynamic programming, 1957; MacQueen. A modified dynamic programming method, 1966",
    )


def _bandit_agents() -> Iterator[AgentSpec]:
    for name, summary, config, reference in (
        ("bandit-epsilon-greedy", "Mean rewards, and a random arm now and then", {}, BOOK),
        (
            "bandit-gradient",
            "Preferences that follow the gradient of the mean reward",
            {"method": "gradient", "learning_rate": 0.1},
            BOOK,
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
            target="rl_algos.bandits:BanditAgent",
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


def _model(name: str, target: str, summary: str, reference: str, **fields: Any) -> TaskSpec:
    settings = {"agent": "value-iteration", **fields}
    return TaskSpec(
        name=name,
        target=f"rl_algos.mdp.{target}",
        summary=summary,
        reference=reference,
        traits=("control", "mdp", "discrete-input", "discrete-output"),
        **settings,
    )


def tabular_tasks() -> Iterator[TaskSpec]:
    """Processes whose model is known, bandits, and blackjack through Gymnasium."""
    gymnasium = "Gymnasium, toy text environments"
    for name, id, target, options, summary in (
        ("CliffWalking-v1", "CliffWalking-v1", -13.0, {}, "Walk along a cliff to the goal, and do not fall"),
        ("CliffWalkingSlippery-v1", "CliffWalkingSlippery-v1", -70.0, {}, "Walk along a cliff on slippery ground"),
        ("FrozenLake-v1", "FrozenLake-v1", 0.7, {}, "Cross a lake of slippery ice with four holes"),
        ("FrozenLake-v1-firm", "FrozenLake-v1", 1.0, {"is_slippery": False}, "Cross the lake on ice that does not slip"),
        ("FrozenLake8x8-v1", "FrozenLake8x8-v1", 0.85, {}, "Cross a larger lake of slippery ice"),
        ("FrozenLake8x8-v1-firm", "FrozenLake8x8-v1", 1.0, {"is_slippery": False}, "Cross the larger lake on ice that does not slip"),
        ("Taxi-v4", "Taxi-v4", 7.7, {}, "Fetch a passenger and bring them where they want to go"),
    ):
        yield _model(
            name,
            "toy_text:ToyText",
            summary,
            gymnasium,
            config={"id": id, "target": target, **({"options": options} if options else {})},
            agent="q-learning",
            tags=("toy text",),
        )
    yield TaskSpec(
        name="Blackjack-v1",
        target="rl_algos.mdp.blackjack:BlackjackByGymnasium",
        summary="Blackjack through Gymnasium, its model hidden",
        reference=gymnasium,
        traits=("control", "discrete-input", "discrete-output"),
        agent="mc-control",
        tags=("toy text",),
    )
    for name, summary, config in (
        ("bandit-bernoulli", "Ten arms that pay one or nothing", {"rewards": "bernoulli"}),
        ("bandit-drifting", "Ten arms whose mean rewards wander", {"drift": 0.01}),
        ("bandit-gaussian", "Ten arms whose rewards scatter around their means", {}),
    ):
        yield TaskSpec(
            name=name,
            target="rl_algos.bandits:Bandit",
            summary=summary,
            reference=BOOK,
            traits=("bandit", "control", "discrete-input", "discrete-output"),
            agent="bandit-ucb",
            config=config,
            tags=("bandit",),
        )
    yield _model("blackjack", "blackjack:Blackjack", "Blackjack with an endless deck, its model known", BOOK, tags=("cards",))
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
    yield _model("maze", "grids:Maze", "Find the way out of a maze, and do not bump into walls", BOOK, agent="dyna-q", tags=("grid",))
    yield _model(
        "random-walk", "classic:RandomWalk", "A step to either side until an end is reached", BOOK, agent="td0", tags=("prediction",)
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


def tabular_schemes() -> Iterator[TaskSchemeSpec]:
    """Open families of tasks."""
    yield TaskSchemeSpec(
        name="binned",
        target="rl_algos.mdp.binned:Binned",
        summary="A Gymnasium environment whose observations are cut into bins",
        reference="Michie, Chambers. BOXES: an experiment in adaptive control, 1968",
        argument="id",
        example="binned:CartPole-v1",
        traits=("control", "discrete-input", "discrete-output"),
        agents=("q-learning",),
    )
