"""The page around a report: one HTML file that loads nothing, is dark where the reader's system is, and needs no JavaScript."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from rl_core.runs import files

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c22; --paper: #ffffff; --pale: #f2f2f5; --rule: #d4d4dc; --dim: #55555f; }
@media (prefers-color-scheme: dark) { :root { --ink: #ececf1; --paper: #17171b; --pale: #232329; --rule: #3c3c46; --dim: #b4b4be; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; }
.verdict { font-size: 1.15rem; } .dim { color: var(--dim); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; padding: .6rem; background: var(--pale); border-radius: 6px; min-width: 0; }
figure img { max-width: 100%; height: auto; display: block; } figcaption { font-weight: 600; }
.chart > svg { width: 100%; height: auto; display: block; }
svg text { font-size: 11px; fill: var(--dim); paint-order: stroke; stroke: var(--pale); stroke-width: 3px; }
polyline { fill: none; stroke-width: 1.8; } .grid { stroke: var(--rule); } .target { stroke: var(--ink); stroke-dasharray: 4 3; }
.legend { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: 13px; }
.legend svg { width: 24px; height: 6px; margin-right: .35rem; vertical-align: middle; }
output { display: block; min-height: 1.3em; font-size: 13px; color: var(--dim); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 14px; }
th, td { text-align: left; padding: .15rem .9rem .15rem 0; border-bottom: 1px solid var(--rule); }
td:first-child, td:last-child { overflow-wrap: anywhere; min-width: 9.5rem; }
th { vertical-align: bottom; }
pre { background: var(--pale); padding: .7rem; overflow-x: auto; border-radius: 6px; font-size: 13px; }
@media print { details[open] summary { display: none; } figure { break-inside: avoid; } }
"""
SCRIPT = """
for (const svg of document.querySelectorAll('.chart > svg')) {
  const curves = [...svg.querySelectorAll('polyline')].map(line => ({...JSON.parse(line.dataset.curve),
    places: line.getAttribute('points').split(' ').map(point => point.split(',').map(Number))}));
  const output = svg.parentNode.querySelector('output');
  svg.addEventListener('pointermove', event => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    output.textContent = curves.map(curve => {
      let best = 0;
      const away = index => Math.abs(curve.places[index][0] - place.x);
      curve.places.forEach((_, index) => { if (away(index) < away(best)) best = index; });
      return curve.name + ': ' + curve.y[best] + ' at ' + curve.x[best];
    }).join('; ');
  });
  svg.addEventListener('pointerleave', () => { output.textContent = ''; });
}
"""
KINDS = {".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}


def page(title: str, body: Sequence[str]) -> str:
    """Return the HTML document with a title and the parts of its body, which are HTML already."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body>{''.join(body)}<script>{SCRIPT}</script></body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a table of texts and numbers."""
    cells = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    heads = f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>" if head else ""
    return f'<div class="scroll"><table>{heads}{cells}</table></div>'


def folded(summary: str, content: str) -> str:
    """Return content that is folded below a line."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def picture(path: Path, caption: str) -> str:
    """Return a figure element with the picture in it, as data."""
    data = base64.b64encode(path.read_bytes()).decode()
    kind = KINDS[path.suffix.lower()]
    return f'<figure><figcaption>{escape(caption)}</figcaption><img alt="{escape(caption)}" src="data:{kind};base64,{data}"></figure>'


def settings(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return names and values of nested settings, one below the other.

    >>> settings({"hidden": [64], "task": {"size": 8}})
    [('hidden', [64]), ('task.size', 8)]
    """
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        found += settings(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else [(f"{prefix}{name}", value)]
    return found


def document(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file of a run; empty where there is none."""
    try:
        found = json.loads(files.read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def number(value: Any) -> str:
    """Return a number as text.

    >>> number(1200), number(0.1234567), number(None)
    ('1,200', '0.12346', 'not a finite number')
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else "not a finite number" if value is None else str(value)
