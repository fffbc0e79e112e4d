"""Exported networks, run from their files, answer as the agents that wrote them."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from gymnasium import spaces
from torch import Tensor, nn

import rl_core
from dl_nets.classic.perceptron import Perceptron, PerceptronConfig
from dl_nets.classic.rbf import RBFConfig, RBFNetwork
from dl_nets.generative.autoencoder import Autoencoder, AutoencoderConfig
from dl_nets.language.copy_tokens import CopyTokens
from dl_nets.language.pointer_generator import PointerGenerator, PointerGeneratorConfig
from dl_nets.language.recogniser import CTCRecogniser, RecogniserConfig
from dl_nets.language.tagger import TaggerConfig, TaggerNetwork
from dl_nets.learning.data import ArrayTask
from dl_nets.learning.export import example, exportable, write
from dl_nets.learning.losses import OwnRule
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.graph import GraphConfig, GraphNetwork
from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import RecurrentConfig, RecurrentNetwork
from dl_nets.networks.transformer_seq2seq import Seq2Seq, Seq2SeqConfig
from dl_nets.tasks.digit_pairs import DigitPairs, DigitPairsConfig
from rl_core.cli.cli import cli
from rl_core.network import Network
from rl_core.seeds import Seeds
from rl_core.task import DataTask
from rl_core.tokens import Tokens


def trained(task: DataTask, network: Network) -> Supervised:
    agent = Supervised(SupervisedConfig(epochs=2), task, network, seeds=Seeds(0), budget=100, device="cpu")
    agent.step()
    return agent


def whole_numbers() -> ArrayTask:
    """Sequences of three rows, and two whole numbers from 0 to 9 for each."""
    inputs = np.random.default_rng(0).normal(size=(40, 3, 2)).astype(np.float32)
    targets = np.clip(np.rint(5 + 3 * inputs.sum(axis=1)), 0, 9).astype(np.int64)
    parts = {"train": slice(0, 24), "validation": slice(24, 32), "test": slice(32, 40)}
    task = ArrayTask(None, {name: (inputs[part], targets[part]) for name, part in parts.items()}, spaces.Box(-9, 9, (3, 2)), ())
    task.output_space = spaces.Box(0, 9, (2,), np.int64)
    return task


def loaded(path: Path) -> nn.Module:
    return torch.export.load(io.BytesIO(path.read_bytes())).module()


def test_a_graph_of_torch_answers_as_the_agent_for_batches_of_any_size(three_classes: ArrayTask, tmp_path: Path) -> None:
    networks: tuple[Network, ...] = (MLP(MLPConfig(hidden=(4,), dropout=0.5)), RecurrentNetwork(RecurrentConfig("lstm", units=3)))
    for task, network in zip((three_classes, whole_numbers()), networks, strict=True):
        agent = trained(task, network)
        agent.export("torch-export", tmp_path / "graph.pt2")
        for count in (1, 7):
            inputs = task.read("test", np.arange(count))[0]
            answers, outputs = (part.detach().numpy() for part in loaded(tmp_path / "graph.pt2")(torch.from_numpy(inputs)))
            np.testing.assert_array_equal(answers, agent.predict(inputs))
            np.testing.assert_allclose(outputs, agent.module(torch.from_numpy(inputs)).detach().numpy(), atol=1e-4)


def test_graphs_of_threshold_units_and_of_radial_units_answer_as_the_agents(three_classes: ArrayTask, tmp_path: Path) -> None:
    inputs = three_classes.read("test", np.arange(7))[0]
    agents: tuple[Any, ...] = (
        Perceptron(PerceptronConfig(averaged=True), three_classes, None, seeds=Seeds(0), budget=80, device="cpu"),
        RBFNetwork(RBFConfig(centres=4, iterations=1), three_classes, None, seeds=Seeds(0), budget=200, device="cpu"),
    )
    for agent in agents:
        while not agent.finished and agent.progress < agent.budget:
            agent.step()
        agent.export("torch-export", tmp_path / "graph.pt2")
        answers, outputs = loaded(tmp_path / "graph.pt2")(torch.from_numpy(inputs))
        np.testing.assert_array_equal(answers.numpy(), agent.predict(inputs))
        assert np.ptp(outputs.detach().numpy()) > 0.1  # it has learned


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "onnxscript")), reason="needs onnx, onnxscript and onnxruntime"
)
def test_onnx_runtime_answers_as_the_agent(three_classes: ArrayTask, tmp_path: Path) -> None:
    import onnxruntime  # type: ignore[import-not-found, unused-ignore]

    agent = trained(three_classes, MLP(MLPConfig(hidden=(4,), batch_norm=True)))
    agent.export("onnx", tmp_path / "graph.onnx")
    inputs = three_classes.read("test", np.arange(7))[0]
    answers, outputs = onnxruntime.InferenceSession(str(tmp_path / "graph.onnx")).run(None, {"inputs": inputs})
    np.testing.assert_array_equal(answers, agent.predict(inputs))
    np.testing.assert_allclose(outputs, agent.module(torch.from_numpy(inputs)).detach().numpy(), atol=1e-4)


def test_several_inputs_and_answers_are_arguments_and_results_by_name(tmp_path: Path) -> None:
    task = DigitPairs(DigitPairsConfig(pairs=40, held_out=8))
    agent = trained(task, GraphNetwork(GraphConfig(units=4)))
    agent.export("torch-export", tmp_path / "graph.pt2")
    inputs = task.read("test", np.arange(5))[0]
    found = loaded(tmp_path / "graph.pt2")(*(torch.from_numpy(inputs[name]) for name in ("left", "right")))
    answers = agent.predict(inputs)
    np.testing.assert_array_equal(found[0].numpy(), answers["larger"])
    np.testing.assert_allclose(found[1].detach().numpy(), answers["sum"], atol=1e-4)
    names = exportable(agent.module, agent._rule, task.input_space).outputs
    assert list(names) == ["answers.larger", "answers.sum", "outputs.larger", "outputs.sum"]


def test_an_autoencoder_is_a_graph_for_batches_of_any_size(tmp_path: Path) -> None:
    space = spaces.Box(0, 1, (4, 4, 1), np.float32)
    for channels in ((), (2,)):
        module = Autoencoder(AutoencoderConfig(code=2, hidden=(3,), channels=channels)).build(space, space, np.random.default_rng(0))
        write(exportable(module, OwnRule("auto", 0.0), space), "torch-export", tmp_path / "graph.pt2")
        inputs = torch.rand(5, 4, 4, 1, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(loaded(tmp_path / "graph.pt2")(inputs)[0], module.eval().answers(inputs))


def test_a_file_of_weights_fits_a_network_of_the_same_shape(three_classes: ArrayTask, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    agent = trained(three_classes, MLP(MLPConfig(hidden=(4,))))
    agent.export("state-dict", tmp_path / "weights.safetensors")
    other = MLP(MLPConfig(hidden=(4,))).build(three_classes.input_space, three_classes.output_space, np.random.default_rng(9))
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    inputs = torch.ones(1, 2)
    assert torch.equal(other(inputs), agent.module(inputs))


def test_answers_of_tokens_are_written_in_as_many_steps_for_each_input(tmp_path: Path) -> None:
    space = Tokens(3, 5, padding=0)
    module = Seq2Seq(Seq2SeqConfig(width=4, depth=1, num_heads=1), space, Tokens(3, 4, padding=0, end=1), np.random.default_rng(0)).eval()
    write(exportable(module, OwnRule("auto", 0.0), space), "torch-export", tmp_path / "graph.pt2")
    inputs = torch.tensor([[3, 4, 0], [2, 2, 2]])
    answers, logits = loaded(tmp_path / "graph.pt2")(inputs)
    assert torch.equal(answers, module.answers(inputs))
    torch.testing.assert_close(logits, module(inputs, answers), atol=1e-4, rtol=0)


def rows_of_tokens(count: int, length: int, size: int) -> np.ndarray:
    """Rows of tokens from 2 on, padded by 0 behind their ends."""
    rng = np.random.default_rng(0)
    return np.where(np.arange(length) < rng.integers(1, length + 1, (count, 1)), rng.integers(2, size, (count, length)), 0)


def test_sentences_are_tagged_copied_and_heard_by_graphs(tmp_path: Path) -> None:
    rng, inputs = np.random.default_rng(0), rows_of_tokens(5, 3, 9)
    letters = spaces.MultiDiscrete(np.full((3, 2), 4))
    tagger = TaggerNetwork(TaggerConfig(crf=True, units=2, embedding=2, filters=2))
    copier = PointerGenerator(PointerGeneratorConfig(units=2, embedding=2, attention_size=2))
    heard, frames = spaces.Box(-9, 9, (4, 2), np.float32), rng.normal(size=(5, 4, 2)).astype(np.float32)
    frames[0, 2:] = 0.0  # silence behind the end
    cases: tuple[tuple[Network, spaces.Space[Any], spaces.Space[Any], dict[str, np.ndarray]], ...] = (
        (
            tagger,
            spaces.Dict(words=Tokens(3, 9, padding=0), letters=letters),
            Tokens(3, 4, padding=0),
            {"letters": rng.integers(0, 4, (5, 3, 2)), "words": inputs},
        ),
        (copier, CopyTokens(3, 7, 2, ends=True), CopyTokens(3, 7, 2, ends=True), {"inputs": inputs}),
        (CTCRecogniser(RecogniserConfig(units=2)), heard, Tokens(2, 3, padding=0), {"inputs": frames}),
    )
    for network, given, answered, arrays in cases:
        module = network.build(given, answered, rng).eval()
        made = exportable(module, OwnRule("auto", 0.0), given)
        tensors = {name: torch.from_numpy(arrays[name]).to(each.dtype) for name, each in made.inputs.items()}
        about = write(made, "torch-export", tmp_path / "graph.pt2")
        assert about["outputs"]["answers"]["shape"] == ["batch", *answered.shape]
        assert not module.training
        answers, outputs = loaded(tmp_path / "graph.pt2")(*tensors.values())
        whole = tensors if len(tensors) > 1 else tensors["inputs"]
        with torch.no_grad():
            assert torch.equal(answers, module.answers(whole))
            wanted = module.traced_answers(whole)[1]
        torch.testing.assert_close(outputs[:, : wanted.shape[1]], wanted, atol=1e-4, rtol=0)


class Halves(nn.Linear):
    """A module whose number of steps depends on its inputs."""

    def training_loss(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> tuple[Tensor, dict[str, Any]]:
        return self(inputs).sum(), {}

    def answers(self, inputs: Tensor) -> Tensor:
        while inputs.abs().max() > 1:
            inputs = inputs / 2
        return self(inputs)


def test_what_a_file_holds_is_printed_and_written_beside_it(tmp_path: Path) -> None:
    rl_core.learn("supervised", task="two-moons", budget=64, out=tmp_path / "run", quiet=True)
    printed = CliRunner().invoke(cli, ["export", str(tmp_path / "run"), "--format", "torch-export"])
    assert printed.exit_code == 0, printed.output
    assert "  output answers, int64 [batch]: answers in the task's output space" in printed.output
    about = json.loads((tmp_path / "run" / "exported.pt2.json").read_text())
    assert about["inputs"] == {"inputs": {"type": "float32", "shape": ["batch", 2]}}
    assert about["outputs"]["outputs"]["shape"] == ["batch", 2]


def test_what_cannot_be_written_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = exportable(Halves(2, 1), OwnRule("auto", 0.0), spaces.Box(-9, 9, (2,)))
    with pytest.raises(ValueError, match=r"Halves cannot be exported as a graph .*; export the format state-dict instead"):
        write(made, "torch-export", tmp_path / "graph.pt2")
    with pytest.raises(ValueError, match="a graph is exported for inputs that are one array"):
        example(spaces.Dict(a=spaces.Discrete(2)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'dl-nets\[onnx\]'"):
        write(made, "onnx", tmp_path / "graph.onnx")
    assert not list(tmp_path.iterdir())


def test_what_lies_beside_a_graph_tells_how_its_inputs_are_encoded(tmp_path: Path) -> None:
    rows = [(0.1 * n % 1, 50 + 10 * np.sin(n / 3)) for n in range(80)]
    (tmp_path / "sales.csv").write_text("weather,sales\n" + "".join(f"{a:.3f},{b:.2f}\n" for a, b in rows))
    run, calls = str(tmp_path / "run"), CliRunner()
    options = ["--set", "task.window=6", "--set", "task.targets=[sales]", "--budget", "40", "--out", run]
    assert calls.invoke(cli, ["run", f"series:{tmp_path / 'sales.csv'}", *options]).exit_code == 0
    written = calls.invoke(cli, ["export", run, "--format", "torch-export"])
    assert 'input inputs, float32 [batch, 6, 2]: as the task encodes them, see "task"' in written.output
    columns = json.loads((tmp_path / "run" / "exported.pt2.json").read_text())["task"]["columns"]
    assert [column["name"] for column in columns] == ["weather", "sales"]
    typed = np.array([[0.5, 48.0]] * 6)
    encoded = (typed - [column["mean"] for column in columns]) / [column["scale"] for column in columns]
    graph = torch.export.load(tmp_path / "run" / "exported.pt2").module()
    answer = json.loads(calls.invoke(cli, ["predict", run, json.dumps(typed.tolist()), "--json"]).stdout)["answer"]
    (answers, *_) = graph(torch.from_numpy(encoded.astype(np.float32))[None])
    assert answers.item() == pytest.approx(float(np.ravel(answer)[0]), rel=1e-4)
