"""Batches: arrays, ragged rows, and dicts of them, whose first axis counts the examples.

A batch of B examples is one of

- an array `[B, ...]` of numbers, booleans or texts (dtype `U`), never of objects;
- `Ragged` rows, for examples of unlike length: the boxes of an image, the tokens of a sentence;
- a dict of batches with B examples each: the parts of an example by name.

Every batch can be indexed with an array of indices (`take`), joined (`concatenate`), and turned into plain arrays that checkpoints and
`.npz` files hold without pickle (`to_arrays`, `from_arrays`).

>>> sentences = Ragged.of([[3, 1], [], [4]])
>>> batch = {"tokens": sentences, "score": np.array([0.5, 0.0, 1.0])}
>>> part = take(batch, np.array([2, 0]))
>>> part["tokens"].rows(), part["score"]
([array([4]), array([3, 1])], array([1. , 0.5]))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np


@dataclass(frozen=True, eq=False)
class Ragged:
    """Rows of unlike length, one after the other in one array.

    Args:
        values: The rows' items [N, ...], all rows joined.
        splits: Where each row starts, and the end of the last one [B + 1], int64: row b is `values[splits[b] : splits[b + 1]]`.

    Attributes:
        values: As given. A learner may hold a tensor of its library here; the functions of this module take arrays.
        splits: As given.

    Raises:
        ValueError: if the splits do not start at 0, fall, or do not end at N; or the values are objects.
    """

    values: Any
    splits: Any

    def __post_init__(self) -> None:
        if not isinstance(self.values, np.ndarray) or not isinstance(self.splits, np.ndarray):
            return  # tensors of another library: built from checked arrays
        splits = self.splits
        if self.values.dtype == object:
            raise ValueError("the values of ragged rows are objects; expected an array of numbers, booleans or texts")
        if splits.ndim != 1 or not len(splits) or splits.dtype.kind not in "iu":
            raise ValueError(f"splits is {splits.dtype}{list(splits.shape)}; expected whole numbers [B + 1]")
        if splits[0] != 0 or splits[-1] != len(self.values) or (np.diff(splits.astype(np.int64)) < 0).any():
            raise ValueError(
                f"splits must rise from 0 to the number of values, {len(self.values)}, got {np.array2string(splits, threshold=8)}"
            )

    @classmethod
    def of(cls, rows: Sequence[Any], like: np.ndarray | None = None) -> Ragged:
        """Build ragged rows from a list of rows.

        Args:
            rows: Arrays or lists [n_b, ...].
            like: An array whose dtype and item shape the values get; it is needed where every row is empty.

        >>> Ragged.of([[1.5], [2.5, 3.5]]).splits
        array([0, 1, 3])
        """
        arrays = [np.asarray(row) for row in rows]
        filled = [array for array in arrays if len(array)]
        splits = np.concatenate([[0], np.cumsum([len(array) for array in arrays])]).astype(np.int64)
        if filled:
            values = np.concatenate(filled)
            return cls(values if like is None else values.astype(like.dtype), splits)
        return cls(np.zeros(0) if like is None else np.zeros((0, *like.shape[1:]), like.dtype), splits)

    def __len__(self) -> int:
        """Return B, the number of rows."""
        return len(self.splits) - 1

    def __getitem__(self, index: Any) -> Any:
        """Return one row [n, ...] for a number, ragged rows for an array of indices, a mask or a slice."""
        if isinstance(index, int | np.integer):
            index = int(index)
            if not -len(self) <= index < len(self):
                raise IndexError(f"row {index} of {len(self)} ragged rows")
            index %= len(self)
            return self.values[int(self.splits[index]) : int(self.splits[index + 1])]
        return self._take(np.arange(len(self))[index])

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows [n, ...]."""
        return (self[index] for index in range(len(self)))

    def rows(self) -> list[Any]:
        """Return the rows [n, ...] as a list."""
        return list(self)

    @property
    def lengths(self) -> Any:
        """The number of items of each row [B]."""
        return self.splits[1:] - self.splits[:-1]

    def _take(self, indices: np.ndarray) -> Ragged:
        lengths = self.lengths[indices]
        splits = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        chosen = np.arange(splits[-1]) - np.repeat(splits[:-1] - self.splits[indices], lengths)
        return Ragged(self.values[chosen], splits)


Batch: TypeAlias = "np.ndarray | Ragged | Mapping[str, Any]"
"""An array [B, ...], ragged rows, or a mapping from names to batches."""


def count(batch: Batch) -> int:
    """Return B, the number of examples of a batch.

    >>> count({"image": np.zeros((4, 8, 8)), "tokens": Ragged.of([[1], [2], [3], [4]])})
    4

    Raises:
        ValueError: if the parts of a dict differ in their number of examples, or there are none.
    """
    if not isinstance(batch, Mapping):
        return len(batch)
    sizes = {name: count(part) for name, part in batch.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"the parts of a batch must hold the same number of examples, got {sizes or 'no parts'}")
    return next(iter(sizes.values()))


def take(batch: Batch, indices: np.ndarray | slice) -> Batch:
    """Return the examples at `indices`, in that order; an index may be repeated.

    >>> take(Ragged.of([[1], [2, 3], []]), np.array([1, 1, 2])).rows()
    [array([2, 3]), array([2, 3]), array([], dtype=int64)]
    """
    if isinstance(batch, Mapping):
        return {name: take(part, indices) for name, part in batch.items()}
    return cast(Batch, batch[indices])


def concatenate(batches: Sequence[Batch]) -> Batch:
    """Join batches of one structure, one after the other.

    >>> concatenate([Ragged.of([[1], [2, 3]]), Ragged.of([[4]])]).splits
    array([0, 1, 3, 4])

    Raises:
        ValueError: if `batches` is empty, or the structures differ.
    """
    if not batches:
        raise ValueError("expected at least one batch to join, got none")
    first = batches[0]
    if any(type(batch) is not type(first) for batch in batches):
        raise ValueError(f"batches of one structure are expected, got {', '.join(sorted({type(batch).__name__ for batch in batches}))}")
    if isinstance(first, Mapping):
        if any(set(batch) != set(first) for batch in cast("Sequence[Mapping[str, Any]]", batches)):
            raise ValueError(f"every batch must have the parts {sorted(first)}")
        return {name: concatenate([cast("Mapping[str, Any]", batch)[name] for batch in batches]) for name in first}
    if isinstance(first, Ragged):
        rows = cast("Sequence[Ragged]", batches)
        starts = np.cumsum([0, *(len(batch.values) for batch in rows)])
        splits = [batch.splits[1:] + start for batch, start in zip(rows, starts, strict=False)]
        return Ragged(np.concatenate([batch.values for batch in rows]), np.concatenate([[0], *splits]).astype(np.int64))
    return np.concatenate(cast("Sequence[np.ndarray]", batches))


def equal(one: Batch, other: Batch) -> bool:
    """Return whether two batches have the same structure and the same values; NaN equals NaN.

    >>> equal({"a": np.array([1, 2])}, {"a": np.array([1, 2])}), equal(np.array([1]), Ragged.of([[1]]))
    (True, False)
    """
    if isinstance(one, Mapping) or isinstance(other, Mapping):
        if not (isinstance(one, Mapping) and isinstance(other, Mapping)) or set(one) != set(other):
            return False
        return all(equal(part, other[name]) for name, part in one.items())
    if isinstance(one, Ragged) or isinstance(other, Ragged):
        if not (isinstance(one, Ragged) and isinstance(other, Ragged)):
            return False
        return np.array_equal(one.splits, other.splits) and equal(one.values, other.values)
    first, second = np.asarray(one), np.asarray(other)
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fc" and second.dtype.kind in "fc")


def apply(batch: Batch, function: Callable[[Any], Any]) -> Any:
    """Return the batch with `function` applied to each of its arrays, row splits included.

    >>> apply({"image": np.zeros((2, 8, 8)), "tokens": Ragged.of([[1], [2, 3]])}, np.copy)["tokens"].values
    array([1, 2, 3])
    """
    if isinstance(batch, Mapping):
        return {name: apply(part, function) for name, part in batch.items()}
    if isinstance(batch, Ragged):
        return Ragged(function(batch.values), function(batch.splits))
    return function(batch)


def plain(batch: Batch, index: int) -> Any:
    """Return one example of a batch as JSON holds it: numbers, texts, lists, and dicts of them.

    >>> plain({"tokens": Ragged.of([[3, 1], [4]]), "score": np.array([0.5, 1.0])}, 0)
    {'tokens': [3, 1], 'score': 0.5}
    """
    if isinstance(batch, Mapping):
        return {name: plain(part, index) for name, part in batch.items()}
    value = batch[index]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def num_bytes(batch: Batch) -> int:
    """Return the bytes that the arrays of a batch take.

    >>> num_bytes(Ragged.of([[1], [2]]))
    40
    """
    return sum(array.nbytes for array in to_arrays(batch).values())


def problem(batch: Any) -> str:
    """Return why something is not a batch, or "" when it is one.

    >>> problem(np.array([[1], [2, 3]], dtype=object))
    'it is an array of objects; expected an array of numbers, booleans or texts, or rl_core.batches.Ragged rows'
    """
    if isinstance(batch, Ragged):
        return problem(batch.values)
    if isinstance(batch, Mapping):
        for name, part in batch.items():
            if not isinstance(name, str) or not name or "/" in name:
                return f"it has a part {name!r}; names are texts without '/'"
            if found := problem(part):
                return f"its part {name!r}: {found}"
        try:
            count(batch)
        except ValueError as error:
            return str(error)
        return ""
    if not isinstance(batch, np.ndarray):
        return f"it is a {type(batch).__name__}; expected an array, rl_core.batches.Ragged rows, or a dict of them"
    if batch.dtype.kind not in "biufU":
        kind = "objects" if batch.dtype == object else str(batch.dtype)
        return f"it is an array of {kind}; expected an array of numbers, booleans or texts, or rl_core.batches.Ragged rows"
    return "" if batch.ndim else "it is a single number; expected an array [B, ...]"


def to_arrays(batch: Batch) -> dict[str, np.ndarray]:
    """Return the arrays of a batch by path, numbers alone, so that they can be saved without pickle.

    A text array [B] becomes its code points [B, L], uint32.

    >>> sorted(to_arrays({"boxes": Ragged.of([[1], [2, 3]]), "name": np.array(["cat", "ox"])}))
    ['boxes/splits', 'boxes/values', 'name/texts']
    """
    return dict(_arrays(batch, ""))


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Batch:
    """Return the batch that `to_arrays` took apart.

    >>> from_arrays(to_arrays({"name": np.array(["cat", "ox"])}))
    {'name': array(['cat', 'ox'], dtype='<U3')}

    Raises:
        ValueError: if the names are not those that `to_arrays` gives.
    """
    parts: dict[str, dict[str, np.ndarray]] = {}
    for path, array in arrays.items():
        name, slash, rest = path.partition("/")
        parts.setdefault(name, {})[rest if slash else ""] = array
    if set(parts) == {"array"}:
        return arrays["array"]
    if set(parts) == {"texts"}:
        codes = np.ascontiguousarray(arrays["texts"], dtype=np.uint32)
        return codes.view(f"<U{codes.shape[-1]}")[..., 0]
    if set(parts) == {"values", "splits"}:
        values = {path.partition("/")[2] or "array": array for path, array in arrays.items() if path.startswith("values")}
        return Ragged(from_arrays(values), arrays["splits"])
    if any("" in part for part in parts.values()):
        raise ValueError(f"these arrays are not a batch: {sorted(arrays)}")
    return {name: from_arrays(part) for name, part in parts.items()}


def _arrays(batch: Batch, path: str) -> Iterable[tuple[str, np.ndarray]]:
    if isinstance(batch, Mapping):
        for name, part in batch.items():
            yield from _arrays(part, f"{path}{name}/")
    elif isinstance(batch, Ragged):
        if batch.values.dtype.kind == "U":
            yield from _arrays(batch.values, f"{path}values/")
        else:
            yield f"{path}values", batch.values
        yield f"{path}splits", batch.splits
    elif batch.dtype.kind == "U":
        wide = np.ascontiguousarray(batch, dtype=f"<U{max(batch.dtype.itemsize // 4, 1)}")
        yield f"{path}texts", wide[..., None].view(np.uint32)
    else:
        yield f"{path}array", batch
