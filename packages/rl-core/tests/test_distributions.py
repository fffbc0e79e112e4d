"""Distributions are found as `importlib.metadata` finds them, without importing it."""

from __future__ import annotations

import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from rl_core.plugins.installed import Declaration, declarations


@pytest.mark.parametrize("group", ["console_scripts", "rl_core.plugins", "pytest11", "distutils.commands"])
def test_it_finds_what_the_library_finds(group: str) -> None:
    expected = {(entry.dist.name, entry.dist.version, entry.name, entry.value) for entry in metadata.entry_points(group=group)}
    assert {tuple(declaration)[:4] for declaration in declarations(group)} == expected


def test_an_editable_install_beside_an_old_egg_info_is_one_distribution(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("two-faced", "", version="2.0")
    old = site.folder / "old"
    (old / "two_faced.egg-info").mkdir(parents=True)
    (old / "two_faced.egg-info" / "entry_points.txt").write_text("[rl_core.plugins]\ntwo-faced = two_faced._old\n")
    (old / "two_faced.egg-info" / "PKG-INFO").write_text("Name: two_faced\nVersion: 1.0\n")
    monkeypatch.setattr(sys, "path", [str(site.folder), str(site.folder), str(old)])
    assert declarations("rl_core.plugins") == [Declaration("two-faced", "2.0", "two-faced", "two_faced._plugin")]
    monkeypatch.setattr(sys, "path", [str(old), str(site.folder)])
    assert declarations("rl_core.plugins") == [Declaration("two_faced", "1.0", "two-faced", "two_faced._old")]


def test_they_come_sorted_whatever_the_order_of_the_path(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("zebra", "Ant", "bee"):
        site.add(name, "")
    (site.folder / "first").mkdir()
    (site.folder / "zebra-1.0.dist-info").rename(site.folder / "first" / "zebra-1.0.dist-info")
    monkeypatch.setattr(sys, "path", [str(site.folder / "first"), str(site.folder)])
    assert [declaration.package for declaration in declarations("rl_core.plugins")] == ["Ant", "bee", "zebra"]


def test_distributions_in_a_zip_file_are_found_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.5.dist-info/entry_points.txt", "[rl_core.plugins]\nzipped = zipped._plugin\n")
        file.writestr("zipped-1.5.dist-info/METADATA", "Name: zipped\nVersion: 1.5\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "missing"), str(archive)])
    assert declarations("rl_core.plugins") == [Declaration("zipped", "1.5", "zipped", "zipped._plugin")]


def test_an_importer_that_brings_its_own_distributions_is_asked(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("found", "")

    class Finder:
        """What a tool for frozen programs installs."""

        def find_spec(self, *_: object) -> None:
            """Know no module."""

        def find_distributions(self, context: Any) -> list[metadata.Distribution]:
            """One, which is in no folder of the path."""
            return [metadata.PathDistribution(site.folder / "found-1.0.dist-info")]

    monkeypatch.setattr(sys, "path", [])
    assert declarations("rl_core.plugins") == []
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert declarations("rl_core.plugins") == [Declaration("found", "1.0", "found", "found._plugin")]


def test_entry_points_that_cannot_be_read_cost_only_their_own_distribution(site: Any) -> None:
    site.add_good()
    site.add("garbled", "", entry_points="[rl_core.plugins]\nno equals sign\n")
    site.add("elsewhere", "", entry_points="[other]\nno equals sign\n")
    listed = site.run("list", "--json")
    assert listed.status == 0
    assert [(broken["package"], broken["error"]) for broken in listed.json["broken"]] == [
        ("garbled", "its entry_points.txt cannot be read: 'no equals sign' is not a line of the form 'name = module'")
    ]
    assert "guess" in {component["name"] for component in listed.json["components"]}


def test_a_distribution_without_metadata_still_brings_its_plugin(site: Any) -> None:
    site.add("bare", "from rl_core.api import *\nRL_API = 2\n@hookimpl\ndef rl_agents(): return ()\n", metadata="")
    rows = site.run("doctor", "--json").json["plugins"]
    assert [(row["package"], row["version"], row["status"]) for row in rows if row["name"] == "bare"] == [("bare", "?", "ready")]


def test_the_doctor_finds_packages_of_versions_that_do_not_suit_each_other(site: Any) -> None:
    needs = "Requires-Dist: rl-core==9.9.9\nRequires-Dist: old-friend<2,>=1.5; python_version >= '3'\nRequires-Dist: numpy>=99\n"
    site.add("new-friend", "", metadata=f"Metadata-Version: 2.1\nName: new-friend\nVersion: 2.0\n{needs}\n")
    site.add("old-friend", "", version="1.4.9")
    found = site.run("doctor", "--json")
    assert found.status == 1
    assert [(row["package"], row["need"], row["installed"]) for row in found.json["versions"]] == [
        ("new-friend 2.0", "rl-core==9.9.9", metadata.version("rl-core")),
        ("new-friend 2.0", "old-friend<2,>=1.5", "1.4.9"),
    ]
    assert "pip install 'old-friend<2,>=1.5'" in found.json["versions"][1]["remedy"]
