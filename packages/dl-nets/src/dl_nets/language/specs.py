"""Specs of the networks for sentences."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="seq2seq",
        target="dl_nets.language.encoder_decoder:Seq2Seq",
        summary="Recurrent encoder and decoder with attention, from tokens to tokens",
        reference="Bahdanau, Cho and Bengio, Neural machine translation by jointly learning to align and translate, 2015",
        fits=("data token-input token-output",),
        task="reverse",
        agent="supervised",
        tiny={"units": 6, "embedding": 4, "attention_size": 4},
        tags=("attention", "recurrent", "translation"),
    )
    yield NetworkSpec(
        name="pointer-generator",
        target="dl_nets.language.pointer_generator:PointerGenerator",
        summary="Encoder and decoder that copies words of the text, for summaries",
        reference="See, Liu and Manning, Get to the point: summarization with pointer-generator networks, 2017",
        fits=("data token-input token-output copying",),
        task="copy-summaries",
        agent="supervised",
        tiny={"units": 6, "embedding": 4, "attention_size": 4},
        tags=("attention", "recurrent", "summaries"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="copy-summaries",
        target="dl_nets.language.copy_summaries:CopySummariesTask",
        summary="Tables of facts with made-up names, to be told in one sentence",
        traits=("data", "token-input", "token-output", "copying"),
        agent="supervised",
        tags=("language", "summaries"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    yield from ()
