"""Answers of a run to one input or to a file of inputs, as `rl-core predict` prints them."""

from __future__ import annotations

import csv
import glob
import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.errors import RequestError, WorkError
from rl_core.task import DrawsAnswers

if TYPE_CHECKING:
    from rl_core.runs.run import Run


def is_file(run: Run, text: str) -> bool:
    """Return whether an input names files of inputs: a suffix that the run's task reads, or a folder or a pattern of such files."""
    return bool(files_of(run, text))


def files_of(run: Run, text: str) -> list[Path]:
    """Return the files that an input names, in order: one file, those of a folder, or those that a pattern such as `*.jpg` matches."""
    suffixes = run.task.file_suffixes
    if not text.strip() or "\n" in text or "\0" in text:  # an empty path would name the working folder
        return []
    path = Path(text)
    try:
        if path.is_dir():
            return sorted(file for file in path.iterdir() if file.name.lower().endswith(suffixes))
        if glob.has_magic(text) and not path.exists():
            names = glob.glob(text, recursive=True)  # noqa: PTH207 - pathlib's takes no absolute pattern
            found = sorted(Path(name) for name in names if name.lower().endswith(suffixes))
            if found:
                return found
    except OSError:  # a text that is too long for a path
        pass
    return [path] if text.lower().endswith(suffixes) else []


def rows_of(run: Run, text: str, *, probabilities: bool) -> list[dict[str, Any]]:
    """Return the answer to each input, and its probabilities by name of the class when asked for.

    Args:
        run: The trained run.
        text: One input as the task reads it, or the path of a file of inputs.
        probabilities: Whether each answer has the key "probabilities".

    Raises:
        RequestError: if the input cannot be read, or the agent has no probabilities.
    """
    agent, task = run.agent, run.agent.task
    files = files_of(run, text)
    try:
        if len(files) > 1:
            return [{"file": str(file), **row} for file in files for row in rows_of(run, str(file), probabilities=probabilities)]
        if files:
            answers = agent.answers(files[0], run.folder / "predictions")
        else:
            answers = [
                task.answer_text(text, agent.predict, run.folder / "predictions") if isinstance(task, DrawsAnswers) else agent.answer(text)
            ]
        if not probabilities:
            return [{"answer": answer} for answer in answers]
        shares = agent.probabilities(task.parse_file(files[0]) if files else task.parse(text))
    except NotImplementedError as error:
        raise RequestError(
            f"agent {run.recipe.agent} has no probabilities on task {run.recipe.task}: {error}", "leave out --probabilities"
        ) from error
    except ValueError as error:
        hint = f"see: rl-core show {shlex.quote(str(run.recipe.task))}"
        raise RequestError(f"{text[:60]!r} cannot be answered: {error}", hint) from error
    names = task.class_names or tuple(map(str, range(shares.shape[1])))
    return [
        {"answer": answer, "probabilities": dict(zip(names, row.tolist(), strict=True))}
        for answer, row in zip(answers, shares, strict=True)
    ]


def as_lines(rows: list[dict[str, Any]]) -> str:
    """Return answers as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return answers as a table: the columns `file`, of several files, and `answer`, and a column for the probability of each class.

    Several labels of one input are joined by `|`.
    """
    files = ["file"] if rows and "file" in rows[0] else []
    names = list(rows[0].get("probabilities", {})) if rows else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*files, "answer", *(f"probability of {name}" for name in names)])
    for row in rows:
        answer = row["answer"]
        if isinstance(answer, list) and all(isinstance(part, str) for part in answer):
            answer = "|".join(answer)
        elif isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        plain = answer if isinstance(answer, str | int | float) else json.dumps(answer)
        writer.writerow([*(row[name] for name in files), plain, *row.get("probabilities", {}).values()])
    return text.getvalue()


def write(rows: list[dict[str, Any]], out: Path) -> None:
    """Write answers to a file: a table if its name ends with .csv, else JSON lines.

    Raises:
        WorkError: if the file cannot be written.
    """
    try:
        out.write_text(as_csv(rows) if out.suffix.lower() == ".csv" else as_lines(rows), encoding="utf-8")
    except OSError as error:
        raise WorkError(f"{str(out)!r} cannot be written: {error.strerror or error}", "give another --out") from error
