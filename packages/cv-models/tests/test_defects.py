from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cv_models.generate.defects import SurfaceDefects, SurfaceDefectsConfig, area_under_curve, surfaces

TINY = {"num_train": 20, "num_validation": 20, "num_test": 30}


def test_the_area_under_the_curve_is_one_half_of_noise_and_of_ties() -> None:
    positive = np.arange(4000) % 2 == 0
    assert area_under_curve(np.random.default_rng(0).random(4000), positive) == pytest.approx(0.5, abs=0.03)
    assert area_under_curve(np.zeros(4000), positive) == 0.5
    assert area_under_curve(positive.astype(float), positive) == 1.0


def test_a_defect_changes_the_pixels_of_its_mask_alone() -> None:
    whole, none = surfaces(np.random.default_rng(1), np.zeros(12, bool), 32)
    broken, masks = surfaces(np.random.default_rng(1), np.ones(12, bool), 32)
    assert not none.any()
    assert masks.any(axis=(1, 2)).all()
    assert np.array_equal(whole[..., 0][~masks], broken[..., 0][~masks])
    assert np.abs(whole[..., 0] - broken[..., 0])[masks].mean() > 0.1


def test_a_reconstruction_of_the_whole_surface_finds_every_defect_and_a_copy_finds_none(tmp_path: Path) -> None:
    task = SurfaceDefects(SurfaceDefectsConfig(**TINY))
    known = {part[0].tobytes(): part[0] for part in task._pictures["validation"][0][:, None]}

    def ideal(given: Any) -> Any:
        """Return each picture as it was before it was damaged; the defects are those pixels that the masks name."""
        truth = dict(zip((each.tobytes() for each in task._pictures["test"][0]), task._pictures["test"][1], strict=True))
        return np.stack([each - 0.2 * truth[each.tobytes()][..., None] if each.tobytes() not in known else each for each in given])

    found = task.evaluate(ideal, episodes=1, seeds=None)  # type: ignore[arg-type]
    assert (found["AUROC"], found["recall"], found["balanced accuracy"]) == (1.0, 1.0, 1.0)
    assert found["AUROC of places"] > 0.95
    copied = task.evaluate(lambda given: given, episodes=1, seeds=None)  # type: ignore[arg-type]
    assert (copied["AUROC"], copied["recall"]) == (0.5, 0.0)
    task.draw_answers(tmp_path, lambda given: np.full_like(given, 0.5))
    assert (tmp_path / "defects.png").is_file()


def test_a_picture_is_answered_with_the_place_of_its_largest_error(tmp_path: Path) -> None:
    task = SurfaceDefects(SurfaceDefectsConfig(**TINY))
    flat = np.full((32, 32), 128, np.uint8)
    flat[20:23, 8:11] = 255
    Image.fromarray(flat).save(tmp_path / "flat.png")
    whole = {each.tobytes() for each in task._pictures["validation"][0]}
    answer = lambda given: np.stack([each if each.tobytes() in whole else np.full_like(each, 128 / 255) for each in given])  # noqa: E731
    (line,) = task.answer_file(tmp_path / "flat.png", answer, tmp_path / "out")
    assert (line["answer"], line["x"], line["y"]) == ("defective", 9, 21)
    assert Image.open(line["picture"]).size == (256, 256)
