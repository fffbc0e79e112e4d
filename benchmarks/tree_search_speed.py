"""Simulations a second of the search in a learned model, beside two peers on the processor; written to benchmarks/tree_search_speed.md.

All grow trees by PUCT in an untrained model of `muzero`'s size for CartPole-v1 (states of 16 numbers, hidden layers of 64 units, 41 bins),
one, 16 or 64 trees, 25 or 50 simulations each, from given observations to the visits of the roots' actions. muzero-general is the plain
reference: nodes are objects of Python, and trees are grown one after the other. Mctx compiles the whole search with the model into one
program of XLA, before it is timed. `mctx`, `jax` and `ray` have to be importable, and MUZERO_GENERAL names a checkout of
github.com/werner-duvaud/muzero-general; none of them is installed with the packages here.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.update(
    OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import numpy as np
import torch
from pairs import Way, paired

from dl_nets.networks.mlp import MLP, MLPConfig
from rl_algos.self_play.muzero import MuZero, MuZeroConfig
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tree_search.forest import visit_shares
from rl_core.seeds import Seeds

STATE, HIDDEN, BINS, ACTIONS, NUMBERS = 16, 64, 41, 2, 4
SEARCHES, SIZES = 10, ((1, 25), (16, 25), (64, 50))


def ours(trees: int, simulations: int) -> Way:
    """Our search."""

    def set_up(seed: int) -> Callable[[], int]:
        config = MuZeroConfig(num_simulations=simulations, state_size=STATE, hidden=(HIDDEN,))
        network = MLP(MLPConfig(hidden=(HIDDEN,), activation="relu"))
        agent = MuZero(config, CartPole(CartPole.Config()), network, seeds=Seeds(seed), budget=1_000, device="cpu")
        rng = np.random.default_rng(seed)
        obs, allowed = rng.standard_normal((trees, NUMBERS), dtype=np.float32), np.ones((trees, ACTIONS), dtype=np.bool_)

        def work() -> int:
            for _ in range(SEARCHES):
                visit_shares(agent.search(obs, allowed, rng))
            return SEARCHES * trees * simulations

        work()
        return work

    return set_up


def of_muzero_general(trees: int, simulations: int) -> Way:
    """The search of muzero-general, tree by tree."""
    sys.path.insert(0, os.environ["MUZERO_GENERAL"])
    from models import MuZeroFullyConnectedNetwork  # type: ignore[import-not-found, unused-ignore]
    from self_play import MCTS  # type: ignore[import-not-found, unused-ignore]

    settings = SimpleNamespace(
        num_simulations=simulations, support_size=BINS // 2, action_space=list(range(ACTIONS)), players=[0], discount=0.997,
        pb_c_base=19652, pb_c_init=1.25,
    )  # fmt: skip

    def set_up(seed: int) -> Callable[[], int]:
        layers = [HIDDEN]
        model = MuZeroFullyConnectedNetwork((1, 1, NUMBERS), 0, ACTIONS, STATE, layers, layers, layers, layers, layers, BINS // 2).eval()
        obs = np.random.default_rng(seed).standard_normal((trees, 1, 1, NUMBERS), dtype=np.float32)

        def work() -> int:
            with torch.no_grad():
                for _ in range(SEARCHES):
                    for each in obs:
                        MCTS(settings).run(model, each, settings.action_space, 0, False)
            return SEARCHES * trees * simulations

        return work

    return set_up


def of_mctx(trees: int, simulations: int) -> Way:
    """The search of mctx, compiled."""
    import jax
    import jax.numpy as jnp
    import mctx

    def layers(rng: np.random.Generator, *sizes: int) -> list[Any]:
        return [(jnp.asarray(rng.standard_normal((i, k), dtype=np.float32) / i**0.5), jnp.zeros(k)) for i, k in pairwise(sizes)]

    def mlp(parameters: list[Any], values: Any) -> Any:
        for weight, bias in parameters[:-1]:
            values = jax.nn.relu(values @ weight + bias)
        return values @ parameters[-1][0] + parameters[-1][1]

    def scaled(state: Any) -> Any:
        low, high = state.min(axis=1, keepdims=True), state.max(axis=1, keepdims=True)
        return (state - low) / jnp.maximum(high - low, 1e-5)

    def number(logits: Any) -> Any:
        value = jax.nn.softmax(logits) @ jnp.arange(-(BINS // 2), BINS // 2 + 1, dtype=jnp.float32)
        root = jnp.sqrt(1 + 4e-3 * (jnp.abs(value) + 1 + 1e-3))
        return jnp.sign(value) * (((root - 1) / 2e-3) ** 2 - 1)

    def predicted(parameters: Any, state: Any) -> tuple[Any, Any]:
        outputs = mlp(parameters[2], state)
        return outputs[:, :ACTIONS], number(outputs[:, ACTIONS:])

    def recurrent(parameters: Any, key: Any, action: Any, state: Any) -> Any:
        outputs = mlp(parameters[1], jnp.concatenate([state, jax.nn.one_hot(action, ACTIONS)], axis=1))
        state = scaled(outputs[:, :STATE])
        logits, value = predicted(parameters, state)
        discount = jnp.full_like(value, 0.997)
        return mctx.RecurrentFnOutput(reward=number(outputs[:, STATE:]), discount=discount, prior_logits=logits, value=value), state

    @jax.jit
    def search(parameters: Any, key: Any, obs: Any) -> Any:
        state = scaled(mlp(parameters[0], obs))
        logits, value = predicted(parameters, state)
        root = mctx.RootFnOutput(prior_logits=logits, value=value, embedding=state)
        return mctx.muzero_policy(parameters, key, root, recurrent, num_simulations=simulations, dirichlet_fraction=0.0).action_weights

    def set_up(seed: int) -> Callable[[], int]:
        rng = np.random.default_rng(seed)
        sizes = ((NUMBERS, HIDDEN, STATE), (STATE + ACTIONS, HIDDEN, STATE + BINS), (STATE, HIDDEN, ACTIONS + BINS))
        parameters, obs = [layers(rng, *part) for part in sizes], jnp.asarray(rng.standard_normal((trees, NUMBERS), dtype=np.float32))

        def work() -> int:
            key = jax.random.key(seed)
            for _ in range(SEARCHES):
                search(parameters, key, obs).block_until_ready()
            return SEARCHES * trees * simulations

        work()
        return work

    return set_up


def main() -> None:
    """Print and write the table."""
    import jax
    import mctx

    torch.set_num_threads(1)
    lines = [
        "# Speed of the search in a learned model",
        "",
        "Written by `benchmarks/tree_search_speed.py`, which says how it is measured: PUCT in an untrained model of `muzero`'s size for",
        "CartPole-v1, beside muzero-general, a plain reference, and mctx's compiled search, paired and interleaved, one thread; the",
        "median over the pairs.",
        f"torch {torch.__version__}, jax {jax.__version__}, mctx {mctx.__version__}, muzero-general 0825bd5.",
        "",
        "| beside | trees | simulations of each | pairs | simulations a second, ours | theirs | times as fast | by processor time |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, theirs in (("muzero-general", of_muzero_general), ("mctx", of_mctx)):
        for trees, simulations in SIZES:
            pairs = paired(ours(trees, simulations), theirs(trees, simulations), 5)
            ratios = [statistics.median(pair.ratio(clock) for pair in pairs) for clock in ("seconds", "cpu_seconds")]  # type: ignore[arg-type]
            mine, other = (statistics.median(side.steps / side.seconds for side in sides) for sides in zip(*pairs, strict=True))
            numbers = f"{mine:,.0f} | {other:,.0f} | **{ratios[0]:.2f}** | {ratios[1]:.2f}"
            lines.append(f"| {name} | {trees} | {simulations} | {len(pairs)} | {numbers} |")
            print(lines[-1], flush=True)
            Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
