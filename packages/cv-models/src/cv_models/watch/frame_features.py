"""Features of frames: what the last layer of a trained network of pictures reads, computed once for each clip.

The network is that of a run on pictures, such as `rl-core run resnet --task images:photos`; it is not learned further. Features of a clip
can be kept in a folder, one file for each clip, network and number of frames, so that other runs need not decode the clip again.

Source: Venugopalan et al., *Translating videos to natural language using deep recurrent neural networks*, 2015, section 3.1.

Letters: B batch, T frames, H W C picture, K features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cv_models.tasks.label_files import resized

AT_ONCE = 64  # frames that the network sees together
KEPT = np.float16  # type of the numbers in files: half as large, and far finer than what features differ by


class FrameFeatures:
    """The frozen network of a run as a function from frames to features.

    Args:
        run: Folder of a run of the agent `supervised` on pictures [H, W, C].
        folder: Where features of clips are kept for other runs; `None`: nowhere.

    Attributes:
        size: K.
        digest: Of the network's weights.

    Raises:
        ValueError: if the folder is not such a run.
    """

    def __init__(self, run: Path, folder: Path | None = None) -> None:
        if not (run / "recipe.yaml").is_file():
            raise ValueError(f"features is {str(run)!r}, which is not a run; expected a run on pictures: rl-core run resnet --out {run}")
        import rl_core

        agent: Any = rl_core.load(run)
        shape: tuple[int, ...] = tuple(agent.task.input_space.shape or ())
        if len(shape) != 3 or not hasattr(agent, "module"):
            raise ValueError(f"features is {str(run)!r}, a run on {agent.task.input_space}; expected one of supervised on pictures")
        self._agent, self._shape, self._folder = agent, shape, folder
        found = hashlib.blake2b(digest_size=16)
        for name, array in sorted(agent.parameters().items()):
            found.update(name.encode() + np.ascontiguousarray(array).tobytes())
        self.digest = found.hexdigest()
        self.size = self(np.zeros((1, *shape[:2], 3), np.uint8)).shape[1]

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Return the features [N, K], float32, of frames [N, H, W, 3] of any size, bytes."""
        import torch

        from dl_nets.learning.transfer import layers

        module = self._agent.module.eval()
        device, seen = next(module.parameters()).device, list[torch.Tensor]()
        handle = layers(module)[-1][1].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
        try:
            with torch.no_grad():
                for start in range(0, len(frames), AT_ONCE):
                    module(torch.from_numpy(self._fitted(frames[start : start + AT_ONCE])).to(device))
        finally:
            handle.remove()
        rows = [part.float().flatten(1).cpu().numpy() for part in seen]
        return np.concatenate(rows)

    def of_clip(self, path: Path, count: int, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """Return the features [T, K] of a clip, from the folder if they are there.

        Args:
            path: File or folder of the clip.
            count: T.
            decode: Returns its frames [T, H, W, 3].

        Raises:
            ValueError: if the folder cannot be written to.
        """
        if self._folder is None:
            return self(decode())
        file = self._folder / f"{_clip_digest(path, f'{self.digest} {count}')}.npy"
        try:
            if file.is_file():
                found = np.load(file, allow_pickle=False)
                if found.shape == (count, self.size):
                    return found.astype(np.float32)
            made = self(decode()).astype(KEPT)
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part")
            with unfinished.open("wb") as stream:
                np.save(stream, made, allow_pickle=False)
            unfinished.replace(file)
        except OSError as error:
            raise ValueError(f"features_folder {str(self._folder)!r} fails: {error.strerror or error}; name another") from error
        return made.astype(np.float32)

    def _fitted(self, frames: np.ndarray) -> np.ndarray:
        """Return frames [N, H, W, C] at the size, the channels and the range of the network's pictures."""
        height, width, channels = self._shape
        fitted = np.stack([resized(frame, height, width) for frame in frames])
        if channels == 1:
            fitted = np.rint(fitted @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None]
        space = self._agent.task.input_space
        if space.dtype == np.uint8:
            return fitted
        low, high = float(space.low.min()), float(space.high.max())
        return (low + (high - low) * fitted / 255.0).astype(space.dtype)


def _clip_digest(path: Path, more: str) -> str:
    """Return a digest of the bytes of a clip's file, or of the files of its folder, and of `more`."""
    found = hashlib.blake2b(more.encode(), digest_size=16)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as stream:
                found.update(hashlib.file_digest(stream, "blake2b").digest())
    return found.hexdigest()
