"""The error of an enlarged picture in the features of a network that learned to tell sharp pictures from degraded ones.

The network learns from the pictures of the task themselves, without labels: each is shown as it is or in one of three degraded forms, and
the form is the class. Features that were learned without labels agree with what people see as well as those of a labelled network do.

Source: Zhang, Isola, Efros, Shechtman and Wang, *The unreasonable effectiveness of deep features as a perceptual metric*, 2018, equation 1
and section 4; as a loss of enlarged pictures, Ledig et al., *Photo-realistic single image super-resolution using a generative adversarial
network*, 2017, equation 5. Departures: the task of the network, and one weight for all channels, in place of VGG's features, which would
have to be downloaded.

Letters: B batch, H W picture, D channels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from cv_models.layers import conv
from dl_nets.networks.initialisation import linear

FORMS = 4  # as it is, blurred, noisy, and with pixels exchanged for neighbours
NOISE = (0.02, 0.1)  # deviations of the noisy form, of luma in [0, 1]


class DegradationNetwork(nn.Module):
    """Convolutions from luma [B, 1, H, W] in [0, 1] to the logits [B, 4] of the form that it is shown in.

    Args:
        width: Channels of the first maps.
        rng: Source of the first weights.
    """

    def __init__(self, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        sizes = ((1, width, 1), (width, width, 2), (width, 2 * width, 1), (2 * width, 2 * width, 2))
        self.layers = nn.ModuleList(conv(before, after, 3, rng, stride=stride, bias=True) for before, after, stride in sizes)
        self.head = linear(2 * width, FORMS, rng, init="lecun-normal")

    def features(self, luma: Tensor) -> list[Tensor]:
        """Return the maps of every layer, [B, D, H, W] and smaller ones, rectified."""
        maps, found = 2.0 * luma - 1.0, []
        for layer in self.layers:
            maps = torch.relu(layer(maps))
            found.append(maps)
        return found

    def forward(self, luma: Tensor) -> Tensor:
        """Return logits [B, 4]."""
        logits: Tensor = self.head(self.features(luma)[-1].mean(dim=(2, 3)))
        return logits


def degraded(luma: Tensor, scale: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return luma [B, 1, H, W] of which each row has one of the four forms, and the number of the form [B].

    Args:
        luma: In [0, 1] [B, 1, H, W].
        scale: Blurred pictures were made smaller so many times, and enlarged by bicubic interpolation.
        rng: Source of the forms.
    """
    forms = torch.from_numpy(rng.integers(0, FORMS, len(luma)))
    count, _, height, width = luma.shape
    small = functional.interpolate(luma, size=(height // scale, width // scale), mode="bicubic", antialias=True)
    blurred = functional.interpolate(small, size=(height, width), mode="bicubic", antialias=True)
    deviation = torch.from_numpy(rng.uniform(*NOISE, (count, 1, 1, 1)).astype(np.float32))
    noisy = luma + deviation.to(luma.device) * torch.from_numpy(rng.standard_normal(luma.shape, np.float32)).to(luma.device)
    places = np.mgrid[0:height, 0:width] + rng.integers(-1, 2, (count, 2, height, width))
    rows, columns = (torch.from_numpy(places[:, axis].clip(0, side - 1)) for axis, side in enumerate((height, width)))
    exchanged = luma[torch.arange(count)[:, None, None], 0, rows, columns][:, None]
    shown = torch.stack([luma, blurred, noisy, exchanged])[forms, torch.arange(count)]
    return shown, forms.to(luma.device)


def feature_error(network: DegradationNetwork, found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean [] over layers of |f(found) - f(wanted)|^2 / |f(wanted)|^2; 0 for equal pictures.

    Args:
        network: f.
        found: Luma [B, 1, H, W] in [0, 1].
        wanted: Luma [B, 1, H, W].
    """
    with torch.no_grad():
        true = network.features(wanted)
    pairs = zip(network.features(found), true, strict=True)
    return torch.stack([(one - other).square().mean() / other.square().mean().clamp(min=1e-9) for one, other in pairs]).mean()
