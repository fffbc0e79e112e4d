"""A3C: one worker is A2C, several learn at once and leave with the run, and what is shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.on_policy.a2c import A2C, A2CConfig
from rl_algos.on_policy.a3c import A3C, A3CConfig, Shared
from rl_algos.on_policy.rollout import Batch
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.pendulum import Pendulum
from rl_core.errors import WorkError
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds

SMALL = {"num_envs": 3, "rollout_steps": 4, "rollouts_per_step": 5, "entropy_weight": 0.01}


def make_agent(task=None, seeds=None, budget=10_000, hidden=(8, 8), fast=True, **settings):
    config = A3CConfig(**(SMALL | {"num_workers": 1} | settings))
    task = task or CartPole(ArrayTaskConfig())
    return A3C(config, task, MLP(MLPConfig(hidden=hidden, fast=fast)), seeds=seeds or Seeds(0), budget=budget, device="cpu")


@pytest.mark.parametrize(("fast", "tolerance"), [(True, 0.0), (False, 0.0)])
@pytest.mark.parametrize("task", [CartPole, Pendulum])
def test_one_worker_is_a2c(task, fast, tolerance):
    task = task(ArrayTaskConfig())
    ours = make_agent(task, fast=fast)
    config = A2CConfig(num_envs=3, rollout_steps=4, entropy_weight=0.01)
    theirs = A2C(config, task, MLP(MLPConfig(hidden=(8, 8), fast=fast)), seeds=Seeds(0), budget=10_000, device="cpu")
    for _ in range(4):
        ours.step()
        for _ in range(5):
            theirs.step()
    assert ours.progress == theirs.progress == 4 * 5 * 12
    for name, value in theirs.parameters().items():
        np.testing.assert_allclose(ours.parameters()[name], value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("fast", [True, False])
def test_a_gradient_is_of_one_rollout_and_not_added_to_the_last(fast):
    # The widely copied way of sharing gradients lets them pile up where zero_grad sets them to None: 1, 2, 3 for 1, 1, 1.
    agent, rng = make_agent(fast=fast).agent, np.random.default_rng(0)
    numbers = (rng.standard_normal(6, dtype=np.float32) for _ in range(4))
    batch = Batch(rng.standard_normal((6, 4), dtype=np.float32), np.array([0, 1, 1, 0, 1, 0]), *numbers)
    gradients = []
    for _ in range(3):
        agent.gradient(batch)
        gradients.append(agent.actor_critic.policy_flat.gradient.numpy().copy())
    assert np.abs(gradients[0]).max() > 1e-3
    np.testing.assert_array_equal(gradients[1], gradients[0])
    np.testing.assert_array_equal(gradients[2], gradients[0])


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("task", ["array", "gym"])
def test_a_resumed_run_of_one_worker_continues_to_the_last_bit(task, fast, assert_same):
    task = CartPole(ArrayTaskConfig()) if task == "array" else GymTask(GymConfig(id="CartPole-v1"))
    seeds, other_seeds = Seeds(5), Seeds(5)
    agent, other = (make_agent(task, one, fast=fast, learning_rate_schedule="linear") for one in (seeds, other_seeds))
    agent.step()
    state, streams, progress = agent.state_dict(), seeds.state_dict(), agent.progress
    expected = [agent.step() for _ in range(2)]
    other.step()
    other.load_state_dict(state)
    other_seeds.load_state_dict(streams)
    other.progress = progress
    assert [other.step() for _ in range(2)] == expected
    assert_same(other.state_dict(), agent.state_dict())


def test_a_worker_learns_into_what_is_shared():
    agent = make_agent()
    before, square = agent.shared.parameters.copy(), agent.shared.square.copy()
    agent.step()
    assert (agent.shared.parameters != before).any()
    assert (agent.shared.square != square).any()
    inputs = np.random.default_rng(0).standard_normal((50, 4), dtype=np.float32)
    agent.predict(inputs)
    agent.shared.parameters[:] = 0.0
    assert (agent.predict(inputs) == 0).all()  # what answers is what is shared, not a copy of some time ago


def test_both_halves_of_shared_memory_are_views():
    memory = np.zeros(6, dtype=np.float32)
    shared = Shared.of(memory.data)
    shared.parameters[:], shared.square[:] = 1.0, 2.0
    assert memory.tolist() == [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]


@pytest.mark.learning
def test_two_workers_learn_at_once_and_are_saved_and_leave():
    agent = make_agent(num_workers=2)
    before = agent.shared.parameters.copy()
    metrics = agent.step()
    assert agent.progress == 2 * 5 * 12
    assert np.isfinite(list(metrics.values())).all()
    assert (agent.shared.parameters != before).any()
    state = agent.state_dict()
    ends = [worker["collector"]["envs"]["state"] for worker in state["workers"]]
    assert (ends[0] != ends[1]).any()  # each plays episodes of its own
    agent.step()
    agent.load_state_dict(state)
    np.testing.assert_array_equal(agent.shared.parameters, state["parameters"])
    for saved, restored in zip(state["workers"], agent.state_dict()["workers"], strict=True):
        np.testing.assert_array_equal(restored["collector"]["envs"]["state"], saved["collector"]["envs"]["state"])
        assert restored["seeds"] == saved["seeds"]
    processes = agent.workers.processes
    assert all(process.is_alive() for process in processes)
    os.kill(processes[1].pid, signal.SIGKILL)
    with pytest.raises(WorkError, match=r"a process that plays and learns for a3c has ended \(number 1, exit code -9\)"):
        agent.step()
    del agent
    for process in processes:
        process.join(10)
        assert not process.is_alive()


SCRIPT = """
from rl_algos.on_policy.a3c import A3C, A3CConfig
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.cartpole import CartPole
from dl_nets.networks.mlp import MLP, MLPConfig
from rl_core.seeds import Seeds

if __name__ == "__main__":
    config = A3CConfig(num_workers=2, rollouts_per_step=20)
    agent = A3C(config, CartPole(ArrayTaskConfig()), MLP(MLPConfig()), seeds=Seeds(0), budget=10**9, device="cpu")
    agent.step()
    print(*[process.pid for process in agent.workers.processes], flush=True)
    while True:
        agent.step()
"""


@pytest.mark.learning
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_leave_with_the_run_however_it_ends(tmp_path, end):
    path = tmp_path / "run.py"
    path.write_text(SCRIPT)
    run = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pids = [int(pid) for pid in run.stdout.readline().split()]
    assert len(pids) == 2
    run.send_signal(end)
    run.wait(30)
    deadline = time.monotonic() + 30
    while any(_lives(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlives its run"
        time.sleep(0.05)


RECORD_MASKS = """
import multiprocessing.util, signal
from rl_core.workers import STOPS
spawn = multiprocessing.util.spawnv_passfds

def recorded(path, args, passfds):
    if "--multiprocessing-fork" in map(str, args):
        print(set(STOPS) <= signal.pthread_sigmask(signal.SIG_BLOCK, []))
    return spawn(path, args, passfds)

multiprocessing.util.spawnv_passfds = recorded
"""


def test_no_stop_signal_reaches_a_worker_while_it_starts(tmp_path):
    path = tmp_path / "run.py"
    path.write_text(
        SCRIPT.replace("    agent.step()\n", "", 1)
        .replace("    while True:\n        agent.step()\n", "")
        .replace('if __name__ == "__main__":\n', 'if __name__ == "__main__":\n' + textwrap.indent(RECORD_MASKS, "    "))
    )
    lines = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=100).stdout.split("\n")
    assert lines[:2] == ["True", "True"]


@pytest.mark.learning
@pytest.mark.parametrize(("signals", "words"), [(1, "and saved"), (2, "stopped immediately")])
def test_a_signal_to_the_whole_group_stops_the_run_and_not_its_workers(tmp_path, signals, words):
    settings = ["--set", "num_workers=2", "--budget", "1000000000", "--set", "rollouts_per_step=2000", "--out", "run", "--json"]
    command = [sys.executable, "-m", "rl_core", "run", "a3c", "--task", "CartPole-v1", *settings]
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 100
    while not (log.exists() and log.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for _ in range(signals):
        os.killpg(run.pid, signal.SIGTERM)
        time.sleep(0.02)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 3
    assert '"stopped": true' in out
    assert words in err
    assert "Traceback" not in err


@pytest.mark.learning
def test_a_script_without_a_guard_is_named(tmp_path):
    (tmp_path / "script.py").write_text('from rl_core import learn\n\nlearn("a3c", budget=20_000, out="run")\n')
    ended = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode != 0
    last = ended.stderr.rstrip().splitlines()[-5:]
    assert any("an unguarded script starts again there" in line for line in last), last


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.learning
@pytest.mark.parametrize("resumed", [False, True])
def test_two_workers_learn_cartpole_also_when_taken_up_again(resumed):
    settings = {"hidden": (64, 64), "num_envs": 4, "rollout_steps": 5, "rollouts_per_step": 50, "num_workers": 2, "entropy_weight": 0.0}
    agent = make_agent(learning_rate=2e-3, **settings)
    while agent.progress < 120_000:
        agent.step()
        if resumed and agent.progress == 60_000:
            state = agent.state_dict()
            agent = make_agent(learning_rate=2e-3, **settings)
            agent.load_state_dict(state)
            agent.progress = 60_000
    # Chance keeps the pole up for 22 steps, with a deviation of 12; how far it gets depends on who comes first.
    assert agent.evaluate(episodes=20, seeds=agent.seeds)["mean return"] > 100


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_workers": 0}, r"num_workers is 0; it must be >= 1"),
        ({"rollouts_per_step": 0}, r"rollouts_per_step is 0; it must be >= 1"),
        ({"normalise_obs": True}, r"normalise_obs is true; the workers of a3c share parameters but no running statistics: use a2c"),
        ({"normalise_reward": True}, r"normalise_reward is true"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(setting, message):
    with pytest.raises(ValueError, match=message):
        A3CConfig(**setting)


def test_another_device_and_another_number_of_workers_are_refused_in_words():
    with pytest.raises(ValueError, match=r"device is cuda; the workers of a3c share"):
        A3C(A3CConfig(num_workers=1), CartPole(ArrayTaskConfig()), MLP(MLPConfig()), seeds=Seeds(0), budget=1, device="cuda")
    agent = make_agent()
    state = agent.state_dict()
    with pytest.raises(ValueError, match=r"the saved run has 2 workers; num_workers is 1"):
        agent.load_state_dict(state | {"workers": state["workers"] * 2})
