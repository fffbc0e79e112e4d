"""Well-known components of the four sibling packages, so that a missing package can be named instead of a missing component.

Only for words in an error: what is installed is asked of the plugins. `test_siblings.py` holds it against those installed.
"""

from __future__ import annotations

_COMPONENTS = {
    "rl-algos": "ppo q-learning sarsa expected-sarsa value-iteration policy-iteration dqn double-dqn sac td3 ddpg a2c reinforce",
    "dl-nets": "mlp cnn supervised digits",
    "nlp-embeddings": "skip-gram cbow glove fasttext tf-idf lsa",
    "cv-models": "vit unet",
}

SIBLINGS: dict[str, str] = {name: package for package, names in _COMPONENTS.items() for name in names.split()}
"""Component to distribution."""
