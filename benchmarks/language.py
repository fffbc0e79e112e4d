"""Scores of the agents that tag, parse, classify, model and answer, on real files, beside other programs where those are installed.

    python benchmarks/language.py DATA --text TEXT            # DATA: ewt.*.conllu.xz, ncbi.*.iob2.xz, sentence_polarity.zip, ...
    python benchmarks/language.py DATA --only tags entities   # parts by name; `gum` needs DATA/gum/GUM_*.conllu, the folder dep of GUM

Without a folder it prints a note and ends. Scores are of seeds 0 to 2 on the files' own test parts (sentiment: ten folds drawn with seed
0); agents that draw no random numbers have one score. Times of ours and theirs are processor times of paired runs, one after the other in
one process with one thread, so that only their ratio counts. Adds the rows of each part to language.json beside this file, and writes
language.md from all of them.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import language_networks as networks
import language_peers as peers
import numpy as np
from language_rows import SEEDS, Row, learn, mean, polarity, scores

HERE = Path(__file__).parent


def tags(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of tagging."""
    task = f"tagging:{data}/ewt.train.conllu.xz"
    config = {"validation": f"{data}/ewt.dev.conllu.xz", "test": f"{data}/ewt.test.conllu.xz"}
    rows: list[Row] = []
    for agent, seeds, wanted in (("hmm-tagger", (0,), ".918"), ("perceptron-tagger", SEEDS, ".938")):
        found = scores(agent, task, seeds, task_config=config)
        measure = f"accuracy {mean(found, 'accuracy')}, unseen words {mean(found, 'accuracy on unseen words')}"
        rows.append(("EWT, universal tags", agent, measure, f">= {wanted}", beside_nltk(data) if agent.startswith("perceptron") else ""))
    return rows


def beside_nltk(data: Path) -> str:
    """Return accuracy and time beside NLTK's averaged perceptron, on the first 2,000 sentences, two rounds; "" where it is missing."""
    try:
        from nltk.tag.perceptron import PerceptronTagger
    except ImportError:
        return ""
    from nlp_embeddings.reading.columns import read_sentences

    train, test = read_sentences(data / "ewt.train.conllu.xz")[:2000], read_sentences(data / "ewt.test.conllu.xz")
    words, theirs = sum(len(s.words) for s in test), PerceptronTagger(load=False)
    start = time.process_time()
    theirs.train([list(zip(s.words, s.tags, strict=True)) for s in train], nr_iter=2)
    fit = time.process_time() - start
    start = time.process_time()
    right = sum(tag == true for s in test for (_, tag), true in zip(theirs.tag(s.words), s.tags, strict=True))
    tag = time.process_time() - start
    with tempfile.TemporaryDirectory() as folder:
        lines = "\n\n".join("\n".join(f"{word}\t{tag}" for word, tag in zip(s.words, s.tags, strict=True)) for s in train)
        Path(folder, "train.tsv").write_text(lines)
        config = {"test": f"{data}/ewt.test.conllu.xz", "validation": f"{data}/ewt.dev.conllu.xz"}
        run = learn("perceptron-tagger", f"tagging:{folder}/train.tsv", task_config=config, budget=4000)
        own = timed_fit(run.agent, 4000)
        start = time.process_time()
        run.agent.tag([s.words for s in test])
        times = f"fit {fit / own:.0f}, tags {tag / (time.process_time() - start):.0f} times as fast"
    return f"first 2,000 sentences, 2 rounds: {run.score:.3f}, NLTK {right / words:.3f}; {times}"


def timed_fit(agent: Any, budget: int) -> float:
    """Return the processor seconds that a new agent of the same kind takes for a budget; its code is compiled already."""
    from rl_core.seeds import Seeds

    fresh = type(agent)(agent.config, agent.task, None, seeds=Seeds(0), budget=budget)
    start = time.process_time()
    while not fresh.finished and fresh.progress < budget:
        fresh.step()
    return time.process_time() - start


def entities(data: Path, text: Path | None) -> list[Row]:
    """Return the row of entities."""
    config = {"validation": f"{data}/ncbi.devel.iob2.xz", "test": f"{data}/ncbi.test.iob2.xz"}
    run = learn("crf-tagger", f"entities:{data}/ncbi.train.iob2.xz", task_config=config)
    own = timed_fit(run.agent, 60)
    return [("NCBI disease", "crf-tagger", f"F1 {run.metrics['F1']:.3f} (strict spans)", ">= .78", beside_crfsuite(run.agent, own))]


def beside_crfsuite(agent: Any, own: float) -> str:
    """Return F1 and time of CRFsuite with the same features, penalties and iterations; "" where it is missing."""
    try:
        import pycrfsuite
    except ImportError:
        return ""
    from nlp_embeddings.tagging.crf import templates_of
    from nlp_embeddings.tagging.features import ATTRIBUTES

    task, templates = agent.task, templates_of(2)

    def features(words: list[str]) -> list[list[str]]:
        return [
            [f"{o}{name}={ATTRIBUTES[name](words[i + o]) if 0 <= i + o < len(words) else None}" for o, name in templates]
            for i in range(len(words))
        ]

    trainer = pycrfsuite.Trainer(verbose=False)
    for words, sentence in zip(task.sentences("train"), task.examples["train"], strict=True):
        trainer.append(features(words), sentence.tags)
    trainer.set_params({"c1": 0.1, "c2": 0.01, "max_iterations": 60})
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        trainer.train(f"{folder}/model")
        theirs = time.process_time() - start
        tagger = pycrfsuite.Tagger()
        tagger.open(f"{folder}/model")
        judge = task.judge()
        for words, sentence in zip(task.sentences("test"), task.examples["test"], strict=True):
            given = [task.number_of_tag[tag] for tag in tagger.tag(features(words))]
            judge.add(np.array([given]), np.array([[task.number_of_tag[tag] for tag in sentence.tags]]))
    return f"CRFsuite, same features: {judge.result()['F1']:.3f}; fit {theirs / own:.1f} times as fast"


def trees(data: Path, text: Path | None) -> list[Row]:
    """Return the row of parsing."""
    config = {"validation": f"{data}/ewt.dev.conllu.xz", "test": f"{data}/ewt.test.conllu.xz"}
    found = scores("dependency-parser", f"parsing:{data}/ewt.train.conllu.xz", (0,), task_config=config)
    return [("EWT, trees", "dependency-parser", f"UAS {mean(found, 'UAS')}, LAS {mean(found, 'LAS')} (tags of its own)", "", "")]


def sentiment(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of sentence polarity, ten folds."""
    from nlp_embeddings.classify.lexicon import LIST as WORDS
    from nlp_embeddings.classify.lexicon import LexiconConfig, sentiment, valences

    texts, fold = polarity(data)
    found: dict[str, list[float]] = {name: [] for name in ("naive-bayes", "nb-svm", "linear-classifier", "lexicon")}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(10):
            for name, inside in (("train", fold != number), ("test", fold == number)):
                Path(folder, f"{name}.tsv").write_text("".join(f"{texts[i][0]}\t{texts[i][1]}\n" for i in np.flatnonzero(inside)))
            config = {"test": f"{folder}/test.tsv", "validation": f"{folder}/test.tsv"}  # nothing is chosen by the validation texts
            for agent, values in found.items():
                values.append(learn(agent, f"sentiment:{folder}/train.tsv", task_config=config).score)
    plain = np.mean([(sentiment(line.split(), valences(WORDS), LexiconConfig()) > 0) == (kind == "pos") for kind, line in texts])
    wanted = {"naive-bayes": ">= .78", "nb-svm": ">= .785", "linear-classifier": "", "lexicon": ">= .64"}
    return [
        (
            "sentence polarity",
            name,
            f"accuracy {np.mean(v):.3f}",
            wanted[name],
            f"{plain:.3f} with the bound at 0" if name == "lexicon" else "",
        )
        for name, v in found.items()
    ]


def characters(data: Path, text: Path | None) -> list[Row]:
    """Return the row of the characters of Shakespeare."""
    if text is None:
        return []
    run = learn("ngram-lm", f"language-model:{text}", task_config={"validation_share": 0.0})
    measure = f"{run.metrics['nats a character']:.4f} nats a character, next one right {run.metrics['accuracy']:.3f}"
    return [(f"{text.name}, last tenth", "ngram-lm, order 6", measure, "<= 1.525", "")]


def gum(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of extractive summaries of GUM: 50 words, ROUGE F1 of stemmed words against the first summary; Reddit is blank."""
    from nltk.stem.porter import PorterStemmer

    from nlp_embeddings.corpus.tokenizers import split_sentences
    from rl_core.text_metrics import rouge_l, rouge_n, words

    stem = PorterStemmer().stem
    pairs = []
    for path in sorted(data.glob("gum/GUM_*.conllu")):
        if "_reddit_" not in path.name:
            fields = [
                line[2:].split(" = ", 1)
                for line in path.read_text(encoding="utf-8").splitlines()
                if line.startswith("# ") and " = " in line
            ]
            summary = re.sub(r"^\([^)]*\) ", "", dict(reversed(fields))["meta::summary1"])
            pairs.append({"document": "\n\n".join(value for name, value in fields if name == "text"), "summary": summary})

    def measured(answers: list[str]) -> str:
        def stemmed(given: str) -> list[str]:
            return [stem(word) if len(word) > 3 else word for word in words(given.lower())]

        found = np.zeros(3)
        for answer, pair in zip(answers, pairs, strict=True):
            one, two = (rouge_n(answer, pair["summary"], order, tokenize=stemmed).f1 for order in (1, 2))
            found += (one, two, rouge_l(answer, pair["summary"], tokenize=stemmed).f1)
        return "ROUGE-1, 2, L {:.1f}, {:.1f}, {:.1f}".format(*(100 * found / len(pairs)))

    rng, picked = np.random.default_rng(0), []
    for pair in pairs:
        kept: list[str] = []
        sentences = [sentence for sentence in split_sentences(pair["document"]) if len(sentence.split()) >= 5]
        for place in rng.permutation(len(sentences)):
            if len(" ".join([*kept, sentences[place]]).split()) <= 50:
                kept.append(sentences[place])
        picked.append(" ".join(kept))
    name = f"GUM, {len(pairs)} documents"
    rows: list[Row] = [(name, "sentences drawn at random", measured(picked), "", "the floor")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "gum.jsonl")
        file.write_text("\n".join(json.dumps(pair) for pair in pairs))
        for agent, wanted in (("lead", ""), ("textrank", "ROUGE-1 >= 27"), ("lexrank", "ROUGE-1 >= 27.5")):
            run = learn(agent, f"summaries:{file}", task_config={"validation": str(file), "test": str(file)})
            answers = [str(answer) for answer in run.agent.predict(np.array([pair["document"] for pair in pairs]))]
            rows.append((name, agent, measured(answers), wanted, "nothing is learned from summaries"))
    return rows


def bots(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of the bot."""
    rows: list[Row] = []
    run = learn("retrieval-bot", f"dialogue:{data}/banking77.train.csv.xz", task_config={"test": f"{data}/banking77.test.csv.xz"})
    rows.append(("banking77, intents", "retrieval-bot", f"accuracy {run.score:.3f}, refusals counted as wrong", ">= .79", ""))
    with lzma.open(data / "clinc150.json.xz") as file:
        found = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        for part in ("train", "val", "test"):
            pairs = found[part] + (found[f"oos_{part}"] if part != "train" else [])
            Path(folder, f"{part}.tsv").write_text("".join(f"{question}\t{intent}\n" for question, intent in pairs))
        config = {"validation": f"{folder}/val.tsv", "test": f"{folder}/test.tsv"}
        metrics = learn("retrieval-bot", f"dialogue:{folder}/train.tsv", task_config=config).metrics
    measure = f"AUROC of refusing {metrics['AUROC of refusing']:.3f}, in scope {metrics['accuracy where there is an answer']:.3f}"
    rows.append(("clinc150", "retrieval-bot", measure, "AUROC >= .90", ""))
    asked = [scores("span-reader", "passage-questions", task_config={"seed": seed})[0] for seed in (3, 4, 5)]  # 0 to 2 chose settings
    return [*rows, ("passage-questions", "span-reader", f"exact match {mean(asked, 'exact match')}", ">= .95", "words never seen")]


def topics(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of the bars, and of the topics of questions."""
    rows: list[Row] = []
    for agent in ("lda", "nmf"):
        runs = [learn(agent, "topic-bars", seed) for seed in SEEDS]
        measure = f"total variation {mean([run.metrics for run in runs], 'total variation')}"
        beside = peers.bars(runs[0].agent, timed_fit(runs[0].agent, 100), 0) if agent == "lda" else ""
        rows.append(("topic-bars", agent, measure, "<= .05" if agent == "lda" else "", beside))
    return rows + peers.questions(data, learn, timed_fit)


def spacy(data: Path, text: Path | None) -> list[Row]:
    """Return the rows beside spaCy."""
    return peers.spacy_rows(data, learn)


def perplexity(data: Path, text: Path | None) -> list[Row]:
    """Return the row beside KenLM."""
    return peers.perplexity(data, learn)


def senses(data: Path, text: Path | None) -> list[Row]:
    """Return the rows of words of two senses."""
    return peers.senses(learn)


PARTS: dict[str, Callable[[Path, Path | None], list[Row]]] = {
    part.__name__: part
    for part in (
        tags,
        networks.neural_tags,
        networks.other_taggers,
        entities,
        networks.neural_entities,
        trees,
        sentiment,
        networks.neural_sentiment,
        networks.dates,
        networks.dates_forms,
        networks.letters,
        networks.copying,
        networks.speech,
        gum,
        networks.tatoeba,
        networks.tatoeba_longer,
        networks.tatoeba_without,
        networks.tatoeba_transformer,
        networks.chat,
        characters,
        perplexity,
        bots,
        topics,
        senses,
        spacy,
    )
}


def main() -> None:
    """Measure the parts that are named and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--text", type=Path, help="the text for the language model")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    if given.data is None:
        print("name a folder with the files; nothing was measured")
        return
    kept = HERE / "language.json"
    for part in given.only:
        found = PARTS[part](given.data.resolve(), given.text and given.text.resolve())
        rows: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
        rows[part] = found
        rows["versions"] = dict(rows.get("versions", {})) | versions()
        kept.write_text(json.dumps(rows, indent=1) + "\n")
        write(rows)


def versions() -> dict[str, str]:
    """Return the version of each other program that is installed."""
    found = {}
    for name in ("gensim", "nltk", "python-crfsuite", "spacy", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def write(rows: dict[str, Any]) -> None:
    """Write the table."""
    programs = ", ".join(f"{name} {of}" for name, of in sorted(rows.get("versions", {}).items()))
    lines = [
        "# Language: scores",
        "",
        "Written by `benchmarks/language.py`, which says how it is measured. Scores are on each file's own test part; of several seeds the",
        f"mean, and the least and the largest. {platform.machine()}, Python {platform.python_version()}, {programs}.",
        "",
        "| task | agent | score | threshold | beside |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for part in PARTS for row in rows.get(part, [])),
        "",
    ]
    (HERE / "language.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
