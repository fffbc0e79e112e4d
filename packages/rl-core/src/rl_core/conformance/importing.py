"""A process that imports a plugin's modules and prints what that changed, as a JSON list on the last line.

Libraries that the modules import are imported beforehand, since their own side effects are not the plugin's.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any


def changes(modules: list[str], libraries: list[str]) -> list[str]:
    """Return sentences that say what importing these modules changed in this process.

    Args:
        modules: Names of modules.
        libraries: What they import from other packages: modules, and names within them.
    """
    from rl_core.conformance import process

    for name in libraries:
        with suppress(Exception):  # a name within a module, or what is not installed
            importlib.import_module(name)
    before, exits, threads, here = process.read_all(), atexit._ncallbacks(), set(threading.enumerate()), sorted(Path.cwd().iterdir())
    for name in modules:
        importlib.import_module(name)
    after = process.read_all()
    found = [text for name, value in before.items() if (text := process.said(name, value, after[name]))]
    if atexit._ncallbacks() != exits:
        found.append(f"exit handlers (atexit): {atexit._ncallbacks() - exits} more")
    if started := [thread.name for thread in threading.enumerate() if thread not in threads]:
        found.append(f"threads: {', '.join(started[:3])} started")
    if written := [path.name for path in sorted(Path.cwd().iterdir()) if path not in here]:
        found.append(f"files in the working directory: {', '.join(written[:3])}")
    return found


def main(request: dict[str, Any]) -> None:
    """Print what importing the modules of the request changed."""
    found = changes(request["modules"], request["libraries"])
    print(f"\n{json.dumps(found)}", flush=True)
    os._exit(0)  # what the modules left to the end of the process is not waited for


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
