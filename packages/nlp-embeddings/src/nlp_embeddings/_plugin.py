"""Components that nlp-embeddings brings to rl-core."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_embeddings.corpus import specs as corpus
from nlp_embeddings.evaluate import specs as evaluate
from nlp_embeddings.models import specs as models
from rl_core.api import AgentSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2


@hookimpl
def rl_agents() -> Iterator[AgentSpec]:
    """Yield the agents that learn vectors from text."""
    yield from models.AGENTS


@hookimpl
def rl_tasks() -> Iterator[TaskSpec]:
    """Yield the tasks on the bundled text."""
    yield from corpus.TASKS
    yield from evaluate.TASKS


@hookimpl
def rl_task_schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes for texts and questions on disk."""
    yield from corpus.SCHEMES
    yield from evaluate.SCHEMES
