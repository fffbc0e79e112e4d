"""Specs of captioners, of models of pictures and texts together, and of their tasks."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec

FITS = ("data image-input token-output",)


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    yield NetworkSpec(
        name="show-and-tell",
        target="cv_models.describe.show_and_tell:ShowAndTell",
        summary="Captions: convolutions see the picture, an LSTM writes",
        reference="Vinyals, Toshev, Bengio and Erhan, Show and tell: a neural image caption generator, 2015",
        fits=FITS,
        task="shapes-captions",
        agent="supervised",
        tiny={"channels": (3, 4), "picture_size": 6, "word_size": 4, "units": 6},
        tags=("vision", "captions"),
    )
    yield NetworkSpec(
        name="show-attend-and-tell",
        target="cv_models.describe.show_attend_and_tell:ShowAttendAndTell",
        summary="Captions: at each word an LSTM looks at places of the picture",
        reference="Xu et al., Show, attend and tell: neural image caption generation with visual attention, 2015",
        fits=FITS,
        task="shapes-captions",
        agent="supervised",
        tiny={"channels": (3, 4), "word_size": 4, "units": 6, "attention_size": 4},
        tags=("vision", "captions", "attention"),
    )
    yield NetworkSpec(
        name="transformer-captioner",
        target="cv_models.describe.transformer_captioner:TransformerCaptioner",
        summary="Captions: a transformer from places of the picture to words",
        reference="Vaswani et al., Attention is all you need, 2017; Cornia et al., Meshed-memory transformer for image captioning, 2020",
        fits=FITS,
        task="shapes-captions",
        agent="supervised",
        tiny={"channels": (3, 4), "width": 4, "depth": 1, "num_heads": 2, "expansion": 1},
        tags=("vision", "captions", "attention"),
    )
    yield NetworkSpec(
        name="clip",
        target="cv_models.describe.clip:CLIP",
        summary="Pictures and texts in one space; answers with the nearest known text",
        reference="Radford et al., Learning transferable visual models from natural language supervision, 2021",
        fits=FITS,
        task="shapes-captions",
        agent="supervised",
        tiny={"channels": (3, 4), "size": 6, "width": 4, "depth": 1, "num_heads": 2, "bank": 64},
        tags=("vision", "captions", "retrieval", "contrastive"),
    )
    yield NetworkSpec(
        name="blip",
        target="cv_models.describe.blip:BLIP",
        summary="Captions by BLIP, from a local folder of the library transformers",
        reference="Li, Li, Xiong and Hoi, BLIP: bootstrapping language-image pre-training, 2022",
        requires=("transformers",),
        extra="cv-models[transformers]",
        fits=FITS,
        task="shapes-captions",
        agent="supervised",
        tiny={"width": 8, "depth": 1, "patch_size": 16},
        tags=("vision", "captions", "transformers"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="shapes-captions",
        target="cv_models.describe.shape_captions:ShapeCaptions",
        summary="A sentence that says all about two shapes. Made from a seed",
        traits=("data", "image-input", "token-output"),
        agent="supervised",
        tiny={"num_train": 60, "num_validation": 20, "num_test": 30},
        tags=("captions", "vision", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="captions",
        target="cv_models.describe.caption_files:CaptionFiles",
        summary="Pictures and their captions, as COCO, Karpathy, Flickr or a table list them",
        argument="path",
        example="captions:pictures/captions.csv",
        make_example="cv_models.describe.caption_files:write_example",
        traits=("data", "image-input", "token-output"),
        agents=("supervised",),
        tags=("captions", "vision"),
    )
