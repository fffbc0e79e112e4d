"""Signatures: no function of the package takes more than eight arguments."""

from __future__ import annotations

import ast
from pathlib import Path

import rl_algos

MOST = 8


def long_signatures():
    root = Path(rl_algos.__file__).parent
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = len([one for one in arguments if one.arg not in ("self", "cls")])
                if count > MOST:
                    yield path.relative_to(root).as_posix(), getattr(node, "name", "lambda"), count


def test_no_function_takes_more_than_eight_arguments():
    found = list(long_signatures())
    assert found == [], f"bundle arguments that travel together in a NamedTuple: {found}"
