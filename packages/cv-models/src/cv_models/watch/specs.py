"""Specs of captioners and classifiers of clips, and of their tasks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec

FEW = {"num_frames": 6, "num_train": 60, "num_validation": 20, "num_test": 30}
TINY = {"channels": (3, 4), "frame_size": 5, "units": 4}


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    for name, target, summary, reference, more in (
        (
            "mean-pool-captioner",
            "mean_pool_captioner:MeanPoolCaptioner",
            "Captions of clips from the mean of their frames; blind to their order",
            "Venugopalan et al., Translating videos to natural language using deep recurrent neural networks, 2015",
            {"word_size": 4},
        ),
        (
            "s2vt",
            "s2vt:S2VT",
            "Captions of clips: two LSTMs read all frames, then write",
            "Venugopalan et al., Sequence to sequence - video to text, 2015",
            {"word_size": 4},
        ),
        (
            "temporal-attention-captioner",
            "temporal_attention_captioner:TemporalAttentionCaptioner",
            "Captions of clips: at each word an LSTM looks back at frames",
            "Yao et al., Describing videos by exploiting temporal structure, 2015",
            {"word_size": 4, "attention_size": 4},
        ),
    ):
        yield NetworkSpec(
            name=name,
            target=f"cv_models.watch.{target}",
            summary=summary,
            reference=reference,
            fits=("data array-input token-output",),
            task="moving-shapes",
            agent="supervised",
            tiny={**TINY, **more},
            tags=("vision", "video", "captions"),
        )
    yield NetworkSpec(
        name="clip-classifier",
        target="cv_models.watch.clip_classifier:ClipClassifier",
        summary="The action of a clip: an LSTM over frames, pooled by attention",
        reference="Donahue et al., Long-term recurrent convolutional networks for visual recognition and description, 2015",
        fits=("array-input discrete-output",),
        task="moving-shapes-actions",
        agent="supervised",
        tiny=TINY,
        tags=("vision", "video", "classification"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="moving-shapes",
        target="cv_models.watch.moving_shapes:MovingShapes",
        summary="A sentence that says how a shape moves in a clip. Made from a seed",
        traits=("data", "array-input", "token-output"),
        agent="supervised",
        tiny=FEW,
        tags=("captions", "video", "synthetic"),
    )
    yield TaskSpec(
        name="moving-shapes-actions",
        target="cv_models.watch.moving_shapes:MovingShapesActions",
        summary="Which way does a shape move in a clip? Made from a seed",
        traits=("data", "array-input", "discrete-output"),
        agent="supervised",
        tiny=FEW,
        tags=("classification", "video", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="videos",
        target="cv_models.watch.videos:VideosTask",
        summary="Clips and their captions, as MSVD, MSR-VTT or a table list them",
        argument="path",
        example="videos:clips",
        make_example="cv_models.watch.videos:write_videos",
        traits=("data", "array-input", "token-output"),
        agents=("supervised",),
        tags=("captions", "video"),
    )
    yield TaskSchemeSpec(
        name="actions",
        target="cv_models.watch.videos:ActionsTask",
        summary="A folder of clips for each class of action",
        argument="path",
        example="actions:clips",
        make_example="cv_models.watch.videos:write_actions",
        traits=("data", "array-input", "discrete-output"),
        agents=("supervised",),
        tags=("classification", "video"),
    )
