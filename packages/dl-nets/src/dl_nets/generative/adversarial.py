"""The mathematics of two players: losses of the discriminator and the generator, and penalties on the discriminator's gradient.

D(x) is a logit: no sigmoid within. Losses are means over a batch.

Sources: Goodfellow et al., *Generative adversarial nets*, 2014; least squares: Mao et al. 2017; Wasserstein: Arjovsky, Chintala and Bottou
2017; its gradient penalty: Gulrajani et al. 2017; R1: Mescheder, Geiger and Nowozin, *Which training methods for GANs do actually
converge?*, 2018; path lengths: Karras et al. 2020; one-sided label smoothing: Salimans et al. 2016.

Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

AdversarialLoss = Literal["non-saturating", "saturating", "least-squares", "wasserstein"]


def discriminator_loss(name: AdversarialLoss, real: Tensor, fake: Tensor, real_label: float = 1.0) -> Tensor:
    """Return the discriminator's loss [] of logits of real [B] and of generated examples [B].

    - (non-)saturating: -t log s(D(x)) - (1 - t) log(1 - s(D(x))) - log(1 - s(D(G(z)))), s the sigmoid and t the label of real examples;
    - least squares: ((D(x) - t)^2 + D(G(z))^2) / 2;
    - Wasserstein: D(G(z)) - D(x).

    Args:
        name: Of the game.
        real: D(x) [B].
        fake: D(G(z)) [B].
        real_label: t; below 1 is one-sided label smoothing.

    Where real and generated examples look alike to the best discriminator, its loss is 2 log 2:

    >>> round(discriminator_loss("non-saturating", torch.zeros(1), torch.zeros(1)).item(), 4)
    1.3863
    >>> smooth = torch.log(torch.tensor([0.45 / 0.55]))  # the best discriminator for t = 0.9
    >>> round(discriminator_loss("non-saturating", smooth, smooth, 0.9).item(), 4)
    1.3763
    """
    if name == "wasserstein":
        return fake.mean() - real.mean()
    if name == "least-squares":
        return 0.5 * ((real - real_label).square().mean() + fake.square().mean())
    right = functional.binary_cross_entropy_with_logits(real, torch.full_like(real, real_label))
    return right + functional.softplus(fake).mean()


def mismatch_loss(name: AdversarialLoss, wrong: Tensor, differs: Tensor) -> Tensor:
    """Return the discriminator's loss [] of real examples that are shown with the labels of others, as if they were generated.

    Args:
        name: Of the game.
        wrong: D(x, c') [B].
        differs: Whether c' is unlike the example's own label c [B]; the others do not count.

    Source: Reed et al., *Generative adversarial text to image synthesis*, 2016, algorithm 1.

    >>> round(mismatch_loss("non-saturating", torch.tensor([0.0, 9.0]), torch.tensor([True, False])).item(), 4)
    0.6931
    """
    each = wrong if name == "wasserstein" else 0.5 * wrong.square() if name == "least-squares" else functional.softplus(wrong)
    return (each * differs).sum() / differs.sum().clamp(min=1)


def generator_loss(name: AdversarialLoss, fake: Tensor) -> Tensor:
    """Return the generator's loss [] of the logits of what it generated [B].

    - non-saturating: -log s(D(G(z)));
    - saturating: log(1 - s(D(G(z)))), whose gradient vanishes where the discriminator wins;
    - least squares: (D(G(z)) - 1)^2 / 2;
    - Wasserstein: -D(G(z)).

    >>> [round(generator_loss(name, torch.zeros(1)).item(), 4) for name in ("non-saturating", "saturating", "least-squares")]
    [0.6931, -0.6931, 0.5]
    """
    match name:
        case "wasserstein":
            return -fake.mean()
        case "least-squares":
            return 0.5 * (fake - 1.0).square().mean()
        case "saturating":
            return -functional.softplus(fake).mean()
        case _:
            return functional.softplus(-fake).mean()


def r1_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Return the mean [] of |grad D(x)|^2 / 2 at real examples [B, ...].

    D(x) = 3 x has the gradient 3 everywhere:

    >>> r1_penalty(lambda x: 3.0 * x[:, 0], torch.zeros(4, 1)).item()
    4.5
    """
    return 0.5 * _gradient(discriminate, real).square().sum(1).mean()


def gradient_penalty(discriminate: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Return the mean [] of (|grad D(u)| - 1)^2 at u = e x + (1 - e) G(z), with an e of its own for each pair.

    Args:
        discriminate: D, without batch normalisation: the penalty is of each example.
        real: x [B, ...].
        fake: G(z) [B, ...].
        mix: e [B], in [0, 1).

    >>> gradient_penalty(lambda x: 3.0 * x[:, 0], torch.zeros(4, 1), torch.ones(4, 1), torch.rand(4)).item()
    4.0
    """
    share = mix.reshape(-1, *[1] * (real.ndim - 1))
    return (_gradient(discriminate, share * real + (1.0 - share) * fake).norm(dim=1) - 1.0).square().mean()


def path_lengths(images: Tensor, styles: Tensor, directions: Tensor) -> Tensor:
    """Return |J' y| / sqrt(H W) [B]: how far images move with their styles, in random directions, ready for a gradient.

    Args:
        images: G(w) [B, H, W, C].
        styles: w [B, D].
        directions: y [B, H, W, C], from N(0, 1).

    Source: Karras et al., *Analyzing and improving the image quality of StyleGAN*, 2020, section 3.2.

    G(w) = (3 w, 4 w) of one pixel and two channels, y = (1, 1): J' y = 7

    >>> styles = torch.ones(1, 1, requires_grad=True)
    >>> path_lengths(torch.cat([3 * styles, 4 * styles], 1).reshape(1, 1, 1, 2), styles, torch.ones(1, 1, 1, 2)).item()
    7.0
    """
    pixels = images.shape[1] * images.shape[2]
    (gradient,) = torch.autograd.grad((images * directions).sum() / pixels**0.5, styles, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


@torch.no_grad()
def average_into(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move a moving average of a module's parameters towards it: a <- decay a + (1 - decay) w; buffers and other state are copied.

    >>> one, other = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = one.weight.fill_(0.0), other.weight.fill_(1.0)
    >>> average_into(one, other, decay=0.75)
    >>> one.weight.item()
    0.25
    """
    pairs = zip(average.parameters(), module.parameters(), strict=True)
    for mine, theirs in pairs:
        mine.lerp_(theirs, 1.0 - decay)
    for name, buffer in module.named_buffers():
        average.get_buffer(name).copy_(buffer)


def _gradient(discriminate: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """Return the gradients of D at examples [B, ...] as rows [B, N], themselves ready for a gradient."""
    at = at.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminate(at).sum(), at, create_graph=True)
    return gradient.flatten(1)
