"""Specs of the data sets that come with scikit-learn and of the schemes whose tasks are read from files."""

from __future__ import annotations

from collections.abc import Iterator

from rl_core.api import TaskSchemeSpec, TaskSpec


def tasks() -> Iterator[TaskSpec]:
    """Yield the tasks."""
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
        name="digit-pairs",
        target="dl_nets.tasks.digit_pairs:DigitPairs",
        summary="Which of two digits is larger, and what is their sum? Two inputs, two answers",
        traits=("data", "dict-input", "dict-output"),
        agent="supervised",
        tags=("classification", "regression", "vision"),
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
    for name, summary, config in (
        ("xor", "Do two bits differ? Noisy corners of a square, not to be parted by a line", {"shape": "xor", "noise": 0.2}),
        ("two-moons", "Which of two interlocking half circles?", {"shape": "two-moons", "noise": 0.2}),
        ("spirals", "Which of several arms that wind around each other?", {"shape": "spirals", "noise": 0.15, "turns": 1.5}),
    ):
        yield TaskSpec(
            name=name,
            target="dl_nets.tasks.planar:Planar",
            summary=summary,
            reference={
                "xor": "Minsky and Papert, Perceptrons, 1969",
                "spirals": "Lang and Witbrock, Learning to tell two spirals apart, 1988",
            }.get(name, ""),
            config=config,
            traits=("data", "vector-input", "discrete-output"),
            agent="supervised",
            tags=("classification", "synthetic"),
        )
    yield TaskSpec(
        name="reverse",
        target="dl_nets.tasks.reverse:Reverse",
        summary="Write a text of up to 8 symbols backwards",
        reference="Zaremba and Sutskever, Reinforcement learning neural Turing machines, 2015",
        traits=("data", "token-input", "token-output"),
        agent="supervised",
        tags=("sequences", "tokens"),
    )
    hochreiter = "Hochreiter and Schmidhuber, Long short-term memory, 1997"
    for name, target, summary, reference, inputs, outputs in (
        ("adding-problem", "AddingProblem", "The sum of the two marked ones of many numbers", hochreiter, "array", "continuous"),
        ("copy-memory", "CopyMemory", "Repeat symbols that were read long before", hochreiter, "token", "token"),
        ("sine", "Sine", "How does a noisy sine go on?", "", "array", "continuous"),
    ):
        yield TaskSpec(
            name=name,
            target=f"dl_nets.tasks.sequences:{target}",
            summary=summary,
            reference=reference,
            traits=("data", f"{inputs}-input", f"{outputs}-output"),
            agent="supervised",
            tags=("sequences", "synthetic"),
        )


def schemes() -> Iterator[TaskSchemeSpec]:
    """Yield the schemes."""
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
    yield TaskSchemeSpec(
        name="mnist",
        target="dl_nets.tasks.mnist:Mnist",
        summary="Images and labels in idx files: MNIST, Fashion-MNIST and others",
        reference="LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, 1998",
        argument="path",
        example="mnist:data/mnist",
        make_example="dl_nets.tasks.mnist:write_example",
        traits=("data", "image-input", "discrete-output"),
        agents=("supervised",),
        tags=("classification", "vision"),
    )
    yield TaskSchemeSpec(
        name="char-lm",
        target="dl_nets.tasks.char_lm:CharLm",
        summary="The next character of a text, at each of its characters",
        reference="Shannon, Prediction and entropy of printed English, 1951",
        argument="path",
        example="char-lm:book.txt",
        make_example="dl_nets.tasks.char_lm:write_example",
        traits=("data", "token-input", "token-output"),
        agents=("supervised",),
        tags=("language", "sequences", "music"),
    )
    yield TaskSchemeSpec(
        name="text-classification",
        target="dl_nets.tasks.text_classification:TextClassification",
        summary="Texts with one label each, `label<TAB>text` a line",
        argument="path",
        example="text-classification:reviews.tsv",
        make_example="dl_nets.tasks.text_classification:write_example",
        traits=("data", "token-input", "discrete-output"),
        agents=("supervised",),
        tags=("classification", "language"),
    )
    yield TaskSchemeSpec(
        name="images",
        target="dl_nets.tasks.picture_folder:PictureFolder",
        summary="Pictures in one folder for each class, of any size and kind",
        argument="path",
        example="images:flowers",
        make_example="dl_nets.tasks.picture_folder:write_example",
        traits=("data", "image-input", "discrete-output"),
        agents=("supervised",),
        tags=("classification", "vision"),
    )
    yield TaskSchemeSpec(
        name="series",
        target="dl_nets.tasks.series:Series",
        summary="The next values of time series, one row of a table for each time",
        reference="Hyndman and Koehler, Another look at measures of forecast accuracy, 2006",
        argument="path",
        example="series:sales.csv",
        make_example="dl_nets.tasks.series:write_example",
        traits=("data", "array-input", "continuous-output"),
        agents=("supervised",),
        tags=("forecasting", "sequences", "table"),
    )
    yield TaskSchemeSpec(
        name="npz",
        target="dl_nets.tasks.npz:Npz",
        summary="Arrays that NumPy saved: x and y, or x_train, y_train, x_test and y_test",
        argument="path",
        example="npz:points.npz",
        make_example="dl_nets.tasks.npz:write_example",
        traits=("data",),
        agents=("supervised",),
        tags=("classification", "regression"),
    )
