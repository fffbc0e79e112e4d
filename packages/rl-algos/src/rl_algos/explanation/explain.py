"""The answer to `rl-core explain`: figures and numbers of what a run's answers depend on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces

from rl_algos.explanation import attributions, pictures
from rl_algos.explanation.distilled import distil
from rl_algos.parts.players import Player
from rl_core.recording import record
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, PredictWithMemory

MOST = 512  # observations that are explained
TREE_DEPTH = 5
TREE_STEPS = 3_000


class Explained:
    """The run that is asked about: the observations of some episodes, and the network behind the answers.

    Args:
        run: The run, open.
        episodes: Episodes that observations are taken from.

    Raises:
        ValueError: if the agent's network cannot be followed, or it has a memory.
    """

    def __init__(self, run: Any, episodes: int) -> None:
        self.agent, self.task, self.name = run.agent, run.agent.task, run.task_name or ""
        space: gymnasium.Space[Any] = self.task.input_space
        if not isinstance(space, spaces.Box):
            raise ValueError(f"observations are {space}; numbers of a Box can be explained")
        explainable(type(self.agent))
        predict = self.agent.predictor()
        if predict.remembers if isinstance(predict, Player) else isinstance(predict, PredictWithMemory):
            raise ValueError("the policy has a memory; an answer does not depend on one observation alone")
        self.control: ControlTask | None = self.task if isinstance(self.task, ControlTask) else None
        if self.control is None and hasattr(self.task, "control"):
            self.control = self.task.control()
        self.predict = predict
        self.graph = self.agent.exported().graph
        rng = np.random.Generator(np.random.PCG64(0))
        self.obs = self._observations(episodes, rng)
        named = () if self.control is None else self.control.input_names
        self.names = list(named) or [f"number {index}" for index in range(int(np.prod(space.shape)))]
        self.is_image = len(space.shape) == 3

    def _observations(self, episodes: int, rng: np.random.Generator) -> np.ndarray:
        if self.control is not None:
            lengths = self.control.evaluate(self.predict, episodes=1, seeds=Seeds(0))["mean length"]
            obs = record(self.control, self.predict, num_steps=int(episodes * lengths), seeds=Seeds(0).apart("explain"))["obs"]
        else:
            obs = np.asarray(self.task.read("test", np.arange(min(self.task.num_examples("test"), MOST)))[0])
        return obs[np.sort(rng.permutation(len(obs))[:MOST])]

    def outputs(self, obs: torch.Tensor) -> torch.Tensor:
        """Return the network's outputs [B, K] at observations [B, ...] as the task gives them."""
        found: torch.Tensor = self.graph(obs)[1]
        return found.reshape(len(found), -1)

    def tensor(self, obs: np.ndarray) -> torch.Tensor:
        """Return observations as a tensor of floats on the network's device."""
        device = next((parameter.device for parameter in self.graph.parameters()), torch.device("cpu"))
        return torch.from_numpy(np.ascontiguousarray(obs, dtype=np.float32)).to(device)


def explainable(agent: type) -> None:
    """Check that agents of a class have a network that can be followed.

    Raises:
        ValueError: if they have none.
    """
    if not hasattr(agent, "exported"):
        raise ValueError(f"{agent.__name__} shows no network whose outputs can be followed; explain takes policies of control tasks")


def explain(run: Any, folder: Path, *, methods: Sequence[str], episodes: int, axes: Sequence[int]) -> dict[str, Any]:
    """Write figures of what a run's answers depend on, and return numbers by name.

    Args:
        run: The run, open.
        folder: Folder of the figures; made if it does not exist.
        methods: Of "saliency", "gradients", "tree" and "map".
        episodes: Episodes that observations are taken from.
        axes: Two numbers of an observation for the map; empty for the two of most effect.

    Raises:
        ValueError: if the run cannot be explained; the message says why.
    """
    about = Explained(run, episodes)
    folder.mkdir(parents=True, exist_ok=True)
    obs = about.tensor(about.obs)
    index = attributions.chosen_output(about.outputs, obs)
    salient = attributions.saliency(about.outputs, obs, index).cpu().numpy()
    mean_salient = salient.mean(axis=0)
    result: dict[str, Any] = {"observations": len(obs)}
    title = f"{run.recipe.agent} on {about.name}"
    if "saliency" in methods:
        pictures.importance(about, mean_salient, folder / "saliency.png", f"{title}: saliency", "output moved by one deviation")
        if not about.is_image:
            result |= {f"saliency of {name}": float(value) for name, value in zip(about.names, mean_salient.ravel(), strict=True)}
    if "gradients" in methods:
        baseline = obs.mean(dim=0)
        found = attributions.integrated_gradients(about.outputs, obs, index, baseline)
        with torch.no_grad():
            rise = (about.outputs(obs) - about.outputs(baseline[None])).gather(1, index[:, None]).squeeze(1)
        gap = (found.flatten(1).sum(dim=1) - rise).abs().mean() / rise.abs().mean().clamp(min=1e-9)
        result["integrated gradients: share of the output that is missing"] = float(gap)
        size = found.abs().mean(dim=0).cpu().numpy()
        words = "mean size of its contribution to the output"
        pictures.importance(about, size, folder / "integrated-gradients.png", f"{title}: integrated gradients", words)
    if "tree" in methods and about.control is not None and not about.is_image:
        made = distil(about.control, about.predict, depth=TREE_DEPTH, steps=TREE_STEPS, episodes=20, names=about.names)
        (folder / "tree.txt").write_text(made.text, encoding="utf-8")
        pictures.tree(made.tree, about.names, folder / "tree.png", f"{title}: a tree with a mean return of {made.score:.0f}")
        result |= {
            "fidelity of the tree": made.fidelity,
            "mean return of the tree": made.score,
            "mean return of the policy": made.policy_score,
            "leaves of the tree": int(made.tree.get_n_leaves()),
        }
    if "map" in methods and not about.is_image and len(about.names) >= 2:
        pair = _axes(axes, mean_salient.ravel())
        pictures.maps(about, pair, folder / "map.png", title)
        result["axes of the map"] = " and ".join(about.names[axis] for axis in pair)
    return result


def _axes(axes: Sequence[int], effect: np.ndarray) -> tuple[int, int]:
    if not axes:
        first, second = np.argsort(-effect)[:2]
        return int(first), int(second)
    if len(axes) != 2 or axes[0] == axes[1] or not all(0 <= axis < len(effect) for axis in axes):
        raise ValueError(f"--axes is {','.join(map(str, axes))}; expected two different numbers from 0 to {len(effect) - 1}, such as 0,2")
    return axes[0], axes[1]
