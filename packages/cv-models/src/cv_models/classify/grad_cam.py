"""Evidence of a classifier, place by place: Grad-CAM of convolutional networks, and attention roll-out of transformers.

Source: Selvaraju et al., *Grad-CAM: visual explanations from deep networks via gradient-based localization*, 2017, equations 1 and 2;
Abnar and Zuidema, *Quantifying attention flow in transformers*, 2020, section 3.

Letters: B batch, C channels, H W features or image, T tokens, h heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def grad_cam(module: nn.Module, inputs: Tensor, classes: Tensor | None = None, layer: nn.Module | None = None) -> tuple[Tensor, Tensor]:
    """Return which places speak for a class: relu(sum_c a_c A_c), a_c the mean of the score's gradient over the map A_c (1, 2).

    Args:
        module: Any classifier from images [B, H, W, C] to logits [B, K].
        inputs: Images.
        classes: Class of each image whose evidence is asked for [B]; by default the likeliest.
        layer: Layer whose maps [B, C, H', W'] are read; by default the last convolution.

    Returns:
        Evidence [B, H, W] in [0, 1], interpolated to the size of the images, and the classes [B].

    Raises:
        ValueError: if the module has no convolution.
    """
    found = layer or next((child for child in reversed(list(module.modules())) if isinstance(child, nn.Conv2d)), None)
    if found is None:
        raise ValueError("the network has no convolution whose maps could be read")
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        if not output.requires_grad:
            output.requires_grad_()  # behind frozen layers alone
        kept.append(output)
        return output.clone()  # a layer that overwrites its input would overwrite the kept maps

    was_training = module.training
    module.eval()
    handle = found.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = module(inputs)
            chosen = logits.argmax(1) if classes is None else classes
            score = logits.gather(1, chosen[:, None]).sum()
            gradient = torch.autograd.grad(score, kept[0])[0]
    finally:
        handle.remove()
        module.train(was_training)
    maps = functional.relu((gradient.mean((2, 3), keepdim=True) * kept[0].detach()).sum(1, keepdim=True))
    maps = functional.interpolate(maps, tuple(inputs.shape[1:3]), mode="bilinear", align_corners=False)[:, 0]
    return maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12), chosen.detach()


def rollout(attention: Sequence[Tensor], *, mean: bool = False) -> Tensor:
    """Return how much each token of the input enters the first token of the output [B, T]: the product of (A + I) / 2, A a mean over heads.

    Args:
        attention: Weights [B, h, T, T] of each layer, rows that sum to 1.
        mean: Whether the answer is read from the mean of all output tokens instead of the first one.

    One layer whose first token looks at the second alone:

    >>> rollout([torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])]).tolist()
    [[0.5, 0.5]]
    """
    flow = torch.eye(attention[0].shape[-1])[None]
    for weights in attention:
        over_heads = weights.mean(1)
        flow = (over_heads + torch.eye(over_heads.shape[-1])) / 2 @ flow
    return flow.mean(1) if mean else flow[:, 0]
