"""The transformer captioner: attention among the places of a picture, and a decoder that looks at all of them at each word.

Source: Vaswani et al., *Attention is all you need*, 2017; as a captioner, Cornia et al., *Meshed-memory transformer for image captioning*,
2020, section 3, without memory slots and meshed connections. Departures: layers are normalised before they are used, as in
`dl_nets.networks.attention`; places come from convolutions that learn with the rest; a token's vector is also what its logit is the
product with.

Letters: B batch, N captions, T tokens, V vocabulary, L places, D width.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor

from cv_models.describe.captioner import Captioner, CaptionerConfig, Memory
from cv_models.describe.encoder import GridEncoder
from dl_nets.networks.attention import Block, Blocks, KeysAndValues
from dl_nets.networks.embedding import Embedding
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from rl_core.config import Count, Doc, Whole, configclass
from rl_core.network import Network
from rl_core.task import DataTask
from rl_core.tokens import Tokens


@configclass
class TransformerCaptionerConfig(CaptionerConfig):
    """Settings of the transformer captioner."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each of which halves the picture")] = (16, 48, 96)
    width: Annotated[Count, Doc("D, numbers of a step; a multiple of num_heads")] = 96
    encoder_depth: Annotated[Whole, Doc("blocks of attention among the places")] = 1
    depth: Annotated[Count, Doc("blocks of the decoder")] = 2
    num_heads: Annotated[Count, Doc("heads of each attention")] = 4
    expansion: Annotated[Count, Doc("hidden units of each block's perceptron, in multiples of the width")] = 2


class TransformerCaptionerModule(Captioner):
    """The module that `TransformerCaptioner` builds.

    Args:
        config: Settings.
        input_space: Pictures.
        output_space: Captions.
        rng: Source of the first weights and of dropout.
    """

    def __init__(
        self, config: TransformerCaptionerConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator
    ) -> None:
        super().__init__(config, output_space)
        sizes = config.width, config.num_heads, config.expansion, rng
        self.grid = GridEncoder(input_space, config.channels, rng)
        self.widen = linear(self.grid.width, config.width, rng, init="glorot")
        blocks = partial(Blocks, dropout=config.dropout)
        self.encoder = blocks(config.encoder_depth, *sizes) if config.encoder_depth else None
        self.embedding = Embedding(Tokens(self.length, self.size + 1), config.width, rng, positions="sinusoidal")
        self.decoder = blocks(config.depth, *sizes, reads_memory=True)
        self.bias = torch.nn.Parameter(torch.zeros(self.size))
        self.dropout = Dropout(config.dropout, rng)

    def memory(self, inputs: Tensor) -> Memory:
        """Return the places [B, L, D] of pictures [B, H, W, C], which have attended to one another."""
        places = self.widen(self.grid(inputs))
        return (places if self.encoder is None else self.encoder(self.dropout(places)),)

    def read(self, memory: Memory, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits [N, T, V] of the token after each of `before` [N, T]; shares are not computed, [N, T, 0]."""
        steps = self.decoder(self.dropout(self.embedding(before)), causal=True, memory=self.decoder.remember(memory[0]))
        return self.logits(steps), steps[:, :, :0]

    def logits(self, steps: Tensor) -> Tensor:
        """Return logits [..., V] of steps [..., D]: products with the tokens' vectors."""
        tokens = self.embedding.tokens
        assert tokens is not None
        return steps @ tokens.weight[: self.size].T + self.bias

    def writing(self, memory: Memory) -> _Writing:
        """Return the model of the next word that beam search asks, which keeps keys and values."""
        return _Writing(self, memory[0])

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return captions [B, R T] of one beam and their logits [B, T, V], in as many steps for each input, for an exporter."""
        memory = self.memory(inputs)
        begin = torch.full_like(memory[0][:, :1, 0], self.size, dtype=torch.long)
        written = begin[:, :0]

        def following(tokens: Tensor) -> Tensor:
            nonlocal written
            written = torch.cat([written, tokens], dim=1)
            return self.read(memory, written)[0][:, -1]

        return self.likeliest(following, begin)

    def attention(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """Return the share [B, T, rows, columns] of each place at each token of captions [B, T]: the last block's, mean of its heads."""
        memory = self.decoder.remember(self.memory(inputs)[0])
        steps = self.embedding(self._before(captions.long()))
        last = len(self.decoder.blocks) - 1
        for number, each in enumerate(self.decoder.blocks):
            block = cast(Block, each)
            if number == last:
                assert block.memory_attention is not None
                assert block.memory_norm is not None
                normed = block.attention_norm(steps)
                steps = steps + block.attention(normed, block.attention.read(normed), causal=True)
                shares = block.memory_attention.attention_weights(block.memory_norm(steps), memory[number]).mean(dim=1)
                return shares.unflatten(2, (self.grid.rows, self.grid.columns))
            steps = block(steps, causal=True, memory=memory[number])
        raise AssertionError("a decoder has one block at least")

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the places that the last block looks at, word by word, for some test pictures."""
        from cv_models.describe.attention_maps import draw_attention

        draw_attention(self, folder / "attention.png", task)


class _Writing:
    """The decoder at work on some captions, with the keys and values of what it has written.

    Args:
        module: The captioner.
        places: What it sees of the pictures [N, L, D].
    """

    def __init__(self, module: TransformerCaptionerModule, places: Tensor) -> None:
        self._module, self._memory = module, module.decoder.remember(places)
        self._seen = [KeysAndValues(module.length) for _ in module.decoder.blocks]

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [N, V] of the token after `tokens` [N, n], which follow those before."""
        steps = self._module.embedding(tokens, self._seen[0].length)
        steps = self._module.decoder(steps, causal=True, memory=self._memory, cache=self._seen)
        return self._module.without_unknown(self._module.logits(steps[:, -1]))

    def reorder(self, rows: Tensor) -> None:
        """Go on with the captions in rows `rows` [N]."""
        self._memory = [(keys[rows], values[rows]) for keys, values in self._memory]
        for seen in self._seen:
            seen.reorder(rows)


class TransformerCaptioner(Network):
    """Builder of transformer captioners."""

    Config: ClassVar[type] = TransformerCaptionerConfig
    config: TransformerCaptionerConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> TransformerCaptionerModule:
        """Build a captioner from pictures [B, H, W, C] to captions [B, R T]."""
        return TransformerCaptionerModule(self.config, input_space, output_space, rng)
