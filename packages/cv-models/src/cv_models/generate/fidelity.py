"""Measures of how near a picture is to another one: PSNR and SSIM, on luma.

Sources: luma: ITU-R BT.601, from 16 to 235; SSIM: Wang, Bovik, Sheikh and Simoncelli, *Image quality assessment: from error visibility to
structural similarity*, 2004, with a Gaussian window of 11 x 11 and sigma 1.5.

Letters: H W picture.
"""

from __future__ import annotations

import numpy as np

RED, GREEN, BLUE, BLACK = 65.481, 128.553, 24.966, 16.0  # of 255; the sum of the weights is 219
SPAN = 255.0
WINDOW, SIGMA = 11, 1.5
K_1, K_2 = 0.01, 0.03


def luma(picture: np.ndarray) -> np.ndarray:
    """Return Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 [..., H, W] of bytes [..., H, W, 3], or grey bytes as they are.

    >>> luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).round(3).tolist()
    [[16.0, 235.0]]
    """
    if picture.shape[-1] == 1:
        return picture[..., 0].astype(np.float64)
    weights = np.array([RED, GREEN, BLUE]) / SPAN
    return np.asarray(BLACK + picture[..., :3].astype(np.float64) @ weights)


def psnr(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return 10 log10(255^2 / MSE), dB, of two pictures of one shape, numbers in [0, 255]; 100 where they are equal.

    >>> round(float(psnr(np.full((2, 2), 16.0), np.zeros((2, 2)))), 3)  # 20 log10(255 / 16)
    24.048
    """
    error = float(np.square(found.astype(np.float64) - wanted.astype(np.float64)).mean())
    return min(100.0, 10.0 * np.log10(SPAN**2 / error)) if error else 100.0


def ssim(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the mean structural similarity of two pictures [H, W], numbers in [0, 255], where the window is inside.

    (2 m n + c1) (2 s_mn + c2) / ((m^2 + n^2 + c1) (s_m^2 + s_n^2 + c2)), m, n local means and s local covariances.

    Raises:
        ValueError: if a side has less than 11 pixels.

    >>> flat = np.full((12, 12), 100.0)
    >>> ssim(flat, flat), round(ssim(flat, flat + 50.0), 4)  # (2 * 100 * 150 + c1) / (100^2 + 150^2 + c1)
    (1.0, 0.9231)
    """
    if min(found.shape) < WINDOW:
        raise ValueError(f"the picture is {found.shape[0]} x {found.shape[1]}; SSIM needs {WINDOW} x {WINDOW} pixels at least")
    x, y = found.astype(np.float64), wanted.astype(np.float64)
    m, n = _local_mean(x), _local_mean(y)
    xx, yy, xy = _local_mean(x * x) - m * m, _local_mean(y * y) - n * n, _local_mean(x * y) - m * n
    c1, c2 = (K_1 * SPAN) ** 2, (K_2 * SPAN) ** 2
    return float(((2 * m * n + c1) * (2 * xy + c2) / ((m * m + n * n + c1) * (xx + yy + c2))).mean())


def _local_mean(picture: np.ndarray) -> np.ndarray:
    """Return the mean under the window [H - 10, W - 10]."""
    line = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / SIGMA) ** 2)
    line /= line.sum()
    rows = np.lib.stride_tricks.sliding_window_view(picture, WINDOW, axis=0) @ line
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, WINDOW, axis=1) @ line)
