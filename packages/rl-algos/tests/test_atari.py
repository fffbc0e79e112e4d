"""Atari games: what is seen, that a game is replayed to the same frame, and what is the learner's view alone."""

from __future__ import annotations

import numpy as np
import pytest

from rl_algos.replay.buffer import ReplayBuffer, ReplaySettings
from rl_core.plugins.catalogue import Catalogue
from rl_core.seeds import Seeds

atari = pytest.importorskip("rl_algos.tasks.atari", reason="needs the extra atari: pip install 'rl-algos[atari]'")

TASKS = {"ALE/Pong-v5": lambda: atari.Atari(atari.AtariConfig()), "pong-pixels": lambda: atari.PongPixels(atari.PongPixelsConfig())}


def play(envs, num_steps, seed=0):
    """Transitions of random actions."""
    rng = np.random.default_rng(seed)
    return [envs.step(rng.integers(0, envs.output_space.n, envs.num_envs)) for _ in range(num_steps)]


def until(envs, condition, most=4_000, action=None):
    """Transitions up to the first one for which the condition holds."""
    rng, seen = np.random.default_rng(1), []
    while len(seen) < most:
        actions = rng.integers(0, envs.output_space.n, envs.num_envs) if action is None else np.full(envs.num_envs, action)
        seen.append(envs.step(actions))
        if condition(seen[-1]):
            return seen
    raise AssertionError(f"it did not happen in {most} steps")


@pytest.mark.parametrize("name", TASKS)
def test_a_game_is_replayed_to_the_same_frame_and_goes_on_alike(name):
    task = TASKS[name]()
    envs = task.envs(2, Seeds(3))
    envs.reset()
    play(envs, 40)
    state = envs.state_dict()
    expected = play(envs, 20, seed=1)
    other = task.envs(2, Seeds(3))
    obs = other.load_state_dict(state)
    np.testing.assert_array_equal(obs, state["obs"])
    for got, want in zip(play(other, 20, seed=1), expected, strict=True):
        np.testing.assert_array_equal(got.obs, want.obs)


@pytest.mark.parametrize("name", TASKS)
def test_games_differ_by_their_seed(name):
    task = TASKS[name]()
    envs = task.envs(4, Seeds(0))
    envs.reset()
    obs = [transition.obs for transition in play(envs, 60)]
    assert any((frame[0] != frame[other]).any() for frame in obs for other in (1, 2, 3))


def test_the_newest_frame_of_a_stack_is_its_last_channel():
    task = atari.Atari(atari.AtariConfig())
    assert task.traits() == {"control", "image-input", "discrete-output"}
    envs = task.envs(1, Seeds(0))
    before = envs.reset()
    assert before.shape == (1, 84, 84, 4)
    assert before.dtype == np.uint8
    assert all((before[..., frame] == before[..., 0]).all() for frame in range(4))  # an episode begins with copies
    for transition in play(envs, 20):
        np.testing.assert_array_equal(transition.obs[..., :3], before[..., 1:])
        before = transition.obs


def test_the_replay_buffer_keeps_each_frame_once():
    task = atari.Atari(atari.AtariConfig())
    envs = task.envs(1, Seeds(0))
    buffer = ReplayBuffer(ReplaySettings(100, stack_axis=2), task.input_space, task.output_space)
    obs, seen = envs.reset(), []
    for transition in play(envs, 30):
        action = np.zeros(1, np.int64)
        buffer.add(obs, action, transition)
        seen.append(obs)
        obs = transition.obs
    batch = buffer.read(np.arange(3, 33))  # the first three rows are the older frames of the first stack
    np.testing.assert_array_equal(batch.obs, np.concatenate(seen))


def test_a_frame_is_the_maximum_of_two():
    # In Pong the ball is drawn in every frame; of two frames, the maximum shows it twice once it moves.
    task = atari.Atari(atari.AtariConfig(noop_max=0, sticky=0.0, screen_size=84))
    still = atari.Atari(atari.AtariConfig(noop_max=0, sticky=0.0, frame_skip=1))
    envs, single = task.envs(1, Seeds(0)), still.envs(1, Seeds(0))
    envs.reset(), single.reset()
    for _ in range(30):
        maximum = envs.step(np.zeros(1, np.int64)).obs[..., -1]
        frames = [single.step(np.zeros(1, np.int64)).obs[..., -1] for _ in range(4)]
        assert (maximum >= np.maximum(frames[2], frames[3]) - 1.0).all()


def test_the_learner_sees_the_sign_of_a_reward_and_the_score_is_counted_as_it_is():
    rewards = {}
    for clip in (True, False):
        envs = atari.Atari(atari.AtariConfig(game="SpaceInvaders-v5", clip_reward=clip)).envs(1, Seeds(0))
        envs.reset()
        steps = until(envs, lambda transition: transition.terminated[0])
        rewards[clip] = np.array([transition.reward[0] for transition in steps])
        (episode,) = envs.pop_episodes()
        assert episode[1:] == (rewards[clip].sum(), len(steps))
    np.testing.assert_array_equal(rewards[True], np.sign(rewards[False]))
    assert rewards[False].max() >= 5.0
    task = atari.Atari(atari.AtariConfig(game="SpaceInvaders-v5", episode="life"))
    score = task.evaluate(lambda obs: np.ones(len(obs), np.int64), episodes=1, seeds=Seeds(0))  # always fires
    assert score["mean return"] >= 50.0  # no fewer than ten invaders in three lives, at 5 and more each


def test_a_lost_life_ends_an_episode_for_the_learner_and_not_the_game():
    task = atari.Atari(atari.AtariConfig(game="Breakout-v5", episode="life", sticky=0.0))
    envs = task.envs(1, Seeds(0))
    envs.reset()
    assert envs._count_lives() == [5]
    num_steps = 0
    for lives in (4, 3):
        steps = until(envs, lambda transition: transition.terminated[0], action=1)
        num_steps, last = num_steps + len(steps), steps[-1]
        assert envs._count_lives() == [lives]
        np.testing.assert_array_equal(last.obs, last.final_obs)  # no new game
        assert [length for _, _, length in envs.pop_episodes()] == [len(steps)]
    state = envs.state_dict()
    assert len(state["actions"][0]) == num_steps  # since the game began, not since the life did
    other = task.envs(1, Seeds(0))
    other.load_state_dict(state)
    assert other._count_lives() == [3]
    until(other, lambda transition: other._count_lives() == [5], action=1)
    plain = atari.Atari(atari.AtariConfig(game="Breakout-v5", sticky=0.0)).envs(1, Seeds(0))
    plain.reset()
    whole = until(plain, lambda transition: transition.terminated[0], action=1)
    assert len(whole) > num_steps
    assert len(plain.pop_episodes()) == 1


def test_a_point_ends_an_episode_for_the_learner_and_not_the_game():
    task = atari.PongPixels(atari.PongPixelsConfig())
    envs = task.envs(1, Seeds(0))
    envs.reset()
    steps = until(envs, lambda transition: len(envs._actions[0]) == 0)
    reward = np.array([transition.reward[0] for transition in steps])
    np.testing.assert_array_equal([transition.terminated[0] for transition in steps], reward != 0)
    assert np.abs(reward).sum() >= 21
    assert [return_ for _, return_, _ in envs.pop_episodes()] == reward[reward != 0].tolist()


def test_a_game_that_was_saved_at_a_point_is_continued_exactly():
    task = atari.PongPixels(atari.PongPixelsConfig())
    envs = task.envs(1, Seeds(0))
    envs.reset()
    last = until(envs, lambda transition: transition.terminated[0])[-1]
    assert not last.obs.any()  # nothing has moved in a rally that begins
    assert last.final_obs.any()
    other = task.envs(1, Seeds(0))
    np.testing.assert_array_equal(other.load_state_dict(envs.state_dict()), last.obs)
    for got, want in zip(play(other, 10), play(envs, 10), strict=True):
        np.testing.assert_array_equal(got.obs, want.obs)
    other.restart()
    assert other.state_dict()["episode"] == [1]  # another game, though an episode had hardly begun


def test_the_field_is_cropped_halved_and_without_background():
    screen = np.full((210, 160, 3), 109, dtype=np.uint8)
    screen[100:] = 144
    screen[:35], screen[195:] = 236, 236
    assert not atari.field(screen).any()
    screen[35 + 2 * 5 : 35 + 2 * 5 + 4, 2 * 8 : 2 * 8 + 2] = [200, 72, 72]
    assert np.argwhere(atari.field(screen)).tolist() == [[5, 8], [6, 8]]


@pytest.mark.parametrize(("shape", "expected"), [("vector", (6400,)), ("image", (80, 80, 1))])
def test_what_moved_is_seen_where_it_came_and_where_it_left(shape, expected):
    task = atari.PongPixels(atari.PongPixelsConfig(shape=shape))
    assert task.input_space.shape == expected
    envs = task.envs(1, Seeds(0))
    assert not envs.reset().any()
    up = [envs.step(np.zeros(1, np.int64)).obs[0].reshape(80, 80) for _ in range(8)]
    paddle = np.stack(up)[:, :, 70:72]  # the columns of our paddle
    rows = np.arange(80)[:, None]
    assert set(np.unique(up)) <= {-1.0, 0.0, 1.0}
    came, left = (paddle == 1).any(axis=0), (paddle == -1).any(axis=0)
    assert came.any()
    assert (rows * came).sum() / came.sum() < (rows * left).sum() / left.sum()  # action 0 is up: it comes above where it leaves


def test_ids_of_the_namespace_lead_to_the_scheme_and_unknown_games_to_the_nearest():
    catalogue = Catalogue.discover()
    entry = catalogue.find("ALE/MsPacman-v5", "task")
    assert (entry.name, entry.spec.config) == ("ALE:MsPacman-v5", {"game": "MsPacman-v5"})
    with pytest.raises(ValueError, match=r"unknown Atari game 'Pomg-v5'; names are such as .*Pong-v5"):
        atari.Atari(atari.AtariConfig(game="Pomg-v5"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: atari.AtariConfig(sticky=1.5), r"sticky is 1.5; it must be in \[0, 1\]"),
        (lambda: atari.AtariConfig(frame_stack=0), r"frame_stack is 0; it must be >= 1"),
        (lambda: atari.PongPixelsConfig(frame_skip=(4, 2)), r"frame_skip is \[4, 2\]; it must be two numbers of at least 1"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_words(make, message):
    with pytest.raises(ValueError, match=message):
        make()
