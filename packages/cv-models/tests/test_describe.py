"""Captions: the grammar's truth, the judge, decoding, and the check by permuted inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cv_models.describe.blip import BLIP, BLIPConfig
from cv_models.describe.captions import END, PADDING, UNKNOWN, Captions, Vocabulary
from cv_models.describe.clip import CLIP, CLIPConfig
from cv_models.describe.shape_captions import COLOURS, ShapeCaptions, ShapeCaptionsConfig, parsed
from cv_models.describe.show_and_tell import ShowAndTell, ShowAndTellConfig
from cv_models.describe.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig
from cv_models.describe.transformer_captioner import TransformerCaptioner, TransformerCaptionerConfig
from rl_core.seeds import Seeds

TINY = {"num_train": 16, "num_validation": 4, "num_test": 20}
BUILDERS = {
    "show-and-tell": lambda **more: ShowAndTell(ShowAndTellConfig(channels=(4, 6), units=8, **more)),
    "show-attend-and-tell": lambda **more: ShowAttendAndTell(ShowAttendAndTellConfig(channels=(4, 6), units=8, **more)),
    "transformer-captioner": lambda **more: TransformerCaptioner(TransformerCaptionerConfig(channels=(4, 6), width=8, **more)),
}


@pytest.fixture(scope="module")
def task() -> ShapeCaptions:
    return ShapeCaptions(ShapeCaptionsConfig(order="either", **TINY))


def test_a_caption_is_true_of_its_picture(task: ShapeCaptions) -> None:
    pictures, rows = task.read("test", np.arange(20))
    for picture, row, centres in zip(pictures, rows, task.centres("test"), strict=True):
        first, second = task.vocabulary.texts(row, task.output_space.caption_length)
        slots, other = parsed(first), parsed(second)
        assert slots is not None
        assert other is not None
        assert other[:3] + other[4:] == slots[4:] + slots[:3]  # the same two objects from the other side
        for colour, (x, y) in zip((slots[1], slots[5]), centres, strict=True):
            patch = picture[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3).mean(axis=0)
            assert min(COLOURS, key=lambda name: np.abs(patch - COLOURS[name]).sum()) == colour
        gap = centres[1] - centres[0]
        assert gap[1] > abs(gap[0]) if slots[3] == "above" else gap[0] > abs(gap[1])


def test_the_judge_takes_either_caption_and_finds_the_wrong_slot(task: ShapeCaptions) -> None:
    targets = task.read("test", np.arange(20))[1]
    length = task.output_space.caption_length
    swapped = np.concatenate([targets[:, length:], targets[:, :length]], axis=1)
    assert task.score(swapped, targets)["exact match"] == 1.0
    wrong = targets.copy()
    red, blue = task.vocabulary.tokens(["red", "blue"])
    wrong[:, 2] = np.where(wrong[:, 2] == red, blue, red)  # the colour of the first object
    scores = task.score(wrong, targets)
    assert scores["exact match"] == 0.0
    assert scores["first colour"] < 0.2
    assert scores["second shape"] > 0.9


def test_permuted_inputs_expose_a_captioner_that_ignores_them(task: ShapeCaptions) -> None:
    truth = {picture.tobytes(): row for picture, row in zip(*task.read("test", np.arange(20)), strict=True)}
    one = next(iter(truth.values()))
    sees = task.evaluate(lambda inputs: np.stack([truth[each.tobytes()] for each in inputs]), episodes=1, seeds=Seeds(0))
    blind = task.evaluate(lambda inputs: np.stack([one] * len(inputs)), episodes=1, seeds=Seeds(0))
    assert (sees["exact match"], sees["exact match, inputs permuted"]) == (1.0, 0.0)
    assert blind["exact match"] == blind["exact match, inputs permuted"] > 0.0


@pytest.mark.parametrize("name", BUILDERS)
def test_a_captioner_decodes_as_it_reads(name: str, task: ShapeCaptions) -> None:
    module = BUILDERS[name](beams=1).build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    inputs = torch.from_numpy(task.read("test", np.arange(5))[0])
    with torch.no_grad():
        greedy = module.answers(inputs)
        assert torch.equal(greedy, module.traced_answers(inputs)[0])
        assert torch.equal(greedy[2:3], module.answers(inputs[2:3]))  # an answer does not depend on the batch
        captions = greedy[:, : module.length]
        logits, _ = module.read(module.memory(inputs), module._before(captions))
        logits = module.without_unknown(logits)
        logits[..., PADDING] = -torch.inf
        ended = (captions == END).cumsum(1) - (captions == END).long() > 0
        assert torch.equal(torch.where(ended, PADDING, logits.argmax(dim=2)), captions)
    assert not (greedy == UNKNOWN).any()


def test_slots_of_padding_change_no_loss(task: ShapeCaptions) -> None:
    module = BUILDERS["show-attend-and-tell"]().build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    inputs, targets = (torch.from_numpy(each) for each in task.read("test", np.arange(6)))
    alone = targets.clone()
    alone[:, module.length :] = PADDING
    twice = torch.cat([alone[:, : module.length]] * 2, dim=1)
    with torch.no_grad():
        losses = [float(module.training_loss(inputs, each)[0]) for each in (alone, twice)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_attention_is_shared_out_among_the_places(task: ShapeCaptions) -> None:
    inputs, targets = (torch.from_numpy(each) for each in task.read("test", np.arange(3)))
    for name in ("show-attend-and-tell", "transformer-captioner"):
        module: Any = BUILDERS[name]().build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
        with torch.no_grad():
            shares = module.attention(inputs, targets[:, : module.length])
        assert shares.shape == (3, module.length, 12, 12)
        assert bool((shares >= 0).all())
        torch.testing.assert_close(shares.sum((2, 3)), torch.ones(3, module.length))


def test_words_that_are_not_known_are_one_token() -> None:
    vocabulary = Vocabulary.of([["a", "dog"], ["a", "cat"], ["a", "dog"]], least=2)
    space = Captions(5, vocabulary.size, 1)
    row = vocabulary.row([["a", "cat", "and", "a", "dog"]], 5, 1)
    assert row in space
    assert vocabulary.answer(row, 5) == "a <unknown> <unknown> a"  # cut before the end, which takes a place


def test_clip_starts_at_chance_leaves_equal_texts_out_and_answers_with_texts_it_saw(task: ShapeCaptions) -> None:
    config = CLIPConfig(channels=(4, 6), size=8, width=8, bank=12, temperature=1.0)
    module = CLIP(config).build(task.input_space, task.output_space, np.random.default_rng(0))
    inputs, targets = (torch.from_numpy(each) for each in task.read("train", np.arange(8)))
    loss, metrics = module.train().training_loss(inputs, targets)
    assert abs(float(loss.detach()) - float(metrics["chance_loss"])) < 0.3
    assert int(module.num_kept) == 8
    module.training_loss(inputs, targets)
    assert int(module.num_kept) == 8  # no text is kept twice
    assert float(module.training_loss(inputs[[0, 0]], targets[[0, 0]])[0].detach()) == pytest.approx(0.0, abs=1e-6)
    answers = module.eval().answers(inputs)
    known = {tuple(row[: module.length].tolist()) for row in targets}
    assert all(tuple(row[: module.length].tolist()) in known for row in answers)
    for places in ((0, 3), (4, 8)):
        module.train().training_loss(*(torch.from_numpy(each) for each in task.read("test", np.arange(*places))))
    assert int(module.num_kept) == 12  # the bank is full


def test_blip_from_a_folder_answers_in_the_words_of_the_task(task: ShapeCaptions, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the library transformers, of the extra transformers, is not installed")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tiny = BLIP(BLIPConfig(width=8, depth=1, patch_size=16)).build(task.input_space, task.output_space, np.random.default_rng(0))
    words = {"[PAD]": 0, "[SEP]": 1, "[UNK]": 2, **{word: place for place, word in enumerate(task.vocabulary.words, start=3)}}
    tokenizer = Tokenizer(models.WordLevel(words | {"[DEC]": len(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", sep_token="[SEP]", bos_token="[DEC]").save_pretrained(tmp_path)
    tiny.model.save_pretrained(tmp_path)
    loaded = BLIP(BLIPConfig(folder=str(tmp_path))).build(task.input_space, task.output_space, np.random.default_rng(1)).eval()
    inputs, targets = (torch.from_numpy(each) for each in task.read("test", np.arange(3)))
    with torch.no_grad():
        losses = [float(module.training_loss(inputs, targets)[0]) for module in (tiny.eval(), loaded)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # the same ids by the tokenizer and by the task's tokens
        assert task.describe(loaded.answers(inputs).numpy())
        alone = tiny.answers(inputs[1:2])
        assert torch.equal(tiny.answers(inputs)[1:2], alone)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="holds no weights as safetensors"):
        BLIP(BLIPConfig(folder=str(tmp_path))).build(task.input_space, task.output_space, np.random.default_rng(0))


@pytest.mark.learning
@pytest.mark.parametrize("name", BUILDERS)
def test_eight_pictures_are_learned_by_heart(name: str, task: ShapeCaptions) -> None:
    fixed = ShapeCaptions(ShapeCaptionsConfig(**TINY))
    builders = {"show-and-tell": ShowAndTell, "show-attend-and-tell": ShowAttendAndTell, "transformer-captioner": TransformerCaptioner}
    network = builders[name](builders[name].Config())
    module = network.build(fixed.input_space, fixed.output_space, np.random.default_rng(0)).train()
    inputs, targets = (torch.from_numpy(each) for each in fixed.read("train", np.arange(8)))
    optimiser = torch.optim.Adam(module.parameters(), 1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        module.training_loss(inputs, targets)[0].backward()
        optimiser.step()
    with torch.no_grad():
        answers = module.eval().answers(inputs).numpy()
    assert fixed.score(answers, targets.numpy())["exact match"] == 1.0
