"""The scheme `ratings:<csv>` and the task `low-rank-ratings`: what would a user say of an item that she has not rated yet?

Source of the drawn ratings: the model of Koren, Bell and Volinsky, *Matrix factorization techniques for recommender systems*, 2009,
equation (4), with normal noise. Target of the drawn ratings: 1.15 times the error of the true model on the same test ratings, which no
other model can beat but by luck. Target of a file: the error of user and item biases alone, fitted by ridge regression.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from gymnasium import spaces

from dl_nets.tasks.sheet import Sheet, read_sheet
from dl_nets.tasks.splits import SplitConfig
from dl_nets.tasks.text_files import digest_of, printable, shown
from rl_core.config import Count, Doc, FilePath, Positive, Whole, configclass
from rl_core.errors import nearest
from rl_core.runs.checkpoint import Block
from rl_core.task import DataTask

SPLITS = ("train", "validation", "test")
SLACK = 1.15  # times the error of the true model


@configclass
class LowRankConfig(SplitConfig):
    """The users, items and tastes that are drawn."""

    users: Annotated[Count, Doc("users")] = 150
    items: Annotated[Count, Doc("items")] = 100
    rank: Annotated[Count, Doc("hidden tastes")] = 3
    ratings: Annotated[Count, Doc("ratings of all splits together, of different pairs")] = 7500
    noise: Annotated[Positive, Doc("sigma, deviation of the noise on each rating")] = 0.5
    data_seed: Annotated[Whole, Doc("number of the sample; independent of the run's seed")] = 0

    def __post_init__(self) -> None:
        if self.ratings > self.users * self.items:
            raise ValueError(
                f"ratings is {self.ratings}, but {self.users} users and {self.items} items make {self.users * self.items} pairs"
            )


class RatingTask(DataTask):
    """Pairs [2] of a user and an item, and the rating [1]; the score is the root of the mean squared error, in units of a rating."""

    metric = "root mean squared error"
    higher_is_better = False
    pairs: np.ndarray
    values: np.ndarray
    places: Mapping[str, np.ndarray]

    def traits(self) -> frozenset[str]:
        """Return the traits of every data task, and `ratings`."""
        return super().traits() | {"ratings"}

    def num_examples(self, split: str) -> int:
        """Return how many ratings the split has."""
        return len(self.places[split])

    def read(self, split: str, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs [B, 2] and ratings [B, 1] at `indices` [B] of the split."""
        rows = self.places[split][indices]
        return self.pairs[rows], self.values[rows, None]

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the root mean squared and the mean absolute error of ratings [N, 1]."""
        error = predictions.astype(np.float64) - targets
        return {"root mean squared error": float(np.sqrt(np.square(error).mean())), "mean absolute error": float(np.abs(error).mean())}

    def _spaces(self, num_users: int, num_items: int, low: float, high: float) -> None:
        self.input_space = spaces.MultiDiscrete([num_users, num_items])
        self.output_space = spaces.Box(low, high, (1,), np.float32)


class LowRankRatings(RatingTask):
    """Ratings of some of all pairs: a mean, biases, the product of hidden tastes, and noise."""

    Config: ClassVar[type] = LowRankConfig

    def __init__(self, config: LowRankConfig) -> None:
        super().__init__(config)
        rng = np.random.Generator(np.random.PCG64(config.data_seed))
        tastes, qualities = (rng.normal(0.0, 1.0 / config.rank**0.25, (count, config.rank)) for count in (config.users, config.items))
        biases = [rng.normal(0.0, 0.4, count) for count in (config.users, config.items)]
        truth = 3.5 + biases[0][:, None] + biases[1] + tastes @ qualities.T
        chosen = rng.permutation(config.users * config.items)[: config.ratings]
        self.pairs = np.stack(np.divmod(chosen, config.items), axis=1)
        true_values = truth[self.pairs[:, 0], self.pairs[:, 1]]
        self.values = (true_values + rng.normal(0.0, config.noise, config.ratings)).astype(np.float32)
        self.places = config.indices(config.ratings)
        self._spaces(config.users, config.items, -np.inf, np.inf)
        test = self.places["test"]
        self.target = SLACK * self.score(true_values[test, None], self.values[test, None])[self.metric]


@configclass
class RatingsConfig(SplitConfig):
    """The file, and its columns."""

    path: Annotated[FilePath, Doc("the file; its first line has the column names")] = ""
    user: Annotated[str, Doc('name of the column of users; "" is the first one')] = ""
    item: Annotated[str, Doc('name of the column of items; "" is the second one')] = ""
    rating: Annotated[str, Doc('name of the column of ratings; "" is the third one')] = ""
    delimiter: Annotated[str, Doc('character between fields; "" infers it')] = ""
    encoding: Annotated[str, Doc("encoding of the file: utf-8, utf-16, latin-1, cp1252, ...")] = "utf-8"
    decimal: Annotated[Literal[".", ","], Doc("decimal mark of the ratings")] = "."

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty; name the file after the colon: ratings:films.csv")


class Ratings(RatingTask):
    """Ratings in the rows of a file. Users and items that are only in other splits are answered by what is known of the other side.

    Args:
        config: The file, and its columns.
        state: The `state_dict` of the task that an agent was trained on; `None` takes users and items from the file.
        other: Whether all ratings of the file are the test split.

    Raises:
        ValueError: if the file cannot be read as such a table; the text names line and column.
    """

    Config: ClassVar[type] = RatingsConfig
    file_suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".jsonl")
    config: RatingsConfig

    def __init__(self, config: RatingsConfig, state: Mapping[str, Any] | None = None, *, other: bool = False) -> None:
        super().__init__(config)
        if state is None:
            sheet = self._sheet()
            names = self._names(sheet)
            self._users, self._items = (tuple(sorted(set(sheet.columns[name]))) for name in names[:2])
            self._digest = sheet.digest
            self.pairs, self.values = self._read(sheet)
            split = np.zeros(len(self.values), np.uint8)
            for number, rows in enumerate(config.indices(len(split)).values()):
                split[rows] = number
        else:
            self._users, self._items = (tuple(map(str, state[name])) for name in ("users", "items"))
            self._digest, split = str(state["digest"]), np.asarray(state["split"].array)
            self.pairs, self.values = np.asarray(state["pairs"].array), np.asarray(state["values"].array)
            self.target = state["target"]
        low, high = (float(self.values.min()), float(self.values.max())) if state is None else (state["low"], state["high"])
        if other:
            sheet = self._sheet()
            self._digest, (self.pairs, self.values) = sheet.digest, self._read(sheet)
            split = np.full(len(self.values), SPLITS.index("test"), np.uint8)
            low, high = min(low, float(self.values.min())), max(high, float(self.values.max()))
        self._bounds, self._split = (low, high), split
        self.places = {name: np.flatnonzero(split == number) for number, name in enumerate(SPLITS)}
        self._spaces(len(self._users), len(self._items), low, high)
        if state is None:
            train, test = self.places["train"], self.places["test"]
            answers = bias_ratings(self.pairs[train], self.values[train], self.pairs[test])
            self.target = self.score(answers[:, None], self.values[test, None])[self.metric]

    @classmethod
    def from_state(cls, config: Any, state: Mapping[str, Any]) -> Ratings:
        """Return the task of a run, with the ratings that it learned from."""
        return cls(config, state)

    @classmethod
    def for_evaluation(cls, config: Any, state: Mapping[str, Any]) -> Ratings:
        """Return a task whose test split is all of another file; its users and items must be those of `state`."""
        return cls(config, state, other=True)

    def state_dict(self) -> dict[str, Any]:
        """Return users, items and ratings, the split, and the digest of the file."""
        short = self._digest[:16]
        return {
            "users": list(self._users),
            "items": list(self._items),
            "digest": self._digest,
            "low": self._bounds[0],
            "high": self._bounds[1],
            "target": self.target,
            "split": Block(f"ratings-split-{short}", self._split),
            "pairs": Block(f"ratings-pairs-{short}", self.pairs),
            "values": Block(f"ratings-values-{short}", self.values),
        }

    def data_change(self) -> str:
        """Return how the file differs from the one that the run learned from, or ""."""
        path = Path(self.config.path)
        if not path.is_file():
            return f"the file {shown(path)} is missing (if it was moved, set task_config.path in the run's recipe.yaml)"
        return "" if digest_of(path) == self._digest else f"the file {shown(path)} has changed since the run learned from it"

    def facts(self) -> dict[str, str]:
        """Return the counts of users, items and ratings."""
        share = len(self.values) / (len(self._users) * len(self._items))
        counts = f"{len(self.values):,}, from {self._bounds[0]:g} to {self._bounds[1]:g}, {share:.1%} of all pairs"
        return {"users": f"{len(self._users):,}", "items": f"{len(self._items):,}", "ratings": counts}

    def parse(self, text: str) -> np.ndarray:
        """Return a pair [1, 2] from JSON: `["ann", "Solaris"]`, or an object with the keys `user` and `item`.

        Raises:
            ValueError: if it is neither, or names an unknown user or item.
        """
        words = 'expected ["user", "item"], or {"user": ..., "item": ...}'
        try:
            value = json.loads(text)
            user, item = (value["user"], value["item"]) if isinstance(value, dict) else value
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"the input {text[:60]!r} is not a user and an item; {words}") from error
        if not all(isinstance(name, str | int | float) for name in (user, item)):
            raise ValueError(f"the input {text[:60]!r} does not name a user and an item; {words}")
        return np.array([[_number("user", str(user), self._users), _number("item", str(item), self._items)]])

    def parse_file(self, path: Path) -> np.ndarray:
        """Return the pairs [B, 2] in the rows of a table; ratings are not read.

        Raises:
            ValueError: naming the line of an unknown user or item.
        """
        if path.suffix.lower() == ".jsonl":
            return np.asarray(super().parse_file(path))
        return self._pairs(read_sheet(path, encoding=self.config.encoding))

    def _sheet(self) -> Sheet:
        return read_sheet(Path(self.config.path), self.config.delimiter, self.config.encoding, least_columns=3)

    def _names(self, sheet: Sheet) -> list[str]:
        """Return the names of the columns of users, items and ratings, as far as the sheet has them."""
        config, columns = self.config, list(sheet.columns)
        names = [
            name or columns[place] for place, name in enumerate((config.user, config.item, config.rating)) if name or place < len(columns)
        ]
        for name in names[:2]:
            if name not in sheet.columns:
                raise ValueError(f"{sheet.name} has no column {name!r}; its columns are {printable(', '.join(columns))}")
        return names

    def _pairs(self, sheet: Sheet) -> np.ndarray:
        columns = []
        for what, name, known in zip(("user", "item"), self._names(sheet)[:2], (self._users, self._items), strict=True):
            number_of = {text: number for number, text in enumerate(known)}
            unknown = next((row for row, text in enumerate(sheet.columns[name]) if text not in number_of), None)
            if unknown is not None:
                raise ValueError(f"{sheet.place(unknown)}: {_unknown(what, sheet.columns[name][unknown], known)}")
            columns.append([number_of[text] for text in sheet.columns[name]])
        return np.array(columns, dtype=np.int64).T

    def _read(self, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
        """Return pairs [N, 2] and ratings [N]."""
        pairs, name = self._pairs(sheet), self._names(sheet)[2]
        if name not in sheet.columns:
            raise ValueError(f"{sheet.name} has no column {name!r}; its columns are {printable(', '.join(sheet.columns))}")
        values = np.empty(len(pairs), np.float32)
        for row, text in enumerate(sheet.columns[name]):
            try:
                values[row] = float(text.replace(",", ".") if self.config.decimal == "," else text)
            except ValueError:
                values[row] = np.nan
            if not np.isfinite(values[row]):
                raise ValueError(f"{sheet.place(row)} holds {text!r} in column {name!r}; expected a rating, a number")
        return pairs, values


def bias_ratings(pairs: np.ndarray, values: np.ndarray, asked: np.ndarray, penalty: float = 3.0) -> np.ndarray:
    """Return ratings [M] from the mean and the biases of users and items alone, fitted in turns by ridge regression.

    Args:
        pairs: Users and items [N, 2] that were rated.
        values: Their ratings [N].
        asked: Users and items [M, 2].
        penalty: lambda; a bias of n ratings is their mean residual times n / (n + lambda).

    >>> pairs = np.array([[0, 0], [0, 1], [1, 0]])
    >>> bias_ratings(pairs, np.array([5.0, 3.0, 3.0]), np.array([[1, 1]]), penalty=1e-9).round(6).tolist()
    [1.0]
    """
    mean = float(values.mean())
    biases = [np.zeros(int(max(pairs[:, side].max(), asked[:, side].max())) + 1) for side in (0, 1)]
    counts = [np.bincount(pairs[:, side], minlength=len(biases[side])) for side in (0, 1)]
    for _ in range(50):
        for side in (0, 1):
            residual = values - mean - biases[1 - side][pairs[:, 1 - side]]
            sums = np.bincount(pairs[:, side], weights=residual, minlength=len(biases[side]))
            biases[side] = sums / (counts[side] + penalty)
    return mean + biases[0][asked[:, 0]] + biases[1][asked[:, 1]]


def write_example(path: Path) -> None:
    """Write ratings of 12 films by 15 users, who like either space or love."""
    films = [f"{kind} {number}" for kind in ("space", "love") for number in range(6)]
    rows = [
        f"user {user},{film},{4 + film.endswith('1') if film.startswith(('space', 'love')[user % 2]) else 1 + user % 3}"
        for user in range(15)
        for place, film in enumerate(films)
        if (user + place) % 3
    ]
    path.write_text("\n".join(["user,film,stars", *rows]) + "\n", encoding="utf-8")


def _number(what: str, name: str, known: Sequence[str]) -> int:
    if name not in known:
        raise ValueError(_unknown(what, name, known))
    return known.index(name)


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    close = nearest(name, known, 1)
    hint = (
        f"did you mean {close[0]!r}?"
        if close
        else f"the {len(known)} {what}s that have ratings begin with {', '.join(map(repr, known[:3]))}"
    )
    return printable(f"the {what} {name!r} has no ratings to learn from; {hint}")
