"""Names to specs, with the real plugin `good` in the path of this process."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue, fits, may_fit
from rl_core.plugins.siblings import SIBLINGS


@pytest.fixture
def catalogue(site: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    site.add_good()
    monkeypatch.setenv("RL_CORE_DISABLE", site.environment["RL_CORE_DISABLE"])
    monkeypatch.syspath_prepend(str(site.folder))
    importlib.invalidate_caches()
    yield Catalogue.discover()
    for name in [name for name in sys.modules if name.partition(".")[0] == "good"]:
        del sys.modules[name]


def test_a_component_is_found_by_its_name_and_by_package_and_name(catalogue: Catalogue) -> None:
    for name in ("guess", "good/guess", "GOOD/guess"):
        entry = catalogue.find(name)
        assert (entry.kind, entry.name, entry.package, entry.version, entry.status) == ("agent", "guess", "good", "1.0", "ready")
    assert catalogue.find("wire").kind == "network"
    assert catalogue.find("coin", "task").qualified == "good/coin"


def test_entries_are_sorted_by_kind_and_name(catalogue: Catalogue) -> None:
    assert [(entry.kind, entry.name) for entry in catalogue.entries()] == [
        ("agent", "guess"),
        ("network", "wire"),
        ("task", "coin"),
        ("task", "map"),
        ("scheme", "gym"),
        ("scheme", "minari"),
        ("scheme", "offline"),
        ("logger", "csv-table"),
        ("logger", "tensorboard"),
        ("logger", "wandb"),
        ("launcher", "dask"),
        ("launcher", "local"),
        ("launcher", "ray"),
        ("launcher", "slurm"),
    ]
    assert [entry.name for entry in catalogue.entries("task")] == ["coin", "map"]


def test_a_name_with_a_scheme_is_a_task_of_the_family(catalogue: Catalogue) -> None:
    for name in ("gym:CartPole-v1", "rl-core/gym:CartPole-v1"):
        entry = catalogue.find(name)
        assert (entry.kind, entry.name, entry.package) == ("task", "gym:CartPole-v1", "rl-core")
        assert entry.spec.config == {"id": "CartPole-v1"}
        assert entry.spec.traits == ("control",)
        assert entry.scheme is not None
        assert entry.scheme.agents == ("ppo", "dqn", "q-learning")
    assert catalogue.find("gym:ALE/Pong-v5", "task").spec.config == {"id": "ALE/Pong-v5"}
    assert catalogue.find("gym/CartPole-v1").name == "gym:CartPole-v1"  # as ALE/Pong-v5 does where a plugin brings a scheme ALE


def test_a_bare_gymnasium_id_is_tried_last(catalogue: Catalogue) -> None:
    assert catalogue.find("Acrobot-v1").name == "gym:Acrobot-v1"
    assert catalogue.find("Acrobot-v1", "task").spec.config == {"id": "Acrobot-v1"}
    with pytest.raises(RequestError, match="no agent is named 'Acrobot-v1'"):
        catalogue.find("Acrobot-v1", "agent")


def test_gymnasium_is_imported_only_for_a_name_that_nothing_else_explains(site: Any) -> None:
    site.add_good()
    discover = "import sys; from rl_core.plugins.catalogue import Catalogue; Catalogue.discover()"
    look_up = f"{discover}.find(sys.argv[1]); print('gymnasium' in sys.modules)"
    assert site.python("-c", look_up, "gym:CartPole-v1").out == "False\n"
    assert site.python("-c", look_up, "guess").out == "False\n"
    assert site.python("-c", look_up, "CartPole-v1").out == "True\n"


def test_the_folder_of_a_run_is_met_with_the_commands_that_take_one(site: Any, tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    ended = site.run("show", str(folder))
    assert ended.status == 2
    assert f"nothing is named '{folder}'; it is the folder of a run" in ended.err
    assert f"rl-core report '{folder}', or rl-core eval '{folder}'" in ended.err


@pytest.mark.parametrize(
    ("name", "kind", "message", "hint"),
    [
        ("gues", None, "nothing is named 'gues'", "did you mean guess?"),
        ("Wyre", "network", "no network is named 'Wyre'", "did you mean wire? see all: rl-core list --kind network"),
        ("CartPole-v9", None, "nothing is named 'CartPole-v9'", "CartPole-v1"),
        ("gim:CartPole-v1", None, "nothing is named 'gim:CartPole-v1'", "did you mean gym:?"),
        ("good/nothing", None, "nothing is named 'good/nothing'", "rl-core list"),
        ("gym:", None, "'gym:' does not name a task", "for example gym:CartPole-v1"),
        ("gym", None, "nothing is named 'gym'; gym is a family of tasks", "name one of the family: gym:CartPole-v1"),
        ("tensorboard", None, "tensorboard is a logger", "--logger tensorboard"),
        ("wire", "agent", "no agent is named 'wire'; wire is a network", "--network wire"),
        ("guess", "task", "no task is named 'guess'; guess is an agent", "rl-core run guess"),
        ("", None, "nothing is named ''", "rl-core list"),
        ("a" * 5000, None, "nothing is named 'aaa", "rl-core list"),
        ("parrot", None, "'parrot' here; it is provided by bird-models, which is not installed", "pip install bird-models"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_what_to_do(
    catalogue: Catalogue, name: str, kind: str | None, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIBLINGS, "parrot", "bird-models")
    with pytest.raises(RequestError) as caught:
        catalogue.find(name, kind)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_component_loads_as_the_class_that_its_target_names(catalogue: Catalogue) -> None:
    loaded = catalogue.find("guess").load()
    assert (loaded.__module__, loaded.__qualname__) == ("good.guess", "Guess")


def test_run_hooks_reach_plugins_and_registered_loggers(catalogue: Catalogue) -> None:
    from rl_core.api import hookimpl

    class Logger:
        seen: list[int] = []  # noqa: RUF012 - one instance

        @hookimpl
        def rl_metrics(self, progress: int) -> None:
            """Note the progress."""
            self.seen.append(progress)

    logger = Logger()
    catalogue.register(logger, "noting")
    catalogue.call_run_hook("rl_metrics", run=None, progress=7, metrics={})
    assert logger.seen == [7]


def test_a_task_fits_when_it_offers_all_traits_of_one_alternative() -> None:
    assert fits({"control", "a"}, ("data", "control"))
    assert not fits({"control"}, ("control a",))
    assert not fits({"control"}, ())
    assert fits(set(), ("",))


def test_a_task_of_which_little_is_known_may_fit_unless_it_contradicts() -> None:
    assert may_fit({"control"}, ("control vector-input discrete-output",))
    assert not may_fit({"control", "image-input"}, ("control vector-input",))
    assert not may_fit({"control"}, ("data",))
    assert may_fit((), ("data",))
