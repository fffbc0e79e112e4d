"""The commands estimate and explain: what a run is worth according to data, and what its answers depend on.

The host has neither method. A plugin states in its module what does: `RL_TOOLS = {"explain": "package.module:function"}`. The functions
are called as `estimate(task, predict, recording, discount=..., random_share=...)`, which returns a value and a standard error by the name
of the method, and as `explain(run, folder, methods=..., episodes=..., axes=...)`, which makes a folder, writes figures into it and returns
numbers by name. Before a run is opened, `explainable(agent_class)` raises a ValueError for an agent that `explain` refuses.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from rl_core.cli.commands import open_run
from rl_core.cli.options import DEVICE, FOLDER, JSON, OutFolder, UserPath, WholeNumber
from rl_core.errors import RequestError, WorkError
from rl_core.plugins.catalogue import Catalogue
from rl_core.plugins.containment import stdout_to_stderr

EXPLANATIONS = ("saliency", "gradients", "tree", "map")


def tool(catalogue: Catalogue, name: str) -> Callable[..., Any]:
    """Return the function that a plugin states for a command.

    Raises:
        RequestError: if no installed plugin has one.
    """
    for plugin in catalogue.plugins:
        target = getattr(sys.modules.get(plugin.module), "RL_TOOLS", {}).get(name, "")
        if target:
            module, _, function = target.partition(":")
            found: Callable[..., Any] = getattr(import_module(module), function)
            return found
    raise RequestError(f"no installed package can {name} a run", "install one that does, such as rl-algos")


@click.command()
@FOLDER
@click.argument("file", metavar="FILE", type=UserPath())
@click.option("--discount", type=float, default=0.99, show_default=True, help="gamma of the return, in (0, 1).")
@click.option(
    "--random", "share", type=float, default=0.1, show_default=True, help="Probability that the policy in question acts at random."
)
@JSON
@click.pass_obj
def estimate(obj: Any, folder: Path, file: Path, discount: float, share: float, as_json: bool) -> None:
    """Estimate the discounted return of a run's policy from a recording of another policy, with standard errors.

    FILE is a recording of rl-core collect. Importance sampling divides by the probabilities of the recorded actions, which only a
    recording of a policy with random actions has: collect one with --random. Its errors are too small where few episodes have weight.
    """
    from rl_core import recording
    from rl_core.task import PredictAllowed, PredictWithMemory

    for name, value, fine in (("--discount", discount, 0.0 < discount < 1.0), ("--random", share, 0.0 <= share <= 1.0)):
        if not fine:
            raise RequestError(f"{name} is {value:g}; expected a number between 0 and 1", f"write for example: {name} 0.9")
    catalogue = obj.catalogue()
    with open_run(folder, catalogue) as opened, stdout_to_stderr():
        estimates = tool(catalogue, "estimate")
        predict = opened.agent.predictor()
        if isinstance(predict, PredictAllowed):
            if "legal" in getattr(opened.task, "extras", ()):
                raise RequestError(
                    "the policy takes none but allowed actions, and a recording does not say which those are", "take a task without masks"
                )
            predict = opened.agent.predict
        elif isinstance(predict, PredictWithMemory):
            raise RequestError("the policy has a memory, and a recording is asked step by step", "take a run without a recurrent network")
        try:
            found = recording.read(file)
            _require_same_spaces(opened.task, found, str(file))
            results = estimates(opened.task, predict, found, discount=discount, random_share=share)
        except ValueError as error:
            raise RequestError(f"{str(file)!r} cannot be used: {error}", "see: rl-core collect --help") from error
    if as_json:
        rows = {name: {"value": value, "error": deviation} for name, (value, deviation) in results.items()}
        click.echo(json.dumps({"run": str(folder), "file": str(file), "estimates": _finite(rows)}))
        return
    width = max(map(len, results))
    for name, (value, deviation) in results.items():
        click.echo(
            f"{name.ljust(width)}  {value:10.4g}  +- {deviation:.2g}" if math.isfinite(value) else f"{name.ljust(width)}  no overlap"
        )


def _require_same_spaces(task: Any, found: Any, name: str) -> None:
    for part, space in (("obs", task.input_space), ("action", task.output_space)):
        if found.arrays[part].shape[1:] != tuple(space.shape or ()):
            raise ValueError(f"{part} of {name} has rows of shape {list(found.arrays[part].shape[1:])}, and the run's task {space}")


def _require_explainable(catalogue: Catalogue, folder: Path) -> None:
    """Refuse a run by its agent's class, which is known before the run is opened."""
    from rl_core.runs import recipe

    name = recipe.read(recipe.path_in(folder)).values.get("agent")
    with stdout_to_stderr():
        try:
            tool(catalogue, "explainable")(catalogue.find(str(name), "agent").load())
        except ValueError as error:
            raise RequestError(f"the run cannot be explained: {error}", "see: rl-core explain --help") from error


def _finite(rows: Any) -> Any:
    if isinstance(rows, dict):
        return {name: _finite(value) for name, value in rows.items()}
    return None if isinstance(rows, float) and not math.isfinite(rows) else rows


@click.command()
@FOLDER
@click.option(
    "--method", "methods", multiple=True, type=click.Choice(EXPLANATIONS), help="What to show; may be repeated.  [default: all that apply]"
)
@click.option("--episodes", type=WholeNumber(1), default=10, show_default=True, help="Episodes that observations are taken from.")
@click.option(
    "--axes", default="", metavar="I,J", help="Two numbers of an observation to draw maps over.  [default: the two of most effect]"
)
@click.option("--out", type=OutFolder(), help="Folder of the figures.  [default: explained/ in the run's folder]")
@DEVICE
@JSON
@click.pass_obj
def explain(
    obj: Any, folder: Path, methods: tuple[str, ...], episodes: int, axes: str, out: Path | None, device: str | None, as_json: bool
) -> None:
    """Show what the answers of a run depend on, as figures and numbers.

    saliency: how much each number, or pixel, of an observation moves the output. gradients: integrated gradients, which add up to the
    output's difference from a mean observation. tree: a decision tree distilled from the policy, how often it agrees, and its own score.
    map: answers and values over two numbers of an observation.
    """
    catalogue, pair = obj.catalogue(), _pair(axes)
    _require_explainable(catalogue, folder)
    with open_run(folder, catalogue, device=device) as opened, stdout_to_stderr():
        explains = tool(catalogue, "explain")
        where = out or folder / "explained"
        try:
            result = explains(opened, where, methods=methods or EXPLANATIONS, episodes=episodes, axes=pair)
        except ValueError as error:
            raise RequestError(f"the run cannot be explained: {error}", "see: rl-core explain --help") from error
        except OSError as error:
            raise WorkError(f"{str(where)!r} cannot be written: {error.strerror or error}", "give another --out") from error
    if as_json:
        click.echo(json.dumps({"run": str(folder), "folder": str(where), **_finite(result)}))
        return
    for name, value in result.items():
        click.echo(f"{name}  {value:.4g}" if isinstance(value, float) else f"{name}  {value}")
    click.echo(f"figures in {where}", err=True)


def _pair(axes: str) -> tuple[int, ...]:
    """Return the numbers that --axes names; none where it is empty."""
    if not axes:
        return ()
    words = axes.split(",")
    if len(words) != 2 or not all(word.strip().isdecimal() for word in words):
        raise RequestError(f"--axes is {axes!r}; expected two numbers of an observation", "write for example: --axes 0,1")
    return int(words[0]), int(words[1])
