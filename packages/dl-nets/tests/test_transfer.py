from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from dl_nets.learning.data import ArrayTask
from dl_nets.learning.supervised import Supervised, SupervisedConfig
from dl_nets.learning.transfer import Pretrained, freeze, matched, read_weights
from dl_nets.learning.weight_files import read_tensors
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.errors import RequestError
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs import recipe
from rl_core.runs.run import Run
from rl_core.seeds import Seeds

SHAPE = MLPConfig(hidden=(16, 8), activation="relu")


def built(classes: int = 3, seed: int = 0) -> nn.Module:
    space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    return MLP(SHAPE).build(space, spaces.Discrete(classes), np.random.default_rng(seed))


def saved(folder: Path, **settings: Any) -> Path:
    torch.save(built(**settings).state_dict(), folder / "net.pth")
    return folder / "net.pth"


def learner(task: ArrayTask, source: Path, *, start: dict[str, Any] | None = None, **config: Any) -> Supervised:
    network = Pretrained(MLP(SHAPE), source, **(start or {}))
    settings = SupervisedConfig(batch_size=16, learning_rate=0.01, **config)
    return Supervised(settings, task, network, seeds=Seeds(3), budget=75 * 4, device="cpu")


def weights(agent: Supervised) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in agent.module.named_parameters()}


def test_a_head_of_another_shape_is_dropped_and_named_and_the_rest_is_loaded(tmp_path: Path, three_classes: ArrayTask) -> None:
    source = saved(tmp_path, classes=10)
    agent = learner(three_classes, source)
    assert torch.equal(agent.module.layers[0].weight, built(classes=10).layers[0].weight)
    assert agent.network.notes[1] == (
        "not loaded, with first weights: layers.4.weight [3, 8] (saved: [10, 8]), layers.4.bias [3] (saved: [10])"
    )


def test_weights_match_under_any_prefix_the_pair_that_fits_most(tmp_path: Path) -> None:
    own = built().state_dict()
    given = {f"module.encoder.{name}": value + 1.0 for name, value in own.items()} | {"optimiser.layers.0.bias": own["layers.0.bias"]}
    found = matched({f"backbone.{name}": value for name, value in own.items()}, given)
    assert len(found) == len(own)
    assert torch.equal(found["backbone.layers.0.bias"], own["layers.0.bias"] + 1.0)


def test_frozen_layers_stay_and_their_features_are_computed_once(tmp_path: Path, three_classes: ArrayTask) -> None:
    source = saved(tmp_path, classes=10)
    agents = [learner(three_classes, source, start={"freeze": "all"}) for _ in range(2)]
    before = weights(agents[0])
    calls: list[int] = []
    agents[0].module.layers[0].register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    agents[1].__dict__["_head"] = ""  # the second goes the long way in every epoch
    for agent in agents:
        for _ in range(4):
            agent.step()
    after = weights(agents[0])
    assert [name for name in after if not np.array_equal(before[name], after[name])] == ["layers.4.weight", "layers.4.bias"]
    assert sum(calls) == 8 + 1 + 60 + 1 + 15  # a try, and each example once, whatever the epochs
    for name, value in weights(agents[1]).items():
        np.testing.assert_allclose(after[name], value, rtol=1e-4, atol=1e-6)
    assert list(agents[0].parameters()) == ["layers.4.weight", "layers.4.bias"]


def test_unfreezing_adds_the_last_frozen_layer_first_and_continues_to_the_same_bits(tmp_path: Path, three_classes: ArrayTask) -> None:
    def make() -> Supervised:
        return learner(three_classes, saved(tmp_path, classes=10), start={"freeze": "all"}, unfreeze_every=1, loaded_rate=0.5)

    agent, changed = make(), []
    for _ in range(3):
        before = weights(agent)
        agent.step()
        after = weights(agent)
        changed.append(sorted({name.split(".")[1] for name in after if not np.array_equal(before[name], after[name])}))
        if len(changed) == 1:
            continued = make()
            continued.load_state_dict(agent.state_dict())
            continued.progress = agent.progress
    assert changed == [["4"], ["2", "4"], ["0", "2", "4"]]
    for _ in range(2):
        continued.step()
    assert all(np.array_equal(value, weights(continued)[name]) for name, value in weights(agent).items())


def test_loaded_layers_learn_at_their_own_rate(tmp_path: Path, three_classes: ArrayTask) -> None:
    agent = learner(three_classes, saved(tmp_path, classes=10), loaded_rate=0.0, weight_decay=0.0)
    before = weights(agent)
    agent.step()
    after = weights(agent)
    assert [name for name in after if not np.array_equal(before[name], after[name])] == ["layers.4.weight", "layers.4.bias"]


@pytest.mark.parametrize(
    ("what", "frozen"),
    [("1", ["layers.0"]), ("99", ["layers.0", "layers.2"]), ("layers.2", ["layers.2"]), ("*.0, *.4", ["layers.0", "layers.4"])],
)
def test_layers_are_frozen_by_depth_and_by_name(what: str, frozen: list[str]) -> None:
    assert freeze(built(), what) == frozen


@pytest.mark.parametrize(("what", "words"), [("layers.9", "names 'layers.9', which fits no layer"), ("layers", "leaves nothing to learn")])
def test_a_freeze_that_fits_no_layer_or_all_is_refused(what: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        freeze(built(), what)


class Touches:
    """An object whose reading as a pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_file_of_weights_is_refused_and_does_not_run(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2), "bias": Touches(tmp_path / "ran")}, tmp_path / "bad.pth")
    with pytest.raises(ValueError, match=r"bad.pth' cannot be read"):
        read_tensors(tmp_path / "bad.pth")
    assert not (tmp_path / "ran").exists()
    torch.load(tmp_path / "bad.pth", weights_only=False)  # it would have run
    assert (tmp_path / "ran").exists()


def test_files_that_hold_no_weights_are_refused_by_name(tmp_path: Path, three_classes: ArrayTask) -> None:
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(RequestError, match=r"bad.pth', cannot be read: UnpicklingError"):
        read_weights(tmp_path / "bad.pth")
    torch.save({"a.weight": torch.zeros(7)}, tmp_path / "other.pth")
    with pytest.raises(RequestError, match=r"none of the 1 tensors of .* fits this network in name and shape"):
        learner(three_classes, tmp_path / "other.pth")


@pytest.fixture(scope="module")
def run_of_mlp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "wine"
    catalogue = Catalogue.discover()
    resolved = recipe.resolve(catalogue, "mlp", task="wine", budget=200, overrides=["network.hidden=[8]", "network.activation=tanh"])
    with Run.create(resolved, catalogue, folder) as run:
        run.learn(quiet=True)
    return folder


def test_a_run_gives_its_network_and_its_weights_to_another_task(run_of_mlp: Path, tmp_path: Path) -> None:
    catalogue = Catalogue.discover()
    resolved = recipe.resolve(
        catalogue, "supervised", task="wine", budget=200, overrides=[f"network.from={run_of_mlp}", "network.freeze=all", "network.head=new"]
    )
    assert resolved.recipe.network == "mlp"
    assert resolved.recipe.network_config["hidden"] == (8,)
    with Run.create(resolved, catalogue, tmp_path / "next") as run:
        learned = read_weights(run_of_mlp)["module/layers.0.weight"]
        assert torch.equal(run.agent.module.layers[0].weight, learned)
        run.learn(quiet=True)
    with Run.open(tmp_path / "next", catalogue) as opened:  # a recipe that holds the source is read again
        assert torch.equal(opened.agent.module.layers[0].weight, learned)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["network.from=nowhere"], "nowhere', which does not exist"),
        (["network.freeze=all"], "network.freeze was set without network.from"),
    ],
)
def test_a_start_that_cannot_be_is_refused(overrides: list[str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        recipe.resolve(Catalogue.discover(), "mlp", task="wine", overrides=overrides)
