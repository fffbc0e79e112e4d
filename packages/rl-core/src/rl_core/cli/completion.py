"""Completion of component names and of the paths behind them in the shell, from the catalogue: no component is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def register_bash() -> None:
    """Let bash complete words with a colon, and leave the cursor behind `csv:` and `csv:folder/`, where more is to come."""
    from click.shell_completion import BashComplete, add_completion_class

    class Bash(BashComplete):
        source_template = BashComplete.source_template.replace(
            "    return 0\n",
            "    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[:/] ]] && compopt -o nospace\n    return 0\n",
        ).replace("%(complete_func)s_setup;", "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}\n%(complete_func)s_setup;")

    add_completion_class(Bash)


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
        words: dict[str, str] = {}
        for entry in entries:
            if entry.kind in wanted:
                if entry.kind == "scheme" and entry.spec.argument in ("path", "file") and incomplete.startswith(f"{entry.name}:"):
                    words |= dict.fromkeys(_paths(f"{entry.name}:", incomplete.removeprefix(f"{entry.name}:")), entry.spec.summary)
                word = entry.qualified if entry.status == "ambiguous" else entry.name
                words[f"{word}:" if entry.kind == "scheme" else word] = entry.spec.summary
        return [CompletionItem(word, help=summary) for word, summary in sorted(words.items()) if word.startswith(incomplete)]

    return complete


def _paths(scheme: str, beginning: str) -> Iterator[str]:
    """Yield the files and folders whose path begins so, behind the scheme; folders end with a slash."""
    from pathlib import Path  # only a path pays for it

    folder, _, name = beginning.rpartition("/")
    place = Path(f"{folder}/" if "/" in beginning else ".").expanduser()
    try:
        found = sorted(place.iterdir())
    except OSError:
        return
    for path in found:
        if path.name.startswith(name) and (name or not path.name.startswith(".")):
            yield f"{scheme}{beginning.removesuffix(name) if name else beginning}{path.name}{'/' if path.is_dir() else ''}"
