"""Specs of the networks that fit many tasks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="mlp",
        target="dl_nets.networks.mlp:MLP",
        summary="Multilayer perceptron, for inputs of any plain kind",
        reference="Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986",
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="breast-cancer",
        tiny={"hidden": (8,)},
    )
    yield NetworkSpec(
        name="cnn",
        target="dl_nets.networks.cnn:CNN",
        summary="Small convolutional network, for images from 8 x 8",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        fits=("image-input",),
        task="digits",
        tiny={"channels": (4,), "hidden": (8,)},
        tags=("vision",),
    )

    for name, summary, reference in (
        ("gru", "Gated recurrent unit: two gates on a state", "Cho and others, Learning phrase representations using RNN, 2014"),
        ("lstm", "Long short-term memory: gates around a cell", "Hochreiter and Schmidhuber, Long short-term memory, 1997"),
        ("rnn", "Elman's recurrent network: its units see their last outputs", "Elman, Finding structure in time, 1990"),
    ):
        yield NetworkSpec(
            name=name,
            target="dl_nets.networks.recurrent:RecurrentNetwork",
            summary=summary,
            reference=reference,
            config={"cell": name},
            # Data must hold a sequence (an image is one of rows); of a control task the agent makes one, if it carries a state.
            fits=("data image-input", "data array-input", "control vector-input", "control discrete-input"),
            task="digits",
            tiny={"units": 8},
            tags=("recurrent", "sequences"),
        )

    yield NetworkSpec(
        name="transformer",
        target="dl_nets.networks.transformer:TransformerNetwork",
        summary="Encoder of attention blocks, for tokens, sequences, images and numbers",
        reference="Vaswani and others, Attention is all you need, 2017",
        fits=("token-input", "image-input", "array-input", "vector-input", "discrete-input"),
        task="digits",
        tiny={"width": 8, "depth": 1, "num_heads": 2},
        tags=("attention", "sequences", "vision"),
    )
    yield NetworkSpec(
        name="transformer-seq2seq",
        target="dl_nets.networks.seq2seq:Seq2SeqNetwork",
        summary="Encoder and decoder of attention blocks, from tokens to tokens",
        reference="Vaswani and others, Attention is all you need, 2017",
        fits=("data token-input token-output",),
        task="reverse",
        tiny={"width": 8, "depth": 1, "num_heads": 2},
        tags=("attention", "sequences", "translation"),
    )
