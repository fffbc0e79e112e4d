"""The composed network reads pictures by convolutions, and everything else as it is."""

from __future__ import annotations

import numpy as np
import torch
from gymnasium import spaces

from dl_nets.networks.composed import Composed, ComposedConfig
from rl_core.structured import Structured


def test_pictures_are_encoded_and_other_parts_passed_on() -> None:
    view = spaces.Box(0, 255, (8, 8, 3), np.uint8)
    space = Structured(spaces.Dict(a=spaces.Discrete(3), view=view, z=spaces.Box(-1, 1, (2,), np.float32)))
    config = ComposedConfig(channels=(4,), picture_features=5, hidden=(6,))
    module = Composed(config).build(space, spaces.Discrete(2), np.random.default_rng(0))
    rows = np.stack([space.flatten({"a": 2, "view": np.full((8, 8, 3), byte, np.uint8), "z": [0.5, -0.5]}) for byte in (0, 255)])
    parts = module[0](torch.from_numpy(rows)).detach()
    assert parts.shape == (2, 3 + 2 + 5)
    assert parts[:, :5].tolist() == [[0.0, 0.0, 1.0, 0.5, -0.5]] * 2
    assert (parts[0, 5:] != parts[1, 5:]).any()
    assert module(torch.from_numpy(rows)).shape == (2, 2)
