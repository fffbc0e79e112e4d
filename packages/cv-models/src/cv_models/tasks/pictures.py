"""Pictures from files: decoded to bytes [H, W, 3] whatever the file holds, and fitted into a square without distortion.

Grey, palette, 16-bit and transparent pictures become RGB, transparency over white; a rotation noted by the camera (EXIF) is applied.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
MOST_PIXELS = 64_000_000  # of one picture; a larger one is refused, since it takes gigabytes once decoded
FILL = 114  # grey level around a picture that does not fill the square


class Fit(NamedTuple):
    """The way from a picture to the square that it was fitted into: square = scale * picture + offset.

    Attributes:
        scale: Pixels of the square per pixel of the picture.
        left: Pixels of the square left of the picture.
        top: Pixels of the square above the picture.
        width: Width of the picture, pixels.
        height: Height of the picture, pixels.
    """

    scale: float
    left: int
    top: int
    width: int
    height: int

    def into(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes [N, 4] (x1, y1, x2, y2) of the picture in pixels of the square, float32.

        >>> fit_of(200, 100, 50).into(np.array([[0.0, 0.0, 200.0, 100.0]])).tolist()
        [[0.0, 12.0, 50.0, 37.0]]
        """
        return (boxes * self.scale + [self.left, self.top, self.left, self.top]).astype(np.float32)

    def back(self, boxes: np.ndarray) -> np.ndarray:
        """Return boxes [N, 4] of the square in pixels of the picture, clipped to it, float32."""
        moved = (boxes - [self.left, self.top, self.left, self.top]) / self.scale
        return np.clip(moved, 0, [self.width, self.height, self.width, self.height]).astype(np.float32)

    def masks_back(self, masks: np.ndarray) -> np.ndarray:
        """Return masks [N, S, S] of the square in pixels of the picture [N, H, W]: the nearest pixel of the square."""
        size = masks.shape[-1]
        rows, columns = (
            np.clip((np.arange(count) + 0.5) * self.scale + start, 0, size - 1).astype(np.int64)
            for count, start in ((self.height, self.top), (self.width, self.left))
        )
        return masks[:, rows[:, None], columns[None, :]]


def fit_of(width: int, height: int, size: int) -> Fit:
    """Return how a picture of this width and height, pixels, fits into a square with sides of `size` pixels, in the middle."""
    scale = size / max(width, height)
    inner_width, inner_height = _inner(width, height, size)
    return Fit(scale, (size - inner_width) // 2, (size - inner_height) // 2, width, height)


def read_picture(path: Path) -> np.ndarray:
    """Return the picture in a file as bytes [H, W, 3].

    Raises:
        ValueError: naming the file, if it cannot be read as a picture, is cut off, or is too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit warns before ours refuses
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise ValueError(
                        f"{path} has {opened.width} x {opened.height} pixels; at most {MOST_PIXELS:,} are read: make it smaller, or cut it"
                    )
                return _to_rgb(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is refused: {error}; make it smaller, or cut it") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture that can be read; expected {', '.join(SUFFIXES)}") from error
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of the picture in a file as `read_picture` returns it, without decoding it.

    Raises:
        ValueError: naming the file, if it cannot be read as a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                turned = opened.getexif().get(0x0112, 1) >= 5  # rotated by a quarter
                return (opened.height, opened.width) if turned else (opened.width, opened.height)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is refused: {error}; make it smaller, or cut it") from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{path} is not a picture that can be read; expected {', '.join(SUFFIXES)}") from error
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{path} cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from error


def letterbox(picture: np.ndarray, size: int, *, fill: int = FILL, smooth: bool = True) -> np.ndarray:
    """Return a picture, or a map, fitted into a square [size, size, ...] with its proportions kept, the rest filled.

    Args:
        picture: Bytes [H, W, 3], or a map [H, W] of bytes.
        size: Side of the square, pixels.
        fill: Value around the picture.
        smooth: Whether pixels are interpolated; the values of a map must not be.

    >>> letterbox(np.full((2, 4), 9, np.uint8), 4, fill=0).tolist()
    [[0, 0, 0, 0], [9, 9, 9, 9], [9, 9, 9, 9], [0, 0, 0, 0]]
    """
    from PIL import Image

    height, width = picture.shape[:2]
    inner = _inner(width, height, size)
    canvas = np.full((size, size, *picture.shape[2:]), fill, picture.dtype)
    fit = fit_of(width, height, size)
    if (width, height) != inner:
        method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        picture = np.asarray(Image.fromarray(picture).resize(inner, method))
    canvas[fit.top : fit.top + inner[1], fit.left : fit.left + inner[0]] = picture
    return canvas


def _inner(width: int, height: int, size: int) -> tuple[int, int]:
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _to_rgb(image: Any) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits of grey
        grey = np.asarray(image, dtype=np.float64)
        largest = max(float(grey.max(initial=0.0)), 1e-9)
        white_level = largest if image.mode == "F" else 65535.0 if image.mode != "I" or largest > 255 else 255.0
        return np.repeat(np.clip(grey / white_level * 255.0, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))  # a copy: that of the file cannot be written to
