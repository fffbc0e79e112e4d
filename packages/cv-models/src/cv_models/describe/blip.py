"""BLIP from a local folder, to caption with and to fine-tune: `--set network.folder=FOLDER` names what `save_pretrained` wrote.

Needs the library transformers. Nothing is downloaded, and no code in the folder is run. Without a folder it is a tiny model with first
weights over the words of the task.

Source: Li, Li, Xiong and Hoi, *BLIP: bootstrapping language-image pre-training for unified vision-language understanding and generation*,
2022; the library's class `BlipForConditionalGeneration`. Departures: dropout is off and labels are not smoothed; captions are searched by
`dl_nets.networks.generation.beam_search`.

Letters: B batch, N captions, R captions of a picture, T tokens of a caption, L ids of a caption in the model's own vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from gymnasium import Space
from torch import Tensor, nn
from torch.nn import functional

from cv_models.describe.captions import END, PADDING, Captions, Vocabulary, words_of
from dl_nets.networks.embedding import vocabulary
from dl_nets.networks.generation import beam_search
from dl_nets.networks.hugging_face import library, pixel_statistics
from dl_nets.networks.spaces import UnitScale, image_shape
from rl_core.config import Count, Doc, FilePath, NonNegative, configclass
from rl_core.network import Network

NO_LOSS = -100  # id that torch's cross-entropy leaves out
DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout")


@configclass
class BLIPConfig:
    """Settings of BLIP."""

    folder: Annotated[FilePath, Doc('folder of a BLIP and its tokenizer; "" is a tiny model with first weights')] = ""
    width: Annotated[Count, Doc("numbers of a step of the tiny model; a multiple of 4")] = 64
    depth: Annotated[Count, Doc("layers of each half of the tiny model")] = 2
    patch_size: Annotated[Count, Doc("pixels on the side of the patches of the tiny model")] = 8
    beams: Annotated[Count, Doc("captions that are followed at a time when it answers")] = 3
    length_penalty: Annotated[NonNegative, Doc("alpha of a beam's score, log probability over ((5 + length) / 6)^alpha")] = 0.6


class BLIPModule(nn.Module):
    """A model of the library, and the way from the task's words to its ids and back.

    Args:
        model: `BlipForConditionalGeneration`.
        tokenizer: The folder's tokenizer; `None` where ids are the task's tokens.
        config: Settings.
        input_space: Pictures.
        output_space: Captions.

    Attributes:
        no_graph: Why it has no graph; see `dl_nets.learning.export`.
    """

    no_graph = "it writes captions token by token until all have ended, and a tokenizer outside of the network reads them"

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: Any, tokenizer: Any, config: BLIPConfig, input_space: Space[Any], output_space: Space[Any]) -> None:
        super().__init__()
        self.model, self._tokenizer, self._beams, self._length_penalty = model, tokenizer, config.beams, config.length_penalty
        is_captions = isinstance(output_space, Captions)
        self._num_captions = output_space.num_captions if is_captions else 1
        self._words = Vocabulary(output_space.words if is_captions else ())
        assert output_space.shape is not None
        self.length = int(output_space.shape[0]) // self._num_captions
        texts = model.config.text_config
        self._begin, self._end, self._padding = int(texts.bos_token_id), int(texts.sep_token_id), int(texts.pad_token_id)
        self._most = int(texts.max_position_embeddings) - 1
        self._side = int(model.config.vision_config.image_size)
        self._known: dict[bytes, list[int]] = {}
        self.scale = UnitScale(input_space)
        for name, values in zip(("mean", "deviation"), pixel_statistics(config.folder, 3), strict=True):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1), persistent=False)

    def pictures(self, inputs: Tensor) -> Tensor:
        """Return what the model sees of pictures [B, H, W, C]: a step for each patch [B, S, D]."""
        images = self.scale(inputs).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        if images.shape[2:] != (self._side, self._side):
            images = functional.interpolate(images, (self._side, self._side), mode="bicubic", align_corners=False, antialias=True)
        seen: Tensor = self.model.vision_model(pixel_values=(images - self.mean) / self.deviation)[0]
        return seen

    def ids(self, captions: Tensor) -> Tensor:
        """Return the model's ids [N, L] of captions [N, T]: the beginning, the words, the end, then padding."""
        rows = [self._ids_of(row) for row in captions.cpu().numpy()]
        longest = max(len(row) for row in rows)
        return torch.tensor([row + [self._padding] * (longest - len(row)) for row in rows], device=captions.device)

    def logits(self, ids: Tensor, seen: Tensor) -> Tensor:
        """Return the logits [N, L, V] of the id after each of `ids` [N, L], given what is seen of the pictures [N, S, D]."""
        found: Tensor = self.model.text_decoder(
            input_ids=ids, attention_mask=torch.ones_like(ids), encoder_hidden_states=seen, use_cache=False, return_dict=True
        ).logits
        return found

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean cross-entropy [] of the ids of the captions [B, R T] of pictures [B, H, W, C], in nats."""
        captions = targets.long().reshape(-1, self.length)
        rows = torch.arange(len(inputs), device=captions.device).repeat_interleave(self._num_captions)
        used = (captions != PADDING).any(dim=1)
        captions, rows = captions[used], rows[used]
        ids = self.ids(captions)
        wanted = ids[:, 1:].masked_fill(ids[:, 1:] == self._padding, NO_LOSS)
        logits = self.logits(ids[:, :-1], self.pictures(inputs)[rows]).float()
        each = functional.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=NO_LOSS, reduction="none")
        counted = (wanted != NO_LOSS).float() * (1.0 if weights is None else weights[rows][:, None])
        right = (logits.detach().argmax(dim=2) == wanted).float()
        total = counted.sum().clamp(min=1e-9)
        return (each * counted).sum() / total, {"token_accuracy": (right * counted).sum() / total}

    def answers(self, inputs: Tensor) -> Tensor:
        """Return captions [B, R T] of pictures [B, H, W, C] by beam search, each in the first slot of its row."""
        begin = torch.full((len(inputs), 1), self._begin, device=inputs.device)
        most = self.length if self._tokenizer is None else min(3 * self.length, self._most)
        found = beam_search(
            _Following(self, self.pictures(inputs)),
            begin,
            most,
            beams=self._beams,
            end=self._end,
            padding=self._padding,
            length_penalty=self._length_penalty,
        )
        return torch.from_numpy(np.stack([self._row_of(row) for row in found.cpu().numpy()])).to(inputs.device)

    def _ids_of(self, caption: np.ndarray) -> list[int]:
        """Return the ids of the tokens of a caption [T], computed once for each caption."""
        key = caption.tobytes()
        if key not in self._known:
            if self._tokenizer is None:
                ends = np.flatnonzero(caption == END)
                inner = caption[: ends[0]] if len(ends) else caption[caption != PADDING]
                self._known[key] = [self._begin, *(int(token) for token in inner), self._end]
            else:
                text = self._words.answer(caption, self.length)
                self._known[key] = [self._begin, *self._tokenizer(text, add_special_tokens=False)["input_ids"], self._end]
        return self._known[key]

    def _row_of(self, ids: np.ndarray) -> np.ndarray:
        """Return the row [R T] of a caption in the model's ids [L]."""
        ends = np.flatnonzero(ids == self._end)
        inner = ids[: ends[0]] if len(ends) else ids
        row = np.full(self.length * self._num_captions, PADDING, np.int64)
        if self._tokenizer is None:
            tokens = [int(token) for token in inner if token < self._begin and token != PADDING]
        else:
            tokens = self._words.tokens(words_of(self._tokenizer.decode(inner, skip_special_tokens=True)))
        tokens = [*tokens[: self.length - 1], END]
        row[: len(tokens)] = tokens
        return row


class _Following:
    """The model of the next id; captions are short, so that each is read anew.

    Args:
        module: The model.
        seen: What it sees of the pictures [N, S, D].
    """

    def __init__(self, module: BLIPModule, seen: Tensor) -> None:
        self._module, self._seen = module, seen
        self._ids = torch.zeros((len(seen), 0), dtype=torch.long, device=seen.device)

    def __call__(self, tokens: Tensor) -> Tensor:
        """Return logits [N, V] of the id after `tokens` [N, n], which follow those before."""
        self._ids = torch.cat([self._ids, tokens], dim=1)
        return self._module.logits(self._ids, self._seen)[:, -1]

    def reorder(self, rows: Tensor) -> None:
        """Go on with the captions in rows `rows` [N]."""
        self._ids, self._seen = self._ids[rows], self._seen[rows]


class BLIP(Network):
    """Builder of BLIP; needs the extra `transformers`."""

    Config: ClassVar[type] = BLIPConfig
    config: BLIPConfig
    own_loss = True

    def build(self, input_space: Space[Any], output_space: Space[Any], rng: np.random.Generator) -> BLIPModule:
        """Build a captioner from pictures [B, H, W, C] to captions [B, R T].

        Raises:
            ValueError: if the folder does not hold a BLIP, or the spaces do not suit it.
        """
        transformers, size, config = library(), vocabulary(output_space), self.config
        image_shape(input_space)
        if size is None:
            raise ValueError(f"outputs are {output_space}; BLIP writes tokens, MultiDiscrete [T] of one vocabulary from 0")
        if config.folder:
            if not isinstance(output_space, Captions):
                raise ValueError("a BLIP from a folder needs the words of the task; take a task of captions")
            model, tokenizer = _loaded(transformers, Path(config.folder))
        else:
            sizes = {"hidden_size": config.width, "intermediate_size": 2 * config.width, "num_hidden_layers": config.depth}
            side = -(-max(image_shape(input_space)[:2]) // config.patch_size) * config.patch_size
            ids = {"bos_token_id": size, "sep_token_id": END, "eos_token_id": END, "pad_token_id": PADDING}
            whole = transformers.BlipConfig(
                text_config={
                    **sizes,
                    **ids,
                    "vocab_size": size + 1,
                    "encoder_hidden_size": config.width,
                    "num_attention_heads": 4,
                    "max_position_embeddings": int((output_space.shape or (1,))[0]) + 2,
                    "hidden_act": "gelu",
                },
                vision_config={**sizes, "num_attention_heads": 4, "image_size": side, "patch_size": config.patch_size},
            )
            _without_dropout(whole)
            with torch.random.fork_rng(devices=[]):  # the library draws from torch's global generator, which is put back
                torch.manual_seed(int(rng.integers(2**31)))
                model, tokenizer = transformers.BlipForConditionalGeneration(whole), None
        return BLIPModule(model, tokenizer, config, input_space, output_space)


def _without_dropout(config: Any) -> None:
    """Set every share of dropout to 0: the library draws masks from torch's global generator, and a run could not be continued exactly."""
    for part in (config.text_config, config.vision_config):
        for name in DROPOUTS:
            if hasattr(part, name):
                setattr(part, name, 0.0)


def _loaded(transformers: Any, folder: Path) -> tuple[Any, Any]:
    """Return the model and the tokenizer of a folder.

    Raises:
        ValueError: if it holds no such model, weights that are not safetensors, or code.
    """
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} holds no config.json; expected a folder that save_pretrained wrote")
    if "auto_map" in (folder / "config.json").read_text(encoding="utf-8"):
        raise ValueError(f"{folder} asks for code of its own (auto_map in config.json), which is not run; take a model of the library")
    if not list(folder.glob("*.safetensors")):
        raise ValueError(f"{folder} holds no weights as safetensors; save the model with save_pretrained, which writes them")
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.BlipConfig.from_pretrained(folder, **local)
        _without_dropout(config)
        with torch.random.fork_rng(devices=[]):
            model = transformers.BlipForConditionalGeneration.from_pretrained(folder, config=config, use_safetensors=True, **local)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **local)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"the BLIP in {folder} cannot be loaded: {str(error).splitlines()[0]}; save it with save_pretrained") from error
    return model, tokenizer
