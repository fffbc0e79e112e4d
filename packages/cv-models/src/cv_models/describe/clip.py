"""CLIP: pictures and texts in one space, learned so that each picture is nearest to its own text.

Source: Radford et al., *Learning transferable visual models from natural language supervision*, 2021, section 2.3 and figure 3. Departures:
small encoders, convolutions for pictures and a transformer for texts; a text's vector is the mean of its tokens'. Two examples of a batch
with the same text are not negatives of one another: they are masked.

As a captioner it retrieves: the module keeps the different texts that it was trained on (up to `bank`), and answers a picture with the
nearest of them. On a task whose captions all occur in training this is zero-shot classification with captions as classes. `recall` measures
retrieval in both directions.

Vectors that are all alike have the loss ln B, which is reported beside as `chance_loss`.

Letters: B batch, T tokens, D numbers of the common space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.describe.captions import Captions
from cv_models.describe.encoder import GridEncoder
from dl_nets.networks.attention import Blocks
from dl_nets.networks.embedding import Embedding, vocabulary
from dl_nets.networks.initialisation import linear
from rl_core.config import Count, Doc, Positive, configclass
from rl_core.network import Network
from rl_core.task import DataTask
from rl_core.tokens import Tokens, padding_of

LARGEST_SCALE = 100.0  # of the cosines: the paper's bound


@configclass
class CLIPConfig:
    """Settings of CLIP."""

    channels: Annotated[tuple[Count, ...], Doc("filters of the convolutions, each of which halves the picture")] = (16, 48, 96)
    size: Annotated[Count, Doc("D, numbers of the common space")] = 128
    width: Annotated[Count, Doc("numbers of a token; a multiple of num_heads")] = 64
    depth: Annotated[Count, Doc("blocks of the texts' transformer")] = 2
    num_heads: Annotated[Count, Doc("heads of each attention")] = 4
    bank: Annotated[Count, Doc("most different training texts that are kept, to answer pictures with")] = 2048
    temperature: Annotated[Positive, Doc("1 / exp(t) at the start; the cosines are divided by it")] = 0.07


def contrastive_loss(logits: Tensor, same: Tensor) -> Tensor:
    """Return the losses [B]: the mean of the cross-entropies of a row and a column of logits [B, B], each against its diagonal.

    Args:
        logits: Scaled cosines of pictures (rows) and texts (columns) [B, B].
        same: Whether the texts of two examples are equal [B, B]; such pairs off the diagonal are left out.

    Two pictures, each as near to the other's text as to its own, have the loss ln 2:

    >>> contrastive_loss(torch.zeros(2, 2), torch.eye(2, dtype=torch.bool))
    tensor([0.6931, 0.6931])
    >>> contrastive_loss(torch.zeros(2, 2), torch.ones(2, 2, dtype=torch.bool))
    tensor([0., 0.])
    """
    apart = same & ~torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    kept = logits.masked_fill(apart, -torch.inf)
    own = torch.diagonal(kept)
    return (kept.logsumexp(dim=1) + kept.logsumexp(dim=0)) / 2.0 - own


def recall_at(similarities: np.ndarray, most: int) -> float:
    """Return the share of rows whose diagonal is among the `most` largest numbers of the row; a tie counts against it.

    Args:
        similarities: [N, N].
        most: How many are looked at.

    >>> recall_at(np.array([[0.9, 0.1], [0.8, 0.3]]), 1)
    0.5
    """
    better = (similarities >= np.diagonal(similarities)[:, None]).sum(axis=1) - 1
    return float((better < most).mean())


class CLIPModule(nn.Module):
    """The module that `CLIP` builds: it answers a picture with the nearest of the texts that it was shown while training.

    Args:
        config: Settings.
        input_space: Pictures [H, W, C].
        output_space: Captions.
        rng: Source of the first weights.

    Raises:
        ValueError: if the output space is not one of tokens.
    """

    def __init__(self, config: CLIPConfig, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> None:
        super().__init__()
        size = vocabulary(output_space)
        if size is None or output_space.shape is None:
            raise ValueError(f"outputs are {output_space}; CLIP reads texts of tokens, MultiDiscrete [T] of one vocabulary from 0")
        self._num_captions = output_space.num_captions if isinstance(output_space, Captions) else 1
        self.length, self._padding = int(output_space.shape[0]) // self._num_captions, padding_of(output_space)
        self.grid = GridEncoder(input_space, config.channels, rng)
        self.picture = linear(self.grid.width * self.grid.rows * self.grid.columns, config.size, rng, init="glorot")
        self.embedding = Embedding(Tokens(self.length, size, padding=self._padding), config.width, rng, positions="learned")
        self.blocks = Blocks(config.depth, config.width, config.num_heads, 2, rng)
        self.text = linear(config.width, config.size, rng, init="glorot")
        self.log_scale = nn.Parameter(torch.tensor(math.log(1.0 / config.temperature)))
        self.register_buffer("bank", torch.full((config.bank, self.length), self._padding or 0))
        self.register_buffer("num_kept", torch.zeros((), dtype=torch.long))

    traced_outputs: Mapping[str, str] = {
        "answers": "the nearest of the texts that were kept while training, as tokens, in the first slot of a row",
        "outputs": "cosine of the picture and each kept text; minus infinity for places that hold none",
    }
    bank: Tensor
    num_kept: Tensor

    def pictures(self, inputs: Tensor) -> Tensor:
        """Return unit vectors [B, D] of pictures [B, H, W, C]."""
        return functional.normalize(self.picture(self.grid(inputs).flatten(1)), dim=1)

    def texts(self, tokens: Tensor) -> Tensor:
        """Return unit vectors [B, D] of texts [B, T]."""
        known = self.embedding.mask(tokens)
        steps = self.blocks(self.embedding(tokens), mask=None if known is None else known[:, None, None, :])
        counted = torch.ones_like(steps[:, :, :1]) if known is None else known[:, :, None].to(steps.dtype)
        return functional.normalize(self.text((steps * counted).sum(dim=1) / counted.sum(dim=1)), dim=1)

    def scale(self) -> Tensor:
        """Return exp(t) [], at most `LARGEST_SCALE`."""
        return self.log_scale.exp().clamp(max=LARGEST_SCALE)

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the contrastive loss [] of pictures [B, H, W, C] and the first captions of their rows [B, R T], and metrics."""
        tokens = targets.long()[:, : self.length]
        same = (tokens[:, None] == tokens[None]).all(dim=2)
        logits = self.scale() * self.pictures(inputs) @ self.texts(tokens).T
        each = contrastive_loss(logits.float(), same)
        loss = each.mean() if weights is None else (each * weights).sum() / weights.sum()
        if self.training:
            self._keep(tokens)
        right = same[torch.arange(len(same), device=same.device), logits.detach().argmax(dim=1)].float().mean()
        return loss, {"recall_in_batch": right, "chance_loss": torch.tensor(math.log(len(inputs))), "scale": self.scale().detach()}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return the nearest of the kept texts to each picture [B, H, W, C], in the first slot of a row [B, R T]."""
        known = self.bank[: max(1, int(self.num_kept))]
        return self._row(known[self.similarities(inputs, known).argmax(dim=1)])

    def traced_answers(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the nearest of the kept texts to each picture [B, R T], and its cosines with all of them [B, N], for an exporter."""
        is_empty = torch.arange(self.bank.shape[0], device=self.bank.device) >= self.num_kept.clamp(min=1)
        cosines = self.similarities(inputs, self.bank).masked_fill(is_empty, -torch.inf)
        return self._row(self.bank[cosines.argmax(dim=1)]), cosines

    def _row(self, texts: Tensor) -> Tensor:
        return functional.pad(texts, (0, self.length * (self._num_captions - 1)), value=self._padding or 0)

    @torch.no_grad()
    def _keep(self, tokens: Tensor) -> None:
        """Add the texts [B, T] that are not kept yet, while there is room."""
        new = torch.unique(tokens, dim=0)
        count = int(self.num_kept)
        known = (new[:, None] == self.bank[None, :count]).all(dim=2).any(dim=1)
        new = new[~known][: len(self.bank) - count]
        self.bank[count : count + len(new)] = new
        self.num_kept += len(new)

    def similarities(self, inputs: Tensor, tokens: Tensor) -> Tensor:
        """Return the cosines [B, N] of pictures [B, H, W, C] and texts [N, T]."""
        return self.pictures(inputs) @ self.texts(tokens.long()).T

    def draw(self, folder: Path, task: DataTask) -> None:
        """Write the cosines of some test pictures and their texts."""
        from rl_core.figure import new_figure

        pictures, tokens = different(task, 12, self.length)
        device = self.log_scale.device
        cosines = self.similarities(torch.from_numpy(pictures).to(device), torch.from_numpy(tokens).to(device)).cpu().numpy()
        figure = new_figure(9.5, 6.5)
        axes = figure.add_subplot(1, 1, 1)
        shown = axes.imshow(cosines, cmap="viridis")
        texts = task.describe(np.pad(tokens, ((0, 0), (0, self.length * (self._num_captions - 1)))))
        axes.set_xticks(range(len(texts)), texts, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(texts)), [f"picture {number + 1}" for number in range(len(texts))], fontsize=7)
        axes.set_xlabel("text")
        axes.set_ylabel("picture of the text in the same place")
        axes.set_title(f"cosines of {len(texts)} test pictures and their texts; the target is a bright diagonal", fontsize=10)
        figure.colorbar(shown, ax=axes, label="cosine")
        figure.savefig(folder / "cosines.png", dpi=110)


def different(task: DataTask, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first `count` test pictures [N, H, W, C] whose captions differ, and these captions [N, T].

    Args:
        task: A task of captions of pictures.
        count: N at most.
        length: T.
    """
    pictures, rows = (np.asarray(each) for each in task.read("test", np.arange(min(task.num_examples("test"), 8 * count))))
    places = np.sort(np.unique(rows[:, :length], axis=0, return_index=True)[1])[:count]
    return pictures[places], rows[places, :length]


@torch.no_grad()
def recall(module: CLIPModule, task: DataTask, count: int = 100) -> dict[str, float]:
    """Return recall@1, @5 and @10 among test pictures with different captions, from pictures to texts and back; chance is k / count."""
    pictures, tokens = different(task, count, module.length)
    device = module.log_scale.device
    cosines = module.eval().similarities(torch.from_numpy(pictures).to(device), torch.from_numpy(tokens).to(device)).cpu().numpy()
    found = {f"text recall@{most}": recall_at(cosines, most) for most in (1, 5, 10)}
    return {"candidates": float(len(tokens)), **found, **{f"picture recall@{most}": recall_at(cosines.T, most) for most in (1, 5, 10)}}


class CLIP(Network):
    """Builder of CLIP."""

    Config: ClassVar[type] = CLIPConfig
    config: CLIPConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> CLIPModule:
        """Build a module that places pictures [B, H, W, C] and texts in one space."""
        return CLIPModule(self.config, input_space, output_space, rng)
