"""The command line: subcommands named by import strings, so that `--help` and completion import none of them.

Every way to end badly is an `error:` line and a `hint:` line on standard error: exit status 2 when the request was
wrong, 1 when the work failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from rl_core.cli.completion import plugin_names
from rl_core.errors import RequestError, RlError, WorkError, nearest, printable

if TYPE_CHECKING:
    from rl_core.plugins.catalogue import Catalogue

COMMANDS: dict[str, tuple[str, str]] = {
    "list": ("rl_core.cli.listing:list_components", "Agents, networks and tasks that are installed."),
    "show": ("rl_core.cli.listing:show", "One component: its config, defaults and source."),
    "run": ("rl_core.cli.commands:run", "Learn: name an agent, a network or a task."),
    "resume": ("rl_core.cli.commands:resume", "Continue a run, or a sweep, exactly where it stopped."),
    "eval": ("rl_core.cli.commands:evaluate", "Score what a run has learned."),
    "predict": ("rl_core.cli.commands:predict", "Answer one input with what a run has learned."),
    "compare": ("rl_core.cli.comparing:compare", "Several runs, or a sweep, as a table and one picture."),
    "sweep": ("rl_core.cli.sweeping:sweep", "Learn many runs: names, settings and seeds in one folder."),
    "tune": ("rl_core.cli.tuning:tune", "Search for good settings, and judge the best on other seeds."),
    "work": ("rl_core.cli.sweeping:work", "Learn runs of a sweep that no other worker has."),
    "export": ("rl_core.cli.commands:export", "Write what a run has learned in a format that other programs read."),
    "watch": ("rl_core.cli.pages:watch", "Episodes of a run's policy as an animation, or in a window."),
    "watch-over": ("rl_core.cli.watch_over:watch_over", "Episodes of a run's policy under a controller that takes over."),
    "report": ("rl_core.cli.pages:report", "One HTML file about a run, or about several."),
    "export-metrics": ("rl_core.cli.pages:export_metrics", "The metrics of a run as a table in CSV."),
    "collect": ("rl_core.cli.collect:collect", "Write the transitions that a policy meets, to learn from as data."),
    "estimate": ("rl_core.cli.analysis:estimate", "Estimate a policy's return from recorded transitions alone."),
    "explain": ("rl_core.cli.analysis:explain", "Show what the answers of a run depend on."),
    "check": ("rl_core.cli.check:check", "Hold components against the contract."),
    "doctor": ("rl_core.cli.listing:doctor", "Plugins, how they load, and what is wrong with them."),
}
"""Subcommand to import string and help."""

TRACEBACK = "--traceback"
LONGEST_LINE = 4_000  # characters of an error


@dataclass(frozen=True)
class Call:
    """Options of the group, which every command receives as `obj`.

    Attributes:
        disabled: Plugins to leave out, besides those of RL_CORE_DISABLE.
        traceback: Whether to show where errors were raised.
    """

    disabled: tuple[str, ...] = ()
    traceback: bool = False

    def catalogue(self) -> Catalogue:
        """Return the catalogue of this call."""
        from rl_core.plugins.catalogue import Catalogue

        return Catalogue.discover(self.disabled)


class LazyGroup(click.Group):
    """Subcommands as data: a command's module is imported when it is called, and not to list or complete it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which a user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return getattr(import_module(module), attribute)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as click does, and name the nearest ones for an unknown word."""
        if not ctx.resilient_parsing and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise _no_command(args[0], Call(ctx.params["disable"]))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the names of commands and the group's options."""
        from click.shell_completion import CompletionItem

        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does; `--traceback`, an option of the group, is accepted in any position."""
        if _wants_traceback(args):
            end = args.index("--") if "--" in args else len(args)
            args = [TRACEBACK, *(arg for arg in args[:end] if arg != TRACEBACK), *args[end:]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> None:
        """Invoke as click does, without taking a command's return value for an exit status."""
        try:
            super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            if _stdout_has_a_reader():  # else it is `rl-core list | head`, and click ends quietly
                raise WorkError(f"a process that this one was connected to has ended ({error})", f"see where with {TRACEBACK}") from error
            raise

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run as click does, and report every exception in words and by the exit status."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(arguments, prog_name, complete_var, standalone_mode=False, **extra) or 0
            sys.stdout.flush()  # here, where a full disk can still be said in words
        except (Exception, KeyboardInterrupt) as error:
            message, hint, status = in_words(error)
            if _wants_traceback(arguments):
                import traceback

                traceback.print_exception(error)
            _say("error", message, "red")
            _say("hint", hint, "cyan")
            _flush_or_forget()
        sys.exit(status)


def in_words(error: BaseException) -> tuple[str, str, int]:
    """Return the message, the hint and the exit status for an exception."""
    if isinstance(error, RlError):
        return error.message, error.hint, error.exit_code
    if isinstance(error, click.UsageError):
        return (*_usage_in_words(error), 2)
    if isinstance(error, click.ClickException):
        return error.format_message(), "see: rl-core --help", 1
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return "interrupted", "run the command again", 1
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, OSError):
        return text, "check the disk and the permissions, then run the command again", 1
    package = _package_of(error)
    if package:
        return text, f"this is a fault of the package {package}: report it to its authors; see where with {TRACEBACK}", 1
    return text, f"run again with {TRACEBACK} and report it", 1


def _package_of(error: BaseException) -> str:
    """Return the plugin's package whose code the error passed through last, by the modules of its traceback; "" if it is the host's."""
    from rl_core.api import GROUP
    from rl_core.plugins.installed import declarations

    packages = {value.partition(":")[0].partition(".")[0].strip(): package for package, _, _, value, _ in declarations(GROUP)}
    found, trace = "", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        found = packages.get(module, found) if module != "rl_core" else found
        trace = trace.tb_next
    return found


def _usage_in_words(error: click.UsageError) -> tuple[str, str]:
    see = f"see: {error.ctx.command_path} --help" if error.ctx else "see: rl-core --help"
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        message = f"no option is named {error.option_name!r}"
        if error.ctx and error.ctx.parent and any(error.option_name in parameter.opts for parameter in error.ctx.parent.command.params):
            return f"{message} after the command", f"write it before: rl-core {error.option_name} ... {error.ctx.info_name}"
        known = [opt for parameter in error.ctx.command.get_params(error.ctx) for opt in parameter.opts] if error.ctx else []
        return message, _or_see(nearest(error.option_name, known), see)
    if isinstance(error, click.BadParameter) and error.param is not None and isinstance(error.param.type, click.Choice):
        import re

        given = re.match(r"'(.*?)' is not", error.message)
        choices = [str(choice) for choice in error.param.type.choices]
        return message, _or_see(nearest(given.group(1), choices) if given else [], see)
    return message.rstrip("."), see


def _no_command(name: str, call: Call) -> RequestError:
    close = nearest(name, COMMANDS)
    if not close:
        try:
            call.catalogue().find(name)
        except RlError:
            pass
        else:
            return RequestError(f"no command is named {name!r}; {name} is a component", f"did you mean: rl-core run {name}")
    return RequestError(f"no command is named {name!r}", _or_see(close, "see: rl-core --help"))


def _or_see(close: list[str], see: str) -> str:
    return f"did you mean {', '.join(close)}? {see}" if close else see


def _wants_traceback(arguments: list[str]) -> bool:
    return TRACEBACK in arguments[: arguments.index("--") if "--" in arguments else None]


def _say(label: str, text: str, colour: str) -> None:
    plain = printable(" ".join(text.split()), LONGEST_LINE) or "?"
    click.echo(f"{click.style(label + ':', fg=colour, bold=True)} {plain}", err=True, color=wants_colour())


def wants_colour() -> bool | None:
    """Return the `color` argument of `click.echo`: no colour where NO_COLOR is set, else as the stream is a terminal or not."""
    return False if os.environ.get("NO_COLOR") else None


def _flush_or_forget() -> None:
    """Flush standard output, so that the interpreter does not report at exit what it cannot write."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):  # a full disk, a closed file
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stdout_has_a_reader() -> bool:
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return not poll.poll(0)
    except (AttributeError, OSError, ValueError):  # a system without poll, or no real file
        return True


@click.group(cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--disable", multiple=True, metavar="PLUGIN", shell_complete=plugin_names, help="Leave a plugin out; also RL_CORE_DISABLE=a,b."
)
@click.option(TRACEBACK, is_flag=True, help="Show where an error was raised.")
@click.version_option(package_name="rl-core", prog_name="rl-core")
@click.pass_context
def cli(ctx: click.Context, disable: tuple[str, ...], traceback: bool) -> None:
    """Find, run, compare and continue agents, networks and tasks.

    A run is an agent, a task and a network: `rl-core run ppo`.
    """
    ctx.obj = Call(disable, traceback)
    if ctx.invoked_subcommand not in (None, "list"):  # which log nothing, and need not import `logging`
        from rl_core.cli.warning_lines import show_warnings

        show_warnings()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
