"""Named random streams of one seed.

Every random number of a run is drawn from a stream that is named after its use: `seeds.numpy("exploration")`. Streams are independent,
and adding one changes no other. The streams that were handed out are part of a checkpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


class Seeds:
    """A tree of random streams grown from one integer.

    Args:
        seed: At least 0.
        path: Names on the path to this branch; empty at the root.
    """

    def __init__(self, seed: int, path: tuple[str, ...] = ()) -> None:
        if seed < 0:
            raise ValueError(f"seed is {seed}; a seed is an integer of at least 0")
        self.seed = seed
        self.path = path
        self._streams: dict[str, np.random.Generator] = {}  # of the whole tree, by path

    def child(self, name: str) -> Seeds:
        """Return a branch whose streams differ from all streams of this one and are saved with them."""
        branch = Seeds(self.seed, (*self.path, name))
        branch._streams = self._streams
        return branch

    def apart(self, name: str) -> Seeds:
        """Return a branch like `child`, but always restarted and never saved: for an evaluation, which repeats exactly."""
        return Seeds(self.seed, (*self.path, name))

    def numpy(self, name: str) -> np.random.Generator:
        """Return the stream of that name, the same object each time."""
        full = "/".join((*self.path, name))
        if full not in self._streams:
            digest = hashlib.sha256(full.encode()).digest()
            entropy = [self.seed, *np.frombuffer(digest, dtype="<u4").tolist()]
            self._streams[full] = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        return self._streams[full]

    def integer(self, name: str, *numbers: int) -> int:
        """Return a fixed integer in [0, 2**31) for that name and those numbers: the seed of an episode, a shuffle, a library.

        >>> Seeds(0).integer("episode", 3, 17) == Seeds(0).integer("episode", 3, 17)
        True
        """
        text = f"{self.seed}/{'/'.join(self.path)}/{name}/{','.join(map(str, numbers))}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 33

    def state_dict(self) -> dict[str, Any]:
        """Return the position of every stream of the tree that was handed out, as plain JSON."""
        return {name: _pack(rng.bit_generator.state) for name, rng in sorted(self._streams.items())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore every stream to its saved position; missing streams are created. Generators stay the same objects."""
        for full, packed in state.items():
            *path, name = full.split("/")
            stream = Seeds(self.seed, tuple(path))
            stream._streams = self._streams
            stream.numpy(name).bit_generator.state = _unpack(packed)


def _pack(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return PCG64's state with its 128-bit integers as hexadecimal text, which every JSON reader keeps exact."""
    inner = state["state"]
    return {"state": hex(inner["state"]), "inc": hex(inner["inc"]), "has_uint32": state["has_uint32"], "uinteger": state["uinteger"]}


def _unpack(packed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "bit_generator": "PCG64",
        "state": {"state": int(packed["state"], 16), "inc": int(packed["inc"], 16)},
        "has_uint32": packed["has_uint32"],
        "uinteger": packed["uinteger"],
    }
