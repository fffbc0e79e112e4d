"""Gymnasium environments in processes of their own, for simulators that take longer to step than a message takes to travel.

`Remote` is an environment in another process. `GymEnvs` hands the actions of a step to all of them before it waits for the first, so that
they are stepped at once; which process steps an environment does not show in a single number.

Processes are started anew, not forked, and end with the one that started them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import gymnasium

SPAWN = multiprocessing.get_context("spawn")
STOPS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")  # the run saves; its processes end with it


class RemoteFailure(Exception):
    """An exception of an environment in another process, in words."""


class Process:
    """A process with some environments.

    Args:
        make: Builds one environment; it is sent to the process.
    """

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        self._connection, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_serve, args=(theirs, make, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        self._early: dict[int, Any] = {}  # replies that came before they were asked for
        self._count = 0
        self._end = weakref.finalize(self, _stop, self._connection, process)

    def add(self) -> Remote:
        """Return a new environment in this process."""
        number, self._count = self._count, self._count + 1
        self.send(number, "make")
        observation_space, action_space = self.receive(number)
        return Remote(self, number, observation_space, action_space)

    def send(self, number: int, call: str, *arguments: Any) -> None:
        """Ask for a call of an environment, and do not wait for it."""
        try:
            self._connection.send((number, call, arguments))
        except OSError as error:
            raise RemoteFailure("the process of the environment has ended") from error

    def receive(self, number: int) -> Any:
        """Wait for the result of the call that an environment was asked for.

        Raises:
            RemoteFailure: if it raised, or the process ended.
        """
        while number not in self._early:
            try:
                sender, succeeded, result = self._connection.recv()
            except (EOFError, OSError) as error:
                raise RemoteFailure("the process of the environment has ended") from error
            self._early[sender] = (succeeded, result)
        succeeded, result = self._early.pop(number)
        if not succeeded:
            raise RemoteFailure(result)
        return result


class Remote(gymnasium.Env[Any, Any]):
    """An environment in another process.

    Args:
        process: The process.
        number: Its number there.
        observation_space: Its space of observations.
        action_space: Its space of actions.
    """

    def __init__(self, process: Process, number: int, observation_space: Any, action_space: Any) -> None:
        self._process, self._number = process, number
        self.observation_space, self.action_space = observation_space, action_space
        self._begun = False

    def begin_step(self, action: Any) -> None:
        """Hand an action over; the next `step` waits for what follows it."""
        self._process.send(self._number, "step", action)
        self._begun = True

    def step(self, action: Any) -> Any:
        """Take an action, or return what followed the one that was handed over."""
        if not self._begun:
            self.begin_step(action)
        self._begun = False
        return self._process.receive(self._number)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Begin an episode."""
        self._process.send(self._number, "reset", seed)
        return self._process.receive(self._number)

    def close(self) -> None:
        """Close the environment; its process ends with the last one of it."""
        self._process.send(self._number, "close")
        self._process.receive(self._number)


def opened(make: Callable[[], gymnasium.Env[Any, Any]], count: int, processes: int) -> list[gymnasium.Env[Any, Any]]:
    """Return environments in as many processes, the first in the first, the second in the second, and so on around.

    Raises:
        RemoteFailure: if one cannot be made.
    """
    started = [Process(make) for _ in range(min(count, processes))]
    return [started[index % len(started)].add() for index in range(count)]


def _stop(connection: Connection, process: Any) -> None:
    connection.close()
    process.join(2.0)
    if process.is_alive():
        process.kill()


def _serve(connection: Connection, make: Callable[[], gymnasium.Env[Any, Any]], parent: int) -> None:
    """Answer calls until the connection is closed."""
    from rl_core.gym_interface import mask_of

    for name in STOPS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    envs: dict[int, gymnasium.Env[Any, Any]] = {}

    def called(number: int, call: str, arguments: tuple[Any, ...]) -> Any:
        if call == "make":
            envs[number] = make()
            return envs[number].observation_space, envs[number].action_space
        if call == "close":
            return envs.pop(number).close()
        result = envs[number].reset(seed=arguments[0]) if call == "reset" else envs[number].step(arguments[0])
        if not isinstance(result, tuple) or not result:
            return result
        mask = mask_of(envs[number], result[-1])
        return (*result[:-1], {} if mask is None else {"action_mask": mask}) if isinstance(result[-1], dict) else result

    while True:
        try:
            number, call, arguments = connection.recv()
        except (EOFError, OSError):
            return
        try:
            reply = number, True, called(number, call, arguments)
        except (Exception, SystemExit) as error:
            reply = number, False, f"{type(error).__name__}: {error}"
        connection.send(reply)


def _end_with(parent: int) -> None:
    """End this process when the one that started it has ended, however that ended."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
