"""The first part of a world model: codes of observations, by a variational autoencoder for pictures, and as they are for vectors.

Source: D. Ha, J. Schmidhuber, "World models", 2018, section 2.1; D. Kingma, M. Welling, "Auto-encoding variational Bayes", 2014, (10).
Departures: none. Letters: B batch, Z numbers of a code.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from rl_algos.latent_models.coders import Coder, Scale, reconstruction_loss
from rl_algos.latent_models.rssm import LEAST_STD, Normal, divergence


class Vision(nn.Module):
    """Codes of scaled observations, and observations of codes.

    Args:
        scale: Says what observations are.
        size: Z for pictures; a vector's is its own length.
        observation_std: Deviation of the decoder's normal.
        rng: Source of the first weights.

    Attributes:
        size: Z.
        learns: Whether there is anything to learn.
    """

    def __init__(self, scale: Scale, size: int, observation_std: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.learns, self._std = scale.is_image, observation_std
        self.size = size if scale.is_image else scale.shape[0]
        self.coder = Coder(scale, 2 * size, size, (), rng) if scale.is_image else nn.Identity()

    def forward(self, obs: Tensor) -> Normal:
        """Return the distribution of the codes [..., Z] of scaled observations [..., *shape]; a vector is its own code, for sure."""
        if not self.learns:
            return Normal(obs, torch.zeros_like(obs))
        assert isinstance(self.coder, Coder)
        mean, raw = self.coder.encode(obs).chunk(2, dim=-1)
        return Normal(mean, nn.functional.softplus(raw) + LEAST_STD)

    def decode(self, code: Tensor) -> Tensor:
        """Return scaled observations [..., *shape] of codes [..., Z]."""
        return self.coder.decode(code) if isinstance(self.coder, Coder) else code

    def losses(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction loss and divergence from the standard normal, scalars, of pictures [T, B, ...] with noise [T, B, Z]."""
        code = self(obs)
        standard = Normal(torch.zeros_like(code.mean), torch.ones_like(code.std))
        reconstruction = reconstruction_loss(self.decode(code.mean + code.std * noise), obs, self._std)
        return reconstruction.mean(), divergence(code, standard).mean()
