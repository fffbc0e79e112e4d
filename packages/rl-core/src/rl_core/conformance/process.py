"""Settings and random generators of the whole process, which belong to the user's program and which no component changes.

Libraries are looked at only when something else has imported them.
"""

from __future__ import annotations

import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np


@dataclass(frozen=True)
class Watched:
    """A setting or a generator of the process.

    Attributes:
        name: Its name in messages.
        read: Returns its value.
        write: Puts a value back; `None` where that cannot be done.
        module: The module that must be loaded for it to exist.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None = None
    module: str = ""


def remains(life: Callable[[], None]) -> dict[str, list[str]]:
    """Return the side effects of running a component: sentences under "settings" and "generators".

    The generators are moved beforehand, so that one that is always left in the same state is noticed too. What the first run leaves may
    be the work of imports that happened in it: everything is then put back, and a second run counts.

    Args:
        life: What counts.
    """
    with _in_empty_folder() as folder:
        before = read_all()
        for last in (False, True):
            _move_generators()
            moved = read_all()
            try:
                life()
                after = read_all()
            finally:
                _put_back(before)
            found = {table: [said(name, moved[name], after[name]) for name in moved if name in names] for table, names in _NAMES.items()}
            sentences = {table: [text for text in texts if text] for table, texts in found.items()}
            if written := sorted(entry.name for entry in folder.iterdir()):
                sentences["settings"].append(f"files in the working directory: {', '.join(written[:3])}")
            if last or not any(sentences.values()):
                break
    return sentences


def _move_generators() -> None:
    """Draw a number from each of the process's own generators that can be put back."""
    random.random()
    np.random.random()
    if "torch" in sys.modules:
        _torch().rand(1)


def said(name: str, before: Any, after: Any) -> str:
    """Return what changed, in words; "" when nothing did."""
    if name in _GENERATORS_BY_NAME:
        return "" if _equal(before, after) else name
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        changed = [key for key in {**before, **after} if key not in before or key not in after or not _equal(before[key], after[key])]
        return f"{name}: {', '.join(sorted(map(str, changed))[:5])}" if changed else ""
    if _equal(before, after):
        return ""
    return f"{name}: {_short(before)} became {_short(after)}"


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bytes | str | int | float | tuple | list | type(None)):
        return type(one) is type(other) and one == other
    return one is other or bool(one == other)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def read_all() -> dict[str, Any]:
    """Return everything global that is watched, by name."""
    return {watched.name: watched.read() for watched in (*SETTINGS, *GENERATORS) if not watched.module or watched.module in sys.modules}


def _put_back(values: Mapping[str, Any]) -> None:
    for watched in (*SETTINGS, *GENERATORS):
        if watched.name in values and watched.write is not None and not _equal(watched.read(), values[watched.name]):
            watched.write(values[watched.name])


@contextmanager
def _in_empty_folder() -> Iterator[Path]:
    """Change to a new working directory, so that files written into it are seen, and restore the old one afterwards."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="rl-core-check-") as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(here)


def _write_environ(values: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(values):
        del os.environ[name]
    os.environ.update(values)


def _read_signals() -> dict[str, Any]:
    return {number.name: signal.getsignal(number) for number in signal.valid_signals() if isinstance(number, signal.Signals)}


def _write_signals(handlers: Mapping[str, Any]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for name, handler in handlers.items():
        if handler is not None and signal.getsignal(signal.Signals[name]) != handler:
            signal.signal(signal.Signals[name], handler)


def _write_warning_filters(filters: list[Any]) -> None:
    with suppress(AttributeError):
        warnings._filters_mutated()  # type: ignore[attr-defined]
    warnings.filters[:] = filters  # type: ignore[index]


def _read_logging() -> dict[str, Any]:
    root = logging.getLogger()
    return {"level": root.level, "handlers": [id(handler) for handler in root.handlers], "disabled": root.manager.disable}


def _write_standard_streams(streams: Mapping[str, Any]) -> None:
    for name, stream in streams.items():
        setattr(sys, name, stream)


def _torch() -> Any:
    return sys.modules["torch"]


def _read_torch_flags() -> dict[str, Any]:
    torch = _torch()
    return {
        "default dtype": torch.get_default_dtype(),
        "number of threads": torch.get_num_threads(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "gradients enabled": torch.is_grad_enabled(),
        "matmul precision": torch.get_float32_matmul_precision(),
        "anomaly detection": torch.is_anomaly_enabled(),
        "cuDNN benchmark": torch.backends.cudnn.benchmark,
        "cuDNN deterministic": torch.backends.cudnn.deterministic,
    }


def _write_torch_flags(flags: Mapping[str, Any]) -> None:
    torch = _torch()
    setters = {
        "default dtype": torch.set_default_dtype,
        "number of threads": torch.set_num_threads,
        "deterministic algorithms": torch.use_deterministic_algorithms,
        "gradients enabled": torch.set_grad_enabled,
        "matmul precision": torch.set_float32_matmul_precision,
        "anomaly detection": torch.autograd.set_detect_anomaly,
        "cuDNN benchmark": lambda value: setattr(torch.backends.cudnn, "benchmark", value),
        "cuDNN deterministic": lambda value: setattr(torch.backends.cudnn, "deterministic", value),
    }
    now = _read_torch_flags()
    for name, value in flags.items():
        if now[name] != value:  # some of these setters import much of torch
            setters[name](value)


def _read_matplotlib() -> dict[str, Any]:
    parameters = {
        name: value for name, value in dict.items(sys.modules["matplotlib"].rcParams) if name not in ("backend", "backend_fallback")
    }
    pyplot = sys.modules.get("matplotlib.pyplot")
    return {**parameters, "open figures": pyplot.get_fignums() if pyplot else []}


def _write_matplotlib(values: Mapping[str, Any]) -> None:
    parameters = sys.modules["matplotlib"].rcParams
    for name, value in values.items():
        if name != "open figures" and dict.get(parameters, name) != value:
            dict.__setitem__(parameters, name, value)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        for number in set(pyplot.get_fignums()) - set(values["open figures"]):
            pyplot.close(number)


def _read_cuda() -> list[bytes]:
    torch = _torch()
    if not torch.cuda.is_initialized():
        return []
    return [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]


def _read_numpy_generator() -> tuple[Any, ...]:
    name, key, *rest = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    return name, key.tobytes(), *rest


def _write_numpy_generator(state: tuple[Any, ...]) -> None:
    name, key, *rest = state
    np.random.set_state((name, np.frombuffer(key, dtype=np.uint32), *rest))


def _write_torch_generator(state: bytes) -> None:
    torch = _torch()
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


SETTINGS = (
    Watched("the working directory", os.getcwd, os.chdir),
    Watched("environment variables", lambda: dict(os.environ), _write_environ),
    Watched("the import path", lambda: list(sys.path), lambda paths: sys.path.__setitem__(slice(None), paths)),
    Watched("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Watched("standard streams", lambda: {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}, _write_standard_streams),
    Watched("signal handlers", _read_signals, _write_signals),
    Watched("warning filters", lambda: list(warnings.filters), _write_warning_filters),
    Watched("the root logger", _read_logging),
    Watched("the locale", lambda: locale.setlocale(locale.LC_ALL), lambda text: locale.setlocale(locale.LC_ALL, text)),
    Watched("NumPy's print options", np.get_printoptions, lambda options: np.set_printoptions(**options)),
    Watched("NumPy's error handling", np.geterr, lambda options: np.seterr(**options)),
    Watched("torch's settings", _read_torch_flags, _write_torch_flags, "torch"),
    Watched("matplotlib's settings", _read_matplotlib, _write_matplotlib, "matplotlib"),
)

GENERATORS = (
    Watched("random's generator", random.getstate, random.setstate),
    Watched("NumPy's global generator", _read_numpy_generator, _write_numpy_generator),
    Watched("torch's global generator", lambda: _torch().get_rng_state().numpy().tobytes(), _write_torch_generator, "torch"),
    Watched("CUDA's generators", _read_cuda, None, "torch"),
)

_GENERATORS_BY_NAME = {watched.name for watched in GENERATORS}
_NAMES = {"settings": {watched.name for watched in SETTINGS}, "generators": _GENERATORS_BY_NAME}
