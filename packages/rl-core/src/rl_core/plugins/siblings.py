"""Components of the four sibling packages, so that an error can name the package that is missing.

Used only for messages: which components are installed is asked of the plugins. `test_siblings.py` compares it with those installed.
"""

from __future__ import annotations

_COMPONENTS = {
    "rl-algos": """
        a2c a3c ars bandit-epsilon-greedy bandit-gradient bandit-optimistic bandit-thompson bandit-ucb cem cma-es ddpg double-dqn
        double-q-learning dqn dueling-dqn dyna-q dyna-q-plus es expected-sarsa mc-control mc-exploring-starts mc-off-policy
        mc-off-policy-prediction mc-prediction mc-q-learning mcts mcts-rollouts modified-policy-iteration n-step-dqn n-step-sarsa npg
        per-dqn policy-evaluation policy-iteration ppo prioritised-sweeping q-learning rainbow-lite reinforce reinforce-baseline
        reinforce-crossentropy sac sarsa sarsa-lambda td-lambda td0 td3 trpo value-iteration vpg
        bandit-bernoulli bandit-drifting bandit-gaussian blackjack gamblers-problem garnet grid-robot maze pong-pixels random-walk
        student-mrp windy-gridworld ALE binned
    """,
    "dl-nets": "supervised cnn gru lstm mlp rnn breast-cancer diabetes digits wine csv",
    "nlp-embeddings": """
        bag-of-words bm25 cbow contextual fasttext glove lsa ppmi skip-gram text-classifier tf-idf treasure-island treasure-island-parts
        analogies classification corpus similarity
    """,
    "cv-models": "vit",
}

SIBLINGS: dict[str, str] = {name: package for package, names in _COMPONENTS.items() for name in names.split()}
"""Name of a component, or of a scheme of tasks, to its package."""
