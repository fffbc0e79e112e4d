"""The index of well-known components is true of every sibling that is installed."""

from __future__ import annotations

from rl_core.plugins.catalogue import Catalogue
from rl_core.plugins.siblings import SIBLINGS


def test_every_name_of_an_installed_sibling_is_really_brought_by_it() -> None:
    catalogue = Catalogue.discover()
    installed = {plugin.package for plugin in catalogue.plugins if plugin.status == "ready"}
    brought = {(entry.name, entry.package) for entry in catalogue.entries()}
    assert {(name, package) for name, package in SIBLINGS.items() if package in installed} <= brought


def test_the_index_knows_each_of_the_four_siblings() -> None:
    assert set(SIBLINGS.values()) == {"rl-algos", "dl-nets", "nlp-embeddings", "cv-models"}
