"""Completion of component names in the shell, from the catalogue: no component is imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def plugin_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a plugin for `shell_complete`; none is imported."""
    from click.shell_completion import CompletionItem

    from rl_core.api import GROUP
    from rl_core.plugins.installed import declarations

    return [
        CompletionItem(package) for package in sorted({found.package for found in declarations(GROUP)}) if package.startswith(incomplete)
    ]


def component_names(*kinds: str) -> Completer:
    """Return a `shell_complete` for an option or argument that takes a component of one of these kinds, or of any kind."""

    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from rl_core.errors import RlError
        from rl_core.plugins.catalogue import RUNNABLE, Catalogue

        wanted = set(kinds or RUNNABLE)
        if "task" in wanted:
            wanted.add("scheme")
        try:
            entries = Catalogue.discover(ctx.find_root().params.get("disable") or ()).entries()
        except RlError:  # errors cannot be shown while a command line is being typed
            return []
        words = {}
        for entry in entries:
            if entry.kind in wanted:
                word = entry.qualified if entry.status == "ambiguous" else entry.name
                words[f"{word}:" if entry.kind == "scheme" else word] = entry.spec.summary
        return [CompletionItem(word, help=summary) for word, summary in sorted(words.items()) if word.startswith(incomplete)]

    return complete
