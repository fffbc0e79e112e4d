"""Well-known components of the four sibling packages, so that a missing package can be named instead of a missing component.

Only for words in an error: what is installed is asked of the plugins. `test_siblings.py` holds it against those installed.
"""

from __future__ import annotations

_COMPONENTS = {
    "rl-algos": "ppo q-learning sarsa expected-sarsa value-iteration policy-iteration dyna-q mcts",
    "dl-nets": "supervised mlp cnn digits",
    "nlp-embeddings": "tf-idf bm25 lsa",
    "cv-models": "vit",
}

SIBLINGS: dict[str, str] = {name: package for package, names in _COMPONENTS.items() for name in names.split()}
"""Component to distribution."""
