"""Games of the Atari 2600 as pixels: any of them with the usual preprocessing, and Pong as the classic policy-gradient example sees it.

Source: M. G. Bellemare, Y. Naddaf, J. Veness, M. Bowling. "The arcade learning environment", 2013; preprocessing as in V. Mnih and
others, "Human-level control through deep reinforcement learning", 2015, methods; sticky actions from M. C. Machado and others,
"Revisiting the arcade learning environment", 2018, section 5.2. `pong-pixels` after A. Karpathy, "Deep reinforcement learning: Pong
from pixels", 2016.
Departures: frames are stacked along the last axis, where an image of this house has its channels; no button is pressed to start a game.
Errata: where a lost life counts as an end, the usual wrapper presses a button before the next life, and Gymnasium's begins a new game;
here the game simply goes on, and the score is that of whole games.
Letters: N environments, H W height and width, C frames of a stack.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import ale_py
import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformAction, TransformObservation

from rl_core.config import Count, Doc, Fraction, Meta, Whole, configclass
from rl_core.envs import Envs, Transition
from rl_core.errors import nearest
from rl_core.gym_envs import GymEnvs
from rl_core.seeds import Seeds
from rl_core.task import ControlTask, Predict

UP, DOWN = 2, 3  # of Pong's six buttons
TOP, BOTTOM = 35, 195  # rows of Pong's field
MOVES = np.ones(256, dtype=np.float32)  # by the red of a pixel: 1 for ball and paddles
MOVES[[0, 109, 144]] = 0.0  # the background


@configclass
class AtariConfig:
    """Settings of a game and of its observations; the defaults are those of the sources."""

    game: Annotated[str, Doc("name in Gymnasium's registry behind ALE/, with its version")] = "Pong-v5"
    frame_skip: Annotated[Count, Doc("frames that an action is held for, of which the last two are seen as their maximum")] = 4
    frame_stack: Annotated[Count, Doc("C, newest frames that are seen together")] = 4
    screen_size: Annotated[int, Meta(ge=8), Doc("H and W, pixels")] = 84
    noop_max: Annotated[Whole, Doc("most frames that pass before the first action, at random")] = 30
    sticky: Annotated[Fraction, Doc("probability that a frame takes the button of the frame before")] = 0.25
    clip_reward: Annotated[bool, Doc("whether rewards are cut to their sign to learn from; the score is counted as it is")] = True
    episode: Annotated[Literal["game", "life"], Doc("episodes as the learner counts them; the score is that of whole games")] = "game"
    full_actions: Annotated[bool, Doc("all 18 buttons, or those that the game uses")] = False


class Screen(ControlTask):
    """A game on a screen; a subclass makes the environment in `_make`."""

    whole: ClassVar[Mapping[str, Any]] = {"episode": "game"}  # settings by which whole games are scored

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        env = self._make()
        self.input_space, self.output_space = env.observation_space, env.action_space
        env.close()

    @abstractmethod
    def _make(self) -> gymnasium.Env:
        """Return the environment."""

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of whole games, with unclipped rewards."""
        whole = type(self)(replace(self.config, **self.whole))
        scores = ControlTask.evaluate(whole, predict, episodes=episodes, seeds=seeds)
        self.returns = whole.returns
        return scores

    def picture(self, envs: Envs) -> np.ndarray | None:
        """Return the screen of the first game."""
        assert isinstance(envs, AtariEnvs)
        return envs.picture()


class Atari(Screen):
    """A game by its id, as a stack of small grey images [H, W, C], uint8, the oldest first.

    Raises:
        ValueError: if the game is unknown.
    """

    Config: ClassVar[type] = AtariConfig
    config: AtariConfig
    whole: ClassVar[Mapping[str, Any]] = {"clip_reward": False, "episode": "game"}

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return games that are stepped one after the other, and replayed on resume."""
        return AtariEnvs(self._make, num_envs, seeds, clip_reward=self.config.clip_reward, episode=self.config.episode)

    def _make(self) -> gymnasium.Env:
        config = self.config
        env = _game(config.game, frameskip=1, repeat_action_probability=config.sticky, full_action_space=config.full_actions)
        env = AtariPreprocessing(env, noop_max=config.noop_max, frame_skip=config.frame_skip, screen_size=config.screen_size)
        env = FrameStackObservation(env, config.frame_stack)
        shape = (config.screen_size, config.screen_size, config.frame_stack)
        return TransformObservation(env, lambda frames: np.moveaxis(frames, 0, -1), spaces.Box(0, 255, shape, np.uint8))


class AtariEnvs(GymEnvs):
    """Games with rewards that may be clipped, and with lives or points that may count as episodes while the game goes on.

    The end of a life must not begin another game: the lives after the first would never be learned. As only the learner's
    view changes, a game is still saved as its seed and the actions since. Episodes are counted as the learner sees them.

    Args:
        make: Builds one game.
        num_envs: N, at least 1.
        seeds: Where the games' seeds come from.
        clip_reward: Whether the learner sees the sign of a reward.
        episode: What ends with `terminated` for the learner: the game alone, or also a life, or a point that is won or lost. The
            first observation after a life is as it is, a stack that goes on; after a point it is 0, as at the start of a game.
    """

    def __init__(
        self,
        make: Callable[[], gymnasium.Env],
        num_envs: int,
        seeds: Seeds,
        *,
        clip_reward: bool,
        episode: Literal["game", "life", "point"],
    ) -> None:
        super().__init__(make, num_envs, seeds)
        self._clip_reward, self._kind = clip_reward, episode
        self._lives = np.zeros(num_envs, dtype=np.int64)
        self._ends = np.zeros(num_envs, dtype=bool)  # whose episode ended with the last step, though its game did not

    def reset(self) -> np.ndarray:
        """Return first observations [N, ...] of new games."""
        obs = super().reset()
        self._lives, self._ends = self._count_lives(), np.zeros_like(self._ends)
        return obs

    def restart(self) -> np.ndarray:
        """Return first observations [N, ...] of new games, each with the next seed where one was under way."""
        self._length = np.array([len(actions) for actions in self._actions])  # an episode may have just ended within a game
        return super().restart()

    def step(self, actions: np.ndarray) -> Transition:
        """Take actions [N]."""
        after = super().step(actions)
        reward = np.sign(after.reward) if self._clip_reward else after.reward
        return after._replace(obs=self._seen(after.obs), reward=reward, terminated=after.terminated | self._ends)

    def state_dict(self) -> dict[str, Any]:
        """Return the position of the games, and which episodes have just ended."""
        return {**super().state_dict(), "lives": self._lives.copy(), "ends": self._ends.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> np.ndarray:
        """Restore `state`, and return the observations [N, ...]."""
        self._lives, self._ends = np.array(state["lives"]), np.array(state["ends"])
        return self._seen(super().load_state_dict(state))

    def picture(self) -> np.ndarray | None:
        """Return the screen of the first game [210, 160, 3], uint8."""
        screen: np.ndarray = self._envs[0].unwrapped.ale.getScreenRGB()
        return screen

    def _count(self, reward: np.ndarray, over: np.ndarray) -> None:
        lives = self._count_lives()
        self._ends = {"game": np.zeros_like(over), "life": lives < self._lives, "point": reward != 0}[self._kind] & ~over
        self._lives = lives
        super()._count(np.sign(reward) if self._clip_reward else reward, over | self._ends)

    def _seen(self, obs: np.ndarray) -> np.ndarray:
        if self._kind != "point" or not self._ends.any():
            return obs
        seen = obs.copy()
        seen[self._ends] = 0
        return seen

    def _count_lives(self) -> np.ndarray:
        return np.array([env.unwrapped.ale.lives() for env in self._envs])


@configclass
class PongPixelsConfig:
    """Settings of Pong and of its observations; the defaults are those of the classic example."""

    frame_skip: Annotated[tuple[int, ...], Doc("fewest and most frames that an action is held for, at random, each >= 1")] = (2, 4)
    sticky: Annotated[Fraction, Doc("probability that a frame takes the button of the frame before")] = 0.0
    episode: Annotated[Literal["game", "point"], Doc("episodes as the learner counts them; the score is that of whole games")] = "point"
    shape: Annotated[Literal["vector", "image"], Doc("pixels in a row [6400], or as an image [80, 80, 1]")] = "vector"

    def __post_init__(self) -> None:
        """Refuse settings out of range."""
        if len(self.frame_skip) != 2 or not 1 <= self.frame_skip[0] <= self.frame_skip[1]:
            raise ValueError(f"frame_skip is {list(self.frame_skip)}; it must be two numbers of at least 1, the fewer frames first")


class PongPixels(Screen):
    """Pong with two actions, up and down, seen as the difference of two frames of 80 x 80: what moved, and from where."""

    Config: ClassVar[type] = PongPixelsConfig
    config: PongPixelsConfig

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return games that are stepped one after the other, and replayed on resume."""
        return AtariEnvs(self._make, num_envs, seeds, clip_reward=False, episode=self.config.episode)

    def _make(self) -> gymnasium.Env:
        fewest, most = self.config.frame_skip
        env = _game("Pong-v5", frameskip=(fewest, most + 1), repeat_action_probability=self.config.sticky)
        env = TransformAction(env, lambda action: DOWN if action else UP, spaces.Discrete(2))
        return DifferenceFrames(env, (6400,) if self.config.shape == "vector" else (80, 80, 1))


class DifferenceFrames(gymnasium.Wrapper):
    """Change of Pong's field between two steps: 1 where something appeared, -1 where something disappeared; 0 at first.

    Args:
        env: Pong, with observations of 210 x 160 pixels in red, green and blue.
        shape: Of the observations, 6,400 numbers.
    """

    def __init__(self, env: gymnasium.Env, shape: tuple[int, ...]) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(-1.0, 1.0, shape, np.float32)
        self._frame = np.zeros((80, 80), dtype=np.float32)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """Return zeros: nothing has changed yet."""
        screen, info = self.env.reset(**options)
        self._frame = field(screen)
        return np.zeros(self.observation_space.shape, dtype=np.float32), info

    def step(self, action: Any) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Return the change of the field in this step."""
        screen, reward, terminated, truncated, info = self.env.step(action)
        frame, before = field(screen), self._frame
        self._frame = frame
        return (frame - before).reshape(self.observation_space.shape), reward, terminated, truncated, info


def field(screen: np.ndarray) -> np.ndarray:
    """Return Pong's field [80, 80] of a screen [210, 160, 3]: every second pixel, 1 for ball and paddles, 0 for the background.

    >>> screen = np.full((210, 160, 3), 144, dtype=np.uint8)
    >>> screen[:35] = 236  # the score, which is cut off
    >>> screen[35 + 2 * 10, 2 * 70] = 236
    >>> np.argwhere(field(screen)).tolist()
    [[10, 70]]
    """
    return MOVES[screen[TOP:BOTTOM:2, ::2, 0]]


def _game(game: str, **options: Any) -> gymnasium.Env:
    """Return a game of the Arcade Learning Environment, without its banner."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    try:
        return gymnasium.make(f"ALE/{game}", disable_env_checker=True, **options)
    except gymnasium.error.UnregisteredEnv as error:
        games = [name.removeprefix("ALE/") for name in gymnasium.registry if name.startswith("ALE/")]
        close = ", ".join(nearest(game, games)) or "Pong-v5"
        raise ValueError(f"unknown Atari game {game!r}; names are such as {close}") from error
