"""Settings of Sphinx for the site; `build.py` writes the folder that it reads."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

project = "rl-core"
author = "the authors of rl-core"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "rl-core"
html_math_renderer = "mathml"
html_show_copyright = False
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
html_copy_source = False
html_show_sphinx = False
suppress_warnings = ["myst.header"]  # pages of packages are included below headings of their own


def inline_formula(translator: Any, node: nodes.math) -> None:
    """Write a formula within a line as MathML, which browsers draw by themselves."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def formula(translator: Any, node: nodes.math_block) -> None:
    """Write a formula of its own as MathML."""
    translator.body.append(f"<div>{convert(node.astext(), display='block')}</div>")
    raise nodes.SkipNode


def setup(app: Any) -> None:
    """Register the renderer of formulas, which needs no script of another host."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline_formula, None), block_renderers=(formula, None))
