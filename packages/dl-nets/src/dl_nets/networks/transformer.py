"""The transformer: an encoder of sequences, and, with `causal`, the decoder that models language.

Source: Vaswani and others, *Attention is all you need*, 2017; the decoder alone, Radford and others, *Improving language understanding
by generative pre-training*, 2018; images as patches, Dosovitskiy and others, *An image is worth 16 x 16 words*, 2021; rows of a table
as one step for each number, Gorishniy and others, *Revisiting deep learning models for tabular data*, 2021. Departures: as in
`attention`; the mean of the steps is pooled unless `pooling` says otherwise.
Letters: B batch, T time, D width, V vocabulary, K outputs.

Outputs for each step are given where the task asks for as many answers as there are steps (tokens [T], numbers [T, K]); one answer
for the whole sequence is read from the pooled steps.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn

from dl_nets.networks.attention import Blocks, KeysAndValues, Positions
from dl_nets.networks.embedding import Embedding, steps_answered, vocabulary
from dl_nets.networks.generation import choose
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Activation, Dropout
from dl_nets.networks.spaces import output_size
from rl_core.config import Count, Doc, Meta, Positive, Whole, configclass
from rl_core.network import Network


@configclass
class TransformerConfig:
    """Settings of the transformer."""

    width: Annotated[Count, Doc("D, numbers of a step; a multiple of num_heads")] = 64
    depth: Annotated[Count, Doc("blocks of attention and perceptron")] = 2
    num_heads: Annotated[Count, Doc("heads of each attention")] = 4
    expansion: Annotated[Count, Doc("hidden units of each block's perceptron, in multiples of the width")] = 4
    activation: Annotated[Activation, Doc("by name, of the perceptrons")] = "gelu"
    causal: Annotated[bool, Doc("whether a step sees only itself and earlier ones, as a model of language must")] = False
    positions: Annotated[Positions, Doc("learned, sinusoidal or none: how a step knows its place")] = "learned"
    patch_size: Annotated[Whole, Doc("pixels on the side of an image's patches; 0: its rows are the steps")] = 0
    pooling: Annotated[Literal["mean", "first", "last"], Doc("which steps answer for a whole sequence; padding never does")] = "mean"
    tied: Annotated[bool, Doc("whether token outputs are products with the input tokens' vectors; needs one vocabulary")] = False
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability that a number is left out of a step or a branch while training")] = 0.0
    output_gain: Annotated[Positive, Doc("scale of the last layer's first weights")] = 1.0


class Transformer(nn.Module):
    """The module that `TransformerNetwork` builds.

    Args:
        config: Settings.
        input_space: Space of the inputs.
        output_space: Space of the answers.
        rng: Source of the first weights and of dropout.

    Attributes:
        length: T.

    Raises:
        ValueError: if the spaces or the config do not go together.
    """

    def __init__(self, config: TransformerConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        self.causal, self.pooling = config.causal, config.pooling
        self.embedding = Embedding(input_space, config.width, rng, positions=config.positions, patch_size=config.patch_size)
        self.length = self.embedding.length
        self.dropout = Dropout(config.dropout, rng)
        self.blocks = Blocks(
            config.depth,
            config.width,
            config.num_heads,
            config.expansion,
            rng,
            activation_name=config.activation,
            dropout=config.dropout,
        )
        self.outputs_per_step = steps_answered(output_space, self.length)
        self.output: nn.Linear | None = None
        if config.tied:
            if self.outputs_per_step is None or vocabulary(input_space) is None or vocabulary(input_space) != vocabulary(output_space):
                raise ValueError(f"tied is true, but inputs {input_space} and outputs {output_space} are not tokens of one vocabulary")
        else:
            size = self.outputs_per_step or output_size(output_space)
            self.output = linear(config.width, size, rng, init="glorot", gain=config.output_gain)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of sequences [B, ...], or [B, T, K] where each step has its own."""
        known = self.embedding.mask(inputs)
        # Padding stands behind the tokens, so that a step which only looks back never sees it.
        mask = None if known is None or self.causal else known[:, None, None, :]
        steps = self.blocks(self.dropout(self.embedding(inputs)), mask=mask, causal=self.causal)
        return self.outputs(steps) if self.outputs_per_step is not None else self.outputs(self._pooled(steps, known))

    def outputs(self, steps: Tensor) -> Tensor:
        """Return outputs [..., K] of steps [..., D] that all blocks have seen."""
        if self.output is not None:
            numbers: Tensor = self.output(steps)
            return numbers
        assert self.embedding.tokens is not None
        return steps @ self.embedding.tokens.weight.T

    def generate(
        self,
        prompt: Tensor,
        count: int,
        rng: np.random.Generator,
        *,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        cached: bool = True,
    ) -> Tensor:
        """Return tokens [B, count] that continue a prompt [B, n], one drawn after the other; see `generation.choose`.

        The model sees the last T tokens at most: when they are full, the older half is dropped.

        Args:
            prompt: [B, n], n >= 1.
            count: How many tokens to add.
            rng: Source of the draws.
            temperature: >= 0; 0 takes the likeliest.
            top_k: Draw among so many likeliest; 0 for all.
            top_p: Draw among the likeliest whose probabilities sum to it.
            cached: Whether keys and values of earlier steps are kept instead of computed anew. The tokens are the same.

        Raises:
            ValueError: if the module is not a causal model of the tokens that it reads, or the prompt is empty.
        """
        if not self.causal or self.outputs_per_step is None or self.embedding.tokens is None:
            raise ValueError("this network does not model the next token; it needs causal=true, and tokens as inputs and outputs")
        if prompt.ndim != 2 or not prompt.shape[1]:
            raise ValueError(f"the prompt has shape {list(prompt.shape)}; expected [B, n] with at least one token")
        was_training = self.training
        self.eval()
        texts, cache, begin = prompt, None, -1
        with torch.no_grad():
            for _ in range(count):
                first = window_start(texts.shape[1], self.length)
                if cache is None or first != begin:
                    cache, begin, unseen = [KeysAndValues(self.length) for _ in self.blocks.blocks], first, texts[:, first:]
                else:
                    unseen = texts[:, -1:]
                logits = self._next(unseen, cache) if cached else self._next(texts[:, first:], None)
                drawn = choose(logits, rng, temperature=temperature, top_k=top_k, top_p=top_p)
                texts = torch.cat([texts, drawn[:, None].to(texts)], dim=1)
        self.train(was_training)
        return texts[:, prompt.shape[1] :]

    def _next(self, tokens: Tensor, cache: list[KeysAndValues] | None) -> Tensor:
        """Return the logits [B, V] of the token after `tokens` [B, n], which follow what the cache holds."""
        start = 0 if cache is None else cache[0].length
        steps = self.blocks(self.embedding(tokens, start), causal=True, cache=cache)
        return self.outputs(steps[:, -1])

    def _pooled(self, steps: Tensor, known: Tensor | None) -> Tensor:
        """Return one step [B, D] for each sequence."""
        if self.pooling == "first":
            return steps[:, 0]
        if known is None:
            return steps.mean(dim=1) if self.pooling == "mean" else steps[:, -1]
        if self.pooling == "last":
            return steps[torch.arange(len(steps), device=steps.device), known.sum(dim=1) - 1]
        counted = known[:, :, None].to(steps.dtype)
        return (steps * counted).sum(dim=1) / counted.sum(dim=1)


def window_start(count: int, length: int) -> int:
    """Return how many of `count` tokens are dropped, so that at most `length` remain: halves of a window, so that a cache lasts.

    >>> [window_start(count, 4) for count in (4, 5, 6, 7, 9)]
    [0, 2, 2, 4, 6]
    """
    half = max(1, length // 2)
    return max(0, math.ceil((count - length) / half)) * half


class TransformerNetwork(Network):
    """Builder of transformers for sequences, images, tokens and rows of numbers."""

    Config: ClassVar[type] = TransformerConfig
    config: TransformerConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> Transformer:
        """Build a transformer from inputs [B, ...] to outputs [B, K], or [B, T, K]."""
        return Transformer(self.config, input_space, output_space, rng)
