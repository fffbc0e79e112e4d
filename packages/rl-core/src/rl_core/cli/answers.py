"""Answers of a run to one input or to a file of inputs, as `rl-core predict` prints them."""

from __future__ import annotations

import csv
import glob
import io
import json
import os
import shlex
from collections import Counter
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

    Of several files, a row has the key "file" too. One that cannot be answered has the key "error" in place of the answer: the others are
    answered nevertheless.

    Args:
        run: The trained run.
        text: One input as the task reads it, or the path of a file of inputs, of a folder, or a pattern.
        probabilities: Whether each answer has the key "probabilities".

    Raises:
        RequestError: if the one input cannot be read, if a folder or a pattern names no file, or the agent has no probabilities.
    """
    files, folder = files_of(run, text), run.folder / "predictions"
    hint = f"see: rl-core show {shlex.quote(str(run.recipe.task))}"
    try:
        if len(files) < 2:
            _require_files(run, text, files)
            return _answered(run, files[0] if files else text, folder, probabilities)
        rows: list[dict[str, Any]] = []
        for file, place in zip(files, _places(files, folder), strict=True):
            try:
                rows += [{"file": str(file), **row} for row in _answered(run, file, place, probabilities)]
            except ValueError as error:
                rows.append({"file": str(file), "error": str(error)})
        return rows
    except NotImplementedError as error:
        raise RequestError(
            f"agent {run.recipe.agent} has no probabilities on task {run.recipe.task}: {error}", "leave out --probabilities"
        ) from error
    except ValueError as error:
        raise RequestError(f"{text[:60]!r} cannot be answered: {error}", hint) from error


def _require_files(run: Run, text: str, files: list[Path]) -> None:
    """Refuse a folder without files that the task reads, and a pattern that matches none."""
    suffixes = ", ".join(run.task.file_suffixes)
    of_pictures = ".png" in suffixes  # else a word that is a name in this folder too is a text
    if not files and ((_is_a_file(text) and (of_pictures or Path(text).suffix)) or (of_pictures and _is_no_folder(text))):
        raise ValueError(f"it is not a file that the task reads, nor a folder of such; expected some that end with {suffixes}")
    if not files and os.path.isdir(text):  # noqa: PTH112 - pathlib's fails on a text that is too long for a path
        raise ValueError(f"the folder holds no file that the task reads; expected some that end with {suffixes}")
    if files and glob.has_magic(text) and not files[0].exists():
        raise ValueError(f"no file matches it; expected some that end with {suffixes}")


def _is_a_file(text: str) -> bool:
    """Return whether a text names an existing file."""
    return os.path.isfile(text)  # noqa: PTH113 - pathlib's fails on a text that is too long for a path


def _is_no_folder(text: str) -> bool:
    """Return whether a text names a folder that is not there."""
    return text.endswith(os.sep) and not os.path.isdir(text)  # noqa: PTH112 - as above


def _places(files: list[Path], folder: Path) -> list[Path]:
    """Return where the answers to each file go: into the folder, or a folder of their own where names differ in ending or folder alone.

    >>> [str(place) for place in _places([Path("a/x.png"), Path("a/x.jpg"), Path("a/y.jpg"), Path("b/c/x.png")], Path("out"))]
    ['out/a-x.png', 'out/a-x.jpg', 'out', 'out/b-c-x.png']
    """
    stems = [file.stem.removesuffix("-map") for file in files]  # a map is written beside the picture of its name
    counts, base = Counter(stems), os.path.commonpath([file.parent.absolute() for file in files])
    inner = [file.absolute().relative_to(base).parts for file in files]
    own = ["-".join(parts if len(parts) > 1 else file.parts[-2:]) for parts, file in zip(inner, files, strict=True)]
    return [folder / name if counts[stem] > 1 else folder for stem, name in zip(stems, own, strict=True)]


def _answered(run: Run, given: Path | str, folder: Path, probabilities: bool) -> list[dict[str, Any]]:
    """Return the rows of one file or of one input as text."""
    agent, task = run.agent, run.agent.task
    if isinstance(given, Path):
        answers = agent.answers(given, folder)
    elif isinstance(task, DrawsAnswers):
        answers = [task.answer_text(given, agent.predict, folder)]
    else:
        answers = [agent.answer(given)]
    if not probabilities:
        return [{"answer": answer} for answer in answers]
    shares = agent.probabilities(task.parse_file(given) if isinstance(given, Path) else task.parse(given))
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

    Several labels of one input are joined by `|`. A file without an answer has no line.
    """
    rows = [row for row in rows if "error" not in row]
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
