"""Cooling of a data centre: set points of air and fans against electricity, with a limit on the temperature at the racks' inlets.

A model of two aisles, the mass of the building, a cooling coil with free cooling and a chiller; small, and not calibrated to a building.
Everything is in SI units: temperatures in degrees Celsius, powers in watts, flows in cubic metres a second.

Source: the balance equations are stated in `move`; the recommended inlet temperature, at most 27 degrees, is that of ASHRAE TC 9.9,
"Thermal guidelines for data processing environments", 2021; the form of the task follows T. Moriyama and others, "Reinforcement learning
testbed for power-consumption optimization", 2018. Departures: the fans' heat in the supplied air is neglected.
Letters: N environments.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from rl_algos.safety import pid
from rl_algos.safety.shield import ShieldedEnvs
from rl_algos.tasks.array_envs import ArrayEnvs, ArrayTask, ArrayTaskConfig, Problem
from rl_core.compiling import kernel
from rl_core.config import Doc, NonNegative, Positive, configclass
from rl_core.envs import Envs
from rl_core.figure import new_figure
from rl_core.seeds import Seeds
from rl_core.task import Predict, PredictWithMemory

STEP, SUBSTEPS = 300.0, 10  # s between two actions; Euler steps of 30 s
STEPS_OF_A_DAY = 288
AIR = 1206.0  # J/m3K, heat capacity of a cubic metre of air
LARGEST_COIL = 320e3  # W
LIMIT = 27.0  # degrees at the hottest inlet
INLETS = (0.01, 0.02, 0.04, 0.06)  # share of the hot aisle's excess at each rack's inlet

# columns of a state
COLD, HOT, MASS, SUPPLY, FAN, SET, LOAD, LOAD_NOISE, OUTSIDE, WEATHER, HOUR, MEAN, COOLING, SERVERS, SEED, WORST, PRICE, COMFORT = range(18)
NUM_STATE, NUM_OBS = 18, 13


@kernel
def normal(state: np.ndarray, n: int) -> float:
    """Return a standard normal number from the generator that row n keeps in column `SEED`: a Lehmer generator and Box and Muller."""
    seed = state[n, SEED]
    seed = (seed * 48271.0) % 2147483647.0
    first = seed / 2147483647.0
    seed = (seed * 48271.0) % 2147483647.0
    state[n, SEED] = seed
    return math.sqrt(-2.0 * math.log(first)) * math.cos(2.0 * math.pi * seed / 2147483647.0)


@kernel
def day_of(state: np.ndarray, n: int) -> None:
    """Write load and outside temperature of the hour of row n."""
    wave = math.sin(2.0 * math.pi * (state[n, HOUR] - 9.0) / 24.0)
    state[n, LOAD] = min(max(0.55 + 0.25 * wave + state[n, LOAD_NOISE], 0.1), 1.0)
    state[n, OUTSIDE] = state[n, MEAN] + 7.0 * wave + state[n, WEATHER]


@kernel
def move(state: np.ndarray, action: np.ndarray, reward: np.ndarray, terminated: np.ndarray) -> None:
    """Hold set points for five minutes.

    With T_c and T_h of the cold and the hot aisle, T_m of the mass, T_s of the supplied air, V_s the servers' flow and V_c the fans':

        10^6 dT_c/dt = 1206 (V_c T_s + V_r T_h - (V_c + V_r) T_c) + 3000 (T_m - T_c)
        10^6 dT_h/dt = 1206 (V_s T_o + V_b T_c - (V_s + V_b) T_h) + 3000 (T_m - T_h)
        2 10^7 dT_m/dt = 3000 (T_c - T_m) + 3000 (T_h - T_m) + 500 (T_outside - T_m)

    where V_r = max(0, V_s - V_c) + 0.02 V_s recirculates and V_b = max(0, V_c - V_s) + 0.02 V_s bypasses.

    Args:
        state: [N, 18]; becomes the next state.
        action: Set points of supplied air and fans, in [-1, 1] each [N, 2].
        reward: Becomes minus the mean power of cooling and the servers' fans, in units of 50 kW, less the price of a hot inlet [N].
        terminated: Becomes false: a day always ends in time [N].
    """
    dt = STEP / SUBSTEPS
    for n in range(len(state)):
        set_point = 14.0 + 13.0 * (min(max(action[n, 0], -1.0), 1.0) + 1.0) / 2.0
        fan_point = 0.3 + 0.7 * (min(max(action[n, 1], -1.0), 1.0) + 1.0) / 2.0
        load, outside = state[n, LOAD], state[n, OUTSIDE]
        computing, cooling, servers = 80e3 + 120e3 * load, 0.0, 0.0
        for _ in range(SUBSTEPS):
            cold, hot, mass = state[n, COLD], state[n, HOT], state[n, MASS]
            state[n, FAN] += (fan_point - state[n, FAN]) * (1.0 - math.exp(-dt / 30.0))
            fan = state[n, FAN]
            flow = 18.0 * fan
            server_flow = 13.8 * (0.5 + 0.5 * load) * (1.0 + 0.03 * max(0.0, cold - 24.0))
            server_fans = 8e3 * (server_flow / 13.8) ** 3
            outlet = cold + (computing + server_fans) / (AIR * server_flow)
            wanted = state[n, SUPPLY] + (set_point - state[n, SUPPLY]) * (1.0 - math.exp(-dt / 180.0))
            heat = min(max(AIR * flow * (hot - wanted), 0.0), LARGEST_COIL)
            supply = hot - heat / (AIR * flow)
            state[n, SUPPLY] = supply
            free = min(max((hot - outside - 4.0) / max(hot - supply, 0.5), 0.0), 1.0)  # share of free cooling
            lift = max(12.0, (outside + 12.0) - (supply - 8.0))
            efficiency = min(max(0.40 * (supply - 8.0 + 273.15) / lift, 1.5), 9.0)
            part = (1.0 - free) * heat / LARGEST_COIL
            chiller = (1.0 - free) * heat / efficiency * (1.0 + 0.15 * max(0.0, 0.3 - part) / 0.3)
            cooling += chiller + 15e3 * fan**3 + 1e3 + 4e3 * (heat / LARGEST_COIL) ** 2 + 0.02 * free * heat
            servers += server_fans
            recirculated = max(0.0, server_flow - flow) + 0.02 * server_flow
            bypass = max(0.0, flow - server_flow) + 0.02 * server_flow
            to_cold = AIR * (flow * supply + recirculated * hot - (flow + recirculated) * cold) + 3e3 * (mass - cold)
            to_hot = AIR * (server_flow * outlet + bypass * cold - (server_flow + bypass) * hot) + 3e3 * (mass - hot)
            to_mass = 3e3 * (cold - mass) + 3e3 * (hot - mass) + 500.0 * (outside - mass)
            state[n, COLD] += dt * to_cold / 1e6
            state[n, HOT] += dt * to_hot / 1e6
            state[n, MASS] += dt * to_mass / 2e7
        state[n, SET] = set_point
        state[n, COOLING], state[n, SERVERS] = cooling / SUBSTEPS, servers / SUBSTEPS
        state[n, WORST] = state[n, COLD] + INLETS[3] * (state[n, HOT] - state[n, COLD])
        heat_above = max(0.0, state[n, WORST] - state[n, COMFORT])
        reward[n] = -(state[n, COOLING] + state[n, SERVERS]) / 50e3 - state[n, PRICE] * heat_above
        terminated[n] = False
        state[n, HOUR] = (state[n, HOUR] + STEP / 3600.0) % 24.0
        state[n, LOAD_NOISE] = 0.97 * state[n, LOAD_NOISE] + 0.02 * normal(state, n)
        state[n, WEATHER] = 0.99 * state[n, WEATHER] + 0.1 * normal(state, n)
        day_of(state, n)


@kernel
def observe(state: np.ndarray) -> np.ndarray:
    """Return four inlets, hot aisle, supplied air, fans, last set point, load, cooling power, outside, and the hour as a circle [N, 13]."""
    obs = np.empty((len(state), NUM_OBS), dtype=np.float32)
    for n in range(len(state)):
        for i in range(4):
            obs[n, i] = (state[n, COLD] + INLETS[i] * (state[n, HOT] - state[n, COLD]) - 22.0) / 6.0
        obs[n, 4] = (state[n, HOT] - 36.0) / 8.0
        obs[n, 5] = (state[n, SUPPLY] - 20.0) / 6.0
        obs[n, 6] = 2.0 * state[n, FAN] - 1.0
        obs[n, 7] = (state[n, SET] - 20.0) / 6.0
        obs[n, 8] = 2.0 * state[n, LOAD] - 1.0
        obs[n, 9] = state[n, COOLING] / 50e3
        obs[n, 10] = (state[n, OUTSIDE] - 18.0) / 12.0
        obs[n, 11] = math.sin(2.0 * math.pi * state[n, HOUR] / 24.0)
        obs[n, 12] = math.cos(2.0 * math.pi * state[n, HOUR] / 24.0)
    return obs


def hottest(state: np.ndarray) -> np.ndarray:
    """Return the temperature of the hottest inlet [N], degrees."""
    worst: np.ndarray = state[:, COLD] + INLETS[3] * (state[:, HOT] - state[:, COLD])
    return worst


@configclass
class DataCentreConfig(ArrayTaskConfig):
    """A day in a data centre."""

    climate: Annotated[Literal["cool", "mild", "hot"], Doc("mean outside temperature: 10, 18 or 28 degrees")] = "mild"
    cost_limit: Annotated[NonNegative, Doc("steps of a day above 27 degrees at an inlet, on average")] = 1.0
    penalty: Annotated[
        NonNegative, Doc("reward lost for each degree of the hottest inlet above `penalty_from`, for agents without limits")
    ] = 0.0
    penalty_from: Annotated[Positive, Doc("degrees from which on `penalty` counts")] = LIMIT
    shield: Annotated[
        Literal["none", "look-ahead"], Doc("look-ahead: coldest air and full fans where a step would exceed the limit, by the model")
    ] = "none"


MEANS = {"cool": 10.0, "mild": 18.0, "hot": 28.0}


class DataCentre(ArrayTask):
    """A day of 288 steps. The reward is minus the energy beside the computers', the cost counts steps with an inlet above 27 degrees.

    Attributes:
        cost_limit: Of a day's mean cost.
    """

    Config: ClassVar[type] = DataCentreConfig
    extras = ("cost",)
    input_names = (
        *(f"inlet {number} [6 K from 22 °C]" for number in range(1, 5)),
        "hot aisle [8 K from 36 °C]",
        "supplied air [6 K from 20 °C]",
        "fans [-1 off, 1 full]",
        "set point [6 K from 20 °C]",
        "load [-1 none, 1 full]",
        "cooling [50 kW]",
        "outside [12 K from 18 °C]",
        "sin of the hour",
        "cos of the hour",
    )
    output_names = ("supplied air [-1: 14, 1: 27 °C]", "fans [-1: 30, 1: 100 %]")

    def __init__(self, config: DataCentreConfig) -> None:
        mean = MEANS[config.climate]

        def start(uniform: np.ndarray) -> np.ndarray:
            """Return states at midnight [N, 18], from `uniform` [N, 3]: seed, load and weather of the day."""
            state = np.zeros((len(uniform), NUM_STATE))
            state[:, COLD], state[:, HOT], state[:, MASS], state[:, SUPPLY] = 22.0, 34.0, 27.0, 20.0
            state[:, FAN], state[:, SET], state[:, MEAN] = 0.7, 20.0, mean
            state[:, PRICE], state[:, COMFORT] = config.penalty, config.penalty_from
            state[:, SEED] = 1.0 + np.floor(uniform[:, 0] * 2147483645.0)
            state[:, LOAD_NOISE] = 0.08 * (2.0 * uniform[:, 1] - 1.0)
            state[:, WEATHER] = 1.2 * (2.0 * uniform[:, 2] - 1.0)
            state[:, WORST] = hottest(state)
            for n in range(len(state)):
                day_of(state, n)
            return state

        self.problem = Problem(
            start,
            move,
            observe,
            num_uniform=3,
            input_space=spaces.Box(-np.inf, np.inf, (NUM_OBS,), np.float32),
            output_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
            time_limit=STEPS_OF_A_DAY,
            target=None,
            cost=lambda state: (state[:, WORST] > LIMIT).astype(np.float32),
        )
        super().__init__(config)
        self.cost_limit = config.cost_limit

    def traits(self) -> frozenset[str]:
        """Return the traits, with `cooling`: observations and actions are those that `pid` expects."""
        return super().traits() | {"cooling"}

    def envs(self, num_envs: int, seeds: Seeds) -> Envs:
        """Return N data centres, behind the shield if there is one."""
        envs = ArrayEnvs(self.problem, num_envs, seeds, self.time_limit)
        return envs if self.config.shield == "none" else ShieldedEnvs(envs, LimitShield(envs))

    def evaluate(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, float]:
        """Return the scores of every control task, the cooling energy of a day and the power usage effectiveness."""
        days = self.days(predict, episodes=episodes, seeds=seeds.apart("days"))
        return super().evaluate(predict, episodes=episodes, seeds=seeds) | {
            "cooling kWh": float(days["cooling"].sum(axis=0).mean() * STEP / 3.6e6),
            "power usage effectiveness": float(1.0 + (days["cooling"].sum() + days["servers"].sum()) / days["computing"].sum()),
        }

    def days(self, predict: Predict, *, episodes: int, seeds: Seeds) -> dict[str, np.ndarray]:
        """Return what happens in one episode each of some data centres, by name [T, N].

        The names are hour, load, outside, hottest (inlet, degrees), supply, fan, and the powers cooling, servers (their fans) and
        computing, in watts.
        """
        envs = self.envs(episodes, seeds)
        obs = envs.reset()
        if isinstance(predict, PredictWithMemory):
            predict.begin(np.ones(episodes, dtype=np.bool_))
        inner = envs.inner if isinstance(envs, ShieldedEnvs) else envs
        assert isinstance(inner, ArrayEnvs)
        columns = {"hour": HOUR, "load": LOAD, "outside": OUTSIDE}
        after = {"hottest": WORST, "supply": SUPPLY, "fan": FAN, "cooling": COOLING, "servers": SERVERS}
        rows: dict[str, list[np.ndarray]] = {name: [] for name in (*columns, *after, "computing")}
        for _ in range(self.time_limit - 1):  # the last step begins the next day
            for name, column in columns.items():
                rows[name].append(inner.states[:, column].copy())
            rows["computing"].append(80e3 + 120e3 * inner.states[:, LOAD])
            obs = envs.step(predict(obs)).obs
            for name, column in after.items():
                rows[name].append(inner.states[:, column].copy())
        return {name: np.stack(column) for name, column in rows.items()}

    def draw_policy(self, folder: Path, predict: Predict) -> None:
        """Write a day of the policy beside the same day of the PID controller: effectiveness, hottest inlet, load and weather."""
        seeds = Seeds(0, ("picture",))
        mine = self.days(predict, episodes=20, seeds=seeds.apart("days"))
        other = self.days(pid.Controller(pid.PIDConfig()), episodes=20, seeds=seeds.apart("days"))
        figure = new_figure(8.0, 8.0)
        hours = np.arange(len(mine["hour"])) * STEP / 3600.0
        axes = [figure.add_subplot(3, 1, number + 1) for number in range(3)]
        for name, days, colour in (("policy", mine, "C0"), ("cautious PID", other, "C1")):
            ratio = 1.0 + (days["cooling"] + days["servers"]) / days["computing"]
            axes[0].plot(hours, ratio.mean(axis=1), color=colour, label=name)
            axes[1].plot(hours, days["hottest"].mean(axis=1), color=colour, label=name)
            low, high = np.quantile(days["hottest"], (0.05, 0.95), axis=1)
            axes[1].fill_between(hours, low, high, color=colour, alpha=0.2, linewidth=0)
        axes[0].set_title("Power usage effectiveness over a day, mean of 20 days")
        axes[0].set_ylabel("all power / computers' power")
        axes[1].axhline(LIMIT, color="black", linewidth=0.8, linestyle="--", label="limit")
        axes[1].set_title("Hottest inlet, mean and 90 % of the days")
        axes[1].set_ylabel("temperature [deg C]")
        axes[2].plot(hours, mine["load"].mean(axis=1), color="C2", label="load")
        axes[2].set_ylabel("load, share of the computers")
        twin = axes[2].twinx()
        twin.plot(hours, mine["outside"].mean(axis=1), color="C3", label="outside")
        twin.set_ylabel("outside temperature [deg C]")
        axes[2].set_title("Load (green) and weather (red)")
        for one in axes[:2]:
            one.legend(fontsize=8)
        for one in axes:
            one.set_xlabel("hour of the day")
            one.set_xlim(0.0, 24.0)
            one.set_xticks(range(0, 25, 4))
            one.grid(alpha=0.25)
        figure.savefig(folder / "day.png", dpi=120)


class LimitShield:
    """A shield by simulation of the next step: coldest air and full fans where an inlet would come within 0.2 degrees of the limit.

    Args:
        envs: The data centres, whose states the simulation copies, the weather to come included: the model is perfect.
    """

    def __init__(self, envs: ArrayEnvs) -> None:
        self._envs = envs

    def __call__(self, obs: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Return the actions [N, 2] to carry out."""
        after = self._envs.states.copy()
        move(after, actions, np.empty(len(after), dtype=np.float32), np.empty(len(after), dtype=np.bool_))
        hot = after[:, WORST] > LIMIT - 0.2
        return np.where(hot[:, None], np.array([-1.0, 1.0], np.float32), actions).astype(np.float32)
