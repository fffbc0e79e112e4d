"""Recurrent networks: the steps by hand and beside torch's, where a sequence starts, and what they can remember."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.networks.cells import NUM_GATES, Cell, gru_step, lstm_step, rnn_step
from dl_nets.networks.mlp import MLP, MLPConfig
from dl_nets.networks.recurrent import Recurrent, RecurrentConfig, RecurrentNetwork
from rl_core.seeds import Seeds
from rl_core.tokens import Tokens

CELLS = ("rnn", "gru", "lstm")
INPUT, OUTPUT = spaces.Box(-1.0, 1.0, (2,)), spaces.Discrete(3)
TORCHS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def build(cell: str, seed: int = 0, **config: object) -> Recurrent:
    network = RecurrentNetwork(RecurrentConfig(cell, **{"units": 5, **config}))
    return network.build_stepped(INPUT, OUTPUT, np.random.default_rng(seed))


def lowest(network: Recurrent) -> Cell:
    cell = network.cells.forwards[0]
    assert isinstance(cell, Cell)
    return cell


def sequences(num_steps: int = 7, batch: int = 4, num_starts: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [T, B, 2], and some starts [T, B], the first step of the first sequence among them."""
    rng = np.random.default_rng(seed)
    starts = np.zeros(num_steps * batch, dtype=bool)
    starts[rng.choice(len(starts), num_starts, replace=False)] = True
    starts[0] = num_starts > 0
    inputs = rng.normal(size=(num_steps, batch, 2)).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(starts.reshape(num_steps, batch))


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers])


def sigmoid(number: float) -> float:
    return 1 / (1 + math.exp(-number))


def test_a_step_of_elman_is_the_tanh_of_the_sum() -> None:
    assert rnn_step(column(0.5), column(0.25), column(9.0)).item() == pytest.approx(math.tanh(0.75))


def test_a_step_of_a_gru_mixes_the_state_with_a_candidate() -> None:
    reset, keep = sigmoid(1.0 + 0.5), sigmoid(-1.0 + 0.5)
    candidate = math.tanh(2.0 + reset * -3.0)
    after = gru_step(column(1.0, -1.0, 2.0), column(0.5, 0.5, -3.0), column(4.0))
    assert after.item() == pytest.approx((1 - keep) * candidate + keep * 4.0)


def test_a_step_of_an_lstm_fills_and_empties_its_cell() -> None:
    cell = sigmoid(2.0) * 4.0 + sigmoid(1.0) * math.tanh(3.0)  # f c + i g
    after = lstm_step(column(0.5, 1.5, 2.0, -1.5), column(0.5, 0.5, 1.0, 0.5), column(9.0, 4.0))
    assert after[0].tolist() == pytest.approx([sigmoid(-1.0) * math.tanh(cell), cell])


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_without_starts_in_between_it_is_torch_s_own(cell: str, fast: bool) -> None:
    network, inputs = build(cell, fast=fast), sequences()[0]
    if cell == "gru":
        lowest(network).bias.data.copy_(torch.linspace(-1, 1, 15))
    twin = TORCHS[cell](2, 5)
    state = torch.linspace(-1, 1, 4 * network.state_size).reshape(4, -1)
    with torch.no_grad():
        twin.weight_ih_l0.copy_(lowest(network).projection.weight), twin.bias_ih_l0.copy_(lowest(network).projection.bias)
        twin.weight_hh_l0.copy_(lowest(network).weight)
        twin.bias_hh_l0.copy_(lowest(network).bias if cell == "gru" else torch.zeros(NUM_GATES[cell] * 5))
        start = (state[None, :, :5].contiguous(), state[None, :, 5:].contiguous()) if cell == "lstm" else state[None]
        wanted, last = twin(inputs, start)
        outputs, after = network(inputs, state, torch.zeros(7, 4, dtype=torch.bool))
    torch.testing.assert_close(outputs, network.output(wanted))
    torch.testing.assert_close(after, torch.cat([part[0] for part in last], dim=1) if cell == "lstm" else last[0])


@pytest.mark.parametrize("cell", CELLS)
def test_two_layers_in_both_directions_are_torch_s_own_for_texts_of_unlike_length(cell: str) -> None:
    config = RecurrentConfig(cell, units=5, layers=2, bidirectional=True, embedding=3)
    reader = RecurrentNetwork(config).build(Tokens(7, 9, padding=0), OUTPUT, np.random.default_rng(0)).eval()
    twin, network = TORCHS[cell](3, 5, num_layers=2, bidirectional=True), reader.recurrent
    lengths = np.array([7, 2, 1, 5])
    tokens = torch.from_numpy(np.where(np.arange(7) < lengths[:, None], np.random.default_rng(1).integers(1, 9, (4, 7)), 0))
    with torch.no_grad():
        for suffix, cells in (("", network.cells.forwards), ("_reverse", network.cells.backwards)):
            for number, own in enumerate(cells):
                bias = own.bias if cell == "gru" else torch.zeros(NUM_GATES[cell] * 5)
                values = (own.projection.weight, own.weight, own.projection.bias, bias)
                for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), values, strict=True):
                    getattr(twin, f"{name}_l{number}{suffix}").copy_(value)
        packed = nn.utils.rnn.pack_padded_sequence(network.features(tokens.T), torch.from_numpy(lengths), enforce_sorted=False)
        last = twin(packed)[1]
        last = (last[0] if cell == "lstm" else last)[-2:]
        torch.testing.assert_close(reader(tokens), network.output(torch.cat([last[0], last[1]], dim=1)), rtol=0, atol=1e-5)


def test_many_to_many_and_one_to_many_answer_at_each_step() -> None:
    network, rng = RecurrentNetwork(RecurrentConfig("gru", units=5)), np.random.default_rng(0)
    tagger = network.build(Tokens(6, 9, padding=0), Tokens(6, 4), rng)
    assert tagger(torch.ones(3, 6, dtype=torch.int64)).shape == (3, 6, 4)
    series = network.build(spaces.Box(-1, 1, (6, 2)), spaces.Box(-1, 1, (6, 1)), rng)
    whole = series(torch.linspace(-1, 1, 36).reshape(3, 6, 2))
    assert whole.shape == (3, 6, 1)
    writer = network.build(spaces.Discrete(4), Tokens(6, 9), rng)
    written = writer(torch.tensor([0, 3]))
    assert written.shape == (2, 6, 9)
    assert not torch.allclose(written[0], written[1])
    assert not torch.allclose(written[:, 0], written[:, 1])


def test_a_text_goes_on_from_the_state_of_its_prompt() -> None:
    text = Tokens(6, 9)
    model = RecurrentNetwork(RecurrentConfig("lstm", units=5, layers=2)).build(text, text, np.random.default_rng(0))
    prompt = torch.tensor([[1, 2, 3], [4, 5, 6]])
    written = model.generate(prompt, 3, np.random.default_rng(0), temperature=0.0)
    whole = torch.cat([prompt, written], dim=1)
    assert torch.equal(model(whole)[:, 2:5].argmax(dim=2), written)
    tagger = RecurrentNetwork(RecurrentConfig("lstm", bidirectional=True)).build(text, text, np.random.default_rng(0))
    with pytest.raises(ValueError, match="does not model the next token"):
        tagger.generate(prompt, 1, np.random.default_rng(0))


def test_an_agent_that_steps_through_time_is_refused_a_network_that_reads_backwards() -> None:
    with pytest.raises(ValueError, match=r"set network.bidirectional=false, or take network lstm"):
        RecurrentNetwork(RecurrentConfig("lstm", bidirectional=True)).build_stepped(INPUT, OUTPUT, np.random.default_rng(0))


@pytest.mark.parametrize("cell", CELLS)
def test_the_compiled_way_through_time_is_its_twin_s_with_all_gradients(cell: str) -> None:
    inputs, starts = sequences(num_steps=9, batch=6, num_starts=10)
    weights = torch.from_numpy(np.random.default_rng(1).normal(size=(9, 6, 3)).astype(np.float32))
    results = []
    for fast in (True, False):
        network = build(cell, before=(4,), after=(4,), fast=fast)
        given = inputs.clone().requires_grad_()
        state = torch.linspace(-1, 1, 6 * network.state_size).reshape(6, -1).requires_grad_()
        outputs, after = network(given, state, starts)
        ((outputs * weights).sum() + (after**2).sum()).backward()
        results.append([outputs, after, given.grad, state.grad, *(parameter.grad for parameter in network.parameters())])
    for left, right in zip(*results, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_sequence_with_starts_is_as_many_sequences_apart(cell: str, fast: bool) -> None:
    network, (inputs, starts) = build(cell, fast=fast), sequences()
    state = torch.ones(4, network.state_size)
    with torch.no_grad():
        outputs, after = network(inputs, state, starts)
        for b in range(4):
            bounds = [0, *(t for t in range(7) if starts[t, b] and t), 7]
            for begin, end in itertools.pairwise(bounds):
                before = network.initial_state(1) if starts[begin, b] else state[b : b + 1]
                alone, last = network(inputs[begin:end, b : b + 1], before, torch.zeros(end - begin, 1, dtype=torch.bool))
                torch.testing.assert_close(outputs[begin:end, b], alone[:, 0])
            torch.testing.assert_close(after[b], last[0])


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_no_gradient_crosses_the_start_of_a_sequence(cell: str, fast: bool) -> None:
    network, (inputs, _) = build(cell, fast=fast), sequences(num_starts=0)
    starts = torch.zeros(7, 4, dtype=torch.bool)
    starts[3, 0] = True
    given = inputs.clone().requires_grad_()
    network(given, network.initial_state(4), starts)[0][-1].sum().backward()
    assert not given.grad[:3, 0].any()
    assert given.grad[3:, 0].any(dim=1).all()
    assert given.grad[:, 1:].any(dim=2).all()


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_carried_over_a_cut_continues_and_one_step_is_a_sequence_of_one(cell: str) -> None:
    network, (inputs, starts) = build(cell), sequences()
    with torch.no_grad():
        whole, last = network(inputs, network.initial_state(4), starts)
        first, state = network(inputs[:3], network.initial_state(4), starts[:3])
        second, after = network(inputs[3:], state, starts[3:])
        torch.testing.assert_close(torch.cat([first, second]), whole)
        torch.testing.assert_close(after, last)
        alone, stepped = network.one(inputs[3], state)
        outputs, further = network(inputs[3:4], state, torch.zeros(1, 4, dtype=torch.bool))
    assert torch.equal(alone, outputs[0])
    assert torch.equal(stepped, further)


@pytest.mark.parametrize("cell", CELLS)
def test_a_permuted_batch_gives_a_permuted_result_and_shuffled_time_another_one(cell: str) -> None:
    network, (inputs, starts) = build(cell), sequences()
    order, state = torch.tensor([2, 0, 3, 1]), torch.linspace(-1, 1, 4 * network.state_size).reshape(4, -1)
    with torch.no_grad():
        outputs, after = network(inputs, state, starts)
        permuted, permuted_after = network(inputs[:, order], state[order], starts[:, order])
        torch.testing.assert_close(permuted, outputs[:, order])
        torch.testing.assert_close(permuted_after, after[order])
        shuffled = network(inputs.flip(0), state, starts.flip(0))[0].flip(0)
    assert (shuffled - outputs).abs().max() > 0.01


@pytest.mark.usefixtures("global_generators_stay")
def test_first_weights_are_orthogonal_by_gate_and_forget_gates_start_open() -> None:
    network = build("lstm", units=6)
    for gate in lowest(network).weight.detach().split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6))
    for gate in lowest(network).projection.weight.detach().split(6):
        torch.testing.assert_close(gate.T @ gate, torch.eye(2))
    assert lowest(network).projection.bias.reshape(4, 6).sum(dim=1).tolist() == [0.0, 6.0, 0.0, 0.0]
    assert not lowest(build("gru")).projection.bias.any()


def test_parameters_are_as_many_as_paper_and_pencil_say() -> None:
    counts = {cell: sum(parameter.numel() for parameter in build(cell, before=(4,), after=(6,)).parameters()) for cell in CELLS}
    around = (2 * 4 + 4) + (5 * 6 + 6) + (6 * 3 + 3)
    one_gate = 4 * 5 + 5 + 5 * 5
    assert counts == {"rnn": around + one_gate, "gru": around + 3 * one_gate + 3 * 5, "lstm": around + 4 * one_gate}


def test_an_image_is_read_row_by_row() -> None:
    network = RecurrentNetwork(RecurrentConfig("lstm", units=5))
    reader = network.build(spaces.Box(0, 255, (4, 2, 1), np.uint8), OUTPUT, np.random.default_rng(0))
    image = torch.arange(3 * 8, dtype=torch.uint8).reshape(3, 4, 2, 1) * 10
    rows = (image.float() / 255).reshape(3, 4, 2).transpose(0, 1)
    stepped = build("lstm")
    stepped.load_state_dict(reader.recurrent.state_dict())
    with torch.no_grad():
        outputs, _ = stepped(rows, stepped.initial_state(3), torch.zeros(4, 3, dtype=torch.bool))
        torch.testing.assert_close(reader(image), outputs[-1])


@pytest.mark.parametrize("space", [INPUT, spaces.Discrete(4)], ids=["vector", "number"])
def test_an_agent_that_carries_no_state_is_refused_in_words(space: spaces.Space) -> None:
    network = RecurrentNetwork(RecurrentConfig("gru"))
    with pytest.raises(ValueError, match=r"has no axis of time; network gru needs an agent that carries its state from step to step"):
        network.build(space, OUTPUT, np.random.default_rng(0))
    assert network.build_stepped(space, OUTPUT, np.random.default_rng(0)).state_size == 64


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"units": 0}, r"units is 0; it must be >= 1"),
        ({"after": (8, 0)}, r"after is \[8, 0\]; it must be >= 1"),
        ({"before": (0,)}, r"before is \[0\]; it must be >= 1"),
        ({"output_gain": 0.0}, r"output_gain is 0\.0; it must be > 0"),
    ],
)
def test_a_config_out_of_range_is_refused_in_words(config: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RecurrentConfig(**config)


def recall(length: int) -> ArrayTask:
    """Which of two cues was the first input? What follows are inputs at random, the same for both."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    inputs = rng.normal(size=(300, length, 1)).astype(np.float32)
    inputs[:, 0, 0] = 2.0 * labels - 1.0
    splits = {"train": slice(0, 200), "validation": slice(200, 240), "test": slice(240, 300)}
    parts = {name: (inputs[part], labels[part]) for name, part in splits.items()}
    return ArrayTask(None, parts, spaces.Box(-np.inf, np.inf, (length, 1), np.float32), ("left", "right"))


def accuracy_on_recall(network: RecurrentNetwork | MLP, task: ArrayTask) -> float:
    config = SupervisedConfig(learning_rate=0.01, batch_size=25, schedule="constant")
    agent = Supervised(config, task, network, seeds=Seeds(0), budget=25 * 240, device="cpu")
    while agent.progress < agent.budget:
        agent.step()
    return agent.evaluate(episodes=1, seeds=agent.seeds)["accuracy"]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_it_recalls_the_first_of_ten_inputs_exactly(cell: str) -> None:
    assert accuracy_on_recall(RecurrentNetwork(RecurrentConfig(cell, units=16)), recall(10)) == 1.0


def test_who_sees_the_last_input_alone_recalls_nothing() -> None:
    # 60 fair guesses are all right once in 10^18; 0.75 and more of them once in 20,000.
    task = recall(10)
    last = {name: (task.read(name, np.arange(task.num_examples(name)))) for name in ("train", "validation", "test")}
    blind = ArrayTask(
        None, {name: (x[:, -1], y) for name, (x, y) in last.items()}, spaces.Box(-np.inf, np.inf, (1,), np.float32), ("left", "right")
    )
    assert accuracy_on_recall(MLP(MLPConfig(hidden=(16,))), blind) < 0.75
