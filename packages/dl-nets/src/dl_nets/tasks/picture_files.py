"""Pictures from files, whatever they hold: decoded, turned as the camera notes, and fitted into a size.

Grey, palette, 16-bit and transparent pictures become bytes of grey or of red, green and blue; transparency is laid over white.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from dl_nets.tasks.text_files import shown
from rl_core.errors import DataError

if TYPE_CHECKING:
    from PIL import Image as Images

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MOST_PIXELS = 64_000_000  # of one picture; a larger one is refused, since it takes gigabytes once decoded
ORIENTATION = 0x0112  # EXIF tag; 5 and above are turned by a quarter

Fit = Literal["crop", "stretch", "pad"]
"""Ways to make a picture fit: its middle is kept, its sides are stretched, or it is framed in grey."""
FRAME = 114  # grey level of the frame


def read_picture(path: Path, *, grey: bool = False, smallest: tuple[int, int] | None = None) -> np.ndarray:
    """Return the picture in a file as bytes [H, W, 3], or [H, W, 1].

    Args:
        path: The file.
        grey: Whether colours become levels of grey.
        smallest: Height and width that suffice: a larger JPEG may be decoded to a half, a quarter or an eighth, in less time.

    Raises:
        DataError: naming the file, if it cannot be read as a picture, is cut off, or is too large.
    """
    pixels = np.array(decoded(path, grey=grey, smallest=smallest))  # a copy, which can be written to
    return pixels[..., None] if grey else pixels


def decoded(path: Path, *, grey: bool = False, smallest: tuple[int, int] | None = None) -> Images.Image:
    """Return the picture in a file as an image of the mode L or RGB; see `read_picture`."""
    from PIL import ImageOps

    mode = "L" if grey else "RGB"
    with _opened(path) as image:
        _require_size(image, path)
        if smallest is not None:
            side = max(smallest)  # it may be turned
            image.draft(mode, (side, side))
        return _in_mode(ImageOps.exif_transpose(image), mode)


def require_picture(path: Path) -> None:
    """Look at the head of a file, and refuse what is not a picture or is too large.

    Raises:
        DataError: naming the file.
    """
    with _opened(path) as image:
        _require_size(image, path)


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of the picture in a file as `read_picture` returns it, without decoding it.

    Raises:
        DataError: naming the file, if it cannot be read as a picture.
    """
    with _opened(path) as image:
        return (image.height, image.width) if image.getexif().get(ORIENTATION, 1) >= 5 else (image.width, image.height)


def fitted(image: Images.Image, height: int, width: int, fit: Fit) -> Images.Image:
    """Return an image with this height and width, pixels.

    >>> from PIL import Image
    >>> wide = Image.fromarray(np.array([[0, 0, 90, 90, 0, 0]], np.uint8).repeat(2, axis=0))
    >>> np.asarray(fitted(wide, 2, 2, "crop")).tolist()
    [[90, 90], [90, 90]]
    >>> np.asarray(fitted(wide, 6, 6, "pad"))[:, 0].tolist()
    [114, 114, 0, 0, 114, 114]
    """
    from PIL import Image, ImageOps

    if image.size == (width, height):
        return image
    if fit == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    if fit == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    return ImageOps.pad(image, (width, height), Image.Resampling.BILINEAR, color=FRAME if image.mode == "L" else (FRAME,) * 3)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a picture, and say in words what is wrong with it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings() if current_thread() is main_thread() else nullcontext():  # filters belong to the whole process
            if current_thread() is main_thread():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's own limit warns before ours refuses
            image = Image.open(path)
        with image:
            yield image
    except Image.DecompressionBombError as error:
        pixels = " ".join(re.findall(r"\d+ pixels", str(error))[:1]) or "too many pixels"
        raise DataError(f"{shown(path)} has {pixels}; at most {MOST_PIXELS:,} are read: make it smaller, or cut it") from error
    except UnidentifiedImageError as error:
        what = "is empty" if path.is_file() and not path.stat().st_size else "is not a picture that can be read"
        raise DataError(f"{shown(path)} {what}; expected {', '.join(SUFFIXES)}") from error
    except (OSError, SyntaxError) as error:
        raise DataError(f"{shown(path)} cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from error


def _require_size(image: Any, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise DataError(
            f"{shown(path)} has {image.width} x {image.height} pixels; at most {MOST_PIXELS:,} are read: make it smaller, or cut it"
        )


def _in_mode(image: Any, mode: str) -> Any:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 or 32 bits of grey
        grey = np.asarray(image, dtype=np.float64)
        largest = max(float(grey.max(initial=0.0)), 1e-9)
        white_level = largest if image.mode == "F" else 65535.0 if image.mode != "I" or largest > 255 else 255.0
        image = Image.fromarray(np.clip(grey / white_level * 255.0, 0, 255).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    return image if image.mode == mode else image.convert(mode)
