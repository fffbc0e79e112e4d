"""Files of label maps, and the pictures that belong to them, brought to one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dl_nets.tasks.picture_files import SUFFIXES, picture_size
from rl_core.errors import DataError


def read_labels(path: Path) -> np.ndarray:
    """Return the numbers of a label map in a file, int64 [H, W]: grey levels of 8 or 16 bits, or the indices of a palette.

    Raises:
        DataError: naming the file that cannot be read, or whose pixels hold colours instead of one number each.
    """
    from PIL import Image, ImageOps

    picture_size(path)  # refuses what is too large or not a picture
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
            mode, labels = upright.mode, np.asarray(upright)
    except (OSError, SyntaxError) as error:
        raise DataError(f"the mask {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if labels.ndim == 3:
        colours = labels[..., :3]
        if labels.shape[2] != 2 and (colours != colours[..., :1]).any():
            raise DataError(f"the mask {path} holds colours ({mode}); expected one number a pixel: save it as a grey or palette PNG")
        labels = labels[..., 0]  # grey that was saved with more channels
    return labels.astype(np.int64)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture uint8 [H, W, C] at another size: bilinear, averaged over what a pixel covers where it becomes smaller."""
    if picture.shape[:2] == (height, width):
        return picture
    from PIL import Image

    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR)).reshape(height, width, picture.shape[2])


def resized_labels(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a label map [H, W] at another size: the label of the nearest pixel.

    >>> resized_labels(np.array([[1, 2], [3, 4]]), 2, 4).tolist()
    [[1, 1, 2, 2], [3, 3, 4, 4]]
    """
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(np.int64)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(np.int64)
    return labels[rows[:, None], columns[None, :]]


def files_by_stem(folder: Path) -> dict[str, Path]:
    """Return the picture files of a folder by their name without its suffix, sorted; hidden files are left out.

    Raises:
        ValueError: if the folder cannot be read, or two files have one name.
    """
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()]
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror or error}") from error
    files: dict[str, Path] = {}
    for path in sorted(found):
        if path.stem in files:
            raise DataError(f"{path} and {files[path.stem].name} have one name without its suffix; rename one of them")
        files[path.stem] = path
    return files
