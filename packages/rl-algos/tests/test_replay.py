"""The replay buffer: where a transition led, what an end is, stacks of frames, and saving without writing everything again."""

from __future__ import annotations

import re

import numpy as np
import pytest
from gymnasium import spaces

from rl_algos.replay.buffer import Batch, ReplayBuffer, ReplaySettings
from rl_core.envs import Transition
from rl_core.runs import checkpoint
from rl_core.runs.checkpoint import Block

NUMBER = spaces.Box(-np.inf, np.inf, (1,), np.float32)
TWO = spaces.Discrete(2)
GO, END, CUT = "go", "end", "cut"


def live(buffer, ends, envs=1, first=0):
    """Episodes of one number a state, which counts up; every environment is 1,000 beyond the one before. Rewards are the state."""
    place = first + 1_000.0 * np.arange(envs, dtype=np.float32)[:, None]
    for end in ends:
        after, over = place + 1, np.full(envs, end != GO)
        obs = after + 10 if end != GO else after  # the next episode begins elsewhere
        action = (place[:, 0] % 2).astype(np.int64)
        buffer.add(place, action, Transition(obs, place[:, 0].copy(), over & (end == END), over & (end == CUT), after))
        place = obs


def make(capacity=100, envs=1, **settings):
    return ReplayBuffer(ReplaySettings(capacity, envs, **{"discount": 0.5, **settings}), NUMBER, TWO)


def by_place(buffer, size=2_000):
    """What the buffer gives for each state that it has, and how often."""
    batch = buffer.sample(np.random.default_rng(0), size)
    found = {}
    for obs, *rest in zip(*batch, strict=True):
        found.setdefault(obs.item(), []).append(tuple(number.item() for number in rest))
    assert all(len(set(values)) == 1 for values in found.values())
    return {place: values[0] for place, values in sorted(found.items())}, {place: len(values) for place, values in found.items()}


def test_every_transition_comes_back_with_where_it_led():
    buffer = make()
    live(buffer, [GO, END, GO, CUT, GO])
    assert by_place(buffer)[0] == {  # action, reward, discount, next
        0: (0, 0, 0.5, 1),
        1: (1, 1, 0, 2),  # an end: what is behind it counts nothing
        12: (0, 12, 0.5, 13),
        13: (1, 13, 0.5, 14),  # a cut: the episode would have gone on at 14, not at 24, where the next one begins
        24: (0, 24, 0.5, 25),
    }


def test_returns_of_three_steps_stop_at_ends_at_cuts_and_at_what_is_not_yet_known():
    buffer = make(num_steps=3)
    live(buffer, [GO, GO, GO, END, GO, CUT, GO, GO])
    found = by_place(buffer)[0]
    assert found[0] == (0, 0 + 0.5 * 1 + 0.25 * 2, 0.125, 3)
    assert found[1] == (1, 1 + 0.5 * 2 + 0.25 * 3, 0, 4)
    assert found[2] == (0, 2 + 0.5 * 3, 0, 4)
    assert found[14] == (0, 14 + 0.5 * 15, 0.25, 16)  # cut after two steps: worth what the value of 16 is
    assert found[26] == (0, 26 + 0.5 * 27, 0.25, 28)  # the newest
    assert found[27] == (1, 27, 0.5, 28)


def test_the_newest_rows_push_out_the_oldest():
    buffer = make(capacity=6)
    live(buffer, [GO] * 20)
    assert list(by_place(buffer)[0]) == [14, 15, 16, 17, 18, 19]
    live(buffer, [GO, END], first=50)  # follows without an end: a run never does this
    assert by_place(buffer)[0].keys() <= {16, 17, 18, 19, 50, 51}


def test_every_transition_of_every_environment_is_equally_probable():
    buffer = make(capacity=30, envs=3)
    live(buffer, [GO, GO, END, GO, CUT, GO, GO, GO], envs=3)
    found, counts = by_place(buffer, 24_000)
    assert len(found) == 24
    assert min(counts.values()) > 850  # 1,000 on average, with a deviation of 31
    assert max(counts.values()) < 1_150


class Film:
    """Frames of 2 x 2 that count up, stacked three deep; an episode begins with copies of its first frame, or with zeros."""

    def __init__(self, copies, axis):
        self.copies, self.axis, self.clock = copies, axis, 0
        self.space = spaces.Box(0, 255, tuple(np.insert([2, 2], axis, 3)), np.uint8)
        self.frames = self.begin()

    def begin(self):
        self.clock += 1
        return [self.clock if self.copies else 0] * 2 + [self.clock]

    def obs(self):
        return np.stack([np.full((2, 2), frame, np.uint8) for frame in self.frames], axis=self.axis)[None]

    def step(self, over):
        self.clock += 1
        self.frames = [*self.frames[1:], self.clock]
        final_obs = self.obs()
        if over:
            self.frames = self.begin()
        flag = np.array([over])
        return Transition(self.obs(), np.array([float(self.clock)]), flag, ~flag & False, final_obs)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("copies", [True, False])
def test_a_stack_of_frames_comes_back_as_it_was_and_never_reaches_over_a_start(copies, axis):
    film = Film(copies, axis)
    buffer = ReplayBuffer(ReplaySettings(40, 1, discount=0.9, stack_axis=axis), film.space, TWO)
    lived = {}
    for step in range(100):
        obs, after = film.obs(), None
        after = film.step(over=step % 7 == 6)
        buffer.add(obs, np.array([step % 2]), after)
        lived[after.reward.item()] = (obs[0], after.final_obs[0], 0.0 if after.terminated[0] else 0.9)
    batch = buffer.sample(np.random.default_rng(1), 500)
    assert batch.obs.dtype == np.uint8
    seen = set()
    for obs, reward, discount, next_obs in zip(batch.obs, batch.reward, batch.discount, batch.next_obs, strict=True):
        expected = lived[reward.item()]
        np.testing.assert_array_equal(obs, expected[0])
        np.testing.assert_array_equal(next_obs, expected[1])
        assert discount == pytest.approx(expected[2])
        seen.add(reward.item())
    assert len(seen) in range(25, 31)  # 40 rows; an episode of 7 takes 10


def test_frames_that_are_no_stack_are_refused():
    film = Film(True, 0)
    buffer = ReplayBuffer(ReplaySettings(40, 1, discount=0.9, stack_axis=0), film.space, TWO)
    strange = np.zeros((1, 3, 2, 2), np.uint8)
    with pytest.raises(ValueError, match="stack_axis is 0, but an observation does not hold the frames of the one before it"):
        buffer.add(film.obs(), np.array([0]), film.step(False)._replace(final_obs=strange))


def test_a_million_frames_of_pong_take_less_than_eight_gigabytes():
    buffer = ReplayBuffer(
        ReplaySettings(1_000_000, 1, discount=0.99, stack_axis=0), spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Discrete(6)
    )
    assert 7.05e9 < buffer.nbytes < 7.2e9  # memory that is not taken before it is written


def test_continuous_actions_and_discrete_observations_keep_their_shapes():
    buffer = ReplayBuffer(ReplaySettings(10, 2, discount=0.9), spaces.Discrete(5), spaces.Box(-1.0, 1.0, (2, 3), np.float64))
    action = np.arange(12.0).reshape(2, 2, 3)
    no = np.zeros(2, dtype=bool)
    buffer.add(np.array([3, 4]), action, Transition(np.array([1, 2]), np.ones(2), no, no, np.array([1, 2])))
    batch = buffer.sample(np.random.default_rng(0), 6)
    assert batch.obs.dtype == np.int64
    assert batch.action.dtype == np.float32
    for obs, taken, next_obs in zip(batch.obs, batch.action, batch.next_obs, strict=True):
        assert next_obs == obs - 2
        np.testing.assert_array_equal(taken, action[obs - 3])


def test_the_same_generator_draws_the_same_whatever_was_drawn_before():
    buffer = make()
    live(buffer, [GO, GO, END] * 10)
    first = buffer.sample(np.random.default_rng(3), 50)
    buffer.sample(np.random.default_rng(4), 7)
    for left, right in zip(first, buffer.sample(np.random.default_rng(3), 50), strict=True):
        np.testing.assert_array_equal(left, right)


LIFE = [GO, GO, END, GO, CUT, *[GO] * 9, END] * 6


@pytest.mark.parametrize(("envs", "storage"), [(1, "memory"), (1, "disk"), (3, "memory")])
@pytest.mark.parametrize("block_bytes", [2**24, 200])  # plain arrays; blocks of a few rows
@pytest.mark.parametrize("split", [1, 37, 61])
def test_a_buffer_that_was_saved_and_loaded_goes_on_to_the_same_bytes(tmp_path, monkeypatch, split, block_bytes, envs, storage):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", block_bytes)
    settings = {"capacity": 60 * envs, "envs": envs, "storage": storage, "num_steps": 2}
    whole, first, second = make(**settings), make(**settings), make(**settings)
    live(whole, LIFE, envs)
    live(first, LIFE[:split], envs)
    live(second, [GO] * 200, envs, first=500)  # whatever was there before is gone
    checkpoint.save(tmp_path, split, {"buffer": first.state_dict()})
    second.load_state_dict(checkpoint.load(tmp_path / str(split))["buffer"])
    place = 1_000.0 * np.arange(envs, dtype=np.float32)[:, None] + sum(1 + 10 * (end != GO) for end in LIFE[:split])
    for one, other in zip(second.sample(np.random.default_rng(0), 9), first.sample(np.random.default_rng(0), 9), strict=True):
        np.testing.assert_array_equal(one, other)
    live(second, LIFE[split:], envs, first=place[0, 0])
    for buffer, folder in ((whole, tmp_path / "whole"), (second, tmp_path / "second")):
        checkpoint.save(folder, 1, {"buffer": buffer.state_dict()})
    files = sorted(path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file())
    assert (len(files) > 2) == (block_bytes == 200)
    for file in files:
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_block_never_changes_under_its_name_and_most_of_a_large_buffer_is_blocks(monkeypatch):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", 320)
    buffer, known = make(capacity=500), {}
    for start in range(0, 2_000, 30):
        live(buffer, [GO] * 30, first=start)
        (ring,) = buffer.state_dict()["rings"]
        blocks = [piece for piece in ring if isinstance(piece, Block)]
        for block in blocks:
            assert known.setdefault(block.name, block.array.tobytes()) == block.array.tobytes()
        assert len(blocks) == len(ring) - 1
    assert sum(len(block.array) for block in blocks) >= 490
    assert len(ring[-1]) <= 500 // 10


def test_what_is_not_yet_a_block_is_little_of_each_ring_however_many_there_are(monkeypatch):
    monkeypatch.setattr("rl_algos.replay.buffer.BLOCK_BYTES", 2_000)
    buffer = make(capacity=8 * 64, envs=8)
    live(buffer, [GO] * 200, envs=8)
    for ring in buffer.state_dict()["rings"]:
        assert len(ring[-1]) <= 64 // 16 + 1


def test_a_buffer_on_the_disk_is_a_map_of_a_file_that_is_already_unlinked():
    buffer = make(storage="disk")
    base = buffer.kind
    while not isinstance(base, np.memmap):
        base = base.base
    assert base.filename is None


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(ValueError, match="buffer_size is 3; it must be at least 4: two rows of an environment"):
        make(capacity=3, envs=3)
    with pytest.raises(ValueError, match=re.escape("stack_axis is 1; an observation of Box(-inf, inf, (1,), float32) has the axes 0 to 0")):
        make(stack_axis=1)
    with pytest.raises(ValueError, match="the replay buffer holds no transition; add a step before sampling"):
        make().sample(np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="a replay buffer keeps observations and actions that are one array each"):
        ReplayBuffer(ReplaySettings(10, 1, discount=0.9), spaces.Dict({"a": TWO}), TWO)
    buffer = make()
    live(buffer, [GO])
    with pytest.raises(ValueError, match=r"ReplayBuffer.written is saved as int64\[1\], but the agent has int64\[2\]"):
        make(envs=2).load_state_dict(buffer.state_dict())
    wide = ReplayBuffer(ReplaySettings(100, 1, discount=0.9), spaces.Box(0, 1, (9,)), TWO)
    with pytest.raises(ValueError, match="the saved replay buffer has another capacity, or other observations or actions"):
        wide.load_state_dict(buffer.state_dict())


def test_a_batch_names_what_it_holds():
    assert Batch._fields == ("obs", "action", "reward", "discount", "next_obs")


@pytest.mark.parametrize("envs", [1, 3])
def test_the_smallest_buffer_always_has_a_transition_to_draw(envs):
    buffer = make(capacity=envs + 1, envs=envs)
    for end in [GO, END, END, GO, CUT, END, GO] * 3:
        live(buffer, [end], envs)
        assert len(buffer.sample(np.random.default_rng(0), 4).reward) == 4


@pytest.mark.parametrize(("storage_name", "advice"), [("memory", "take a smaller one, or set storage=disk"), ("disk", "set TMPDIR")])
def test_a_buffer_that_does_not_fit_is_refused_before_it_is_allocated(storage_name, advice):
    with pytest.raises(ValueError, match=rf"buffer_size: .* (TiB|GiB).*{advice}"):
        make(capacity=10**12, storage=storage_name)
    with pytest.raises(ValueError, match="batch_size: 1,000,000,000,000 transitions of a batch take"):
        make().require_batch(10**12)


def test_a_full_disk_is_named_instead_of_killing_the_process(monkeypatch):
    def full(descriptor, offset, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(ValueError, match=r"buffer_size: .* cannot be reserved in .*: No space left on device; take a smaller buffer_size"):
        make(storage="disk")


def test_the_whole_file_of_a_buffer_on_the_disk_is_reserved(monkeypatch):
    reserved = []
    monkeypatch.setattr("os.posix_fallocate", lambda descriptor, offset, size: reserved.append(size))
    size = make(storage="disk").nbytes
    assert size in reserved


@pytest.mark.parametrize("fault", ["written", "kind", "action", "dtype", "rings"])
def test_a_saved_state_that_cannot_be_is_refused(fault):
    buffer = make()
    live(buffer, [GO, GO, END, GO])
    state = buffer.state_dict()
    if fault == "written":
        state["written"][0] = -1
    elif fault == "dtype":
        state["rings"][0][0] = state["rings"][0][0].astype(np.int64)
    elif fault == "rings":
        state["rings"].append(state["rings"][0])
    else:
        state["rings"][0][0].view(buffer._rows.dtype)[fault][1] = 9
    with pytest.raises(ValueError, match="the saved replay buffer h"):
        make().load_state_dict(state)


def test_a_saved_state_without_any_transition_is_not_drawn_from_for_ever():
    buffer = make()
    live(buffer, [GO, GO])
    state = buffer.state_dict()
    state["rings"][0][0].view(buffer._rows.dtype)["kind"] = 0
    buffer.load_state_dict(state)
    with pytest.raises(ValueError, match="the replay buffer holds no transition"):
        buffer.sample(np.random.default_rng(0), 2)
