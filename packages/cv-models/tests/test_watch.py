"""Clips: the truth of moving shapes, what order-blind models cannot know, and frames from files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

import rl_core
from cv_models.classify.resnet import ResNet, ResNetConfig
from cv_models.describe.captions import PADDING
from cv_models.describe.encoder import GridEncoder
from cv_models.describe.shape_captions import KINDS
from cv_models.tasks.shape_maps import ShapeClassesConfig, ShapesClassification
from cv_models.watch import videos
from cv_models.watch.clip_classifier import ClipClassifier, ClipClassifierConfig
from cv_models.watch.index import search
from cv_models.watch.mean_pool_captioner import ClipCaptionerConfig, MeanPoolCaptioner
from cv_models.watch.moving_shapes import MOTIONS, MovingShapes, MovingShapesActions, MovingShapesConfig, backwards
from cv_models.watch.s2vt import S2VT, S2VTConfig
from cv_models.watch.temporal_attention_captioner import TemporalAttentionCaptioner, TemporalAttentionConfig
from cv_models.watch.video_files import clip_frames, timeline
from cv_models.watch.videos import VideosConfig, VideosTask, write_videos
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.initialisation import linear
from rl_core.seeds import Seeds

SMALL = MovingShapesConfig(num_train=16, num_validation=4, num_test=40, num_frames=6)
SIZES: dict[str, Any] = {"channels": (4, 6), "frame_size": 6, "units": 8}
CAPTIONERS = {
    "mean-pool-captioner": MeanPoolCaptioner(ClipCaptionerConfig(beams=1, **SIZES)),
    "s2vt": S2VT(S2VTConfig(beams=1, **SIZES)),
    "temporal-attention-captioner": TemporalAttentionCaptioner(TemporalAttentionConfig(beams=1, **SIZES)),
}


@pytest.fixture(scope="module")
def task() -> MovingShapes:
    return MovingShapes(SMALL)


def places_of(clip: np.ndarray) -> np.ndarray:
    """Return the centre (x, y) of the coloured pixels of each frame."""
    spread = clip.astype(int).max(axis=3) - clip.astype(int).min(axis=3) > 90
    return np.array([np.argwhere(frame)[:, ::-1].mean(axis=0) for frame in spread])


def test_a_clip_moves_as_its_caption_says_and_backwards_as_the_task_says(task: MovingShapes) -> None:
    clips, rows = task.read("test", np.arange(40))
    signs = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
    for clip, row in zip(clips, rows, strict=True):
        motion = task.describe(row[None])[0].split(" moves ")[1]
        for frames, said in ((clip, motion), (clip[::-1], backwards(motion))):
            moved = np.diff(places_of(frames)[[0, 2, 3, 5]], axis=0)[[0, 2]] @ signs[said.split()[0]]
            assert moved[0] > 0
            assert moved[1] < 0 if "then" in said else moved[1] > 0


def test_a_captioner_that_knows_everything_passes_backwards_and_one_that_pools_cannot(task: MovingShapes) -> None:
    clips, rows = task.read("test", np.arange(40))

    def sees(inputs: np.ndarray) -> np.ndarray:
        truth = {clip.tobytes(): row for clip, row in zip(clips, rows, strict=True)}
        turned = [" moves ".join([name, backwards(way)]) for name, way in (text.split(" moves ") for text in task.describe(rows))]
        truth |= {clip[::-1].tobytes(): row for clip, row in zip(clips, task.rows(turned), strict=True)}
        return np.stack([truth[each.tobytes()] for each in inputs])

    scores = task.evaluate(sees, episodes=1, seeds=Seeds(0))
    assert scores["exact match"] == scores["exact match, played backwards"] == 1.0
    pools = CAPTIONERS["mean-pool-captioner"].build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    with torch.no_grad():
        ahead, back = (pools.answers(torch.from_numpy(np.ascontiguousarray(each))) for each in (clips, clips[:, ::-1]))
    one_way = np.array(["then" not in text for text in task.describe(rows)])
    assert torch.equal(ahead[one_way], back[one_way])  # so it is wrong on one of each pair


@pytest.mark.parametrize("name", CAPTIONERS)
def test_a_captioner_of_clips_decodes_as_it_reads(name: str, task: MovingShapes) -> None:
    module = CAPTIONERS[name].build(task.input_space, task.output_space, np.random.default_rng(0)).eval()
    clips, rows = (torch.from_numpy(each) for each in task.read("test", np.arange(4)))
    with torch.no_grad():
        assert torch.equal(module.answers(clips), module.traced_answers(clips)[0])
        memory, before = module.memory(clips), module._before(rows)
        together, state = module.read(memory, before)[0], module.begin(memory)
        for step in range(rows.shape[1]):
            logits, state, _ = module.advance(memory, state, before[:, step])
            torch.testing.assert_close(logits, together[:, step], rtol=1e-4, atol=1e-5)
    assert (rows == PADDING).any()


def test_a_classifier_without_reading_or_places_is_blind_to_order(task: MovingShapes) -> None:
    actions = MovingShapesActions(SMALL)
    clips, motions = actions.read("test", np.arange(4))
    assert [MOTIONS[motion] in text for motion, text in zip(motions, task.describe(task.read("test", np.arange(4))[1]), strict=True)]
    for reads, blind in (("none", True), ("lstm", False)):
        network = ClipClassifier(ClipClassifierConfig(reads=reads, pooling="mean", **SIZES))
        module = network.build(actions.input_space, actions.output_space, np.random.default_rng(0)).eval()
        with torch.no_grad():
            logits = [module(torch.from_numpy(np.ascontiguousarray(each))) for each in (clips, clips[:, ::-1])]
        assert torch.allclose(*logits, rtol=1e-4, atol=1e-5) is blind


@pytest.mark.learning
@pytest.mark.parametrize("seed", range(3))
def test_a_classifier_learns_the_order_of_frames_from_every_seed(seed: int) -> None:
    """One whose answer read the pooled steps alone was right on .73, .34 and .99 after twice as many updates."""
    task = MovingShapesActions(MovingShapesConfig(num_validation=0))
    config = SupervisedConfig(batch_size=32, learning_rate=0.003, schedule="warm-up-linear", max_gradient_norm=1.0)
    network = ClipClassifier(ClipClassifierConfig())
    learner = Supervised(config, task, network, seeds=Seeds(seed), budget=2 * task.num_examples("train"), device="cpu")
    while learner.progress < learner.budget:
        learner.step()
    scores = task.evaluate(learner.predict, episodes=1, seeds=Seeds(0))
    assert min(scores["accuracy"], scores["accuracy, played backwards"]) >= 0.95


def write_clip(folder: Path, levels: list[int], durations: list[int]) -> tuple[Path, Path]:
    """Write a clip of grey frames as a folder of pictures and as a GIF, and return both."""
    from PIL import Image

    frames = [Image.fromarray(np.full((8, 12, 3), level, np.uint8)) for level in levels]
    (folder / "frames").mkdir()
    for number, frame in enumerate(frames):
        frame.save(folder / "frames" / f"{number:05d}.png")
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return folder / "frames", folder / "clip.gif"


def test_frames_are_chosen_by_time_and_not_by_number(tmp_path: Path, task: MovingShapes) -> None:
    frames, gif = write_clip(tmp_path, [0, 80, 160, 240], [100, 100, 100, 1000])
    assert clip_frames(frames, 2, 4, 6)[:, 0, 0, 0].tolist() == [80, 240]
    assert clip_frames(gif, 2, 4, 6)[:, 0, 0, 0].tolist() == [240, 240]  # the last frame is shown most of the time
    assert timeline(gif).duration == pytest.approx(1.3)
    assert task.parse_file(gif) in _batch_of(task)
    assert task.parse(str(frames)) in _batch_of(task)


def test_features_of_frames_are_computed_once_and_serve_captioners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = ShapesClassification(ShapeClassesConfig(size=16, num_train=8, num_validation=0, num_test=4))
    network = ResNet(ResNetConfig(depth=10, width=2))
    learner = Supervised(SupervisedConfig(), pictures, network, seeds=Seeds(0), budget=8, device="cpu")
    monkeypatch.setattr(rl_core, "load", lambda _: learner, raising=False)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("network: resnet\n")
    write_videos(tmp_path / "clips")
    path, run, kept = (str(tmp_path / name) for name in ("clips", "run", "kept"))
    config = VideosConfig(path=path, features=run, features_folder=kept, num_frames=5)
    first, second = VideosTask(config), VideosTask(config)
    count = first.num_examples("train")
    inputs, rows = first.read("train", np.arange(count))
    assert inputs.shape == (count, 5, first.input_space.shape[1])
    assert inputs.std(axis=(0, 1)).max() > 0
    clip = tmp_path / "clips" / "videos" / first._splits["train"][0]
    assert np.allclose(first.parse(str(clip))[0], inputs[0], rtol=2e-3, atol=2e-3)  # kept as 16 bits
    monkeypatch.setattr(videos, "clip_frames", lambda *_: pytest.fail("a clip was decoded again"))
    assert np.array_equal(second.read("train", np.arange(count))[0], inputs)
    module = CAPTIONERS["s2vt"].build(first.input_space, first.output_space, np.random.default_rng(0))
    assert module.training_loss(torch.from_numpy(inputs), torch.from_numpy(rows))[0].isfinite()
    with pytest.raises(ValueError, match="has other weights than when this run learned"):
        VideosTask(config, {**first.state_dict(), "features": "another"})
    with pytest.raises(ValueError, match="is not a run; expected a run on pictures"):
        VideosTask(VideosConfig(path=path, features=path))


def test_video_files_are_decoded_and_refused_in_words(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV, of the extra video, is not installed")
    path = tmp_path / "clip.avi"
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (32, 24))
    for level in range(0, 250, 10):
        video.write(np.full((24, 32, 3), (level, 0, 0), np.uint8))  # blue, green, red
    video.release()
    found = clip_frames(path, 5, 12, 16)
    assert found.shape == (5, 12, 16, 3)
    assert np.abs(found[:, 6, 8, 2].astype(int) - [20, 70, 120, 170, 220]).max() < 8
    assert found[..., 0].max() < 8
    torn = tmp_path / "torn.avi"
    torn.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"torn\.avi (has no frames|ends after \d+ of 25 frames|cannot be read as a video)"):
        clip_frames(torn, 5, 12, 16)
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match=r"text\.mp4 cannot be read as a video"):
        clip_frames(tmp_path / "text.mp4", 5, 12, 16)
    with pytest.raises(ValueError, match=r"none\.mp4 was not found"):
        clip_frames(tmp_path / "none.mp4", 5, 12, 16)


def test_a_video_becomes_parts_with_captions_that_are_found_again(tmp_path: Path, task: MovingShapes) -> None:
    from PIL import Image

    clips, rows = task.read("test", np.arange(2))
    frames = [Image.fromarray(frame) for clip in clips for frame in clip]
    frames[0].save(tmp_path / "two.gif", save_all=True, append_images=frames[1:], duration=1000, loop=0)

    def first_then_second(inputs: np.ndarray) -> np.ndarray:
        return rows[np.repeat([0, 1], len(inputs) // 2)]

    found = task.answer_file(tmp_path / "two.gif", first_then_second, tmp_path)
    assert found[0]["begin"] == 0.0
    assert found[-1]["end"] == pytest.approx(12.0)
    assert {part["caption"] for part in found} == set(task.describe(rows))
    assert (tmp_path / "two.png").stat().st_size > 1000
    best = search(tmp_path, task.describe(rows)[1])[0]
    assert best["caption"] == task.describe(rows)[1]
    assert best["score"] == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(ValueError, match="holds no index of a video"):
        search(tmp_path / "none", "circle")


def _batch_of(task: MovingShapes) -> Any:
    from gymnasium import spaces

    return spaces.Box(0, 255, (1, *task.input_space.shape), np.uint8)


def test_the_convolutions_tell_a_circle_from_a_square_of_eight_pixels() -> None:
    """Strided convolutions had 0.6 after as many updates, and captions of moving shapes with one shape in three wrong."""
    task = MovingShapes(MovingShapesConfig(num_train=600))
    frames = torch.from_numpy(np.asarray(task.read("train", np.arange(600))[0])[:, ::4])
    kinds = torch.tensor([KINDS.index(name.split()[1]) for name in task._clips.read("train", np.arange(600)).names])
    rng = np.random.default_rng(0)
    encoder = GridEncoder(spaces.Box(0, 255, frames.shape[2:], np.uint8), (16, 32, 48), rng, placed=False)
    module = torch.nn.Sequential(encoder, torch.nn.Flatten(), linear(encoder.rows * encoder.columns * encoder.width, 3, rng, init="glorot"))
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.003)
    for _ in range(120):
        chosen = rng.integers(0, 500, 64)
        loss = torch.nn.functional.cross_entropy(module(frames[chosen, rng.integers(0, 3, 64)]), kinds[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        found = module.eval()(frames[500:].flatten(0, 1)).argmax(dim=1)
    assert (found == kinds[500:].repeat_interleave(3)).float().mean() > 0.8
