"""Models of the library transformers, against the library itself; folders are made here, nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.learning.transfer import Pretrained
from dl_nets.learning.zero_shot import ZeroShot, ZeroShotConfig, write_tiny_clip
from dl_nets.networks.hugging_face import HuggingFace, HuggingFaceConfig
from dl_nets.tasks.digits import Digits, DigitsConfig
from rl_core.seeds import Seeds
from rl_core.tokens import Tokens

transformers = pytest.importorskip("transformers", reason="the extra `transformers` is not installed")

SIZES = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16}


def started(folder: Path, space: spaces.Space[Any], **start: str) -> tuple[Any, Pretrained]:
    network = Pretrained(HuggingFace(HuggingFaceConfig(folder=str(folder))), folder, **start)
    return network.build(space, spaces.Discrete(3), np.random.default_rng(0)).eval(), network


def test_a_bert_folder_answers_by_the_librarys_own_numbers_and_is_frozen(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        model = transformers.BertModel(transformers.BertConfig(vocab_size=20, max_position_embeddings=6, **SIZES)).eval()
    model.save_pretrained(tmp_path)
    assert Pretrained.network_of(tmp_path) == ("hugging-face", {"folder": str(tmp_path)})
    module, network = started(tmp_path, Tokens(6, 20, padding=0), freeze="all")
    tokens = torch.tensor([[5, 3, 9, 0, 0, 0], [1, 2, 3, 4, 5, 6]])
    first = model(input_ids=tokens, attention_mask=(tokens != 0).long()).last_hidden_state[:, 0]
    torch.testing.assert_close(module(tokens), module.head(first))
    assert [name for name, parameter in module.named_parameters() if parameter.requires_grad] == ["head.weight", "head.bias"]
    assert network.notes[1] == "not loaded, with first weights: head.weight [3, 8], head.bias [3]"


def test_a_gpt_folder_answers_by_the_last_token_that_is_not_padding(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=20, n_positions=6, n_embd=8, n_layer=1, n_head=2)).eval()
    model.save_pretrained(tmp_path)
    module, _ = started(tmp_path, Tokens(6, 20, padding=0))
    tokens = torch.tensor([[5, 3, 9, 0, 0, 0]])
    last = model.transformer(input_ids=tokens[:, :3]).last_hidden_state[:, -1]
    torch.testing.assert_close(module(tokens), module.head(last))


def test_a_vit_folder_reads_grey_images_of_another_size(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        model = transformers.ViTModel(transformers.ViTConfig(image_size=16, patch_size=8, **SIZES)).eval()
    model.save_pretrained(tmp_path)
    module, _ = started(tmp_path, spaces.Box(0, 1, (8, 8, 1), np.float32))
    images = torch.rand(2, 8, 8, 1, generator=torch.Generator().manual_seed(0))
    large = torch.nn.functional.interpolate(
        images.permute(0, 3, 1, 2).expand(-1, 3, -1, -1), (16, 16), mode="bilinear", align_corners=False, antialias=True
    )
    first = model(pixel_values=(large - 0.5) / 0.5).last_hidden_state[:, 0]
    torch.testing.assert_close(module(images), module.head(first))


def test_zero_shot_gives_the_probabilities_of_the_librarys_clip(tmp_path: Path) -> None:
    write_tiny_clip(tmp_path, np.random.default_rng(0))
    task = Digits(DigitsConfig())
    agent = ZeroShot(ZeroShotConfig(folder=str(tmp_path), template="the digit {}"), task, None, seeds=Seeds(0), budget=1, device="cpu")
    images = task.read("test", np.arange(3))[0]
    model = transformers.CLIPModel.from_pretrained(tmp_path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tokens = tokenizer([f"the digit {digit}" for digit in range(10)], padding=True, return_tensors="pt")
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(images).permute(0, 3, 1, 2).expand(-1, 3, -1, -1), (16, 16), mode="bicubic", align_corners=False, antialias=True
    )
    with torch.no_grad():
        wanted = model(**tokens, pixel_values=(pixels - 0.5) / 0.5).logits_per_image.softmax(1)
    np.testing.assert_allclose(agent.probabilities(images), wanted.numpy(), atol=1e-5)
