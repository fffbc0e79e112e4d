"""Tasks of recordings with transcripts: the bundled `spoken-tones`, and `audio:<folder>` of wave files.

Frames [T, F] go in: the logarithm of the energy in bands, with mean 0 and deviation 1 over a recording, and zeros behind its end. A
transcript comes out, a token for each letter, padded with 0. Judged by the character error rate: edits divided by the letters that were
said, which may exceed 1.

`spoken-tones` says one to five of ten digits, each a chord of two tones of its own, of varying length, loudness and pitch, in noise; its
optimum is 0. The pairs of tones are those of telephones (ITU-T recommendation Q.23).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from gymnasium import spaces

from dl_nets.language.sound import BANDS, FRAME, RATE, log_mel, num_frames, padded_features, read_wave, write_wave
from dl_nets.tasks.counted_numbers import uniform
from rl_core.config import Count, Doc, FilePath, NonNegative, Whole, configclass
from rl_core.judge import Judge
from rl_core.task import DataTask
from rl_core.text_metrics import edit_distance
from rl_core.tokens import Tokens

SPLITS = ("train", "validation", "test")
PART = 10  # one recording of a folder in ten is for validation, one for testing
MOST_DIGITS = 5
TONES = {"1": (697, 1209), "2": (697, 1336), "3": (697, 1477), "4": (770, 1209), "5": (770, 1336), "6": (770, 1477), "7": (852, 1209),
         "8": (852, 1336), "9": (852, 1477), "0": (941, 1336)}  # fmt: skip
SHORTEST, LONGEST = 0.06, 0.12  # seconds of a digit, and a pause of up to half of the shortest follows


class Transcribed(DataTask):
    """Base of tasks from frames to letters; a subclass sets `letters` and the spaces by `set_spaces`.

    Attributes:
        letters: Letters by number; the first one is padding.
    """

    metric = "character error rate"
    higher_is_better = False
    file_suffixes: ClassVar[tuple[str, ...]] = (".wav", ".jsonl")

    def set_spaces(self, letters: list[str], frames: int, length: int) -> None:
        """Set the letters and the spaces of up to `frames` frames and `length` letters."""
        self.letters = letters
        self.input_space = spaces.Box(-np.inf, np.inf, (frames, BANDS), np.float32)
        self.output_space = Tokens(length, len(letters), padding=0)

    def traits(self) -> frozenset[str]:
        """Return the traits of every task, and `transcripts`."""
        return super().traits() | {"transcripts"}

    def judge(self) -> Judge:
        """Return a judge of transcripts."""
        return TranscriptJudge()

    def describe(self, predictions: Any) -> list[str]:
        """Return transcripts of rows of letters."""
        return ["".join(self.letters[number] for number in row if number) for row in np.asarray(predictions).tolist()]

    def parse_file(self, path: Path) -> np.ndarray:
        """Return the frames [1, T, F] of a wave file, or one input for each line of a .jsonl file."""
        if path.suffix.lower() == ".jsonl":
            return np.asarray(super().parse_file(path))
        return padded_features([log_mel(read_wave(path))], self.input_space.shape[0])


class TranscriptJudge:
    """A judge that counts edits."""

    def __init__(self) -> None:
        self._edits = self._letters = self._exact = self._texts = 0

    def add(self, predictions: Any, targets: Any) -> None:
        """Count rows of letters [B, L] against targets [B, L]."""
        for given, wanted in zip(np.asarray(predictions).tolist(), np.asarray(targets).tolist(), strict=True):
            own, said = [each for each in given if each], [each for each in wanted if each]
            self._edits += edit_distance(own, said)
            self._letters += len(said)
            self._exact += own == said
            self._texts += 1

    def result(self) -> dict[str, float]:
        """Return edits divided by letters, and the share of exact transcripts."""
        return {
            "character error rate": self._edits / max(self._letters, 1),
            "exact match": self._exact / max(self._texts, 1),
            "recordings": float(self._texts),
        }


@configclass
class SpokenTonesConfig:
    """Recordings that are drawn."""

    noise: Annotated[NonNegative, Doc("deviation of the noise; a tone has an amplitude of 0.5 to 1")] = 0.3
    examples: Annotated[Count, Doc("training recordings")] = 1500
    held_out: Annotated[Count, Doc("validation recordings, and test recordings")] = 200
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0


class SpokenTones(Transcribed):
    """Frames of one to five digits that are said as chords, and the digits."""

    Config: ClassVar[type] = SpokenTonesConfig
    config: SpokenTonesConfig
    target = 0.005

    def __init__(self, config: SpokenTonesConfig) -> None:
        super().__init__(config)
        self.set_spaces(["", *TONES], num_frames(int(MOST_DIGITS * (LONGEST + SHORTEST / 2) * RATE) + FRAME), MOST_DIGITS)

    def num_examples(self, split: str) -> int:
        """Return how many recordings the split has."""
        return self.config.examples if split == "train" else self.config.held_out

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return frames [B, T, F] and digits [B, L] of the recordings at `indices` [B]."""
        targets, frames = np.zeros((len(indices), MOST_DIGITS), np.int64), []
        for row, index in enumerate(indices):
            samples, digits = self.recording(split, int(index))
            targets[row, : len(digits)] = digits
            frames.append(log_mel(samples))
        return padded_features(frames, self.input_space.shape[0]), targets

    def recording(self, split: str, index: int) -> tuple[np.ndarray, list[int]]:
        """Return the samples [N] of a recording, and the numbers of the digits that it says."""
        rng = np.random.default_rng([self.config.data_seed, SPLITS.index(split), index])
        digits = rng.integers(1, len(TONES) + 1, int(rng.integers(1, MOST_DIGITS + 1))).tolist()
        parts, pairs = [], list(TONES.values())
        for digit in digits:
            times = np.arange(int(rng.uniform(SHORTEST, LONGEST) * RATE)) / RATE
            pitch, loudness, phases = rng.uniform(0.98, 1.02), rng.uniform(0.5, 1.0), rng.uniform(0, 2 * np.pi, 2)
            chord = sum(np.sin(2 * np.pi * pitch * hertz * times + phase) for hertz, phase in zip(pairs[digit - 1], phases, strict=True))
            parts += [loudness * np.hanning(len(times)) * chord, np.zeros(int(rng.uniform(0, SHORTEST / 2) * RATE))]
        samples = np.concatenate([*parts, np.zeros(FRAME)])
        return samples + self.config.noise * rng.standard_normal(len(samples)), digits


@configclass
class AudioConfig:
    """A folder of recordings."""

    path: Annotated[FilePath, Doc("folder of wave files and transcripts.csv (file,text), or of files called TEXT_anything.wav")] = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the folder after the colon: audio:recordings")


class AudioFolder(Transcribed):
    """Frames of recordings in a folder, and their transcripts.

    Args:
        config: The folder.
        state: The `state_dict` of the task that an agent was trained on; `None` looks at the folder.
        other: Whether all recordings of the folder are the test split, in the letters of `state`.

    Raises:
        ValueError: if the folder holds too few recordings, or one that cannot be read; the text names it.
    """

    Config: ClassVar[type] = AudioConfig
    config: AudioConfig
    costly = True

    def __init__(self, config: AudioConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        self._other, self._saved_digest = other, "" if state is None or other else str(state["digest"])
        if state is not None:
            self.set_spaces(["", *str(state["letters"])], int(state["frames"]), int(state["length"]))
            if other and (strange := sorted({letter for _, text in self._listed for letter in text} - set(self.letters))):
                raise ValueError(f"{config.path} has the letter {strange[0]!r}, which the model has not learned")
            return
        frames = max(len(log_mel(read_wave(path))) for path, _ in self._listed)
        texts = [text for _, text in self._listed]
        self.set_spaces(["", *sorted({letter for text in texts for letter in text})], frames, max(len(text) for text in texts))

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Return the task of a run, which reads its folder only to learn or to be judged."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Self:
        """Return a task whose test split is all of another folder, in the letters of `state`."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the letters, the sizes of the spaces, and a digest of the folder."""
        return {
            "letters": "".join(self.letters),
            "frames": self.input_space.shape[0],
            "length": self.output_space.shape[0],
            "digest": self._saved_digest or self._digest(),
        }

    def data_change(self) -> str:
        """Return how the folder differs from the one that the run learned from, or ""."""
        try:
            same = not self._saved_digest or self._digest() == self._saved_digest
        except ValueError as error:
            return f"the recordings can no longer be read: {error}"
        return "" if same else f"the recordings in {self.config.path} have changed since the run learned from them"

    def accept_data(self) -> None:
        """Go on with the folder as it is now."""
        self._saved_digest = self._digest()

    def num_examples(self, split: str) -> int:
        """Return how many recordings the split has."""
        return len(self._split(split))

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return frames [B, T, F] and letters [B, L] of the recordings at `indices` [B]."""
        chosen = [self._split(split)[int(index)] for index in indices]
        targets = np.zeros((len(chosen), self.output_space.shape[0]), np.int64)
        for row, (_, text) in zip(targets, chosen, strict=True):
            kept = text[: len(row)]
            row[: len(kept)] = [self.letters.index(letter) for letter in kept]
        return padded_features([self._frames(path) for path, _ in chosen], self.input_space.shape[0]), targets

    def _split(self, split: str) -> list[tuple[Path, str]]:
        if self._other:
            return self._listed if split == "test" else []
        places = {"test": PART - 1, "validation": PART // 2 - 1}
        if split in places:
            return self._listed[places[split] :: PART]
        return [each for number, each in enumerate(self._listed) if number % PART not in places.values()]

    def _frames(self, path: Path) -> np.ndarray:
        if path not in self._kept:
            self._kept[path] = log_mel(read_wave(path))
        return self._kept[path]

    @cached_property
    def _kept(self) -> dict[Path, np.ndarray]:
        return {}

    @cached_property
    def _listed(self) -> list[tuple[Path, str]]:
        """The recordings, in an order of their own, and their transcripts."""
        found = list_recordings(Path(self.config.path).expanduser())
        if len(found) < PART and not self._other:
            raise ValueError(f"{self.config.path} holds {len(found)} recordings; at least {PART} are needed")
        order = np.argsort(uniform(0, 0, np.arange(len(found)), 1)[:, 0], kind="stable")
        return [found[place] for place in order]

    def _digest(self) -> str:
        digest = hashlib.blake2b(digest_size=12)
        for path, text in self._listed:
            digest.update(f"{path.name}\0{path.stat().st_size}\0{text}\0".encode())
        return digest.hexdigest()


def list_recordings(folder: Path) -> list[tuple[Path, str]]:
    """Return the wave files of a folder, sorted, with their transcripts.

    Raises:
        ValueError: if it is not a folder, or a transcript is missing; the text names the file and the line.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected one with wave files")
    table = folder / "transcripts.csv"
    if not table.is_file():
        found = [(path, path.stem.partition("_")[0]) for path in sorted(folder.iterdir()) if path.suffix.lower() == ".wav"]
        if not found:
            raise ValueError(f"{folder} holds no wave files; expected TEXT_anything.wav, or transcripts.csv with file,text")
        return found
    found = []
    with table.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or row == ["file", "text"]:
                continue
            if len(row) != 2 or not row[1].strip():
                raise ValueError(f"{table}, line {number}: expected file,text, got {','.join(row)[:60]!r}")
            path = folder / row[0]
            if not path.is_file():
                raise ValueError(f"{table}, line {number}: {row[0]} is not in the folder")
            found.append((path, " ".join(row[1].split())))
    return sorted(found)


def write_example(path: Path) -> None:
    """Write a folder of twenty recordings of tones."""
    path.mkdir(parents=True)
    task = SpokenTones(SpokenTonesConfig())
    for number in range(20):
        samples, digits = task.recording("train", number)
        write_wave(path / f"{''.join(task.letters[digit] for digit in digits)}_{number}.wav", samples / 4)
