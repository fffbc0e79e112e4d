"""Models of the library transformers as networks: BERT, GPT-2, ViT, ResNet and others, from a folder that `save_pretrained` wrote.

`--set network.from=FOLDER` builds the model that the folder's `config.json` names and loads its weights; a new linear head answers. Nothing
is downloaded, and no code in the folder is run. Without a folder it is a small BERT for tokens, or a small ViT for images, with first
weights.

Sources: Wolf et al., *Transformers: state-of-the-art natural language processing*, 2020, and the papers of the models. Departures: first
weights and dropout come from the run's seed, so that a run can be continued exactly; dropout of attention weights is off. Tokens are
those of the task: where its vocabulary has another size than the model's, token vectors start from first weights.

Letters: B batch, T tokens, H W C image, D numbers of the model, K outputs.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from dl_nets.networks.embedding import vocabulary
from dl_nets.networks.initialisation import linear
from dl_nets.networks.layers import Dropout
from dl_nets.networks.spaces import UnitScale, image_shape, output_size
from rl_core.config import Count, Doc, FilePath, configclass
from rl_core.network import Network
from rl_core.tokens import padding_of

LAST = ("gpt2", "gpt_neo", "gpt_neox", "gptj", "llama", "mistral", "opt", "qwen2", "gemma", "phi")  # models that read from left to right
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attn_pdrop", "attention_dropout")


@configclass
class HuggingFaceConfig:
    """Settings of models of the library transformers."""

    folder: Annotated[FilePath, Doc('folder with config.json; "" is a small model with first weights')] = ""
    width: Annotated[Count, Doc("D of the small model; a multiple of 4")] = 64
    depth: Annotated[Count, Doc("layers of the small model")] = 2


class HuggingFaceModule(nn.Module):
    """A model and its head: the first token's numbers, the last one's of models that read from left to right, or pooled maps.

    Args:
        backbone: The model.
        head: From its numbers [B, D] to outputs [B, K].
        space: Space of the inputs.
        normal: Mean and deviation of the pixels that the model was trained with.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear, space: Space[Any], normal: tuple[list[float], list[float]]) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head
        self._padding = padding_of(space)
        self._reads_tokens = vocabulary(space) is not None
        config: Any = backbone.config
        self._last = config.model_type in LAST
        self._side = 0 if self._reads_tokens else int(getattr(config, "image_size", 0) or 0)
        self._channels = int(getattr(config, "num_channels", 3))
        self.scale = UnitScale(space)
        for name, values in zip(("mean", "deviation"), normal, strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [B, K] of tokens [B, T] or images [B, H, W, C]."""
        if self._reads_tokens:
            tokens = inputs.long()
            known = torch.ones_like(tokens) if self._padding is None else (tokens != self._padding).long()
            known[:, 0] = 1
            hidden = self.backbone(input_ids=tokens, attention_mask=known).last_hidden_state  # [B, T, D]
            place = known.sum(1) - 1 if self._last else torch.zeros(tokens.shape[0], dtype=torch.long, device=tokens.device)
            return self._answer(hidden[torch.arange(tokens.shape[0], device=tokens.device), place])
        images = self.scale(inputs).permute(0, 3, 1, 2)
        if images.shape[1] == 1 and self._channels == 3:
            images = images.expand(-1, 3, -1, -1)
        if self._side and images.shape[-1] != self._side:
            images = functional.interpolate(images, (self._side, self._side), mode="bilinear", align_corners=False, antialias=True)
        hidden = self.backbone(pixel_values=(images - self.mean) / self.deviation).last_hidden_state
        return self._answer(hidden.mean((2, 3)) if hidden.ndim == 4 else hidden[:, 0])

    def _answer(self, numbers: Tensor) -> Tensor:
        outputs: Tensor = self.head(numbers)
        return outputs


class HuggingFace(Network):
    """Builder of models of the library transformers, for tokens or images; needs the extra `transformers`."""

    Config: ClassVar[type] = HuggingFaceConfig
    config: HuggingFaceConfig

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> HuggingFaceModule:
        """Build the model with first weights, and its head.

        Raises:
            ValueError: if the folder holds no model for such inputs.
        """
        transformers, size = library(), vocabulary(input_space)
        if size is None:
            image_shape(input_space)
        config = self._model_config(transformers, input_space, size)
        for name in ATTENTION_DROPOUT:
            if hasattr(config, name):
                setattr(config, name, 0.0)
        length = int(getattr(config, "max_position_embeddings", 0) or 0)
        if size is not None:
            if not hasattr(config, "vocab_size"):
                raise ValueError(f"the model {config.model_type!r} reads images, but the input space is {input_space}")
            if length and input_space.shape[0] > length:
                raise ValueError(f"the task has {input_space.shape[0]} tokens; the model {config.model_type!r} reads at most {length}")
            config.vocab_size = size
            config.pad_token_id = padding_of(input_space)
        elif not (hasattr(config, "num_channels") or hasattr(config, "image_size")):
            raise ValueError(f"the model {config.model_type!r} reads tokens, but the input space is {input_space}")
        seed = int(rng.integers(2**31))
        with torch.random.fork_rng(devices=[]):  # the library draws from torch's global generator, which is put back
            torch.manual_seed(seed)
            try:
                backbone = transformers.AutoModel.from_config(config, add_pooling_layer=False)
            except TypeError:
                backbone = transformers.AutoModel.from_config(config)
        for part in list(backbone.modules()):
            for name, child in part.named_children():
                if isinstance(child, nn.Dropout):
                    setattr(part, name, Dropout(child.p, rng))
        width = int(getattr(config, "hidden_size", 0) or config.hidden_sizes[-1])
        head = linear(width, output_size(output_space), rng, init="glorot")
        return HuggingFaceModule(backbone, head, input_space, pixel_statistics(self.config.folder, int(getattr(config, "num_channels", 3))))

    def _model_config(self, transformers: Any, space: Space[Any], size: int | None) -> Any:
        """Return the model's configuration: that of the folder, or of a small BERT or ViT."""
        folder, width = self.config.folder, self.config.width
        if folder:
            if not (Path(folder) / "config.json").is_file():
                raise ValueError(f"{folder!r} holds no config.json; name a folder that save_pretrained wrote")
            try:
                return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            except (OSError, ValueError, KeyError) as error:
                raise ValueError(f"{folder!r} holds no model that transformers knows: {str(error).splitlines()[0]}") from error
        settings = {"hidden_size": width, "num_hidden_layers": self.config.depth, "num_attention_heads": 4, "intermediate_size": 4 * width}
        if size is not None:
            return transformers.BertConfig(vocab_size=size, max_position_embeddings=space.shape[0], **settings)
        height, _, channels = image_shape(space, 8)
        side = max(8, height // 8 * 8)
        return transformers.ViTConfig(image_size=side, patch_size=side // 8 if side >= 16 else 4, num_channels=channels, **settings)


def library() -> Any:
    """Return the library transformers.

    Raises:
        ValueError: if it is not installed, with the command that installs it.
    """
    try:
        found = importlib.import_module("transformers")
    except ImportError as error:
        raise ValueError("models of Hugging Face need the library transformers: pip install 'dl-nets[transformers]'") from error
    found.utils.logging.set_verbosity_error()
    found.utils.logging.disable_progress_bar()
    return found


def pixel_statistics(folder: str, channels: int) -> tuple[list[float], list[float]]:
    """Return mean and deviation of each channel's pixels, as `preprocessor_config.json` states them; 0.5 and 0.5 without it."""
    path = Path(folder) / "preprocessor_config.json" if folder else None
    stated = json.loads(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}
    mean, deviation = stated.get("image_mean") or [0.5] * channels, stated.get("image_std") or [0.5] * channels
    return [float(value) for value in mean], [float(value) for value in deviation]
