"""Specs of the tasks of ratings, and of the networks that learn them."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec

KOREN = "Koren, Bell and Volinsky, Matrix factorization techniques for recommender systems, 2009"


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="matrix-factorisation",
        target="dl_nets.recommend.factors:Factors",
        summary="A rating as the product of a user's and an item's vector, and their biases",
        reference=KOREN,
        fits=("data ratings",),
        task="low-rank-ratings",
        agent="supervised",
        tiny={"factors": 2},
        tags=("recommendation",),
    )
    yield NetworkSpec(
        name="neural-factorisation",
        target="dl_nets.recommend.factors:Factors",
        summary="Matrix factorisation, and a perceptron on both vectors",
        reference="He and others, Neural collaborative filtering, 2017",
        config={"hidden": (32, 16)},
        fits=("data ratings",),
        task="low-rank-ratings",
        agent="supervised",
        tiny={"factors": 2, "hidden": (4,)},
        tags=("recommendation",),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="low-rank-ratings",
        target="dl_nets.recommend.ratings:LowRankRatings",
        summary="Ratings of 100 items by 150 users, drawn from three hidden tastes",
        reference=KOREN,
        traits=("data", "ratings", "token-input", "continuous-output"),
        agent="supervised",
        tags=("recommendation", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="ratings",
        target="dl_nets.recommend.ratings:Ratings",
        summary="A table with a user, an item and a rating in each row",
        reference=KOREN,
        argument="path",
        example="ratings:films.csv",
        make_example="dl_nets.recommend.ratings:write_example",
        traits=("data", "ratings", "token-input", "continuous-output"),
        agents=("supervised",),
        tags=("recommendation", "table"),
    )
