"""Lists of captions in the forms in which collections are published, read from local files.

| form | of | looks like |
|---|---|---|
| COCO's JSON | pictures | `images` with `id` and `file_name`; `annotations` with `image_id` and `caption` |
| Karpathy's JSON | pictures | `images` with `filename`, `split` and `sentences`, each with `raw` or `tokens` |
| Flickr's text | pictures | lines `name.jpg#0<TAB>caption` |
| MSR-VTT's JSON | clips | `videos` with `video_id` and `split`; `sentences` with `video_id` and `caption` |
| MSVD's text | clips | lines `<clip> caption`, `#` before remarks |
| CSV or TSV | both | columns `file` and `caption`, with or without their names in the first line |
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

from cv_models.describe.captions import words_of
from dl_nets.tasks.text_files import printable, read_text, shown

SPLIT_OF = {
    "train": "train", "restval": "train", "validate": "validation", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


class Captioned(NamedTuple):
    """One picture or clip of a list.

    Attributes:
        name: As the list names it.
        captions: Words of each caption.
        split: Of `train`, `validation` and `test`; "" where the list has no splits.
    """

    name: str
    captions: list[list[str]]
    split: str = ""


def read_list(path: Path) -> list[Captioned]:
    """Return the pictures or clips of a list in the order in which they first occur, with their captions.

    Raises:
        ValueError: naming the file and the line or entry that cannot be read, or the file that holds no captions.
    """
    text, _ = read_text(path)
    suffix = path.suffix.lower()
    pairs, splits = _of_json(path, text) if suffix == ".json" else (_of_lines(path, text, suffix), {})
    found: dict[str, list[list[str]]] = {}
    for name, caption in pairs:
        words = words_of(caption)
        if words:
            found.setdefault(name, []).append(words)
    if not found:
        raise ValueError(
            f"{shown(path)} holds no captions; expected COCO's, Karpathy's or MSR-VTT's JSON, or lines of a file and a caption"
        )
    return [Captioned(name, captions, splits.get(name, "")) for name, captions in found.items()]


def _of_json(path: Path, text: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Return pairs of name and caption, and the split of each name where there is one."""
    where = shown(path)
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno} of {where} is not JSON: {error.msg}") from error
    entry: Any = None
    try:
        if "videos" in document:
            splits = {}
            for entry in document["videos"]:
                splits[str(entry["video_id"])] = SPLIT_OF.get(str(entry.get("split", "")), "")
            pairs = []
            for entry in document["sentences"]:
                pairs.append((str(entry["video_id"]), str(entry["caption"])))
            return pairs, splits
        if "annotations" in document:
            names = {}
            for entry in document["images"]:
                names[entry["id"]] = str(entry["file_name"])
            pairs = []
            for entry in document["annotations"]:
                pairs.append((names[entry["image_id"]], str(entry["caption"])))
            return pairs, {}
        pairs, splits = [], {}
        for entry in document["images"]:
            name = "/".join(filter(None, (str(entry.get("filepath", "")), str(entry["filename"]))))
            splits[name] = SPLIT_OF.get(str(entry.get("split", "")), "")
            pairs += [(name, str(each["raw"]) if "raw" in each else " ".join(each["tokens"])) for each in entry["sentences"]]
        return pairs, splits
    except (KeyError, TypeError) as error:
        lacks = f"entry {printable(str(entry))[:80]} lacks {error}" if entry is not None else f"it lacks {error}"
        raise ValueError(
            f"{where} is not a list of captions that is known: {lacks}; expected COCO's, Karpathy's or MSR-VTT's JSON"
        ) from error


def _of_lines(path: Path, text: str, suffix: str) -> list[tuple[str, str]]:
    """Return pairs of name and caption of a file of lines."""
    where, pairs = shown(path), []
    if suffix in (".csv", ".tsv"):
        rows = csv.reader(io.StringIO(text), delimiter="\t" if suffix == ".tsv" else ",")
        places = (0, 1)
        for row in rows:
            if not row:
                continue
            lowered = [cell.strip().lower() for cell in row]
            if rows.line_num == 1 and "caption" in lowered:
                if not {"file", "image"} & set(lowered):
                    raise ValueError(f"line 1 of {where} names the columns {', '.join(row)}; expected file and caption")
                places = (lowered.index("file") if "file" in lowered else lowered.index("image"), lowered.index("caption"))
                continue
            if len(row) <= max(places):
                raise ValueError(f"line {rows.line_num} of {where} has {len(row)} columns; expected a file and a caption")
            pairs.append((row[places[0]].strip(), row[places[1]]))
        return pairs
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, between, caption = line.partition("\t" if "\t" in line else " ")
        if not between:
            raise ValueError(f"line {number} of {where} is {printable(line)[:60]!r}; expected a file, a tab or a space, and a caption")
        pairs.append((name.partition("#")[0], caption))
    return pairs
