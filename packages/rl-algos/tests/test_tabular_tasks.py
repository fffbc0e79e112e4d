"""Tasks with tables: grids, cards, bins, and Gymnasium's own tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest

from rl_algos.planning.policy import optimal_policy
from rl_algos.tasks.array_envs import ArrayTaskConfig
from rl_algos.tasks.binned import Binned, BinnedConfig
from rl_algos.tasks.blackjack import (
    HIT,
    NATURAL,
    STICK,
    Blackjack,
    BlackjackByGymnasium,
    BlackjackConfig,
    dealer_results,
    number_of,
)
from rl_algos.tasks.cartpole import CartPole
from rl_algos.tasks.classic import (
    GamblersProblem,
    GamblersProblemConfig,
    Garnet,
    GarnetConfig,
    RandomWalkConfig,
    garnet,
)
from rl_algos.tasks.grids import Grid, GridRobot, GridRobotConfig, Maze, MazeConfig, WindyGridworld, WindyGridworldConfig, generate_maze
from rl_algos.tasks.mdp.picture import Layout
from rl_algos.tasks.toy_text import ToyText, ToyTextConfig
from rl_core import figure
from rl_core.gym_task import GymConfig, GymTask
from rl_core.seeds import Seeds


def outcomes(task, state, action):
    mdp = task.mdp
    pair = slice(*mdp.offset[state * mdp.num_actions + action :][:2])
    return sorted(zip(mdp.probability[pair], mdp.next_state[pair], mdp.reward[pair], mdp.terminated[pair], strict=True))


@pytest.mark.parametrize("id", ["FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1", "Taxi-v4"])
def test_the_table_is_gymnasium_s_and_so_is_what_is_played(id):
    task = ToyText(ToyTextConfig(id=id))
    table = gymnasium.make(id).unwrapped.P
    for state in range(0, task.mdp.num_states, 7):
        for action in range(task.mdp.num_actions):
            assert outcomes(task, state, action) == sorted((p, s, float(r), bool(t)) for p, s, r, t in table[state][action])
    uniform = np.random.default_rng(0)
    ours = task.evaluate(lambda obs: uniform.integers(task.mdp.num_actions, size=len(obs)), episodes=300, seeds=Seeds(0))
    exact = task.return_of(np.full((task.mdp.num_states, task.mdp.num_actions), 1.0 / task.mdp.num_actions))
    assert abs(ours["mean return"] - exact) <= 6.0 * ours["standard deviation"] / np.sqrt(300) + 0.05


def test_time_limits_are_gymnasium_s_where_it_has_one():
    assert ToyText(ToyTextConfig()).max_steps == 100
    assert ToyText(ToyTextConfig(id="Taxi-v4")).max_steps == 200
    assert ToyText(ToyTextConfig(id="CliffWalking-v1")).max_steps == 1_000
    assert ToyText(ToyTextConfig(max_steps=7)).max_steps == 7


def test_an_older_id_is_refused_with_the_ids_that_there_are():
    with pytest.raises(ValueError, match=r"Gymnasium cannot make 'Taxi-v3'.*Its toy-text ids are .*Taxi-v4"):
        ToyText(ToyTextConfig(id="Taxi-v3"))
    with pytest.raises(ValueError, match="'CartPole-v1' has no table P of outcomes; play it as gym:CartPole-v1"):
        ToyText(ToyTextConfig(id="CartPole-v1"))


def test_the_robot_slips_to_the_sides():
    task = GridRobot(GridRobotConfig(layout="...\n.S.\nX#G", grip=0.7))
    up = outcomes(task, 4, 0)
    assert [(state, reward) for _, state, reward, _ in up] == [(3, -1.0), (5, -1.0), (1, -1.0)]
    np.testing.assert_allclose([chance for chance, *_ in up], [0.15, 0.15, 0.7])
    down = {state: (reward, over) for _, state, reward, over in outcomes(task, 4, 2)}
    assert down == {3: (-1.0, False), 4: (-1.0, False), 5: (-1.0, False)}  # the wall holds it where it is
    assert {state: (reward, over) for _, state, reward, over in outcomes(task, 5, 2)}[8] == (9.0, True)
    assert {state: (reward, over) for _, state, reward, over in outcomes(task, 3, 2)}[6] == (-101.0, False)


def test_a_wall_costs_one_and_the_goal_pays_one_in_a_maze():
    task = Maze(MazeConfig(layout="S#\n.G"))
    assert outcomes(task, 0, 1) == [(1.0, 0, -1.0, False)]
    assert outcomes(task, 0, 0) == [(1.0, 0, -1.0, False)]
    assert outcomes(task, 0, 2) == [(1.0, 2, 0.0, False)]
    assert outcomes(task, 2, 1) == [(1.0, 3, 1.0, True)]


@pytest.mark.parametrize("seed", range(5))
def test_a_generated_maze_has_one_way_between_any_two_cells(seed):
    cells = Grid.read(generate_maze(15, seed)).letters != "#"
    edges = (cells[1:] & cells[:-1]).sum() + (cells[:, 1:] & cells[:, :-1]).sum()
    assert edges == cells.sum() - 1
    task = Maze(MazeConfig(layout="", layout_seed=seed))
    assert task.mdp.start @ task.mdp.under(optimal_policy(task.mdp)).values() > 0.0
    assert generate_maze(15, seed) != generate_maze(15, seed + 1)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("S.\n...G", "row 1 of the layout has 4 cells and row 0 has 2"),
        ("S?G", r"row 0 of the layout has '\?'; the letters are"),
        ("S..", "the layout has no goal 'G'"),
    ],
)
def test_a_layout_that_is_none_is_refused(layout, message):
    with pytest.raises(ValueError, match=message):
        Maze(MazeConfig(layout=layout))


def test_the_shortest_ways_through_the_wind_are_the_book_s():
    for settings, steps in (({}, 15), ({"king_moves": True}, 7)):
        task = WindyGridworld(WindyGridworldConfig(**settings))
        assert task.mdp.start @ task.mdp.under(optimal_policy(task.mdp)).values() == pytest.approx(-steps)


def test_the_gambler_s_chances_are_the_book_s():
    task = GamblersProblem(GamblersProblemConfig())
    values = task.mdp.under(optimal_policy(task.mdp)).values()
    # bold play: v(25) = p v(50), v(50) = p, v(75) = p + (1 - p) v(50)
    np.testing.assert_allclose(values[[25, 50, 75]], [0.16, 0.4, 0.64], atol=1e-12)


@pytest.mark.parametrize("size", [(30, 3, 20), (2_000, 2, 5)])
def test_a_garnet_leads_to_distinct_states(size):
    states, actions, branches = size
    mdp = garnet(GarnetConfig(num_states=states, num_actions=actions, branches=branches))
    rows = np.sort(mdp.next_state.reshape(-1, branches), axis=1)
    assert (rows[:, 1:] > rows[:, :-1]).all()
    assert (mdp.next_state == garnet(GarnetConfig(num_states=states, num_actions=actions, branches=branches)).next_state).all()


def test_a_garnet_that_ends_does_so_with_the_chance_it_says():
    mdp = garnet(GarnetConfig(ending=0.3))
    np.testing.assert_allclose(mdp.continuation.sum(axis=1), 0.7)


def test_the_dealer_busts_as_often_as_the_cards_say():
    assert all(sum(results.values()) == pytest.approx(1.0) for results in dealer_results().values())
    # known of an endless deck and a dealer who stands on every 17: 42 % with a six showing, 12 % with an ace
    assert dealer_results()[6][0] == pytest.approx(0.4232, abs=0.0005)
    assert dealer_results()[1][0] == pytest.approx(0.1153, abs=0.0005)


def test_blackjack_s_table_plays_as_gymnasium_does():
    ours, theirs = Blackjack(BlackjackConfig()), BlackjackByGymnasium(BlackjackConfig())
    for policy in (ours.policy, optimal_policy(ours.mdp)):
        actions = policy if policy.ndim == 1 else policy.argmax(axis=1)
        exact = ours.mdp.start @ ours.mdp.under(actions).values()
        played = theirs.evaluate(lambda obs, actions=actions: actions[obs], episodes=4_000, seeds=Seeds(0))
        assert abs(played["mean return"] - exact) < 6.0 * played["standard deviation"] / np.sqrt(4_000)


def test_a_natural_pays_what_another_twenty_one_does_not():
    task = Blackjack(BlackjackConfig())
    natural = {reward: chance for chance, _, reward, _ in outcomes(task, number_of(NATURAL, 10, 1), STICK)}
    other = {reward: chance for chance, _, reward, _ in outcomes(task, number_of(21, 10, 1), STICK)}
    assert natural == pytest.approx({1.0: 12 / 13, 0.0: 1 / 13})
    assert other[1.0] < natural[1.0]
    assert -1.0 not in other
    assert len(outcomes(task, number_of(20, 10, 0), HIT)) == 10


def test_bins_number_the_cells_of_a_box():
    task = Binned(BinnedConfig(bins=(2, 3, 4, 5)))
    assert task.input_space.n == 120
    assert task.target == 475.0
    envs = task.envs(2, Seeds(0))
    obs = envs.reset()
    assert obs.shape == (2,)
    for _ in range(30):
        obs = envs.step(np.array([0, 1])).obs
        assert ((obs >= 0) & (obs < 120)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"id": "NoSuchThing-v0"}, "Gymnasium cannot make 'NoSuchThing-v0'"),
        ({"id": "Pendulum-v1"}, "bins need a vector of numbers and discrete actions"),
        ({"id": "FrozenLake-v1"}, "bins need a vector of numbers and discrete actions"),
        ({"bins": (2, 3)}, "bins has 2 entries; 'CartPole-v1' shows 4 numbers"),
    ],
)
def test_what_cannot_be_cut_into_bins_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Binned(BinnedConfig(**settings))


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (BinnedConfig, {"bins": (0,)}, r"bins is \[0\]; it must be >= 1"),
        (BinnedConfig, {"low": (1.0,), "high": (0.0,)}, "each low must be below its high"),
        (GridRobotConfig, {"grip": 1.5}, r"grip is 1.5; it must be in \[0, 1\]"),
        (GridRobotConfig, {"height": 1}, "height is 1; it must be >= 2"),
        (MazeConfig, {"size": 8}, "size is 8; it must be odd: walls are between cells"),
        (WindyGridworldConfig, {"wind": (0,)}, "it needs two columns or more, each >= 0"),
        (RandomWalkConfig, {"num_states": 0}, "num_states is 0; it must be >= 1"),
        (GamblersProblemConfig, {"heads": 1.0}, r"heads is 1.0; it must be in \(0, 1\)"),
        (GarnetConfig, {"branches": 500}, r"branches is 500; it must be in \[1, 100\]"),
        (GarnetConfig, {"ending": 1.0}, r"ending is 1.0; it must be in \[0, 1\)"),
    ],
)
def test_settings_out_of_range_are_refused(config, settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_a_time_limit_below_zero_is_refused():
    with pytest.raises(ValueError, match="max_steps is -3; it must be >= 0"):
        Garnet(GarnetConfig(max_steps=-3))


def test_a_process_and_its_gymnasium_environment_can_both_be_registered_and_played():
    task = Maze(MazeConfig())
    gymnasium.register("rl-algos-test/Maze-v0", entry_point=lambda **options: task.env(**options), max_episode_steps=50)
    played = GymTask(GymConfig("rl-algos-test/Maze-v0"))
    assert played.input_space == task.input_space
    assert played.evaluate(lambda obs: optimal_policy(task.mdp)[obs], episodes=3, seeds=Seeds(0))["mean length"] == 14.0


class Own(gymnasium.Env):
    """A table of one's own, without a distribution of starts: state 0 leads to 1 for 1, state 1 ends for 2."""

    observation_space, action_space = gymnasium.spaces.Discrete(2), gymnasium.spaces.Discrete(1)
    P: ClassVar = [[[(1.0, 1, 1.0, False)]], [[(1.0, 1, 2.0, True)]]]

    def reset(self, *, seed=None, options=None):
        return 0, {}


@pytest.fixture
def own_environment():
    gymnasium.register("own-table-v0", Own)
    yield
    del gymnasium.registry["own-table-v0"]


def test_any_environment_that_shows_its_table_can_be_planned_with(own_environment):
    task = ToyText(ToyTextConfig(id="own-table-v0", discount=0.5))
    assert task.mdp.start.tolist() == [1.0, 0.0]
    assert task.mdp.under(np.zeros(2, dtype=np.int64)).values().tolist() == [2.0, 2.0]


def test_a_target_belongs_to_an_id_and_its_options_alone(own_environment):
    assert ToyText(ToyTextConfig(id="own-table-v0")).target is None
    assert ToyText(ToyTextConfig()).target == 0.7
    assert ToyText(ToyTextConfig(options={"is_slippery": False})).target == 1.0
    assert ToyText(ToyTextConfig(options={"map_name": "8x8"})).target is None
    assert CartPole(ArrayTaskConfig()).target == 475.0
    assert CartPole(ArrayTaskConfig(time_limit=100)).target is None


def test_a_table_that_does_not_fit_the_spaces_is_refused(own_environment, monkeypatch):
    monkeypatch.setattr(Own, "observation_space", gymnasium.spaces.Discrete(3))
    with pytest.raises(ValueError, match=r"the table P of 'own-table-v0' has 2 states, but the environment's space is Discrete\(3\)"):
        ToyText(ToyTextConfig(id="own-table-v0"))
    monkeypatch.setattr(Own, "P", [[[(0.5, 1, 1.0, False)]], [[(1.0, 1, 2.0, True)]]])
    with pytest.raises(ValueError, match=r"the table P of 'own-table-v0' cannot be used: state 0, action 0: .* sum to 0.5"):
        ToyText(ToyTextConfig(id="own-table-v0"))


def test_a_figure_of_values_names_places_and_has_no_arrow_where_an_episode_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def kept(*arguments: Any, **options: Any) -> Any:
        drawn.append(new_figure(*arguments, **options))
        return drawn[-1]

    new_figure = figure.new_figure
    monkeypatch.setattr(figure, "new_figure", kept)
    layout = Layout(["SH", ".G"], np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), arrows=((0, -1), (0, 1)))
    layout.draw(tmp_path / "values.png", np.arange(4.0), np.array([0, 1, 1, 0]), "value")
    axes = drawn[0].axes[0]
    assert {text.get_text() for text in axes.texts} == {"S", "H", "G"}
    assert axes.get_xlabel() == "S: start, G: goal, H: hole"
    (arrows,) = [part for part in axes.collections if hasattr(part, "U")]
    assert arrows.U.tolist() == [-1.0, 1.0]  # of the start and the floor alone
