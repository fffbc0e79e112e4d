"""Sound as rows of numbers: wave files, and the logarithm of the energy in bands of frequency.

Source: Davis and Mermelstein, *Comparison of parametric representations for monosyllabic word recognition*, 1980, for bands on the mel
scale; the scale itself is that of O'Shaughnessy, *Speech communication*, 1987: m = 2595 log10(1 + f / 700), f in Hz.
Letters: N samples, T frames, F bands.
"""

from __future__ import annotations

import wave
from functools import lru_cache
from pathlib import Path

import numpy as np

from rl_core.errors import DataError

RATE = 8000  # Hz; other recordings are resampled
FRAME, HOP = 200, 80  # samples of a frame, and from one to the next: 25 ms and 10 ms
BANDS = 40
FLOOR = 1e-6  # added to an energy before its logarithm is taken
MOST_SECONDS = 60  # of a recording


@lru_cache(maxsize=4)
def mel_filters(bands: int = BANDS, size: int = 256, rate: int = RATE) -> np.ndarray:
    """Return the weight [F, size / 2 + 1] of each frequency of a spectrum in each band: triangles, evenly spaced on the mel scale.

    >>> mel_filters(2, 8, 8000).round(2).tolist()
    [[0.0, 0.68, 0.0, 0.0, 0.0], [0.0, 0.32, 0.91, 0.45, 0.0]]

    The bands end at 0, 620, 1790 and 4000 Hz, so that 1000 Hz is (1790 - 1000) / (1790 - 620) = 0.68 of the first.
    """
    edges = np.linspace(0.0, 2595.0 * np.log10(1.0 + rate / 2 / 700.0), bands + 2)
    hertz = 700.0 * (10.0 ** (edges / 2595.0) - 1.0)
    frequencies = np.arange(size // 2 + 1) * rate / size
    rising = (frequencies - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    falling = (hertz[2:, None] - frequencies) / (hertz[2:] - hertz[1:-1])[:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return log(energy + 1e-6) [..., T, F] of each band in each frame of samples [..., N], N at least `FRAME`; float32."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME, axis=-1)[..., ::HOP, :]
    spectrum = np.fft.rfft(frames * np.hanning(FRAME), 256, axis=-1)
    energy = (spectrum.real**2 + spectrum.imag**2) @ mel_filters().T
    found: np.ndarray = np.log(energy + FLOOR).astype(np.float32)
    return found


def num_frames(count: int) -> int:
    """Return T for N samples.

    >>> num_frames(200), num_frames(280)
    (1, 2)
    """
    return max(0, (count - FRAME) // HOP + 1)


def padded_features(frames: list[np.ndarray], length: int) -> np.ndarray:
    """Return frames of recordings as one array [B, length, F]: each with mean 0 and deviation 1, then zeros; longer ones are cut."""
    found = np.zeros((len(frames), length, BANDS), np.float32)
    for row, part in zip(found, frames, strict=True):
        row[: len(part)] = ((part - part.mean()) / (part.std() + 1e-5))[:length]
    return found


def read_wave(path: Path) -> np.ndarray:
    """Return the samples [N] of a wave file, in [-1, 1], at `RATE`; of several channels the mean.

    Raises:
        DataError: naming the file, if it is not a PCM wave file, or too short or too long.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate, count = file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()
            if rate <= 0 or count / rate > MOST_SECONDS:
                raise DataError(f"{path} has {count} samples at {rate} Hz; expected at most {MOST_SECONDS} seconds")
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError) as error:
        raise DataError(f"{path} is not a wave file that can be read ({error}); expected uncompressed PCM, as .wav") from error
    if width not in (1, 2, 4) or channels < 1 or len(data) != count * width * channels:
        raise DataError(
            f"{path} holds {len(data)} bytes for {count} samples of {channels} x {width} bytes; expected a whole file of 8, 16 or 32 bits"
        )
    numbers = np.frombuffer(data, np.dtype({1: "u1", 2: "<i2", 4: "<i4"}[width])).astype(np.float64)
    samples = (numbers - 128.0) / 128.0 if width == 1 else numbers / 2.0 ** (8 * width - 1)
    samples = samples.reshape(-1, channels).mean(axis=1)
    if rate != RATE:
        samples = resampled(samples, rate)
    if len(samples) < FRAME:
        raise DataError(f"{path} has {len(samples)} samples at {RATE} Hz; expected at least {FRAME}")
    return samples


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    """Return samples [N] of another rate, in Hz, at `RATE`: what is above half of the lower rate is cut away, in the spectrum.

    >>> tone = np.sin(2 * np.pi * 1000 * np.arange(1600) / 16000)
    >>> bool(np.allclose(resampled(tone, 16000), np.sin(2 * np.pi * 1000 * np.arange(800) / 8000)))
    True
    """
    count = max(1, round(len(samples) * RATE / rate))
    spectrum = np.fft.rfft(samples)
    kept = np.zeros(count // 2 + 1, complex)
    size = min(len(kept), len(spectrum))
    kept[:size] = spectrum[:size]
    return np.fft.irfft(kept, count) * (count / max(len(samples), 1))


def write_wave(path: Path, samples: np.ndarray) -> None:
    """Write samples [N] in [-1, 1] as a wave file of 16 bits at `RATE`."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())
