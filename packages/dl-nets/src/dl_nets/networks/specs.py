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
        name="composed",
        target="dl_nets.networks.composed:Composed",
        summary="Encoders of pictures beside plain parts, for observations of several parts",
        reference="Mnih and others, Asynchronous methods for deep reinforcement learning, 2016",
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="breast-cancer",
        tiny={"channels": (4,), "picture_features": 4, "hidden": (8,)},
    )
    yield NetworkSpec(
        name="cnn",
        target="dl_nets.networks.cnn:CNN",
        summary="Small convolutional network, for images and boards",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        fits=("image-input",),
        task="digits",
        tiny={"channels": (4,), "hidden": (8,)},
        tags=("vision",),
    )

    yield NetworkSpec(
        name="dnn",
        target="dl_nets.networks.mlp:MLP",
        summary="Deep perceptron: six layers with batch normalisation and residual connections",
        reference="He, Zhang, Ren and Sun, Deep residual learning for image recognition, 2016",
        config={"hidden": (128,) * 6, "activation": "relu", "batch_norm": True, "residual": True},
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="breast-cancer",
        tiny={"hidden": (8, 8)},
        tags=("deep",),
    )
    yield NetworkSpec(
        name="simple-cnn",
        target="dl_nets.networks.cnn:CNN",
        summary="One convolution of 32 filters, maxima of 2 x 2, 128 hidden units",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        config={"channels": (32,), "kernels": (3,), "padding": (0,), "pools": (2,), "hidden": (128,)},
        fits=("image-input",),
        task="digits",
        tiny={"channels": (4,), "hidden": (8,)},
        tags=("vision",),
    )
    yield NetworkSpec(
        name="graph",
        target="dl_nets.networks.graph:GraphNetwork",
        summary="Graph of layers by config: several inputs and outputs, shared weights",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        fits=("dict-input", "vector-input", "image-input", "array-input", "token-input", "discrete-input"),
        task="digit-pairs",
        tiny={"units": 8},
        tags=("graph",),
    )
    elman, cho = "Elman, Finding structure in time, 1990", "Cho and others, Learning phrase representations using RNN, 2014"
    hochreiter = "Hochreiter and Schmidhuber, Long short-term memory, 1997"
    both_ways = "Schuster and Paliwal, Bidirectional recurrent neural networks, 1997"
    for name, cell, summary, reference, config in (
        ("gru", "gru", "Gated recurrent unit: two gates on a state", cho, {}),
        ("lstm", "lstm", "Long short-term memory: gates around a cell", hochreiter, {}),
        ("rnn", "rnn", "Elman's recurrent network: its units see their last outputs", elman, {}),
        ("deep-rnn", "rnn", "Two layers of Elman's units above each other", elman, {"layers": 2, "units": 50}),
        ("bidirectional-gru", "gru", "Two GRUs, one of which reads backwards", both_ways, {"bidirectional": True}),
        ("bidirectional-lstm", "lstm", "Two LSTMs, one of which reads backwards", both_ways, {"bidirectional": True}),
        ("bidirectional-rnn", "rnn", "Two of Elman's networks, one of which reads backwards", both_ways, {"bidirectional": True}),
    ):
        steps = () if config.get("bidirectional") else ("control vector-input", "control discrete-input")
        yield NetworkSpec(
            name=name,
            target="dl_nets.networks.recurrent:RecurrentNetwork",
            summary=summary,
            reference=reference,
            config={"cell": cell, **config},
            # Data must hold a sequence (an image is one of rows), or ask for one; of a control task the agent makes one, if it carries a
            # state.
            fits=(
                "data image-input",
                "data array-input",
                "data token-input",
                "data vector-input token-output",
                "data discrete-input token-output",
                *steps,
            ),
            task="digits",
            tiny={"units": 8, "embedding": 4},
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
        name="transformer-decoder",
        target="dl_nets.networks.transformer:TransformerNetwork",
        summary="Attention blocks that look back only: a model of the next token",
        reference="Radford and others, Improving language understanding by generative pre-training, 2018",
        config={"causal": True, "tied": True},
        fits=("data token-input token-output",),
        task="copy-memory",
        tiny={"width": 8, "depth": 1, "num_heads": 2},
        tags=("attention", "sequences", "language"),
    )
    yield NetworkSpec(
        name="transformer-seq2seq",
        target="dl_nets.networks.transformer_seq2seq:Seq2SeqNetwork",
        summary="Encoder and decoder of attention blocks, from tokens to tokens",
        reference="Vaswani and others, Attention is all you need, 2017",
        fits=("data token-input token-output",),
        task="reverse",
        tiny={"width": 8, "depth": 1, "num_heads": 2},
        tags=("attention", "sequences", "translation"),
    )
    yield NetworkSpec(
        name="hugging-face",
        target="dl_nets.networks.hugging_face:HuggingFace",
        summary="Models of the library transformers from a local folder, with a new head",
        reference="Wolf et al., Transformers: state-of-the-art natural language processing, 2020",
        requires=("transformers",),
        extra="dl-nets[transformers]",
        fits=("image-input", "token-input"),
        task="digits",
        tiny={"width": 8, "depth": 1},
        tags=("transformer", "transfer"),
    )
