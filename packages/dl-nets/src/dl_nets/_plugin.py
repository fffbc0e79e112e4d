"""The plugin of dl-nets: its agents, networks, tasks and task schemes."""

from __future__ import annotations

from collections.abc import Iterable

from rl_core.api import AgentSpec, NetworkSpec, TaskSchemeSpec, TaskSpec, hookimpl

RL_API = 2
OUTPUTS = ("discrete", "continuous", "binary", "image", "map", "token", "ragged", "text", "boxes", "instances")


@hookimpl
def rl_agents() -> Iterable[AgentSpec]:
    """Yield the specs of agents that learn from examples."""
    yield AgentSpec(
        name="supervised",
        target="dl_nets.learning.supervised:Supervised",
        summary="Minibatch gradient descent on examples with answers",
        reference="Bottou, Curtis and Nocedal, Optimization methods for large-scale machine learning, 2018",
        fits=tuple(f"data {trait}-output" for trait in OUTPUTS),
        unit="examples",
        budget=71_900,  # 50 epochs of the default task; of another task as many
        task="digits",
        network="mlp",
        presets="dl_nets:presets/supervised.yaml",
        tiny={"batch_size": 512},
        tags=("classification", "regression"),
    )


@hookimpl
def rl_networks() -> Iterable[NetworkSpec]:
    """Yield the specs of networks that fit many tasks."""
    yield NetworkSpec(
        name="mlp",
        target="dl_nets.networks.mlp:MLP",
        summary="Multilayer perceptron, for inputs of any plain kind",
        reference="Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, 1986",
        fits=("vector-input", "image-input", "array-input", "discrete-input"),
        task="breast-cancer",
        tiny={"hidden": (8,)},
    )
    yield NetworkSpec(
        name="cnn",
        target="dl_nets.networks.cnn:CNN",
        summary="Small convolutional network, for images from 8 x 8",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        fits=("image-input",),
        task="digits",
        tiny={"channels": (4,), "hidden": (8,)},
        tags=("vision",),
    )

    for name, summary, reference in (
        ("gru", "Gated recurrent unit: two gates on a state", "Cho and others, Learning phrase representations using RNN, 2014"),
        ("lstm", "Long short-term memory: gates around a cell", "Hochreiter and Schmidhuber, Long short-term memory, 1997"),
        ("rnn", "Elman's recurrent network: its units see their last outputs", "Elman, Finding structure in time, 1990"),
    ):
        yield NetworkSpec(
            name=name,
            target="dl_nets.networks.recurrent:RecurrentNetwork",
            summary=summary,
            reference=reference,
            config={"cell": name},
            # Data must hold a sequence (an image is one of rows); of a control task the agent makes one, if it carries a state.
            fits=("data image-input", "data array-input", "control vector-input", "control discrete-input"),
            task="digits",
            tiny={"units": 8},
            tags=("recurrent", "sequences"),
        )


@hookimpl
def rl_tasks() -> Iterable[TaskSpec]:
    """Data sets that come with scikit-learn."""
    yield TaskSpec(
        name="digits",
        target="dl_nets.tasks.digits:Digits",
        summary="Which digit is it? 1,797 images of 8 x 8",
        reference="Alpaydin and Kaynak, Optical recognition of handwritten digits, 1998",
        traits=("data", "image-input", "discrete-output"),
        agent="supervised",
        tags=("classification", "vision"),
    )
    yield TaskSpec(
        name="breast-cancer",
        target="dl_nets.tasks.sklearn_tables:BundledTable",
        summary="Malignant or benign? 569 cell samples, 30 numbers",
        reference="Street, Wolberg and Mangasarian, Nuclear feature extraction for breast tumor diagnosis, 1993",
        config={"table": "breast-cancer"},
        traits=("data", "vector-input", "discrete-output"),
        agent="supervised",
        tags=("classification", "table"),
    )
    yield TaskSpec(
        name="wine",
        target="dl_nets.tasks.sklearn_tables:BundledTable",
        summary="Which of three growers? 178 wines, 13 numbers",
        reference="Forina et al., PARVUS, 1988",
        config={"table": "wine"},
        traits=("data", "vector-input", "discrete-output"),
        agent="supervised",
        tags=("classification", "table"),
    )
    yield TaskSpec(
        name="diabetes",
        target="dl_nets.tasks.sklearn_tables:BundledTable",
        summary="How far will the disease be in a year? 442 patients, 10 numbers",
        reference="Efron, Hastie, Johnstone and Tibshirani, Least angle regression, 2004",
        config={"table": "diabetes"},
        traits=("data", "vector-input", "continuous-output"),
        agent="supervised",
        tags=("regression", "table"),
    )


@hookimpl
def rl_task_schemes() -> Iterable[TaskSchemeSpec]:
    """Yield the specs of schemes whose tasks are read from files."""
    yield TaskSchemeSpec(
        name="csv",
        target="dl_nets.tasks.csv_file:CsvTask",
        summary="Any table with a line of column names",
        argument="path",
        example="csv:flowers.csv",
        make_example="dl_nets.tasks.csv_file:write_example",
        traits=("data", "vector-input"),
        agents=("supervised",),
        tags=("classification", "regression", "table"),
    )
