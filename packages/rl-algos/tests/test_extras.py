"""Tasks that need an extra: they run where it is installed, and say what to install where it is not."""

from __future__ import annotations

import pytest

from rl_core.errors import RequestError
from rl_core.plugins import catalogue
from rl_core.plugins.catalogue import Catalogue
from rl_core.runs.recipe import resolve
from rl_core.seeds import Seeds


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [("ALE/Pong-v5", "ale_py", "atari"), ("pong-pixels", "ale_py", "atari"), ("LunarLander-v3", "Box2D", "box2d")],
)
def test_a_task_without_its_extra_is_listed_as_missing_with_the_command(monkeypatch, name, module, extra):
    monkeypatch.setattr(catalogue, "is_installed", lambda wanted: wanted != module)
    entry = Catalogue.discover().find(name, "task")
    assert module in entry.missing
    assert entry.remedy == f'pip install "rl-algos[{extra}]"'
    with pytest.raises(RequestError, match=rf"needs {module}, which is not installed"):
        entry.load()


@pytest.mark.parametrize(
    ("task", "module", "extra"),
    [("gym:HalfCheetah-v5", "mujoco", "mujoco"), ("gym:LunarLander-v3", "Box2D", "box2d"), ("pong-pixels", "ale_py", "atari")],
)
@pytest.mark.parametrize("agent", ["ppo", "ars"])
def test_agents_learn_on_the_environments_of_an_extra_and_continue_exactly(tmp_path, monkeypatch, task, module, extra, agent):
    monkeypatch.chdir(tmp_path)  # where MuJoCo writes its log
    pytest.importorskip(module, reason=f"needs the extra {extra}: pip install 'rl-algos[{extra}]'")
    settings = {
        "ppo": ["num_envs=1", "rollout_steps=20", "num_epochs=1", "network.hidden=[8]"],
        "ars": ["num_directions=1", "network.hidden=[]"],
    }
    made = resolve(Catalogue.discover(), agent, task=task, overrides=settings[agent])
    task = made.built_task
    agents, seeds = [], [Seeds(0), Seeds(0)]
    for tree in seeds:
        agents.append(made.agent_class(made.agent_config, task, made.built_network, seeds=tree, budget=1_000, device="cpu"))
    first, other = agents
    first.step()
    other.load_state_dict(first.state_dict())
    seeds[1].load_state_dict(seeds[0].state_dict())
    other.progress = first.progress
    assert first.step() == other.step()


ATARI = {
    "dqn": ["learning_starts=8", "buffer_size=100", "batch_size=4", "rollout_steps=4"],
    "ppo": ["num_envs=1", "rollout_steps=8", "num_epochs=1", "batch_size=8"],
    "a2c": ["num_envs=1"],
}


@pytest.mark.parametrize("agent", ATARI)
def test_agents_learn_atari_games_with_the_settings_of_all_of_them(agent):
    pytest.importorskip("rl_algos.tasks.atari", reason="needs the extra atari: pip install 'rl-algos[atari]'")
    smaller = [*ATARI[agent], "network.channels=[2,2]", "network.kernels=[8,4]", "network.strides=[8,4]", "network.hidden=[8]"]
    assert resolve(Catalogue.discover(), agent, task="ALE/Pong-v5").recipe.network_config["strides"] == (4, 2, 1)
    made = resolve(Catalogue.discover(), agent, task="ALE/Pong-v5", overrides=smaller, budget=1_000, device="cpu")
    assert made.recipe.network == "cnn"
    learner = made.build_agent(Seeds(0))
    before = {name: value.copy() for name, value in learner.parameters().items()}
    while learner.progress < 20:
        learner.step()
    assert any((value != before[name]).any() for name, value in learner.parameters().items())
