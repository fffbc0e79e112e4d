"""Vision transformer: a transformer encoder on the sequence of an image's patches.

Source: Dosovitskiy et al., *An image is worth 16x16 words: transformers for image recognition at scale*, 2021, section 3.1. The blocks
are those of Vaswani et al., *Attention is all you need*, 2017, with normalisation before each part. Departures: the head is initialised
by Glorot instead of with zeros, so that the first update changes every layer, and the mean over all patches can replace the class token
(appendix D.3 of the source compares both). The embedding of patches is written as a linear map of flattened patches instead of the
equivalent convolution.

Letters: B batch, N patches, T tokens (N, and one more with a class token), D width, K outputs, h heads.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, Meta, configclass
from rl_core.network import Network

EPSILON = 1e-6  # added to the variance by layer normalisations


@configclass
class ViTConfig:
    """Patch size, width and depth. ViT-B/16 is patch_size 16, width 768, depth 12, num_heads 12."""

    patch_size: Annotated[Count, Doc("pixels, side of a patch; must divide the image's height and width")] = 4
    width: Annotated[Count, Doc("D, numbers of a token; a multiple of num_heads")] = 64
    depth: Annotated[Count, Doc("number of blocks")] = 4
    num_heads: Annotated[Count, Doc("h, heads of each attention layer")] = 4
    hidden_ratio: Annotated[Count, Doc("hidden units of each block's perceptron, as a multiple of the width")] = 4
    pooling: Annotated[Literal["class-token", "mean"], Doc("input of the head: an additional token, or the mean of all patches")] = (
        "class-token"
    )
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability of dropping a number after each part of a block in training")] = 0.0

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width is {self.width} and num_heads is {self.num_heads}; width must be a multiple of num_heads")


def patches(images: Tensor, patch_size: int) -> Tensor:
    """Return the patches [B, N, patch_size * patch_size * C] of images [B, H, W, C], row by row, each flattened with its channels last.

    >>> patches(torch.arange(8).reshape(1, 2, 4, 1), 2).tolist()
    [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    """
    batch, height, width, channels = images.shape
    cut = images.reshape(batch, height // patch_size, patch_size, width // patch_size, patch_size, channels)
    return cut.transpose(2, 3).reshape(batch, -1, patch_size * patch_size * channels)


class Attention(nn.Module):
    """Multi-head self-attention: softmax(q k^T / sqrt(D / h)) v in each of h slices of the width (Vaswani et al., section 3.2).

    Args:
        width: D.
        num_heads: h, a divisor of D.
        rng: Generator of the initial weights.
    """

    def __init__(self, width: int, num_heads: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query_key_value = linear(width, 3 * width, rng, init="glorot")
        self.output = linear(width, width, rng, init="glorot")

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens [B, T, D], each a weighted mean of values of all tokens."""
        batch, count, width = tokens.shape
        heads = self.query_key_value(tokens).reshape(batch, count, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)  # each [B, h, T, D / h]
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return cast(Tensor, self.output(mixed.transpose(1, 2).reshape(batch, count, width)))


class Block(nn.Module):
    """A block of the encoder: tokens + attention(norm(tokens)) (2), then tokens + perceptron(norm(tokens)) (3).

    Args:
        config: Config of the network.
        rng: Generator of the initial weights.
    """

    def __init__(self, config: ViTConfig, rng: np.random.Generator) -> None:
        super().__init__()
        width, hidden = config.width, config.width * config.hidden_ratio
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.attention = Attention(width, config.num_heads, rng)
        self.perceptron_norm = nn.LayerNorm(width, eps=EPSILON)
        self.perceptron = nn.Sequential(linear(width, hidden, rng, init="glorot"), nn.GELU(), linear(hidden, width, rng, init="glorot"))
        self.dropout = Dropout(config.dropout, rng)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens [B, T, D] after this block."""
        tokens = tokens + self.dropout(self.attention(self.attention_norm(tokens)))
        tokens = tokens + self.dropout(self.perceptron(self.perceptron_norm(tokens)))
        return tokens


class VisionTransformer(nn.Module):
    """The module that `ViT` builds.

    Args:
        config: Config of the network.
        space: Space of one image.
        num_outputs: K.
        rng: Generator of the initial weights.
    """

    def __init__(self, config: ViTConfig, space: Space[Any], num_outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        height, width, channels = image_shape(space)
        self.scale = UnitScale(space)
        num_patches = (height // config.patch_size) * (width // config.patch_size)
        self.patch_size, self.pooling = config.patch_size, config.pooling
        self.embedding = linear(config.patch_size**2 * channels, config.width, rng, init="glorot")
        num_tokens = num_patches + (config.pooling == "class-token")
        positions = rng.normal(0.0, 0.02, (1, num_tokens, config.width)).astype(np.float32)
        self.positions = nn.Parameter(torch.from_numpy(positions))  # learned, one row per token
        if config.pooling == "class-token":
            self.class_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.blocks = nn.Sequential(*(Block(config, rng) for _ in range(config.depth)))
        self.norm = nn.LayerNorm(config.width, eps=EPSILON)
        self.head = linear(config.width, num_outputs, rng, init="glorot")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs [B, K] for images [B, H, W, C]."""
        tokens = self.embedding(patches(self.scale(inputs), self.patch_size))  # [B, N, D]
        if self.pooling == "class-token":
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)  # (1)
        tokens = self.norm(self.blocks(tokens + self.positions))
        summary = tokens[:, 0] if self.pooling == "class-token" else tokens.mean(1)  # (4)
        return cast(Tensor, self.head(summary))


class ViT(Network):
    """Vision transformers for images whose height and width are multiples of the patch size."""

    Config: ClassVar[type] = ViTConfig
    config: ViTConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> VisionTransformer:
        """Return a vision transformer from images [B, H, W, C] to outputs [B, K].

        Raises:
            ValueError: if the patch size does not divide the image; the message lists the sizes that do.
        """
        image, size = image_shape(input_space), self.config.patch_size
        if image[0] % size or image[1] % size:
            fitting = [side for side in range(1, min(image[:2]) + 1) if image[0] % side == 0 and image[1] % side == 0]
            raise ValueError(
                f"patch_size is {size}, but the image is {image[0]} x {image[1]}; "
                f"it must be one of {', '.join(map(str, fitting))}: set network.patch_size"
            )
        return VisionTransformer(self.config, input_space, output_size(output_space), rng)
