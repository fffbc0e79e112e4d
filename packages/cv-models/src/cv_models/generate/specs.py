"""Specs of what generates pictures, and of the tasks that judge it."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import NetworkSpec, TaskSchemeSpec, TaskSpec

FROM_NOISE = ("data vector-input image-output generation", "data dict-input image-output generation")


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    for name, target, summary, reference in (
        (
            "dcgan",
            "dcgan:DCGAN",
            "Convolutional generator and discriminator, for the agent gan",
            "Radford, Metz and Chintala, Unsupervised representation learning with deep convolutional GANs, 2016",
        ),
        (
            "wgan-gp",
            "dcgan:DCGAN",
            "Convolutional generator and critic, for a Wasserstein game with gradient penalty",
            "Gulrajani et al., Improved training of Wasserstein GANs, 2017",
        ),
        (
            "conditional-gan",
            "dcgan:DCGAN",
            "Convolutional generator and discriminator that are given the class",
            "Mirza and Osindero, Conditional generative adversarial nets, 2014; Miyato and Koyama 2018",
        ),
        (
            "stylegan",
            "stylegan:StyleGAN",
            "Generator with modulated convolutions, steered by styles, and its discriminator",
            "Karras et al., Analyzing and improving the image quality of StyleGAN, 2020",
        ),
    ):
        yield NetworkSpec(
            name=name,
            target=f"cv_models.generate.{target}",
            summary=summary,
            reference=reference,
            fits=FROM_NOISE,
            task="generate:plain-shapes",
            agent="gan",
            tiny={"width": 2, "most": 2, "style": 4} if name == "stylegan" else {"width": 2},
            tags=("vision", "generation"),
        )
    yield NetworkSpec(
        name="ddpm",
        target="cv_models.generate.ddpm:DDPM",
        summary="Diffusion model: learns to take noise out of images, and draws them so",
        reference="Ho, Jain and Abbeel, Denoising diffusion probabilistic models, 2020; Song, Meng and Ermon 2021",
        fits=("data image-input image-output generation", "data dict-input image-output generation"),
        task="shapes-from-noise",
        agent="supervised",
        tiny={"width": 4, "times": 8, "steps": 2},
        tags=("vision", "generation", "diffusion"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    yield TaskSpec(
        name="shapes-from-noise",
        target="dl_nets.generative.generate:Generate",
        summary="Draw plain shapes from noise of their own size",
        config={"task": "plain-shapes", "noise": 0, "validation": False},
        traits=("data", "image-input", "image-output", "generation"),
        agent="supervised",
        tags=("generation", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="plain-shapes",
        target="cv_models.generate.plain_shapes:PlainShapes",
        summary="Circle, square or triangle? Small grey pictures, made from a seed",
        traits=("data", "image-input", "discrete-output"),
        agent="supervised",
        tags=("classification", "vision", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield from ()
