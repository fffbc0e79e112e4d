"""Components that nlp-embeddings brings to rl-core."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_embeddings.answering import specs as answering
from nlp_embeddings.classify import specs as classify
from nlp_embeddings.corpus import specs as corpus
from nlp_embeddings.evaluate import specs as evaluate
from nlp_embeddings.language_model import specs as language_model
from nlp_embeddings.models import specs as models
from nlp_embeddings.summaries import specs as summaries
from nlp_embeddings.syntax import specs as syntax
from nlp_embeddings.tagging import specs as tagging
from nlp_embeddings.topics import specs as topics
from nlp_embeddings.translation import specs as translation
from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2

_ROOMS = (corpus, evaluate, models, tagging, classify, language_model, syntax, translation, answering, summaries, topics)


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Yield the agents that learn from text."""
    for room in _ROOMS:
        yield from room.AGENTS


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks on bundled texts."""
    for room in _ROOMS:
        yield from room.TASKS


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes for texts on disk."""
    for room in _ROOMS:
        yield from room.SCHEMES
