"""Specs of what generates pictures, and of the tasks that judge it."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec

FROM_NOISE = ("data vector-input image-output generation", "data dict-input image-output generation")


def agents() -> Iterator[AgentSpec]:
    """Yield the agents."""
    yield AgentSpec(
        name="cyclegan",
        target="cv_models.generate.cyclegan:CycleGAN",
        summary="Translates pictures between two domains, learning without pairs",
        reference="Zhu, Park, Isola and Efros, Unpaired image-to-image translation using CycleGAN, 2017",
        fits=("data dict-input image-output unpaired",),
        unit="examples",
        budget=8000,
        task="ink-on-paper",
        tiny={"width": 2, "blocks": 1, "discriminator_width": 2, "batch_size": 1, "updates_per_step": 1, "pool": 3},
        tags=("vision", "generation", "translation"),
    )
    yield AgentSpec(
        name="srgan",
        target="cv_models.generate.srgan:SRGAN",
        summary="Enlarges pictures, taught by features and a discriminator to keep textures",
        reference="Ledig et al., Photo-realistic single image super-resolution using a generative adversarial network, 2017",
        fits=("data image-input image-output super-resolution",),
        unit="examples",
        budget=20_000,
        task="super-resolution-leaves",
        network="srresnet",
        tiny={"discriminator_width": 2, "feature_width": 2, "batch_size": 2, "updates_per_step": 1, "warm_up": 0.3},
        tags=("vision", "super-resolution", "generation"),
    )


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
    for name, summary, reference, config in (
        (
            "srcnn",
            "Three convolutions on an enlarged picture",
            "Dong et al., Image super-resolution using deep convolutional networks, 2016",
            {},
        ),
        ("espcn", "Convolutions on the small picture, then pixel shuffle", "Shi et al., Real-time single image super-resolution, 2016", {}),
        (
            "srresnet",
            "Residual blocks on the small picture, then pixel shuffle",
            "Ledig et al., Photo-realistic single image super-resolution using a GAN, 2017",
            {"width": 32, "loss": "absolute-error"},
        ),
    ):
        yield NetworkSpec(
            name=name,
            target="cv_models.generate.upscalers:Upscaler",
            summary=summary,
            reference=reference,
            config={"body": name, **config},
            fits=("data image-input image-output super-resolution",),
            task="super-resolution-leaves",
            agent="supervised",
            tiny={"width": 2, "blocks": 1},
            tags=("vision", "super-resolution"),
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
        tiny={"settings": {"num_train": 200}, "most_tested": 100},
        tags=("generation", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="shapes-from-captions",
        target="cv_models.generate.captioned_shapes:ShapesFromCaptions",
        summary="Draw a picture of which a caption is true. Made from a seed",
        traits=("data", "dict-input", "image-output", "generation"),
        agent="supervised",
        tiny={"num_train": 100, "num_test": 50},
        tags=("generation", "vision", "captions", "synthetic"),
    )
    yield TaskSpec(
        name="surface-defects",
        target="cv_models.generate.defects:SurfaceDefects",
        summary="Find defects of a surface, learning from whole ones. Made from a seed",
        traits=("data", "image-input", "image-output", "reconstruction"),
        agent="supervised",
        tiny={"num_train": 60, "num_validation": 20, "num_test": 30},
        tags=("anomaly detection", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="plain-shapes",
        target="cv_models.generate.plain_shapes:PlainShapes",
        summary="Circle, square or triangle? Small grey pictures, made from a seed",
        traits=("data", "image-input", "discrete-output"),
        agent="supervised",
        tiny={"num_train": 60, "num_validation": 20, "num_test": 30},
        tags=("classification", "vision", "synthetic"),
    )
    yield TaskSpec(
        name="ink-on-paper",
        target="cv_models.generate.renderings:Renderings",
        summary="Translate between grey pictures and ink on paper, without pairs",
        traits=("data", "dict-input", "image-output", "unpaired"),
        agent="cyclegan",
        tiny={"settings": {"num_train": 60, "num_test": 30}},
        tags=("vision", "translation", "synthetic"),
    )
    yield TaskSpec(
        name="super-resolution-leaves",
        target="cv_models.generate.resolution:LeavesResolution",
        summary="Enlarge pictures of shapes over shapes, made from a seed",
        reference="Lee, Mumford and Huang, Occlusion models for natural images, 2001",
        traits=("data", "image-input", "image-output", "super-resolution"),
        agent="supervised",
        tiny={"size": 24, "num_train": 30, "num_validation": 4, "num_test": 8},
        tags=("vision", "super-resolution", "synthetic"),
    )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="generated",
        target="cv_models.generate.generated:Generated",
        summary="A task whose rare classes are filled up by a conditional generator's run",
        reference="Antoniou, Storkey and Edwards, Data augmentation generative adversarial networks, 2017",
        argument="path",
        example="generated:runs/conditional-gan",
        make_example="cv_models.generate.generated:write_example",
        traits=("data", "discrete-output"),
        agents=("supervised",),
        tags=("classification", "generation"),
    )
    yield TaskSchemeSpec(
        name="super-resolution",
        target="cv_models.generate.resolution:FolderResolution",
        summary="Enlarge the pictures of a folder",
        argument="path",
        example="super-resolution:photos",
        make_example="cv_models.generate.resolution:write_example",
        traits=("data", "image-input", "image-output", "super-resolution"),
        agents=("supervised",),
        tags=("vision", "super-resolution"),
    )
