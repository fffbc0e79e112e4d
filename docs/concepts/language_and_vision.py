"""Vector spaces of words, and attention."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from concepts.drawing import label, picture

README = Path(__file__).parents[2] / "README.md"


def sparse_vectors(path: Path) -> str:
    """Draw how the dimensions of a bag of words grow, and how few of them a document uses."""
    pages = sorted(README.parent.glob("*.md")) + sorted(README.parent.glob("packages/*/*.md"))
    documents = [set(re.findall(r"[a-z]+", part.lower())) for page in pages for part in page.read_text(encoding="utf-8").split("\n\n")]
    seen: set[str] = set()
    sizes = []
    for document in documents:
        seen |= document
        sizes.append(len(seen))
    shares = np.array([len(document) for document in documents]) / len(seen)
    with picture(path, 2) as (left, right):
        left.plot(sizes)
        right.hist(100 * shares, 40)
        label(left, "Every new word is a dimension", "paragraphs of this project's pages", "words")
        label(right, "Nearly all entries are 0", "entries of a paragraph that are not 0, %", "paragraphs")
    return (
        f"{len(documents)} paragraphs span {len(seen):,} dimensions, of which one uses {100 * shares.mean():.1f} % on average. "
        "`dog bites man` and `man bites dog` are the same vector: order is lost."
    )


def attention_weights(path: Path) -> str:
    """Draw the attention of the words of a sentence to each other, from two-dimensional keys made by hand."""
    words = ["the", "cat", "that", "saw", "dogs", "sleeps"]
    queries = torch.tensor([[0.0, 0.0], [0.0, 1.0], [3.0, 0.0], [2.0, 0.0], [0.0, 0.5], [3.0, -1.5]])
    keys = torch.tensor([[0.0, 0.0], [2.0, -1.0], [0.0, 0.0], [0.0, 0.5], [1.0, 2.0], [0.0, 0.5]])
    weights = scaled_dot_product_attention(queries, keys, torch.eye(6))
    with picture(path) as axes:
        image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
        axes.figure.colorbar(image, ax=axes, label="weight")
        axes.set_xticks(range(6), words, rotation=45)
        axes.set_yticks(range(6), words)
        label(axes, "softmax(Q K' / sqrt(d))", "looked at", "looks")
    return (
        f"Each row sums to 1. With these keys `sleeps` gives {float(weights[5, 1]):.2f} of its weight to `cat` and "
        f"{float(weights[5, 4]):.2f} to the nearer noun `dogs`."
    )


def cost_of_attention(path: Path) -> str:
    """Draw the measured time of attention over the length of the text."""
    lengths, seconds = [256, 512, 1024, 2048], []
    for length in lengths:
        inputs = torch.randn(1, 4, length, 32)
        scaled_dot_product_attention(inputs, inputs, inputs)
        took = []
        for _ in range(5):
            began = time.perf_counter()
            torch.softmax(inputs @ inputs.transpose(-1, -2), dim=-1) @ inputs
            took.append(time.perf_counter() - began)
        seconds.append(min(took))
    with picture(path) as axes:
        axes.loglog(lengths, seconds, "o-", label="measured while this page was built")
        axes.loglog(lengths, [seconds[-1] * (length / lengths[-1]) ** 2 for length in lengths], ":", color="black", label="length squared")
        label(axes, "Attention of 4 heads of 32", "tokens", "seconds")
    return f"Every token looks at every token: from 512 to 2,048 tokens the scores grow from {512**2:,} to {2048**2:,} a head, 16 times."


FIGURES = {"sparse-vectors": sparse_vectors, "attention-weights": attention_weights, "cost-of-attention": cost_of_attention}
