"""Specs of the networks for sentences."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="seq2seq",
        target="dl_nets.language.seq2seq:Seq2Seq",
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
    yield NetworkSpec(
        name="cnn-text",
        target="dl_nets.language.text_cnn:TextCNNNetwork",
        summary="Convolutions over the words of a text, and their maxima",
        reference="Kim, Convolutional neural networks for sentence classification, 2014",
        fits=("data token-input discrete-output", "data token-input binary-output", "data token-input continuous-output"),
        task="phrase-order",
        agent="supervised",
        tiny={"widths": (2,), "filters": 4, "embedding": 4},
        tags=("language", "classification"),
    )
    for name, summary, config in (
        ("bilstm-tagger", "Bidirectional LSTM over words and letters, a tag for each word", {}),
        ("bilstm-crf", "Bidirectional LSTM below a conditional random field of tags", {"crf": True}),
    ):
        yield NetworkSpec(
            name=name,
            target="dl_nets.language.tagger:TaggerNetwork",
            summary=summary,
            reference="Huang, Xu and Yu, Bidirectional LSTM-CRF models for sequence tagging, 2015",
            config=config,
            fits=("data token-input token-output", "data dict-input token-output"),
            task="copy-memory",
            agent="supervised",
            tiny={"units": 4, "embedding": 4, "filters": 4},
            tags=("language", "tagging", "recurrent"),
        )
    yield NetworkSpec(
        name="ctc-recogniser",
        target="dl_nets.language.recogniser:CTCRecogniser",
        summary="Bidirectional LSTM over sound, whose letters need no alignment",
        reference="Graves, Fernandez, Gomez and Schmidhuber, Connectionist temporal classification, 2006",
        fits=("data array-input token-output transcripts",),
        task="spoken-tones",
        agent="supervised",
        tiny={"units": 4, "stack": 4},
        tags=("speech", "recurrent"),
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
    yield TaskSpec(
        name="phrase-order",
        target="dl_nets.language.phrase_order:PhraseOrder",
        summary="The order of three words that are together somewhere in a text",
        traits=("data", "token-input", "discrete-output"),
        agent="supervised",
        tags=("language", "classification"),
    )
    yield TaskSpec(
        name="spoken-tones",
        target="dl_nets.language.transcripts:SpokenTones",
        summary="Digits that are said as chords, up to five in a row, in noise",
        traits=("data", "array-input", "token-output", "transcripts"),
        agent="supervised",
        tiny={"examples": 100, "held_out": 20},
        tags=("speech",),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the open families of tasks."""
    yield TaskSchemeSpec(
        name="audio",
        target="dl_nets.language.transcripts:AudioFolder",
        summary="Wave files with transcripts: in transcripts.csv, or in their names",
        argument="path",
        example="audio:recordings",
        make_example="dl_nets.language.transcripts:write_example",
        traits=("data", "array-input", "token-output", "transcripts"),
        agents=("supervised",),
        tags=("speech",),
    )
