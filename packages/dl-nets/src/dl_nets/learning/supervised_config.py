"""Settings of the learner from examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Literal

from dl_nets.learning.averaging import AverageName
from dl_nets.learning.losses import LossName
from dl_nets.learning.metrics import MetricName
from dl_nets.learning.optimisers import OptimiserName, ScheduleName
from rl_core.config import Count, Doc, Fraction, Meta, NonNegative, Positive, Whole, configclass


@configclass
class SupervisedConfig:
    """Settings of the learner from examples."""

    learning_rate: Annotated[Positive, Doc("alpha, step size at the start of the schedule")] = 1e-3
    schedule: Annotated[ScheduleName, Doc("course of alpha over the budget")] = "cosine"
    epochs: Annotated[Count, Doc("passes over the training split, where no budget is given")] = 50
    batch_size: Annotated[Whole, Doc("B, examples of one update; 1: stochastic, 0: all of the training split, batch gradient descent")] = 64
    shards: Annotated[
        int, Meta(ge=1, le=1024), Doc("S, parts of a batch whose gradients are computed alone and added in order; --processes shares them")
    ] = 1
    optimiser: Annotated[OptimiserName, Doc("gradient method")] = "adamw"
    momentum: Annotated[float, Meta(ge=0, lt=1), Doc("mu, of the optimisers momentum and nesterov")] = 0.9
    weight_decay: Annotated[NonNegative, Doc("lambda, pull of the weight matrices towards 0")] = 0.01
    l1: Annotated[NonNegative, Doc("weight of the penalty sum |w| of the weight matrices; with l2 the elastic net")] = 0.0
    l2: Annotated[NonNegative, Doc("weight of the penalty sum w^2 of the weight matrices")] = 0.0
    loss: Annotated[LossName, Doc("auto: cross-entropy of classes and flags, squared-error of numbers")] = "auto"
    losses: Annotated[Mapping[str, LossName], Doc("the loss of each answer of a task that asks for several")] = field(default_factory=dict)
    loss_weights: Annotated[
        Mapping[str, float], Doc("weight of the loss of each answer of a task that asks for several, >= 0; 1 where it is not named")
    ] = field(default_factory=dict)
    label_smoothing: Annotated[float, Meta(ge=0, lt=1), Doc("share of cross-entropy's target that is spread over all classes")] = 0.0
    class_weights: Annotated[
        Literal["none", "balanced"] | tuple[float, ...] | Mapping[str, float],
        Doc(
            "balanced: an example counts N / (K n), n of the N training examples having its class of K; or the weight of each class in "
            "order, or {class: weight}, >= 0"
        ),
    ] = "none"
    max_gradient_norm: Annotated[NonNegative, Doc("longer gradients are shortened to it; 0 is off")] = 0.0
    average: Annotated[AverageName, Doc("ema: a running average of the weights answers; swa: their mean over the last epochs")] = "none"
    average_decay: Annotated[float, Meta(ge=0, lt=1), Doc("d, share of the average that ema keeps at each update")] = 0.999
    average_start: Annotated[Fraction, Doc("share of the budget after which swa begins")] = 0.75
    patience: Annotated[
        Whole, Doc("epochs without a better validation loss before it ends; 0: learn to the end, the last parameters answer")
    ] = 0
    loaded_rate: Annotated[NonNegative, Doc("factor of alpha for layers that network.from loaded")] = 1.0
    unfreeze_every: Annotated[
        Whole, Doc("epochs after which one more layer that network.freeze froze is learned, the last one first; 0: never")
    ] = 0
    metrics: Annotated[
        tuple[MetricName, ...], Doc("further metrics of the validation and test splits, by name, such as f1, top_5, mae or rmse")
    ] = ()
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Doc("of the forward pass; auto is bfloat16 on CUDA")] = "auto"
    resident_megabytes: Annotated[Whole, Doc("a split up to this size is kept on the device whole, MiB")] = 1024

    def __post_init__(self) -> None:
        for name, weight in self.loss_weights.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"loss_weights gives {name} the weight {weight}; it must be >= 0")
