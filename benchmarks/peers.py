"""PPO and stepping of CartPole beside the fastest peers, each in an interpreter of its own.

    python benchmarks/peers.py --rejax PYTHON --sb3 PYTHON --pufferlib PYTHON [--pairs 5]      # writes peers.md

A peer is measured when the interpreter that has it is given; how each was installed is in `INSTALLED`. Every peer is a process that
builds and compiles first, and then works when it is asked, so that a pair is both, one right after the other, in an order that turns.
What counts is processor time of all threads of the process; each is held to one thread. Ratios are the peer's time a step by ours.

PPO learns CartPole-v1 with the RL Zoo's settings: 8 environments, 32 steps, 20 epochs of one batch of 256, two networks of 64 x 64
(tanh). Not alike: rejax clips gradients by element, and its rates do not fall. Stepping takes random actions drawn beforehand.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"),
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
}
INSTALLED = {
    "rejax": 'uv pip install rejax==0.1.3 "gymnax<1" (jax 0.10.2; its compilation, about 5 s, is not counted)',
    "sb3": "uv pip install stable-baselines3==2.9.2",
    "pufferlib": "uv pip install pufferlib==3.0.0",
    "gymnasium": "in the environment of this project",
}
NAMES = {"rejax": "rejax", "sb3": "stable-baselines3", "pufferlib": "PufferLib (C)", "gymnasium": "gymnasium's vector environment (NumPy)"}
SETTINGS = {"num_envs": 8, "rollout_steps": 32, "batch_size": 256, "num_epochs": 20, "learning_rate": 1e-3, "discount": 0.98}
Work = Callable[[], int]
"""Does some work, and returns how many environment steps that were."""


def ours_ppo() -> Work:
    """PPO of this project."""
    from dl_nets.networks.mlp import MLP, MLPConfig
    from rl_algos.on_policy.ppo import PPO, PPOConfig
    from rl_algos.tasks.array_envs import ArrayTaskConfig
    from rl_algos.tasks.cartpole import CartPole
    from rl_core.seeds import Seeds

    config = PPOConfig(**SETTINGS, learning_rate_schedule="linear", gae_lambda=0.8, clip_range_schedule="linear", entropy_weight=0.0)

    def work(steps: int = 102_400) -> int:
        agent = PPO(config, CartPole(ArrayTaskConfig()), MLP(MLPConfig()), seeds=Seeds(0), budget=steps, device="cpu")
        while agent.progress < steps:
            agent.step()
        return agent.progress

    work(2_560)
    return work


def rejax_ppo() -> Work:
    """PPO of rejax, as one program of XLA without evaluations."""
    import jax
    from rejax import PPO

    steps = 102_400
    algorithm = PPO.create(
        env="CartPole-v1", num_envs=8, num_steps=32, num_minibatches=1, num_epochs=20, learning_rate=1e-3, gamma=0.98, gae_lambda=0.8,
        clip_eps=0.2, ent_coef=0.0, vf_coef=0.5, max_grad_norm=0.5, total_timesteps=steps, eval_freq=steps,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)}, skip_initial_evaluation=True,
    ).replace(eval_callback=lambda algorithm, state, key: ())  # fmt: skip
    train = jax.jit(algorithm.train)
    keys = iter(jax.random.split(jax.random.PRNGKey(0), 1_000))

    def work() -> int:
        jax.block_until_ready(train(next(keys)))
        return steps

    work()
    return work


def sb3_ppo() -> Work:
    """PPO of stable-baselines3."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    torch.set_num_threads(1)

    def work(steps: int = 102_400) -> int:
        model = stable_baselines3.PPO(
            "MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), n_steps=32, batch_size=256, n_epochs=20, gamma=0.98,
            gae_lambda=0.8, ent_coef=0.0, learning_rate=lambda left: 1e-3 * left, clip_range=lambda left: 0.2 * left, seed=0, device="cpu",
        )  # fmt: skip
        return int(model.learn(steps).num_timesteps)

    work(2_560)
    return work


def ours_stepping(num_envs: int) -> Work:
    """The compiled CartPole of this project."""
    import numpy as np

    from rl_algos.tasks.array_envs import ArrayTaskConfig
    from rl_algos.tasks.cartpole import CartPole
    from rl_core.seeds import Seeds

    envs = CartPole(ArrayTaskConfig()).envs(num_envs, Seeds(0))
    envs.reset()

    def pop() -> None:
        envs.pop_episodes()

    return _stepped(envs.step, num_envs, np.int64, pop)


def gymnasium_stepping(num_envs: int) -> Work:
    """The vector environment of Gymnasium."""
    import gymnasium
    import numpy as np

    envs = gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point")
    envs.reset(seed=0)
    return _stepped(envs.step, num_envs, np.int64)


def pufferlib_stepping(num_envs: int) -> Work:
    """The CartPole of PufferLib's Ocean, in C."""
    import numpy as np
    from pufferlib.ocean.cartpole.cartpole import Cartpole

    envs = Cartpole(num_envs=num_envs, cart_mass=1.0, pole_mass=0.1, pole_length=0.5, gravity=9.8, force_mag=10.0, dt=0.02)
    envs.reset(seed=0)
    return _stepped(envs.step, num_envs, np.float32)


def _stepped(step: Callable, num_envs: int, kind: type, after: Callable[[], None] = lambda: None) -> Work:
    import numpy as np

    actions = np.random.default_rng(0).integers(0, 2, (100, num_envs)).astype(kind)

    def work(rounds: int = 3_000_000 // (100 * (30 + num_envs))) -> int:
        for _ in range(rounds):
            for action in actions:
                step(action)
            after()
        return rounds * 100 * num_envs

    work(1)
    return work


def serve(name: str, num_envs: int) -> None:
    """Build the work of that name; for every line on standard input do it once, and print its steps and its processor time."""
    work = globals()[name](*([num_envs] if num_envs else []))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers.write("ready\n")
    for _ in sys.stdin:
        began = time.process_time()
        steps = work()
        answers.write(f"{steps / (time.process_time() - began)}\n")


class Peer:
    """A process that works when it is asked.

    Args:
        python: Its interpreter.
        name: The function of this file that it serves.
        num_envs: Environments; 0 where the work names them itself.
        kernel: Kernels of OpenBLAS, as OPENBLAS_CORETYPE names them; "" for its own choice.
    """

    def __init__(self, python: str, name: str, num_envs: int = 0, kernel: str = "") -> None:
        environment = {**os.environ, **ONE_THREAD}
        environment.pop("OPENBLAS_CORETYPE", None)
        environment |= {"OPENBLAS_CORETYPE": kernel} if kernel else {}
        command = [python, __file__, "--serve", name, "--num-envs", str(num_envs)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} does not start in {python}")

    def rate(self) -> float:
        """Environment steps a second of processor time, measured once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """End the process."""
        self._process.communicate()


def compared(ours: Peer, theirs: Peer, pairs: int) -> str:
    """Cells of a row: both rates, the ratio, and the single pairs."""
    rates: list[tuple[float, float]] = []
    for number in range(pairs):
        first, second = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        found = {first: first.rate()}
        found[second] = second.rate()
        rates.append((found[ours], found[theirs]))
    theirs.end()
    ratios = [one / other for one, other in rates]
    one, other = (statistics.median(side) for side in zip(*rates, strict=True))
    return f"{one:,.0f} | {other:,.0f} | **{statistics.median(ratios):.2f}** | {', '.join(f'{ratio:.2f}' for ratio in ratios)}"


def main() -> None:
    """Measure the peers whose interpreters are given, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("rejax", "sb3", "pufferlib"):
        parser.add_argument(f"--{name}", metavar="PYTHON", help=f"interpreter of an environment with {NAMES[name]}")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--num-envs", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.num_envs)
        return
    given = {name: getattr(options, name) for name in ("rejax", "sb3", "pufferlib") if getattr(options, name)}
    head = "| beside | OpenBLAS | ours, steps/s | theirs | ratio | single pairs |\n|---|---|---:|---:|---:|---|"
    lines = [
        "# Beside the fastest peers: PPO and stepping of CartPole-v1, one thread",
        "",
        "Written by `benchmarks/peers.py`, which says how it is measured: processor time, pairs in turn, medians.",
        f"{platform.machine()}, Python {platform.python_version()}. Installed with:",
        "",
        *(f"- {NAMES[name]}: `{INSTALLED[name]}`" for name in given),
        "",
        "## PPO with the RL Zoo's settings",
        "",
        head,
    ]
    for kernel in ("", "Haswell"):
        ours = Peer(sys.executable, "ours_ppo", kernel=kernel)
        for name in ("rejax", "sb3"):
            if name in given and (name == "rejax" or not kernel):
                cells = compared(ours, Peer(given[name], f"{name}_ppo"), options.pairs)
                lines.append(f"| {NAMES[name]} | {kernel or 'its own choice'} | {cells} |")
                print(lines[-1], flush=True)
        ours.end()
    lines += ["", "## Stepping", "", head.replace("OpenBLAS", "environments")]
    for num_envs in (8, 64):
        ours = Peer(sys.executable, "ours_stepping", num_envs)
        for name, python in {"gymnasium": sys.executable, **{n: p for n, p in given.items() if n == "pufferlib"}}.items():
            lines.append(f"| {NAMES[name]} | {num_envs} | {compared(ours, Peer(python, f'{name}_stepping', num_envs), options.pairs)} |")
            print(lines[-1], flush=True)
        ours.end()
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
