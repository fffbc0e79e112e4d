"""Warnings that this package logs, as lines of the command line."""

from __future__ import annotations

import logging
import warnings

import click


class WarningLines(logging.Handler):
    """A handler that prints each record as one `warning:` line on the current standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        click.echo(f"{record.levelname.lower()}: {' '.join(record.getMessage().split())}", err=True)


def show_warnings() -> None:
    """Print the warnings that this package logs, once each and nowhere else; hide those of a font that lacks a letter of a name."""
    warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
    logger = logging.getLogger("rl_core")
    if not any(isinstance(handler, WarningLines) for handler in logger.handlers):
        logger.addHandler(WarningLines())
        logger.propagate = False
