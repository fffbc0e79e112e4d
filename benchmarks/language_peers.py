"""Rows of `language.py` beside other programs: gensim's LDA, spaCy's tagger and parser, KenLM, and a masked model for word senses.

Each part is left out where the other program is missing: `pip install gensim`, `pip install spacy`, KenLM's `lmplz` and `query` on PATH,
`pip install transformers`. Times are processor times of paired runs in one process with one thread, so that only their ratio counts.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SPACY_ROUNDS = 8
Row = tuple[str, str, str, str, str]


def lda_beside_gensim(task: Any, own: float, seed: int, **settings: Any) -> tuple[np.ndarray, str] | None:
    """Return gensim's topics [K, V] and how much longer it takes, on the counts of a task; `None` where gensim is missing."""
    try:
        from gensim.models import LdaModel
    except ImportError:
        return None
    counts = [np.unique(numbers, return_counts=True) for numbers in task.documents("train")]
    documents = [[(int(word), float(n)) for word, n in zip(*pair, strict=True)] for pair in counts]
    start = time.process_time()
    model = LdaModel(documents, id2word=dict(enumerate(task.terms)), random_state=seed, eval_every=None, **settings)
    return model.get_topics(), f"fit {(time.process_time() - start) / own:.1f} times as fast"


def bars(agent: Any, own: float, seed: int) -> str:
    """Return what gensim reaches on the bars with 20 passes of 50 documents; fewer passes or larger parts do not reach our score."""
    from nlp_embeddings.topics.task import total_variation

    task, config = agent.task, agent.config
    settings = {"num_topics": config.topics, "alpha": config.alpha, "eta": config.beta, "passes": 20, "chunksize": 50}
    found = lda_beside_gensim(task, own, seed, **settings)
    if found is None:
        return ""
    return f"gensim, 20 passes: {total_variation(found[0], task._true_topics).mean():.3f}; {found[1]}"


def questions(data: Path, learn: Any, timed_fit: Any) -> list[Row]:
    """Return the rows of the topics of banking77's questions, 20 of them."""
    with lzma.open(data / "banking77.train.csv.xz", "rt", encoding="utf-8") as file:
        lines = [row[0].replace("\n", " ") for row in csv.reader(file)][1:]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "questions.txt")
        path.write_text("\n".join(lines))
        for agent in ("lda", "nmf"):
            run = learn(agent, f"topics:{path}", config={"topics": 20})
            beside = ""
            if agent == "lda":
                own = timed_fit(run.agent, run.progress)
                found = lda_beside_gensim(run.agent.task, own, 0, num_topics=20, passes=10)
                beside = "" if found is None else f"gensim, 10 passes: {run.agent.task.coherence(found[0]):.3f}; {found[1]}"
            rows.append(("banking77, questions", agent, f"coherence {run.metrics['coherence']:.3f} (NPMI of ten words)", "", beside))
    return rows


def spacy_rows(data: Path, learn: Any, rounds: int = SPACY_ROUNDS) -> list[Row]:
    """Return the rows of spaCy's tagger and parser (a blank English pipeline) beside ours with the settings of their presets, on EWT."""
    try:
        import spacy
        from spacy.tokens import Doc
        from spacy.training import Example
        from spacy.util import minibatch
    except ImportError:
        return []
    spacy.util.fix_random_seed(0)
    config = {"validation": f"{data}/ewt.dev.conllu.xz", "test": f"{data}/ewt.test.conllu.xz"}
    tagger = learn("perceptron-tagger", f"tagging:{data}/ewt.train.conllu.xz", task_config=config)
    parser = learn("dependency-parser", f"parsing:{data}/ewt.train.conllu.xz", task_config=config)
    task = parser.agent.task
    nlp = spacy.blank("en")
    for name in ("tagger", "parser"):
        nlp.add_pipe(name)

    def example(sentence: Any, tree: Any) -> Any:
        heads, relations = tree
        words = sentence.words
        names = ["ROOT" if head == 0 else task.relations[r] for head, r in zip(heads, relations, strict=True)]
        places = [i if head == 0 else int(head) - 1 for i, head in enumerate(heads)]
        return Example(Doc(nlp.vocab, words=words), Doc(nlp.vocab, words=words, tags=sentence.tags, heads=places, deps=names))

    train = [example(s, t) for s, t in zip(task.examples["train"], task.trees("train"), strict=True)]
    optimizer = nlp.initialize(lambda: train)
    rng = np.random.default_rng(0)
    start = time.process_time()
    for _ in range(rounds):
        for batch in minibatch([train[i] for i in rng.permutation(len(train))], 64):
            nlp.update(batch, sgd=optimizer, drop=0.1)
    print(f"spaCy learned for {time.process_time() - start:.0f} s", flush=True)
    test, trees = task.examples["test"], task.trees("test")
    words = [sentence.words for sentence in test]
    start = time.process_time()
    tagger.agent.tag(words)
    own_tags = time.process_time() - start
    start = time.process_time()
    parser.agent.parse(words)
    own_trees = time.process_time() - start
    start = time.process_time()
    with nlp.select_pipes(disable=["parser"]):
        list(nlp.pipe([Doc(nlp.vocab, words=row) for row in words], batch_size=256))
    their_tags = time.process_time() - start
    start = time.process_time()
    docs = list(nlp.pipe([Doc(nlp.vocab, words=row) for row in words], batch_size=256))
    their_trees = time.process_time() - start
    total = sum(map(len, words))
    right = sum(token.tag_ == tag for doc, s in zip(docs, test, strict=True) for token, tag in zip(doc, s.tags, strict=True)) / total
    attached = labelled = 0
    for doc, (heads, relations) in zip(docs, trees, strict=True):
        for token, head, relation in zip(doc, heads, relations, strict=True):
            found = 0 if token.head is token or token.head.i == token.i else token.head.i + 1
            attached += found == head
            labelled += found == head and (head == 0 or token.dep_ == task.relations[relation])
    name = "EWT, beside spaCy"
    tags = f"spaCy, {rounds} rounds: {right:.3f}; tags {their_tags / own_tags:.1f} times as fast"
    theirs = f"spaCy, {rounds} rounds: {attached / total:.3f}, {labelled / total:.3f}"
    both = f"{theirs}; tags and parses {their_trees / own_trees:.1f} times as fast"
    ours = f"UAS {parser.metrics['UAS']:.3f}, LAS {parser.metrics['LAS']:.3f} (tags of its own)"
    return [
        (name, "perceptron-tagger", f"accuracy {tagger.metrics['accuracy']:.3f}", "", tags),
        (name, "dependency-parser", ours, "", both),
    ]


def perplexity(data: Path, learn: Any) -> list[Row]:
    """Return the row of WikiText-2: 4-grams of its validation part, scored on its test part, rare words among the words."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in ("valid", "test"):
            with gzip.open(data / f"wikitext-2-{part}.txt.gz", "rt", encoding="utf-8") as file:
                lines = [line.strip().replace("<unk>", "<rare>") for line in file]
            Path(folder, part).write_text("".join(f"{line}\n" for line in lines if line), encoding="utf-8")
        options = {"token": "whitespace", "lines": True, "test": f"{folder}/test", "validation": f"{folder}/test"}
        run = learn("ngram-lm", f"language-model:{folder}/valid", config={"order": 4}, budget=4, task_config=options)
        beside = ""
        if shutil.which("lmplz") and shutil.which("query"):
            with Path(folder, "valid").open() as text, Path(folder, "arpa").open("w") as arpa:
                command = ["lmplz", "-o", "4", "-S", "200M", "-T", folder]
                subprocess.run(command, stdin=text, stdout=arpa, stderr=subprocess.DEVNULL, check=True)
            with Path(folder, "test").open() as text:
                command = ["query", "-v", "summary", f"{folder}/arpa"]
                said = subprocess.run(command, stdin=text, capture_output=True, text=True, check=True).stdout
            beside = "KenLM {:.4f}".format(*map(float, re.findall(r"including OOVs:\s*(\S+)", said)))
        measure = f"perplexity {run.metrics['perplexity']:.4f}, {run.metrics['unknown']:.1%} of the words unknown"
        rows.append(("WikiText-2, validation to test", "ngram-lm, order 4", measure, "KenLM's", beside))
    return rows


def senses(learn: Any, seeds: tuple[int, ...] = (0,)) -> list[Row]:
    """Return the rows of words of two senses."""
    metric = "adjusted Rand index"
    rows: list[Row] = []
    for agent, note in (("bag-of-words", "vectors of the sentences"), ("ppmi", "means of the words around"), ("skip-gram", "the same")):
        rows.append(("two-senses", agent, f"{metric} {learn(agent, 'two-senses').metrics[metric]:.3f}", "", note))
    try:
        import transformers  # noqa: F401
    except ImportError:
        return rows
    run = learn("contextual", "two-senses", device="cpu")
    rows.append(("two-senses", "contextual", f"{metric} {run.metrics[metric]:.3f}", "", "random weights: the floor"))
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            write_masked_model(Path(folder), seed)
            rows.append(masked_row(learn("contextual", "two-senses", config={"folder": folder}, device="cpu").metrics, seed))
    return rows


def masked_row(metrics: dict[str, float], seed: int) -> Row:
    """Return the row of a masked model of a seed."""
    words = ", ".join(f"{word} {value:.3f}" for word, value in metrics.items() if word != "adjusted Rand index")
    note = f"a masked model of two layers, learned from 6,000 other sentences, seed {seed}: {words}"
    return "two-senses", "contextual (folder=...)", f"adjusted Rand index {metrics['adjusted Rand index']:.3f}", ">= .5", note


def write_masked_model(folder: Path, seed: int, *, steps: int = 3000, size: int = 64) -> None:
    """Learn a small BERT from the templates' sentences of other seeds, by masked words, and save it as `save_pretrained` does."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizerFast

    from nlp_embeddings.evaluate.two_senses import sentences

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    lines = [line for other in range(1, 11) for line in sentences(other)]
    words = sorted({word for line in lines for word in line.split()})
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
    tokenizer.save_pretrained(folder)
    shape = {"hidden_size": size, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 2 * size}
    model = BertForMaskedLM(BertConfig(vocab_size=len(words) + 5, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **shape))
    batch = tokenizer(lines, padding=True, return_tensors="pt")
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in range(steps):
        rows = torch.randint(len(lines), (64,))
        ids, known = batch["input_ids"][rows], batch["attention_mask"][rows]
        asked = (torch.rand(ids.shape) < 0.2) & (ids > 4)  # of these 80 % are masked, 10 % replaced and 10 % kept, as for BERT
        draw = torch.rand(ids.shape)
        shown = torch.where(asked & (draw < 0.8), 4, ids)
        shown = torch.where(asked & (draw > 0.9), torch.randint(5, len(words) + 5, ids.shape), shown)
        loss = model(input_ids=shown, attention_mask=known, labels=torch.where(asked, ids, -100)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.save_pretrained(folder)
