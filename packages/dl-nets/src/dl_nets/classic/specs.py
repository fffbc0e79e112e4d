"""Specs of the classic learners and networks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, NetworkSpec

CLASSES_OF_NUMBERS = ("data vector-input discrete-output", "data image-input discrete-output", "data array-input discrete-output")


def agents() -> Iterator[AgentSpec]:
    """Yield the agents."""
    yield AgentSpec(
        name="perceptron",
        target="dl_nets.classic.perceptron:Perceptron",
        summary="Threshold units that learn from their mistakes, by Rosenblatt's rule",
        reference="Rosenblatt, The perceptron, 1958",
        fits=CLASSES_OF_NUMBERS,
        unit="examples",
        budget=45_500,  # of another task 100 epochs
        task="breast-cancer",
        tags=("classification", "linear", "gradient-free"),
    )
    yield AgentSpec(
        name="dbn",
        target="dl_nets.classic.dbn:DBN",
        summary="Boltzmann machines stacked layer by layer, then fine-tuned as a classifier",
        reference="Hinton, Osindero and Teh, A fast learning algorithm for deep belief nets, 2006",
        fits=CLASSES_OF_NUMBERS,
        unit="examples",
        budget=40_000,  # of another task the examples of its phases
        task="digits",
        presets="dl_nets:classic/presets/dbn.yaml",
        tiny={"hidden": (4, 3), "pretraining_epochs": 1, "epochs": 2, "batch_size": 128},
        tags=("classification", "unsupervised"),
    )
    yield AgentSpec(
        name="rbf-network",
        target="dl_nets.classic.rbf:RBFNetwork",
        summary="Gaussian units around centres of k-means, with a read-out by least squares",
        reference="Moody and Darken, Fast learning in networks of locally-tuned processing units, 1989",
        fits=(*CLASSES_OF_NUMBERS, "data vector-input continuous-output", "data array-input continuous-output"),
        unit="examples",
        budget=10_000,  # of another task the examples of its phases
        task="breast-cancer",
        presets="dl_nets:classic/presets/rbf-network.yaml",
        tiny={"centres": 4, "iterations": 2, "centre_examples": 40, "tuning": "all", "tuning_epochs": 1},
        tags=("classification", "regression", "clustering"),
    )


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="rbm",
        target="dl_nets.classic.rbm:RBM",
        summary="Restricted Boltzmann machine: hidden causes of inputs, by contrastive divergence",
        reference="Hinton, Training products of experts by minimizing contrastive divergence, 2002",
        fits=("data reconstruction",),
        task="reconstruct:digits",
        agent="supervised",
        tiny={"hidden": 4},
        tags=("unsupervised", "energy-based"),
    )
    yield NetworkSpec(
        name="softmax-regression",
        target="dl_nets.networks.mlp:MLP",
        summary="Multinomial logistic regression: one linear layer, for inputs of any plain kind",
        reference="Cox, The regression analysis of binary sequences, 1958; McFadden, Conditional logit analysis, 1974",
        config={"hidden": (), "init": "uniform"},
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="breast-cancer",
        tags=("linear",),
    )
