"""Supervised learning beside a bare loop in torch, Lightning's Trainer and Keras 3: examples per second while learning, one thread.

    python benchmarks/supervised_speed.py            # some minutes; writes supervised_speed.md
    python benchmarks/supervised_speed.py mlp --peers eager     # some rows; the others keep what was measured before

Each way learns 10 classes from the same arrays with the same network, batches of 64, AdamW and cross-entropy, shuffled anew in each
epoch, without a validation split. The bare loop is what a careful user writes: tensors in memory, indices shuffled once an epoch, no
metric read back. "eager" computes the same perceptron with torch layer by layer.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="torch")

import numpy as np
import torch
from gymnasium import spaces
from pairs import HEAD, Way, learning, paired, row
from torch import nn

from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.cnn import CNN, CNNConfig
from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from dl_nets.networks.transformer import TransformerConfig, TransformerNetwork
from rl_core.network import Network
from rl_core.seeds import Seeds

EXAMPLES, BATCH, CLASSES = 2048, 64, 10
SHAPES: dict[str, tuple[int, ...]] = {
    "small mlp": (16,),
    "mlp": (784,),
    "cnn": (16, 16, 1),
    "lstm": (16, 16),
    "transformer": (16, 16),
    "small cnn": (8, 8, 1),
    "small transformer": (8, 8),
}
ASKED = {"bare": 0.9, "eager": 2.0, "lightning": 2.0, "keras": 2.0}
EPOCHS = {"small mlp": 4, "mlp": 2, "small cnn": 2, "small transformer": 2}
WIDTHS = {"transformer": (64, 2, 4), "small transformer": (32, 1, 2)}  # numbers of a step, blocks and heads


def network(name: str, *, fast: bool = True) -> Network:
    """Return the network of that name."""
    return {
        "small mlp": lambda: MLP(MLPConfig(hidden=(64, 64), fast=fast)),
        "mlp": lambda: MLP(MLPConfig(hidden=(256, 128), activation="relu", fast=fast)),
        "cnn": lambda: CNN(CNNConfig(channels=(16, 32), hidden=(64,))),
        "lstm": lambda: RecurrentNetwork(RecurrentConfig(cell="lstm", units=64, fast=fast)),
        "small cnn": lambda: CNN(CNNConfig(channels=(4, 8), hidden=(32,))),
        **{of: partial(transformer, *sizes) for of, sizes in WIDTHS.items()},
    }[name]()


def transformer(width: int, depth: int, num_heads: int) -> Network:
    """Return a transformer of so many numbers of a step, blocks and heads."""
    return TransformerNetwork(TransformerConfig(width=width, depth=depth, num_heads=num_heads))


def task(name: str) -> ArrayTask:
    """Return a task of random inputs and classes."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((EXAMPLES, *SHAPES[name])).astype(np.float32)
    targets = rng.integers(0, CLASSES, EXAMPLES)
    nothing = (inputs[:0], targets[:0])
    splits = {"train": (inputs, targets), "validation": nothing, "test": nothing}
    space = spaces.Box(-np.inf, np.inf, SHAPES[name], np.float32)
    return ArrayTask(None, splits, space, tuple(map(str, range(CLASSES))))


def built(name: str, seed: int, *, fast: bool = True) -> nn.Module:
    """Return the module that `supervised` learns."""
    made = task(name)
    module: nn.Module = network(name, fast=fast).build(made.input_space, made.output_space, np.random.default_rng(seed))
    return module


def ours(name: str) -> Way:
    """Return our way."""
    data, steps = task(name), EPOCHS.get(name, 1) * EXAMPLES

    def way(seed: int) -> Callable[[], int]:
        config = SupervisedConfig(batch_size=BATCH)
        agent = Supervised(config, data, network(name), seeds=Seeds(seed), budget=10 * steps, device="cpu")
        return learning(agent, steps)

    return way


def bare(name: str, *, fast: bool) -> Way:
    """Return a loop in plain torch."""
    data = task(name)
    inputs, targets = (torch.from_numpy(array) for array in data.read("train", np.arange(EXAMPLES)))

    def way(seed: int) -> Callable[[], int]:
        module = built(name, seed, fast=fast)
        optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3)
        loss_of, generator = nn.CrossEntropyLoss(), torch.Generator().manual_seed(seed)

        def work() -> int:
            module.train()
            for _ in range(EPOCHS.get(name, 1)):
                for part in torch.randperm(EXAMPLES, generator=generator).split(BATCH):
                    optimiser.zero_grad()
                    loss = loss_of(module(inputs[part]), targets[part])
                    loss.backward()
                    optimiser.step()
            return EPOCHS.get(name, 1) * EXAMPLES

        return work

    return way


def with_lightning(name: str) -> Way:
    """Return Lightning's Trainer."""
    import logging

    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = task(name)
    arrays = torch.utils.data.TensorDataset(*(torch.from_numpy(array) for array in data.read("train", np.arange(EXAMPLES))))

    class Module(lightning.LightningModule):
        """The same network."""

        def __init__(self, seed: int) -> None:
            super().__init__()
            self.module, self.loss_of = built(name, seed, fast=False), nn.CrossEntropyLoss()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            """Return the loss."""
            return self.loss_of(self.module(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            """Return AdamW."""
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    def way(seed: int) -> Callable[[], int]:
        loader = torch.utils.data.DataLoader(arrays, batch_size=BATCH, shuffle=True)
        trainer = lightning.Trainer(
            max_epochs=EPOCHS.get(name, 1), accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
        module = Module(seed)

        def work() -> int:
            trainer.fit(module, loader)
            return EPOCHS.get(name, 1) * EXAMPLES

        return work

    return way


def with_keras(name: str) -> Way:
    """Return Keras 3 on torch."""
    import keras

    data = task(name)
    inputs, targets = data.read("train", np.arange(EXAMPLES))
    layers = keras.layers

    def way(seed: int) -> Callable[[], int]:
        bodies = {
            "small mlp": lambda: [layers.Dense(64, "tanh"), layers.Dense(64, "tanh")],
            "mlp": lambda: [layers.Dense(256, "relu"), layers.Dense(128, "relu")],
            "cnn": lambda: [
                layers.Conv2D(16, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
                layers.Conv2D(32, 3, padding="same", activation="relu"), layers.AveragePooling2D(2),
                layers.Flatten(), layers.Dense(64, "relu"),
            ],
            "lstm": lambda: [layers.LSTM(64)],
            "small cnn": lambda: [
                layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
                layers.Conv2D(8, 3, padding="same", activation="relu"),
                layers.Flatten(), layers.Dense(32, "relu"),
            ],
        }  # fmt: skip
        if name in WIDTHS:
            model = keras_transformer(keras, SHAPES[name], *WIDTHS[name])
        else:
            model = keras.Sequential([keras.Input(SHAPES[name]), *bodies[name](), layers.Dense(CLASSES)])
        model.compile(keras.optimizers.AdamW(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

        def work() -> int:
            model.fit(inputs, targets, batch_size=BATCH, epochs=EPOCHS.get(name, 1), verbose=0)
            return EPOCHS.get(name, 1) * EXAMPLES

        return work

    return way


def keras_transformer(keras: Any, shape: tuple[int, ...], width: int, depth: int, num_heads: int) -> Any:
    """Return our transformer in layers of Keras: places are learned, layers normalised before they are used, steps averaged."""
    layers = keras.layers

    class Places(layers.Layer):  # type: ignore[misc]  # keras has no types
        """Adds numbers of its own to each step."""

        def build(self, input_shape: Any) -> None:
            """Make them."""
            self.places = self.add_weight(shape=input_shape[1:])

        def call(self, steps: Any) -> Any:
            """Return the sums."""
            return steps + self.places

    inputs = keras.Input(shape)
    steps = layers.Dense(width)(inputs)
    steps = Places()(steps)
    for _ in range(depth):
        normed = layers.LayerNormalization()(steps)
        steps = steps + layers.MultiHeadAttention(num_heads, width // num_heads)(normed, normed)
        steps = steps + layers.Dense(width)(layers.Dense(4 * width, "gelu")(layers.LayerNormalization()(steps)))
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(steps))
    return keras.Model(inputs, layers.Dense(CLASSES)(pooled))


def main() -> None:
    """Time every network beside every other way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("networks", nargs="*", default=list(SHAPES))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=["bare", "eager", "lightning", "keras"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    page = Path(__file__).with_suffix(".md")
    lines = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    cells = {line: line.split("|") for line in lines if line.startswith("|")}
    rows = {parts[1].strip(): line for line, parts in cells.items() if " beside " in parts[1]}
    for name in arguments.networks:
        plain = name not in ("small mlp", "mlp", "lstm")  # no layers of our own take the place of torch's
        peers: dict[str, Callable[[], Way] | None] = {
            "bare": lambda name=name: bare(name, fast=True),
            "eager": None if plain else lambda name=name: bare(name, fast=False),
            "lightning": lambda name=name: with_lightning(name),
            "keras": lambda name=name: with_keras(name),
        }
        for peer in arguments.peers:
            make = peers[peer]
            if make is not None:
                what = f"{name} beside {peer}"
                rows[what] = row(what, paired(ours(name), make(), arguments.pairs), ASKED[peer])
                print(rows[what], flush=True)
    if arguments.pairs >= 3:
        versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "lightning", "keras"))
        text = (
            f"# Supervised learning beside a bare loop, Lightning and Keras\n\nMade by `benchmarks/supervised_speed.py`, Python "
            f"{platform.python_version()}, {versions}, one thread. Ratios are the peer's time a step by ours, medians over pairs.\n"
            '"bare" is a hand-written loop over the same module, fast path included; "eager" the same with torch\'s layers.\n\n'
        )
        page.write_text(text + "\n".join([*HEAD, *rows.values()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
