"""Reports, animations and tables of runs."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from click.testing import CliRunner
from gymnasium import spaces

from rl_core.cli.cli import cli
from rl_core.errors import RequestError
from rl_core.learning import learn
from rl_core.report.curves import Curve, chart
from rl_core.report.returns import histogram
from rl_core.report.run_page import run_report
from rl_core.runs import result, watching
from rl_core.runs.run import Run
from rl_core.statistics import bootstrap_band

pytestmark = pytest.mark.usefixtures("probe")
HOSTILE = "<script>alert(1)</script>"


class Blink(gymnasium.Env[Any, Any]):
    """Four steps an episode; its picture is brighter at each."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, render_mode: str | None = None) -> None:
        self.observation_space, self.action_space = spaces.Box(0.0, 4.0, (1,), np.float32), spaces.Discrete(2)
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.full(1, self.steps, np.float32), 1.0, self.steps == 4, False, {}

    def render(self) -> Any:
        return np.full((40, 60, 3), 50 * self.steps, np.uint8)


class Unlit(Blink):
    """The same without a picture."""

    metadata = {"render_modes": []}  # noqa: RUF012 - as Gymnasium has it


class Scripts(HTMLParser):
    """Tags, and addresses of what a document loads."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def slope(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("reported") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent / "probe")
        learn("slope", budget=40, evaluate_every=10, out=folder, quiet=True)
    return folder


def test_a_report_is_one_small_file_that_loads_nothing(slope: Path) -> None:
    text = run_report(slope)
    assert len(text.encode()) < 600_000
    parsed = Scripts()
    parsed.feed(text)
    assert parsed.tags.count("script") == 1
    assert all(address.startswith("data:") for address in parsed.loaded)
    assert "http:" not in text.replace("http-equiv", "")
    assert "https:" not in text
    assert "default-src 'none'" in text
    scored = json.loads((slope / "result.json").read_text())
    assert f"{scored['score']:.5g}" in text
    assert "best evaluation" in text
    for drawing in re.findall(r"<svg.*?</svg>", text):
        ElementTree.fromstring(drawing)


def test_names_show_as_text(slope: Path, tmp_path: Path) -> None:
    for name in ("recipe.yaml", "result.json", "manifest.json", "metrics.jsonl"):
        text = (slope / name).read_text()
        (tmp_path / name).write_text(
            text.replace("plane", HOSTILE).replace("batches", HOSTILE).replace("squared error", HOSTILE).replace('"norm"', f'"{HOSTILE}"')
        )
    text = run_report(tmp_path)
    assert HOSTILE not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 5
    parsed = Scripts()
    parsed.feed(text)
    assert parsed.tags.count("script") == 1


def test_a_chart_has_its_numbers_target_and_band() -> None:
    x = np.arange(1000.0)
    drawn = chart([Curve("a", x, x**2, np.stack([x, 2 * x**2])), Curve("b", x[:1], x[:1])], title="y", unit="steps", target=5e5)
    (svg,) = re.findall(r'<svg viewBox="0 0 460.*?</svg>', drawn)
    root = ElementTree.fromstring(svg)
    lines = list(root.iter("polyline"))
    data = json.loads(lines[0].attrib["data-curve"])
    assert len(data["x"]) == len(lines[0].attrib["points"].split()) == 250
    assert data["y"][-1] == pytest.approx(np.mean(x[-4:] ** 2), rel=1e-4)
    assert "target 500k" in svg
    assert len(list(root.iter("polygon"))) == 1
    for place in lines[0].attrib["points"].split():
        across, down = map(float, place.split(","))
        assert 0 <= across <= 460
        assert 0 <= down <= 240


def test_reports_and_tables_are_written_by_commands(slope: Path, program: Any) -> None:
    other = program.folder / "other"
    program.succeed("run", "slope", "--seed", 1, "--budget", 40, "--evaluate-every", 10, "--out", other)
    assert program.succeed("report", slope, "--out", "one.html", "--json").json["file"] == "one.html"
    program.succeed("report", slope, other, "--out", "two.html")
    assert "95 % interval" in (program.folder / "two.html").read_text()
    assert program.succeed("export-metrics", slope, "--out", "table.csv", "--json").json["rows"] == 40
    rows = list(csv.DictReader((program.folder / "table.csv").open()))
    lines = [json.loads(line) for line in (slope / "metrics.jsonl").read_text().splitlines()]
    assert [float(row["loss"]) for row in rows] == [line["loss"] for line in lines]
    assert sum(bool(row["evaluation_squared_error"]) for row in rows) == 4
    ended = program.call("watch", slope)
    assert ended.status == 2
    assert "has no episodes to watch" in ended.err


def test_a_sweep_has_a_report_with_its_settings_and_failures(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", program.environment["PYTHONPATH"])  # of its workers
    program.succeed("sweep", "slope", "--vary", "learning_rate=0.1,0.2", "--seeds", "0-2", "--budget", 6, "--workers", 1, "--out", "found")
    folder = next((program.folder / "found" / "runs").glob("*seed2"))
    (folder / "result.json").rename(folder / "kept.json")
    (folder / "failure.json").write_text(json.dumps({"error": HOSTILE, "final": True}))
    program.succeed("report", "found")
    text = (program.folder / "found" / "report.html").read_text()
    assert "5 runs: squared error" in text
    assert "1 more runs have no score" in text
    assert "squared error over learning_rate" in text
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert ElementTree.fromstring(re.findall(r"<svg.*?</svg>", text)[0]) is not None


def test_the_band_of_curves_stays_within_the_curves() -> None:
    curves = np.random.default_rng(0).uniform(0.0, 500.0, (4, 50))
    low, high = bootstrap_band(curves)
    assert (curves.min(axis=0) <= low).all()
    assert (low < curves.mean(axis=0)).all()
    assert (high > curves.mean(axis=0)).all()
    assert (high <= curves.max(axis=0)).all()


def test_a_task_that_does_not_draw_itself_is_watched_as_the_course_of_its_numbers(tmp_path: Path) -> None:
    """Each picture shows one step more than the one before, and the last one all of them."""
    gymnasium.register("Unlit-v0", entry_point=Unlit)
    learn("hill", task="gym:Unlit-v0", budget=21, out=tmp_path / "run", quiet=True)
    with Run.open(tmp_path / "run") as run:
        (episode,) = watching.watch(run, 1)
    assert len(episode.frames) == episode.length
    ink = [int((255 - frame.astype(np.int64)).sum()) for frame in episode.frames]
    assert all(one < other for one, other in pairwise(ink))
    watching.write([episode], tmp_path / "watch.webp", 10.0)


def test_an_evaluation_is_filmed_and_a_report_has_the_returns_of_its_episodes(tmp_path: Path) -> None:
    gymnasium.register("Blink-v0", entry_point=Blink)
    folder = tmp_path / "run"
    learn("hill", task="gym:Blink-v0", budget=21, out=folder, quiet=True)
    scored = json.loads((folder / "result.json").read_text())
    assert scored["returns"] == [4.0] * int(scored["metrics"]["episodes"])
    done = CliRunner().invoke(cli, ["eval", str(folder), "--episodes", "3", "--video", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert "returns" not in json.loads(done.stdout)
    text = run_report(folder)
    assert f"{len(scored['returns'])} episodes from 3.5 to 4.5" in text
    assert "image/webp" in text
    (folder / "result.json").write_text(json.dumps({**scored, "returns": [4.0, HOSTILE]}))
    assert HOSTILE not in run_report(folder)


def test_a_histogram_counts_every_return_once_and_marks_the_target() -> None:
    returns = np.random.default_rng(0).normal(size=200)
    text = histogram(list(returns), target=9.0)
    assert sum(int(count) for count in re.findall(r"<title>(\d+) episode", text)) == 200
    assert "target 9" in text
    heights = [float(height) for height in re.findall(r'<rect[^>]*height="([\d.]+)"', text)]
    counts = [int(count) for count in re.findall(r"<title>(\d+) episode", text)]
    np.testing.assert_allclose(np.array(heights) / max(heights), np.array(counts) / max(counts), atol=1e-2)


def test_returns_that_are_not_what_was_scored_are_not_kept(tmp_path: Path) -> None:
    """An agent that judges itself may evaluate its task for something else."""
    gymnasium.register("Blink-v0", entry_point=Blink)
    learn("hill", task="gym:Blink-v0", budget=21, out=tmp_path / "run", quiet=True)
    with Run.open(tmp_path / "run") as run:
        document = run.summary(run.evaluate(episodes=4))
        assert "returns" in json.loads(result.text(run, document))
        assert "returns" not in json.loads(result.text(run, {**document, "score": 3.0}))


def test_an_animation_has_a_picture_of_each_step(tmp_path: Path) -> None:
    from PIL import Image

    gymnasium.register("Blink-v0", entry_point=Blink)
    learn("hill", task="gym:Blink-v0", budget=21, out=tmp_path / "run", quiet=True)
    with Run.open(tmp_path / "run") as run:
        episodes = watching.watch(run, 2)
        assert [(episode.return_, episode.length) for episode in episodes] == [(4.0, 4)] * 2
        assert [frame[0, 0, 0] for frame in episodes[0].frames] == [0, 50, 100, 150]
        for name in ("watch.webp", "watch.gif"):
            watching.write(episodes, tmp_path / name, 10.0)
            with Image.open(tmp_path / name) as image:
                assert image.n_frames == 8
                assert image.size == (60, 40)
        with pytest.raises(RequestError, match=r"does not end in \.webp or \.gif"):
            watching.write(episodes, tmp_path / "watch.mp4", 10.0)
        run.task.config.options.clear()
    with Run.open(tmp_path / "run") as run, pytest.raises(RequestError, match="render mode human"):
        watching.watch(run, 1, human=True)
