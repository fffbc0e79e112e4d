"""Zero-shot classification: images are given the class whose name, in a sentence, is nearest to them in a CLIP-like model.

Nothing is learned. `--set folder=FOLDER` names a folder that `save_pretrained` of the library transformers wrote, with a model that has
`get_image_features` and `get_text_features` (CLIP, SigLIP) and its tokenizer. Nothing is downloaded, and no code in the folder is run.

Source: Radford et al., *Learning transferable visual models from natural language supervision*, 2021, section 3.1.

Letters: B batch, K classes, D numbers of the common space.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn import functional

from dl_nets.learning.data import to_tensors
from dl_nets.learning.devices import resolve_device
from dl_nets.networks.hugging_face import library, pixel_statistics
from dl_nets.networks.spaces import UnitScale, image_shape
from rl_core.agent import Agent
from rl_core.config import Doc, FilePath, configclass
from rl_core.task import DataTask

AT_ONCE = 64  # images in one call of the model


@configclass
class ZeroShotConfig:
    """Settings of zero-shot classification."""

    folder: Annotated[FilePath, Doc('folder of a CLIP-like model; "" is a tiny one that knows nothing')] = ""
    template: Annotated[str, Doc("sentence with {} in the place of a class's name")] = "a photo of a {}."

    def __post_init__(self) -> None:
        if self.template.count("{}") != 1:
            raise ValueError(f"template is {self.template!r}; it must hold {{}} once, in the place of the class's name")


def class_logits(images: Tensor, texts: Tensor, scale: float) -> Tensor:
    """Return logits [B, K]: scale times the cosine between each image [B, D] and each class's text [K, D].

    >>> class_logits(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 4.0]]), scale=10.0)
    tensor([[10.,  6.]])
    """
    return scale * functional.normalize(images, dim=1) @ functional.normalize(texts, dim=1).T


class ZeroShot(Agent):
    """Agent that answers by a model's common space of images and texts. See `rl_core.agent.Agent` for the arguments."""

    Config: ClassVar[type] = ZeroShotConfig
    config: ZeroShotConfig
    task: DataTask

    def setup(self) -> None:
        """Load the model, and place the sentence of each class.

        Raises:
            ValueError: if the task names no classes, or the folder holds no such model.
        """
        if not isinstance(self.task.output_space, spaces.Discrete) or not self.task.class_names:
            raise ValueError("the task has no names of classes, which zero-shot classification reads")
        self._device_of_torch = resolve_device(self.device)
        with tempfile.TemporaryDirectory() as name:
            folder = self.config.folder
            if not folder:
                folder = name
                write_tiny_clip(Path(name), self.seeds.numpy("network"))
            model, tokenizer = _loaded(folder)
            self._model = model.to(self._device_of_torch).eval()
            mean, deviation = pixel_statistics(folder, 3)
        self._mean, self._deviation = (
            torch.tensor(values, device=self._device_of_torch).reshape(1, 3, 1, 1) for values in (mean, deviation)
        )
        self._scale = UnitScale(self.task.input_space).to(self._device_of_torch)
        image_shape(self.task.input_space)
        sentences = [self.config.template.format(name) for name in self.task.class_names]
        tokens = tokenizer(sentences, padding=True, truncation=True, return_tensors="pt").to(self._device_of_torch)
        with torch.no_grad():
            self._texts = _features(self._model.get_text_features(**tokens))

    def step(self) -> dict[str, float]:
        """Finish: there is nothing to learn."""
        self.progress, self.finished = self.budget, True
        return {"classes": float(len(self._texts))}

    def predict(self, inputs: Any) -> Any:
        """Return the nearest class [B] of images [B, H, W, C]."""
        assert isinstance(self.task.output_space, spaces.Discrete)
        return self.probabilities(inputs).argmax(1) + int(self.task.output_space.start)

    @torch.no_grad()
    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """Return the probability [B, K] of each class: the softmax of the scaled cosines."""
        side, parts = int(self._model.config.vision_config.image_size), []
        scale = float(self._model.logit_scale.exp())
        for start in range(0, len(inputs), AT_ONCE):
            images = self._scale(to_tensors(np.asarray(inputs[start : start + AT_ONCE]), self._device_of_torch)).permute(0, 3, 1, 2)
            images = functional.interpolate(images.expand(-1, 3, -1, -1), (side, side), mode="bicubic", align_corners=False, antialias=True)
            found = _features(self._model.get_image_features(pixel_values=(images - self._mean) / self._deviation))
            parts.append(torch.softmax(class_logits(found, self._texts, scale).double(), dim=1).cpu().numpy())
        return np.concatenate(parts) if parts else np.zeros((0, len(self._texts)))

    def answer(self, text: str) -> Any:
        """Return the class's name for one input as the task reads it."""
        return self.task.describe(self.predict(self.task.parse(text)))[0]


def _features(output: Any) -> Tensor:
    """Return features [B, D], which newer versions of the library wrap."""
    features: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return features


def _loaded(folder: str) -> tuple[Any, Any]:
    """Return model and tokenizer of a folder."""
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(f"{folder!r} holds no config.json; name a folder that save_pretrained of a CLIP-like model wrote")
    transformers, local = library(), {"local_files_only": True, "trust_remote_code": False}
    try:
        model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, **local)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the model in {folder!r} cannot be loaded: {str(error).splitlines()[0]}; save it with save_pretrained") from error
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise ValueError(f"{folder!r} holds {type(model).__name__}, which has no common space of images and texts; name a CLIP-like model")
    return model, tokenizer


def write_tiny_clip(folder: Path, rng: np.random.Generator) -> None:
    """Write a tiny CLIP with first weights, and a tokenizer of letters, as `save_pretrained` does.

    Args:
        folder: Existing folder to write to.
        rng: Source of the weights.
    """
    transformers = library()
    letters = [*map(chr, range(33, 127))]
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(pieces)}), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    transformers.CLIPTokenizer.from_pretrained(str(folder), local_files_only=True).save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(pieces) - 2, "eos_token_id": len(pieces) - 1, "pad_token_id": len(pieces) - 1}
    config = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": len(pieces), "max_position_embeddings": 77},
        vision_config={**sizes, "image_size": 16, "patch_size": 8},
        projection_dim=16,
    )
    with torch.random.fork_rng(devices=[]):  # the library draws from torch's global generator, which is put back
        torch.manual_seed(int(rng.integers(2**31)))
        transformers.CLIPModel(config).save_pretrained(folder)
