"""The command `rl-core check`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rl_core.errors import RequestError

if TYPE_CHECKING:
    from rl_core.conformance.checks import Check
    from rl_core.conformance.subjects import Subject
    from rl_core.conformance.verdict import Result


@click.command()
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="Check every component of every plugin.")
@click.option("--check", "names", multiple=True, metavar="CHECK", help="Make only this check; may be given several times.")
@click.option("--steps", type=click.IntRange(3), help="Steps of an agent's reference run at least, 10 unless given.")
@click.option("--list", "listing", is_flag=True, help="Say which checks there are.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.pass_obj
def check(obj: Any, name: str | None, everything: bool, names: tuple[str, ...], steps: int | None, listing: bool, as_json: bool) -> None:
    """Hold a component to the contract: NAME is an agent, a network, a task, or a package with all that it brings."""
    from rl_core.cli.options import limit_threads

    limit_threads(1)
    from rl_core.conformance import checks, subjects

    chosen = checks.chosen(names)
    if listing:
        _list(chosen, as_json)
        return
    if (name is None) != everything:
        raise RequestError("a check needs one NAME, or --all", "write for example: rl-core check ppo")
    catalogue = obj.catalogue()
    found = subjects.everything(catalogue) if everything else subjects.named(catalogue, name or "")
    for subject in found:
        subject.steps = steps or subject.steps
    pairs = [(subject, [each for each in chosen if each.applies(subject)]) for subject in found]
    if not any(some for _, some in pairs):
        raise RequestError(f"no check of these applies to {name or 'anything'}: {', '.join(names)}", "see: rl-core check --list")
    results = []
    for subject, result in _performed(pairs):
        results.append(result)
        if not as_json:
            _show(subject, result, first=len(results) == 1 or results[-2].component != result.component)
    counts = Counter(result.status for result in results)
    if as_json:
        keys = ("component", "check", "status", "seconds", "message")
        click.echo(json.dumps({"checks": [{key: getattr(result, key) for key in keys} for result in results]}))
    else:
        seconds = sum(result.seconds for result in results)
        click.echo(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped in {seconds:.1f} s")
    if counts["failed"]:
        raise SystemExit(1)


def _performed(pairs: list[tuple[Subject, list[Check]]]) -> Iterator[tuple[Subject, Result]]:
    from rl_core.conformance import checks

    for subject, some in pairs:
        try:
            for each in some:
                yield subject, checks.perform(each, subject)
        finally:
            subject.close()


def _list(chosen: tuple[Check, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"checks": [{"kind": each.kind, "check": each.name, "text": each.text} for each in chosen]}))
        return
    kind = ""
    for each in chosen:
        if each.kind != kind:
            click.echo(f"{'' if not kind else chr(10)}{each.kind}")
            kind = each.kind
        click.echo(f"  {each.name}\n      {each.text}")


def _show(subject: Subject, result: Result, *, first: bool) -> None:
    from rl_core.cli.cli import wants_colour

    if first:
        click.echo(f"{subject.kind} {result.component} ({subject.package})")
    colour = {"passed": "green", "failed": "red", "skipped": "yellow"}[result.status]
    status = click.style(f"{result.status:<7}", fg=colour)
    click.echo(f"  {status}  {result.check:<36} {result.seconds:6.2f} s", color=wants_colour())
    if result.message:
        click.echo(f"           {result.message}")
