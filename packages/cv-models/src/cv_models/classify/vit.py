"""Vision transformer: a transformer encoder on the sequence of an image's patches.

Source: Dosovitskiy et al., *An image is worth 16x16 words: transformers for image recognition at scale*, 2021, section 3.1. The blocks
are those of Vaswani et al., *Attention is all you need*, 2017, with normalisation before each part. Departures: the head is initialised
by Glorot instead of with zeros, so that the first update changes every layer, and the mean over all patches can replace the class token
(appendix D.3 of the source compares both). The embedding of patches is written as a linear map of flattened patches instead of the
equivalent convolution; for small sets of images it can be a stem of convolutions, after Xiao et al., *Early convolutions help transformers
see better*, 2021, section 4.

Letters: B batch, N patches, T tokens (N, and one more with a class token), D width, K outputs, h heads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.classify.vit_weights import from_torchvision, resized_positions, square
from cv_models.layers import Standardise, conv
from cv_models.weights import load_weights
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, FilePath, Meta, configclass
from rl_core.network import Network
from rl_core.task import DataTask

EPSILON = 1e-6  # added to the variance by layer normalisations
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}  # width, depth, heads; tiny and small: Touvron et al., 2021


@configclass
class ViTConfig:
    """Patch size, and width and depth, or a named size: ViT-B/16 is patch_size 16, size base."""

    size: Annotated[
        Literal["custom", "tiny", "small", "base"],
        Doc("custom: width, depth and num_heads; tiny, small, base: 192, 384, 768 wide, 12 deep"),
    ] = "custom"
    patch_size: Annotated[Count, Doc("pixels, side of a patch; must divide the image's height and width")] = 4
    stem: Annotated[
        Literal["patches", "convolutions"],
        Doc(
            "patches: a linear map of each; convolutions: 3 x 3 at stride 2, until a place is patch_size wide; they learn from fewer images"
        ),
    ] = "patches"
    width: Annotated[Count, Doc("D, numbers of a token; a multiple of num_heads")] = 64
    depth: Annotated[Count, Doc("number of blocks")] = 4
    num_heads: Annotated[Count, Doc("h, heads of each attention layer")] = 4
    hidden_ratio: Annotated[Count, Doc("hidden units of each block's perceptron, as a multiple of the width")] = 4
    pooling: Annotated[Literal["class-token", "mean"], Doc("input of the head: an additional token, or the mean of all patches")] = (
        "class-token"
    )
    dropout: Annotated[float, Meta(ge=0, lt=1), Doc("probability of dropping a number after each part of a block in training")] = 0.0
    standardise: Annotated[bool, Doc("whether colours are standardised as torchvision's weights expect")] = False
    weights: Annotated[FilePath, Doc('local file of weights, .safetensors or torchvision\'s .pth; "" draws them')] = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Width, depth and number of heads."""
        return SIZES.get(self.size, (self.width, self.depth, self.num_heads))

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(f"width is {self.width} and num_heads is {self.num_heads}; width must be a multiple of num_heads")
        if self.stem == "convolutions" and (self.patch_size < 2 or self.patch_size & (self.patch_size - 1)):
            raise ValueError(
                f"patch_size is {self.patch_size}; with stem=convolutions, each of which halves the image, it must be 2, 4, 8, 16 ..."
            )


def patches(images: Tensor, patch_size: int) -> Tensor:
    """Return the patches [B, N, patch_size * patch_size * C] of images [B, H, W, C], row by row, each flattened with its channels last.

    >>> patches(torch.arange(8).reshape(1, 2, 4, 1), 2).tolist()
    [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    """
    batch, height, width, channels = images.shape
    cut = images.reshape(batch, height // patch_size, patch_size, width // patch_size, patch_size, channels)
    return cut.transpose(2, 3).reshape(batch, -1, patch_size * patch_size * channels)


class Stem(nn.Sequential):
    """Convolutions from images [B, C, H, W] to places [B, D, H / patch, W / patch]: 3 x 3, stride 2, normalised, ReLU; then 1 x 1.

    The number of filters doubles from one to the next, up to D.

    Args:
        channels: C.
        width: D.
        patch_size: Pixels of the image for a place; a power of 2.
        rng: Source of the weights.
    """

    def __init__(self, channels: int, width: int, patch_size: int, rng: np.random.Generator) -> None:
        layers: list[nn.Module] = []
        halvings = patch_size.bit_length() - 1
        for number in range(halvings):
            filters = max(1, width >> (halvings - 1 - number))
            layers += [conv(channels, filters, 3, rng, stride=2), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
            channels = filters
        super().__init__(*layers, conv(channels, width, 1, rng, bias=True))


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

    def heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of tokens [B, T, D], each [B, h, T, D / h]."""
        batch, count, width = tokens.shape
        heads = self.query_key_value(tokens).reshape(batch, count, 3, self.num_heads, width // self.num_heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        return query, key, value

    def attention_weights(self, tokens: Tensor) -> Tensor:
        """Return how much each token of tokens [B, T, D] looks at each other one [B, h, T, T]; rows sum to 1."""
        query, key, _ = self.heads(tokens)
        return torch.softmax(query @ key.transpose(2, 3) / query.shape[-1] ** 0.5, dim=-1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens [B, T, D], each a weighted mean of values of all tokens."""
        batch, count, width = tokens.shape
        mixed = functional.scaled_dot_product_attention(*self.heads(tokens))
        return cast(Tensor, self.output(mixed.transpose(1, 2).reshape(batch, count, width)))


class Block(nn.Module):
    """A block of the encoder: tokens + attention(norm(tokens)) (2), then tokens + perceptron(norm(tokens)) (3).

    Args:
        config: Config of the network.
        rng: Generator of the initial weights.
    """

    def __init__(self, config: ViTConfig, rng: np.random.Generator) -> None:
        super().__init__()
        width, _, num_heads = config.shape
        hidden = width * config.hidden_ratio
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.attention = Attention(width, num_heads, rng)
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
        size, depth, _ = config.shape
        self.scale = UnitScale(space)
        self.standardise = Standardise(channels) if config.standardise else None
        self._grid = height // config.patch_size, width // config.patch_size
        self.patch_size, self.pooling = config.patch_size, config.pooling
        self.embedding: nn.Module
        if config.stem == "convolutions":
            self.embedding = Stem(channels, size, config.patch_size, rng)
        else:
            self.embedding = linear(config.patch_size**2 * channels, size, rng, init="glorot")
        num_tokens = self._grid[0] * self._grid[1] + (config.pooling == "class-token")
        positions = rng.normal(0.0, 0.02, (1, num_tokens, size)).astype(np.float32)
        self.positions = nn.Parameter(torch.from_numpy(positions))  # learned, one row per token
        if config.pooling == "class-token":
            self.class_token = nn.Parameter(torch.zeros(1, 1, size))
        self.blocks = nn.Sequential(*(Block(config, rng) for _ in range(depth)))
        self.norm = nn.LayerNorm(size, eps=EPSILON)
        self.head = linear(size, num_outputs, rng, init="glorot")

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the outputs [B, K] for images [B, H, W, C]; positions are resized for images of another size than the space's."""
        tokens = self.norm(self.blocks(self.tokens(inputs)))
        summary = tokens[:, 0] if self.pooling == "class-token" else tokens.mean(1)  # (4)
        return cast(Tensor, self.head(summary))

    def tokens(self, inputs: Tensor) -> Tensor:
        """Return the tokens [B, T, D] of images [B, H, W, C] with their positions."""
        images = self.scale(inputs)
        if self.standardise is not None:
            images = self.standardise(images).permute(0, 2, 3, 1)
        grid = images.shape[1] // self.patch_size, images.shape[2] // self.patch_size
        if isinstance(self.embedding, Stem):
            tokens = self.embedding(images.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        else:
            tokens = self.embedding(patches(images, self.patch_size))  # [B, N, D]
        if self.pooling == "class-token":
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)  # (1)
        return cast(Tensor, tokens + resized_positions(self.positions, self._grid, grid))

    @torch.no_grad()
    def attention_maps(self, inputs: Tensor) -> Tensor:
        """Return how much each place enters the answer [B, H, W] in [0, 1], by attention roll-out over all blocks."""
        from cv_models.classify.grad_cam import rollout

        tokens, weights = self.tokens(inputs), []
        for block in self.blocks:
            assert isinstance(block, Block)
            weights.append(block.attention.attention_weights(block.attention_norm(tokens)))
            tokens = block(tokens)
        flow = rollout(weights, mean=self.pooling == "mean")[:, tokens.shape[1] - self._grid[0] * self._grid[1] :].reshape(
            -1, 1, *self._grid
        )
        maps = functional.interpolate(flow, tuple(inputs.shape[1:3]), mode="bilinear", align_corners=False)[:, 0]
        return maps / maps.amax((1, 2), keepdim=True)

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write where the class token, or the mean of all patches, looks in some test images."""
        from cv_models.drawn_maps import draw_maps, labelled, shown_examples

        inputs = shown_examples(task, self.positions.device)
        words = labelled(self(inputs), task)
        draw_maps(
            inputs, [("attention", self.attention_maps(inputs), words)], folder / "attention.png", "attention roll-out over all blocks"
        )

    def load(self, path: Path) -> None:
        """Copy the weights of a file, ours or torchvision's, whose positions may be for another number of patches.

        Raises:
            ValueError: if the file cannot be read or does not fit.
        """
        first = int(self.pooling == "class-token")

        def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
            ours = from_torchvision(state)
            if "positions" in ours:
                grid = square(ours["positions"].shape[1] - first)
                ours["positions"] = resized_positions(ours["positions"], grid, self._grid)
            return ours

        load_weights(self, path, head="head.", rename=rename)


class ViT(Network):
    """Vision transformers for images whose height and width are multiples of the patch size."""

    Config: ClassVar[type] = ViTConfig
    config: ViTConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> VisionTransformer:
        """Build a vision transformer from images [B, H, W, C] to outputs [B, K].

        Raises:
            ValueError: if the file of weights does not fit, or the patch size does not divide the image; see the sizes that do.
        """
        image, size = image_shape(input_space), self.config.patch_size
        if image[0] % size or image[1] % size:
            fitting = [side for side in range(1, min(image[:2]) + 1) if image[0] % side == 0 and image[1] % side == 0]
            raise ValueError(
                f"patch_size is {size}, but the image is {image[0]} x {image[1]}; "
                f"it must be one of {', '.join(map(str, fitting))}: set network.patch_size"
            )
        module = VisionTransformer(self.config, input_space, output_size(output_space), rng)
        if self.config.weights:
            module.load(Path(self.config.weights))
        return module
