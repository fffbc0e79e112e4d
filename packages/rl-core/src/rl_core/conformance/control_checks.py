"""Checks of environments: that they keep to their spaces, repeat, can be put back, and say truly how an episode ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rl_core.conformance import inputs
from rl_core.conformance.subjects import TaskSubject
from rl_core.conformance.verdict import Fault, Skipped
from rl_core.envs import Envs, Transition
from rl_core.runs import checkpoint
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Task

NUM_ENVS = 3
STEPS = 40  # of each check that needs no end of an episode
STEPS_TO_AN_END = 1500  # at most, until an episode is over


@dataclass(frozen=True)
class Walk:
    """Environments, the actions they took, and the transitions that followed."""

    envs: Envs
    seeds: Seeds
    first: np.ndarray
    actions: list[np.ndarray]
    transitions: list[Transition]


def keeps_to_its_spaces(subject: TaskSubject) -> None:
    """Check that observations [N, ...] are in the input space and have its dtype, rewards are finite float32 [N], flags bool [N]."""
    task = _control(subject)
    walk = _walk(task, STEPS)
    shape, dtype = task.input_space.shape or (), task.input_space.dtype
    for number, (name, obs) in enumerate(
        [("obs", walk.first)] + [pair for t in walk.transitions for pair in (("obs", t.obs), ("final_obs", t.final_obs))]
    ):
        if obs.shape != (NUM_ENVS, *shape) or obs.dtype != dtype:
            raise Fault(
                f"{name} is {obs.dtype} {list(obs.shape)}; {task.input_space} of {NUM_ENVS} environments is {dtype} {[NUM_ENVS, *shape]}"
            )
        problem = inputs.members(task.input_space, obs)
        if problem:
            raise Fault(f"{name} {number} is outside the input space: {problem}; widen the space, or correct the observation")
    for transition in walk.transitions:
        for name, wanted in (("reward", np.float32), ("terminated", np.bool_), ("truncated", np.bool_)):
            value = getattr(transition, name)
            if value.shape != (NUM_ENVS,) or value.dtype != wanted:
                raise Fault(f"{name} is {value.dtype} {list(value.shape)}; it must be {np.dtype(wanted)} [{NUM_ENVS}]")
        if not np.isfinite(transition.reward).all():
            raise Fault(f"a reward is {transition.reward}; rewards are finite")


def repeats_from_its_seeds(subject: TaskSubject) -> None:
    """Check that the same seeds and actions give the same observations, rewards and ends to the last bit, in any number of environments."""
    task = _control(subject)
    walk = _walk(task, STEPS)
    _walk(task, 3, seed=1)
    seeds = Seeds(0, ("walk",))
    envs = subject.fresh().envs(NUM_ENVS, seeds)  # type: ignore[attr-defined]
    _require_same(envs.reset(), walk.first, "the first observations", "draw every number from the seeds given")
    _hold_rest(envs, walk, 0, "with the same seeds and actions", "draw every number from the seeds given")
    envs.close()


def continues_from_its_state(subject: TaskSubject) -> None:
    """Check that environments restored from a checkpoint continue exactly as those that were never stopped."""
    task = _control(subject)
    if task.caveat():
        raise Skipped(f"the task says: {task.caveat()}")
    walk = _walk(task, STEPS // 2)
    state = {"envs": walk.envs.state_dict(), "seeds": walk.seeds.state_dict()}
    loaded = checkpoint.load(checkpoint.save(subject.folder(), 1, state))
    rest = _go(walk.envs, walk, STEPS // 2, np.random.default_rng(1))
    seeds = Seeds(0, ("walk",))
    envs = subject.fresh().envs(NUM_ENVS, seeds)  # type: ignore[attr-defined]
    obs = envs.load_state_dict(loaded["envs"])
    seeds.load_state_dict(loaded["seeds"])
    remedy = "put everything that a step changes into state_dict, and take it back in load_state_dict"
    _require_same(obs, walk.transitions[-1].obs, "the observations that load_state_dict returns", remedy)
    _hold_rest(envs, rest, 0, "after load_state_dict", remedy)
    if envs.pop_episodes() != walk.envs.pop_episodes():
        raise Fault(f"after load_state_dict the finished episodes differ; {remedy} (self._counters(), self._load_counters(state))")
    envs.close()
    walk.envs.close()


def hands_over_at_an_end(subject: TaskSubject) -> None:
    """Check that `final_obs` differs from `obs` only where an episode is over, and there `obs` begins the next one."""
    task = _control(subject)
    walk, over = _walk_to_an_end(task)
    for transition in walk.transitions:
        running = ~(transition.terminated | transition.truncated)
        _require_same(transition.final_obs[running], transition.obs[running], "final_obs where the episode goes on", "copy obs there")
    last = walk.transitions[-1]
    begins = inputs.samples(task.output_space, NUM_ENVS, np.random.default_rng(2))
    following = walk.envs.step(begins)
    ended_twice = over & (last.terminated | last.truncated) & (following.terminated | following.truncated)
    first = walk.transitions[0]
    brief = (first.terminated | first.truncated).any()  # episodes may be of one step
    if ended_twice.all() and not brief:
        raise Fault("every environment whose episode was over ended again at once; after an end, obs must begin a new episode")
    if _shows_ends(task, last, over) and all(np.array_equal(last.obs[env], last.final_obs[env]) for env in np.flatnonzero(over)):
        raise Fault("where an episode is over, obs is the last observation of the old one; it must be the first of the next one")
    walk.envs.close()


def counts_its_episodes(subject: TaskSubject) -> None:
    """Check that `pop_episodes` gives environment, return and length of each finished episode, in order, and each only once."""
    walk, _ = _walk_to_an_end(_control(subject))
    returns, lengths = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, dtype=int)
    wanted = []
    for transition in walk.transitions:
        returns += transition.reward
        lengths += 1
        for env in np.flatnonzero(transition.terminated | transition.truncated):
            wanted.append((int(env), float(returns[env]), int(lengths[env])))
            returns[env], lengths[env] = 0.0, 0
    found = [(int(env), float(return_), int(length)) for env, return_, length in walk.envs.pop_episodes()]
    same = len(found) == len(wanted) and all(
        got[0] == sought[0] and got[2] == sought[2] and abs(got[1] - sought[1]) <= 1e-4 * max(1.0, abs(sought[1]))
        for got, sought in zip(found, wanted, strict=True)
    )
    if not same:
        raise Fault(
            f"pop_episodes gives {found[:3]}, and counting gives {wanted[:3]} (environment, return, length); end step with self._count"
        )
    if walk.envs.pop_episodes():
        raise Fault("pop_episodes gives the same episodes twice; it must forget what it gave")
    walk.envs.close()


def keeps_what_it_gave(subject: TaskSubject) -> None:
    """Check that returned arrays are never written to again, so that a rollout may keep them without copying."""
    task = _control(subject)
    envs = task.envs(NUM_ENVS, Seeds(0, ("walk",)))
    rng = np.random.default_rng(0)
    given = [envs.reset()]
    copies = [given[0].copy()]
    for _ in range(5):
        transition = envs.step(inputs.samples(task.output_space, NUM_ENVS, rng))
        arrays = [*transition[:5], *transition.extras.values()]
        given += arrays
        copies += [array.copy() for array in arrays]
    for array, copy in zip(given, copies, strict=True):
        if not np.array_equal(array, copy, equal_nan=array.dtype.kind == "f"):
            raise Fault("an array that a step returned was written to by a later step; return a new array each time")
    envs.close()


def carries_the_extras_it_declares(subject: TaskSubject) -> None:
    """Check that transitions carry exactly the extras that spec and task declare: cost float32 [N], legal bool [N, ..., A]."""
    task = _control(subject)
    declared = set(getattr(subject.entry.spec, "extras", task.extras))  # a scheme's are known once a task of it is built
    if declared != set(task.extras):
        raise Fault(f"the spec declares the extras {sorted(declared)}, the task {sorted(task.extras)}; both must name the same")
    walk = _walk(task, 3)
    for transition in walk.transitions:
        if set(transition.extras) != declared:
            raise Fault(f"a transition carries the extras {sorted(transition.extras)}; declared are {sorted(declared)}")
        for name, array in transition.extras.items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or array.shape[:1] != (NUM_ENVS,):
                raise Fault(f"extras[{name!r}] is {array!r}; expected an array [{NUM_ENVS}, ...] of numbers or booleans")
            wanted = {"cost": (np.float32, 1), "legal": (np.bool_, 2 + len(task.output_space.shape or ()))}.get(name)
            if wanted is not None and (array.dtype != wanted[0] or array.ndim != wanted[1]):
                raise Fault(f"extras[{name!r}] is {array.dtype}{list(array.shape)}; expected {np.dtype(wanted[0])} of {wanted[1]} axes")
    walk.envs.close()


def _control(subject: TaskSubject) -> ControlTask:
    if not isinstance(subject.task, ControlTask):
        raise Fault(f"its traits call it a control task, but {type(subject.task).__name__} is not an rl_core.task.ControlTask")
    return subject.task


def _walk(task: ControlTask, count: int, seed: int = 0) -> Walk:
    seeds = Seeds(seed, ("walk",))
    envs = task.envs(NUM_ENVS, seeds)
    walk = Walk(envs, seeds, envs.reset(), [], [])
    return _go(envs, walk, count, np.random.default_rng(0), walk)


def _go(envs: Envs, before: Walk, count: int, rng: np.random.Generator, into: Walk | None = None) -> Walk:
    """Random actions for so many steps, added to a walk or kept in a new one."""
    walk = into or Walk(envs, before.seeds, before.transitions[-1].obs, [], [])
    for _ in range(count):
        actions = inputs.samples(envs.output_space, envs.num_envs, rng)
        walk.actions.append(actions)
        walk.transitions.append(envs.step(actions))
    return walk


def _walk_to_an_end(task: ControlTask) -> tuple[Walk, np.ndarray]:
    """Random actions until an episode is over, and a few steps more for other ones."""
    walk = _walk(task, 1)
    rng = np.random.default_rng(3)
    while len(walk.transitions) < STEPS_TO_AN_END:
        over = walk.transitions[-1].terminated | walk.transitions[-1].truncated
        if over.any():
            return walk, over
        _go(walk.envs, walk, 1, rng, walk)
    raise Skipped(f"random actions ended no episode within {STEPS_TO_AN_END} steps")


def _shows_ends(task: Task, last: Transition, over: np.ndarray) -> bool:
    """Return whether observations differ between the end of an episode and the next beginning; discrete ones may not."""
    return not np.issubdtype(np.asarray(last.obs).dtype, np.integer) and last.obs[over].size > 0


def _hold_rest(envs: Envs, walk: Walk, start: int, what: str, remedy: str) -> None:
    for number in range(start, len(walk.actions)):
        transition = envs.step(walk.actions[number])
        for name, wanted in _named_arrays(walk.transitions[number]).items():
            _require_same(_named_arrays(transition)[name], wanted, f"{what}, {name} of step {number + 1}", remedy)


def _named_arrays(transition: Transition) -> dict[str, np.ndarray]:
    arrays = {name: getattr(transition, name) for name in Transition._fields if name != "extras"}
    return arrays | {f"extras[{name!r}]": array for name, array in transition.extras.items()}


def _require_same(got: np.ndarray, wanted: np.ndarray, what: str, remedy: str) -> None:
    if got.shape != wanted.shape or not np.array_equal(got, wanted, equal_nan=got.dtype.kind == "f"):
        raise Fault(f"{what} differs: {np.array2string(got, threshold=6)}, not {np.array2string(wanted, threshold=6)}; {remedy}")


CONTROL: tuple[Callable[[Any], None], ...] = (
    keeps_to_its_spaces,
    repeats_from_its_seeds,
    continues_from_its_state,
    hands_over_at_an_end,
    counts_its_episodes,
    keeps_what_it_gave,
    carries_the_extras_it_declares,
)
