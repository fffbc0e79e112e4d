"""Rows of `language.py` of networks of dl-nets."""

from __future__ import annotations

import calendar
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from language_rows import SEEDS, Row, learn, mean, polarity, scores


def recurrent(task: str, network: str, metric: str, wanted: str, seeds: tuple[int, ...] = SEEDS, beside: str = "", **options: Any) -> Row:
    """Return the row of a network on a drawn task."""
    found = scores("supervised", task, seeds, network=network, device="cpu", **options)
    named = ", ".join(f"{key}={value}" for key, value in options.get("network_config", {}).items())
    return task, f"{network}{f' ({named})' if named else ''}", f"{metric} {mean(found, metric)}", wanted, beside


def dates(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of dates with additive attention, and where it looks, and by a transformer."""
    runs = [learn("supervised", "dates", seed, network="seq2seq", device="cpu") for seed in SEEDS]
    exact = f"exact {mean([run.metrics for run in runs], 'exact')}"
    looks = f"the attention is largest in the right field for {np.mean([in_fields(run.agent) for run in runs]):.3f} of the digits"
    return [
        ("dates", "seq2seq", exact, "1.0 in 500 updates", f"{looks} (>= .95)"),
        recurrent("dates", "transformer-seq2seq", "exact", "1.0 in 500 updates"),
    ]


def in_fields(agent: Any) -> float:
    """Return the share of the digits of a test date for which the attention is largest at the day, month or year that they write."""
    task = agent.task
    inputs, targets = task.read("test", np.arange(task.num_examples("test")))
    with torch.no_grad():
        largest = agent.module.eval().attention(torch.as_tensor(inputs), torch.as_tensor(targets)).argmax(dim=2).numpy()
    found = []
    for (source, target), places in zip(task.examples["test"], largest, strict=True):
        year, month, day = fields(source, target)
        found += (
            [place in year for place in places[:4]] + [place in month for place in places[5:7]] + [place in day for place in places[8:10]]
        )
    return float(np.mean(found))


def fields(source: str, target: str) -> tuple[range, range, range]:
    """Return where year, month and day stand in a date of the task `dates`, given as it is written and as YYYY-MM-DD.

    >>> fields("the 3rd of may 1979", "1979-05-03")
    (range(15, 19), range(11, 14), range(4, 5))
    """
    year, month, day = target.split("-")
    name = calendar.month_name[int(month)].lower()
    if digits := re.match(r"(\d\d)([./])(\d\d)", source):
        first, second = range(*digits.span(1)), range(*digits.span(3))
        months, days = (second, first) if digits[2] == "." else (first, second)
    else:
        word = re.search(rf"\b({name}|{name[:3]})\b", source)
        number = re.search(rf"(?<!\d){int(day)}(?!\d)", source)
        assert word is not None, source
        assert number is not None, source
        months, days = range(*word.span()), range(*number.span())
    return range(len(source) - len(year), len(source)), months, days


def dates_forms(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of dates with other forms of attention, and without."""
    return [
        recurrent("dates", "seq2seq", "exact", "1.0", (0,), "500 updates", network_config={"attention": "general"}),
        recurrent("dates", "seq2seq", "exact", "", (0,), "500 updates", network_config={"attention": "none"}),
        recurrent("dates", "seq2seq", "exact", "< .5", (0,), "1,000 updates", network_config={"attention": "none"}, config={"epochs": 8}),
    ]


def letters(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of rows of letters that are repeated."""
    rows = [recurrent("copy-letters", name, "exact", "1.0") for name in ("seq2seq", "transformer-seq2seq")]
    return [
        *rows,
        recurrent("copy-letters", "seq2seq", "exact", "", (0,), "what attention is for", network_config={"attention": "none"}),
    ]


def chat(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of a conversation with a shop, word by word."""
    return [recurrent("template-chat", name, "exact", ">= .95") for name in ("seq2seq", "transformer-seq2seq")]


def copying(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of summaries with new names."""
    name = "pointer-generator"
    return [
        recurrent("copy-summaries", name, "exact match", ">= .98"),
        recurrent("copy-summaries", name, "exact match", "0", (0,), "the names are new", network_config={"copy": False}),
    ]


def speech(data: Path, text: Path | None) -> list[Row]:
    """Return the row of tones."""
    return [recurrent("spoken-tones", "ctc-recogniser", "character error rate", "0")]


def neural_tags(data: Path, text: Path | None) -> list[Row]:
    """Return the row of a network that tags."""
    return [tagged(data, "bilstm-crf", SEEDS, ">= .945")]


def other_taggers(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of a network without a random field, and of a transformer."""
    return [tagged(data, name, (0,), "") for name in ("bilstm-tagger", "transformer")]


def tagged(data: Path, network: str, seeds: tuple[int, ...], wanted: str) -> Row:
    """Return the row of a network that tags the sentences of EWT; letters of the words are shown to those that read them."""
    letters = {"letters": 12} if network.startswith("bilstm") else {}
    config = {"validation": f"{data}/ewt.dev.conllu.xz", "test": f"{data}/ewt.test.conllu.xz", **letters}
    task = f"tagging:{data}/ewt.train.conllu.xz"
    found = scores("supervised", task, seeds, network=network, task_config=config, device="cpu")
    beside = "words and letters, no other texts" if letters else "words alone, no other texts"
    measure = f"accuracy {mean(found, 'accuracy')}, unseen words {mean(found, 'accuracy on unseen words')}"
    return "EWT, universal tags", network, measure, wanted, beside


def neural_entities(data: Path, text: Path | None) -> list[Row]:
    """Return the row of a network that finds entities."""
    config = {"validation": f"{data}/ncbi.devel.iob2.xz", "test": f"{data}/ncbi.test.iob2.xz"}
    task, wanted = f"entities:{data}/ncbi.train.iob2.xz", {"letters": 12, **config}
    found = scores("supervised", task, SEEDS, network="bilstm-crf", task_config=wanted, device="cpu")
    return [("NCBI disease", "bilstm-crf", f"F1 {mean(found, 'F1')} (strict spans)", ">= .78", "words and letters, no other texts")]


def neural_sentiment(data: Path, text: Path | None) -> list[Row]:
    """Return the row of convolutions on sentence polarity: the first of the ten folds is for testing, the second for validation."""
    texts, fold = polarity(data)
    with tempfile.TemporaryDirectory() as folder:
        for name, inside in (("train", fold > 1), ("validation", fold == 1), ("test", fold == 0)):
            Path(folder, f"{name}.tsv").write_text("".join(f"{texts[i][0]}\t{texts[i][1]}\n" for i in np.flatnonzero(inside)))
        config = {"test": f"{folder}/test.tsv", "validation": f"{folder}/validation.tsv"}
        found = scores("supervised", f"sentiment:{folder}/train.tsv", SEEDS, network="cnn-text", task_config=config, device="cpu")
    return [("sentence polarity, one fold", "cnn-text", f"accuracy {mean(found, 'accuracy')}", ">= .75", "no vectors of other texts")]


def tatoeba(data: Path, text: Path | None) -> list[Row]:
    """Return the row of Dutch to English after two and a half epochs."""
    return [translation(data, ">= 30 after 2.5 epochs", num_epochs=2.5)]


def tatoeba_longer(data: Path, text: Path | None) -> list[Row]:
    """Return the row of Dutch to English after 8 epochs, with a beam of 5."""
    return [translation(data, ">= 36 after 8 epochs", "epochs=8", "network.beams=5")]


def tatoeba_without(data: Path, text: Path | None) -> list[Row]:
    """Return the row of Dutch to English without attention."""
    return [translation(data, "at most half of it", "network.attention=none", num_epochs=2.5)]


def tatoeba_transformer(data: Path, text: Path | None) -> list[Row]:
    """Return the row of Dutch to English by a transformer."""
    return [translation(data, "not below seq2seq", network="transformer-seq2seq", seeds=(0,))]


def translation(
    data: Path, wanted: str, *overrides: str, network: str = "seq2seq", seeds: tuple[int, ...] = SEEDS, num_epochs: float | None = None
) -> Row:
    """Return a row of Dutch to English: pairs of up to 12 words, test sources that no training pair has; `None`: the config's epochs."""
    with zipfile.ZipFile(data / "tatoeba-nld-eng.zip") as file:
        lines = [line.split("\t")[:2] for line in file.read("nld.txt").decode("utf-8").splitlines() if line.strip()]
    from nlp_embeddings.reading.words import pieces

    pairs = [(dutch, english) for english, dutch in lines if max(len(pieces(dutch)), len(pieces(english))) <= 12]
    part = {english: number % 40 for number, english in enumerate(dict.fromkeys(english for _, english in pairs))}
    train = [pair for pair in pairs if part[pair[1]] > 1]
    known = {dutch.lower() for dutch, _ in train}
    with tempfile.TemporaryDirectory() as folder:
        held = {
            name: [p for p in pairs if part[p[1]] == number and p[0].lower() not in known] for name, number in (("test", 0), ("dev", 1))
        }
        for name, chosen in {"train": train, **held}.items():
            Path(folder, f"{name}.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in chosen))
        config = {"test": f"{folder}/test.tsv", "validation": f"{folder}/dev.tsv", "max_length": 12}
        own, reversed_sources = [], []
        for seed in seeds:
            run = learn(
                "supervised",
                f"translation:{folder}/train.tsv",
                seed,
                network=network,
                task_config=config,
                overrides=overrides,
                budget=None if num_epochs is None else round(num_epochs * len(train)),
                device="cpu",
            )
            task = run.agent.task
            inputs, targets = task.read("test", np.arange(task.num_examples("test")))
            backwards = inputs.copy()
            for row in backwards:
                row[row != 0] = row[row != 0][::-1]
            (judge := task.judge()).add(run.agent.predict(backwards), targets)
            own.append(run.metrics)
            reversed_sources.append(judge.result()["BLEU"])
    beams = run.agent.network.config.beams
    named = f"{num_epochs or run.agent.config.epochs} epochs, {beams} beam{'s' if beams > 1 else ''}, {len(train):,} pairs"
    beside = f"{named}; BLEU {np.mean(reversed_sources):.1f} for sources backwards"
    name = f"{network}{' (attention=none)' if 'network.attention=none' in overrides else ''}"
    return ("Tatoeba, Dutch to English", name, f"BLEU {mean(own, 'BLEU', 1)}", wanted, beside)
