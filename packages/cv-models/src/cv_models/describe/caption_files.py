"""The scheme `captions:<list>`: pictures with captions, in COCO's, Karpathy's or Flickr's local form, or a table of files and captions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from gymnasium import Space, spaces

from cv_models.describe.caption_lists import Captioned, read_list
from cv_models.describe.listed_captions import ListedCaptions, ListedConfig
from dl_nets.tasks.picture_files import SUFFIXES, Fit, decoded, fitted
from rl_core.config import Doc, configclass

FOLDERS = ("", "images", "Images", "pictures", "Flicker8k_Dataset", "flickr30k-images")


@configclass
class CaptionFilesConfig(ListedConfig):
    """The list of captions, and how its pictures are read."""

    images: Annotated[str, Doc('folder of the pictures, relative to the list; "" looks beside it and in images')] = ""
    fit: Annotated[Fit, Doc("crop: the middle is kept; stretch: sides may change their ratio; pad: framed in grey")] = "stretch"


class CaptionFiles(ListedCaptions):
    """Pictures [H, W, 3] and their captions; see `ListedCaptions` for the arguments."""

    Config: ClassVar[type] = CaptionFilesConfig
    config: CaptionFilesConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (*SUFFIXES, ".jsonl")

    def collect(self) -> list[Captioned]:
        """Return the pictures of the list."""
        return read_list(Path(self.config.path))

    def file_of(self, name: str) -> Path | None:
        """Return the file of a picture, or `None` where it is missing."""
        beside = Path(self.config.path).parent
        for folder in [self.config.images] if self.config.images else FOLDERS:
            path = beside / folder / name
            if path.is_file():
                return path
        return None

    def load(self, path: Path) -> np.ndarray:
        """Return the picture in a file [H, W, 3].

        Raises:
            ValueError: naming the file that cannot be read.
        """
        config = self.config
        image = decoded(path, smallest=(2 * config.height, 2 * config.width))
        return np.asarray(fitted(image, config.height, config.width, config.fit))

    def inputs(self) -> Space[Any]:
        """Return the space of pictures."""
        return spaces.Box(0, 255, (self.config.height, self.config.width, 3), np.uint8)

    def parse_file(self, path: Path) -> Any:
        """Return the picture in a file at the task's size [1, H, W, 3], or the inputs of a file of JSON lines.

        Raises:
            ValueError: naming the file that cannot be read.
        """
        return self.load(path)[None] if path.suffix.lower() in SUFFIXES else super().parse_file(path)


def write_example(path: Path) -> None:
    """Write 12 pictures of shapes, and the table `path` of their captions, two of each."""
    from PIL import Image

    from cv_models.describe.shape_captions import scenes, turned

    made = scenes(np.random.default_rng(0), 12, 32)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["file,caption"]
    for number, (picture, caption) in enumerate(zip(made.pictures, made.captions, strict=True)):
        Image.fromarray(picture).save(path.parent / f"{number}.png")
        lines += [f"{number}.png,{caption}", f"{number}.png,{turned(caption)}"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
