"""Specs of what learns from inputs alone, and of the tasks that judge it."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec


def agents() -> Iterator[AgentSpec]:
    """Yield the agents."""
    yield AgentSpec(
        name="gan",
        target="dl_nets.generative.gan:GAN",
        summary="Generator against discriminator: learns to draw examples from noise",
        reference="Goodfellow and others, Generative adversarial nets, 2014",
        fits=("data generation",),
        unit="examples",
        budget=500_000,
        task="ring-of-gaussians",
        network="leaky-mlp",
        presets="dl_nets:generative/presets/gan.yaml",
        tiny={"batch_size": 16, "updates_per_step": 3, "averaging": 0.9, "penalty": "gradient"},
        tags=("unsupervised", "generation"),
    )


def networks() -> Iterator[NetworkSpec]:
    """Yield the networks."""
    hinton = "Hinton and Salakhutdinov, Reducing the dimensionality of data with neural networks, 2006"
    vincent = "Vincent, Larochelle, Bengio and Manzagol, Extracting and composing robust features with denoising autoencoders, 2008"
    masci = "Masci, Meier, Ciresan and Schmidhuber, Stacked convolutional auto-encoders, 2011"
    tiny = {"code": 2, "hidden": (8,)}
    for name, summary, reference, config, changes in (
        ("autoencoder", "Learns to answer its inputs through a narrow code", hinton, {}, tiny),
        ("denoising-autoencoder", "Learns to answer inputs of which it sees a damaged copy", vincent, {"masking": 0.3}, tiny),
        (
            "convolutional-autoencoder",
            "Learns to answer images through convolutions and a narrow code",
            masci,
            {"channels": (16, 32), "hidden": ()},
            {"code": 2, "channels": (2,)},
        ),
    ):
        yield NetworkSpec(
            name=name,
            target="dl_nets.generative.autoencoder:Autoencoder",
            summary=summary,
            reference=reference,
            config=config,
            fits=("data reconstruction", "data anomaly"),
            task="reconstruct:digits",
            agent="supervised",
            tiny=changes,
            tags=("unsupervised", "dimensionality reduction", "anomaly detection"),
        )
    yield NetworkSpec(
        name="leaky-mlp",
        target="dl_nets.generative.leaky:LeakyMLP",
        summary="Perceptron with leaky rectifiers, for both players of a gan",
        reference="Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models, 2013",
        fits=("vector-input", "image-input", "array-input", "discrete-input", "data dict-input generation"),
        task="breast-cancer",
        tiny={"hidden": (8,)},
        tags=("generation",),
    )
    yield NetworkSpec(
        name="variational-autoencoder",
        target="dl_nets.generative.variational:VariationalAutoencoder",
        summary="Autoencoder with random codes, from which new inputs are drawn",
        reference="Kingma and Welling, Auto-encoding variational Bayes, 2014",
        fits=("data reconstruction", "data anomaly", "data generation"),
        task="reconstruct:digits",
        agent="supervised",
        tiny={"latents": 2, "hidden": (8,)},
        tags=("unsupervised", "generation", "dimensionality reduction", "anomaly detection"),
    )


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
    for name, summary, config in (
        ("ring-of-gaussians", "Draw points around 8 modes on a circle", {}),
        ("grid-of-gaussians", "Draw points around 25 modes on a square grid", {"layout": "grid", "modes": 25}),
    ):
        yield TaskSpec(
            name=name,
            target="dl_nets.generative.gaussians:Gaussians",
            summary=summary,
            reference="Metz, Poole, Pfau and Sohl-Dickstein, Unrolled generative adversarial networks, 2017",
            config=config,
            traits=("data", "vector-input", "continuous-output", "generation"),
            agent="gan",
            tags=("unsupervised", "generation", "synthetic"),
        )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
    yield TaskSchemeSpec(
        name="reconstruct",
        target="dl_nets.generative.reconstruct:Reconstruct",
        summary="The inputs of another task, to be answered by themselves",
        argument="task",
        example="reconstruct:digits",
        traits=("data", "reconstruction"),
        agents=("supervised",),
        tags=("unsupervised", "dimensionality reduction"),
    )
    yield TaskSchemeSpec(
        name="generate",
        target="dl_nets.generative.generate:Generate",
        summary="The inputs of another task, to be drawn from noise",
        reference="Heusel and others, GANs trained by a two time-scale update rule, 2017",
        argument="task",
        example="generate:digits",
        traits=("data", "generation"),
        agents=("gan",),
        tags=("unsupervised", "generation"),
    )
    yield TaskSchemeSpec(
        name="anomalies",
        target="dl_nets.generative.reconstruct:Anomalies",
        summary="Is it unlike the inputs of the normal classes? Those of another task",
        argument="task",
        example="anomalies:digits",
        traits=("data", "discrete-output", "anomaly"),
        agents=("supervised",),
        tags=("unsupervised", "anomaly detection"),
    )
