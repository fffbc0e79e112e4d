"""Recognition of speech: the loss and the search against sums over all paths, bands of sound, and recordings in files."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces

from dl_nets.language.recogniser import Recogniser, RecogniserConfig, collapsed, prefix_search
from dl_nets.language.sound import BANDS, RATE, log_mel, mel_filters, read_wave, write_wave
from dl_nets.language.transcripts import AudioConfig, AudioFolder, SpokenTones, SpokenTonesConfig, list_recordings, write_example
from rl_core.tokens import Tokens


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_loss_and_search_are_those_of_all_alignments() -> None:
    """Three letters with the blank, five steps: the probability of a transcript is the sum over all paths that collapse to it."""
    network = Recogniser(RecogniserConfig(units=3, stack=1), spaces.Box(-9, 9, (5, 2)), Tokens(3, 3, padding=0), rng()).eval()
    frames, letters = torch.from_numpy(rng(1).standard_normal((1, 5, 2)).astype(np.float32)), torch.tensor([[2, 2, 0]])
    network.output.weight.data *= 5.0
    log_probs = network.scores(frames)[0][:, 0].detach().double().numpy()
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(3), repeat=5):
        key = tuple(collapsed(list(path)))
        totals[key] = totals.get(key, 0.0) + float(np.exp(log_probs[np.arange(5), path].sum()))
    loss = network.training_loss(frames, letters)[0].item()
    assert loss == pytest.approx(-np.log(totals[(2, 2)]) / 2, rel=1e-4)
    assert prefix_search(log_probs, 100) == list(max(totals, key=lambda key: totals[key]))


def test_silence_behind_the_end_changes_no_letter() -> None:
    network = Recogniser(RecogniserConfig(units=4, stack=2), spaces.Box(-9, 9, (12, 3)), Tokens(4, 6, padding=0), rng()).eval()
    network.output.weight.data *= 20.0
    frames = torch.from_numpy(rng(1).standard_normal((2, 12, 3)).astype(np.float32))
    frames[0, 5:] = 0.0
    assert torch.equal(network.answers(frames)[:1], network.answers(frames[:1, :6]))
    with pytest.raises(ValueError, match="a step has one letter at most: lower stack"):
        Recogniser(RecogniserConfig(stack=4), spaces.Box(-9, 9, (12, 3)), Tokens(4, 6, padding=0), rng())
    with pytest.raises(ValueError, match="reads frames, a Box"):
        Recogniser(RecogniserConfig(), spaces.Discrete(3), Tokens(4, 6, padding=0), rng())


def test_a_tone_is_loudest_in_the_band_of_its_frequency() -> None:
    weights = mel_filters()
    frequencies = np.arange(129) * RATE / 256
    centres = frequencies[weights.argmax(axis=1)]
    for hertz in (300.0, 1000.0, 3000.0):
        bands = log_mel(np.sin(2 * np.pi * hertz * np.arange(400) / RATE))
        assert bands.shape == (3, BANDS)
        assert abs(centres[bands[1].argmax()] - hertz) < 0.12 * hertz
    assert weights[:, 12:-12].sum(axis=0) == pytest.approx(1.0)  # triangles that overlap


def test_recordings_are_read_from_files(tmp_path: Path) -> None:
    write_example(tmp_path / "tones")
    config = AudioConfig(path=str(tmp_path / "tones"))
    task = AudioFolder(config)
    assert [task.num_examples(split) for split in ("train", "validation", "test")] == [16, 2, 2]
    frames, letters = task.read("test", np.arange(2))
    assert task.describe(letters) == [text for _, text in task._split("test")]
    assert task.score(letters, letters)["character error rate"] == 0.0
    assert task.score(letters * 0, letters)["character error rate"] == 1.0
    first = task._split("test")[0][0]
    np.testing.assert_array_equal(task.parse_file(first)[0], frames[0])
    restored = AudioFolder.from_state(config, task.state_dict())
    assert restored.input_space == task.input_space
    assert restored.data_change() == ""
    samples, _ = SpokenTones(SpokenTonesConfig()).recording("train", 0)
    write_wave(tmp_path / "one.wav", samples / 4)
    np.testing.assert_allclose(read_wave(tmp_path / "one.wav"), samples / 4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x_1.wav", b"RIFF and no more", "x_1.wav is not a wave file that can be read"),
        ("transcripts.csv", b"file,text\nnone.wav,1", "transcripts.csv, line 2: none.wav is not in the folder"),
        ("transcripts.csv", b"file,text\nx", "transcripts.csv, line 2: expected file,text, got 'x'"),
        ("notes.txt", b"", "holds no wave files"),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused_by_the_name_of_the_file(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        [read_wave(path) for path, _ in list_recordings(tmp_path)]
