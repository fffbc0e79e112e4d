from __future__ import annotations

import numpy as np
import pytest

from dl_nets.tasks.augmented import TRANSFORMS
from dl_nets.tasks.transforms import geometry, uniforms, vary

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3), dtype=np.uint8)
MAPS = np.random.default_rng(1).integers(0, 4, (6, 12, 12))
EVERYONE = np.arange(6)


def test_flips_and_turns_move_pictures_maps_and_boxes_exactly_and_alike() -> None:
    numbers = np.full((1, 32), 0.9)
    numbers[:, 0], numbers[:, 2] = 0.1, 0.3  # flips, then one quarter turn
    moved = geometry(("flip", "turn"), numbers, (12, 12))
    assert moved is not None
    import torch

    picture = torch.from_numpy(PICTURES[:1].transpose(0, 3, 1, 2).astype(np.float32))
    got = moved.images(picture)[0].numpy().transpose(1, 2, 0)
    candidates = [np.rot90(picture[0].numpy().transpose(1, 2, 0)[:, ::-1], k) for k in (1, 3)]
    matches = [np.allclose(got, candidate, atol=1e-2) for candidate in candidates]
    assert sum(matches) == 1
    marked = np.zeros((1, 12, 12, 1), np.float32)
    marked[0, 2:5, 1:9] = 1.0  # a box x 1..9, y 2..5
    shown = moved.images(torch.from_numpy(marked).permute(0, 3, 1, 2))[0, 0].numpy() > 0.5
    rows, columns = np.nonzero(shown)
    box = moved.boxes(np.array([[1.0, 2.0, 9.0, 5.0]]), np.array([0]))[0]
    np.testing.assert_allclose(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_each_transform_changes_pictures_and_an_example_varies_alike_in_any_batch(name: str) -> None:
    images, maps = vary(PICTURES, MAPS, names=(name,), seed=5, indices=EVERYONE)
    assert maps is not None
    assert images.dtype == np.uint8
    assert images.shape == PICTURES.shape
    assert maps.dtype == MAPS.dtype
    assert (images != PICTURES).any()
    order = np.array([4, 1])
    again, maps_again = vary(PICTURES[order], MAPS[order], names=(name,), seed=5, indices=order)
    assert np.array_equal(again, images[order])
    assert np.array_equal(maps_again, maps[order])
    assert not np.array_equal(vary(PICTURES, MAPS, names=(name,), seed=6, indices=EVERYONE)[0], images)


def test_maps_follow_their_pictures_through_every_movement() -> None:
    """A picture that shows its own map: wherever it is read between two labels, both must agree again after rounding."""
    smooth = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 16, 0), 16, 1)[None].repeat(3, 0)  # four large fields
    pictures = (smooth[..., None] * 60).astype(np.uint8)
    images, maps = vary(pictures, smooth, names=("flip", "turn", "affine", "elastic"), seed=1, indices=np.arange(3), crop=24)
    assert images.shape == (3, 24, 24, 1)
    assert maps is not None
    assert maps.shape == (3, 24, 24)
    assert (np.rint(images[..., 0] / 60) == maps).mean() > 0.9
    assert len(np.unique(maps)) > 1


def test_uniform_numbers_are_uniform_and_unlike_in_neighbours() -> None:
    drawn = uniforms(0, np.arange(4000), 8)
    assert abs(drawn.mean() - 0.5) < 0.005
    assert abs(drawn.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.05
    assert np.abs(np.corrcoef(drawn.T) - np.eye(8)).max() < 0.07
