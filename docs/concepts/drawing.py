"""One way to open and save a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

from matplotlib import pyplot


@contextmanager
def picture(path: Path, columns: int = 1, height: float = 3.2, width: float = 4.2) -> Iterator[Any]:
    """Give the axes of a picture, one or an array of `columns`, and save it to `path`.

    Args:
        path: A PNG file.
        columns: Panels side by side.
        height: Of a panel, in inches.
        width: Of a panel, in inches.
    """
    figure, axes = pyplot.subplots(1, columns, figsize=(width * columns + 0.6, height), layout="constrained")
    try:
        yield axes
        figure.savefig(path, dpi=110)
    finally:
        pyplot.close(figure)


def label(axes: Any, title: str, x: str, y: str) -> None:
    """Set title and labels, and show a legend where there are named lines."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
