"""Attention in convolutional networks: over channels (which feature) and over places (where), as blocks for any network here.

Source: Hu, Shen and Sun, *Squeeze-and-excitation networks*, 2018, section 3; Woo et al., *CBAM: convolutional block attention module*,
2018, section 3. Departures: the last weights of CBAM's maps are 0 at first, so that its attention begins even, as the authors' code
begins the one over places by a normalisation with the scale 0. Its maps are computed one after the other, channels first, as the paper
found best.

Letters: B batch, C channels, H W features, r reduction.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import conv

LEAST = 4  # units at least between the two layers


class SqueezeExcitation(nn.Module):
    """Weights of channels from their means: x * sigmoid(W_2 relu(W_1 mean(x))) (3).

    Args:
        channels: C.
        rng: Source of the weights.
        reduction: r; the layer in between has C / r units.

    >>> block = SqueezeExcitation(8, np.random.default_rng(0))
    >>> block(torch.zeros(1, 8, 2, 2)).shape
    torch.Size([1, 8, 2, 2])
    """

    def __init__(self, channels: int, rng: np.random.Generator, reduction: int = 16) -> None:
        super().__init__()
        inner = max(LEAST, channels // reduction)
        self.fc1, self.fc2 = conv(channels, inner, 1, rng, bias=True), conv(inner, channels, 1, rng, bias=True)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B, C, H, W], each channel times its weight."""
        means = features.mean((2, 3), keepdim=True)
        return features * torch.sigmoid(self.fc2(functional.relu(self.fc1(means))))


class ChannelAttention(nn.Module):
    """Weights of channels from their means and maxima: x * sigmoid(mlp(mean(x)) + mlp(max(x))) (CBAM, 2).

    Args:
        channels: C.
        rng: Source of the weights.
        reduction: r; the layer in between has C / r units.
    """

    def __init__(self, channels: int, rng: np.random.Generator, reduction: int = 16) -> None:
        super().__init__()
        inner = max(LEAST, channels // reduction)
        self.fc1, self.fc2 = conv(channels, inner, 1, rng), conv(inner, channels, 1, rng)
        nn.init.zeros_(self.fc2.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B, C, H, W], each channel times its weight."""
        pooled = features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)
        hidden = functional.relu(self.fc1(torch.cat(pooled, dim=3)))  # both in one call, side by side [B, C, 1, 2]
        means, maxima = self.fc2(hidden).chunk(2, dim=3)
        return features * torch.sigmoid(means + maxima)


class SpatialAttention(nn.Module):
    """Weights of places from the mean and the maximum over channels: x * sigmoid(conv_7x7([mean(x), max(x)])) (CBAM, 3).

    Args:
        rng: Source of the weights.
        kernel: Height and width of the filter.
    """

    def __init__(self, rng: np.random.Generator, kernel: int = 7) -> None:
        super().__init__()
        self.conv = conv(2, 1, kernel, rng)
        nn.init.zeros_(self.conv.weight)

    def weights(self, features: Tensor) -> Tensor:
        """Return the weight of each place [B, 1, H, W], in [0, 1]."""
        pooled = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1)
        return torch.sigmoid(self.conv(pooled))

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B, C, H, W], each place times its weight."""
        return features * self.weights(features)


class CBAM(nn.Module):
    """Channel attention, then spatial attention (1).

    Args:
        channels: C.
        rng: Source of the weights.
        reduction: r of the channel attention.

    Both weights are 1/2 at first, whatever the features:

    >>> CBAM(8, np.random.default_rng(0))(torch.full((1, 8, 2, 2), 4.0)).unique().tolist()
    [1.0]
    """

    def __init__(self, channels: int, rng: np.random.Generator, reduction: int = 16) -> None:
        super().__init__()
        self.channel, self.spatial = ChannelAttention(channels, rng, reduction), SpatialAttention(rng)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B, C, H, W], weighted by channel and by place."""
        weighted: Tensor = self.spatial(self.channel(features))
        return weighted
