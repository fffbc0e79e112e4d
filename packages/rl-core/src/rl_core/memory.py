"""Memory: how much of it is available, and refusing what needs more before it is made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUP = Path("/sys/fs/cgroup")
LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))  # versions 2 and 1


def require_memory(needed: int, purpose: str, remedy: str) -> None:
    """Refuse what needs more memory than is available.

    Args:
        needed: Bytes that it takes.
        purpose: What takes them, in the plural: "vectors of 5,000 words and 1,000,000 dimensions".
        remedy: Advice: "lower vector_size".

    >>> require_memory(8 * 10**18, "tables of 10**9 states and 10**9 actions", "make them smaller")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: tables of 10**9 states and 10**9 actions take 7,275,957.6 TiB; ... of memory are available: make them smaller

    Raises:
        ValueError: if less than `needed` bytes are available.
    """
    available = available_memory()
    if available is not None and needed > available:
        raise ValueError(f"{purpose} take {in_words(needed)}; {in_words(available)} of memory are available: {remedy}")


def available_memory() -> int | None:
    """Return the bytes of memory that this process can still take, or `None` where the system does not say.

    That is what the kernel counts as available, or all of the machine where it does not count; or what the control group of the process
    (a container's limit) leaves, if that is less.
    """
    found = []
    try:
        lines = dict(line.split(":", 1) for line in MEMORY_INFO.read_text().splitlines())
        found.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        found += _whole_memory()
    for names in LIMITS:
        with suppress(OSError, ValueError):  # another version, another system, or no limit: "max"
            limit, used = (int((CONTROL_GROUP / name).read_text()) for name in names)
            found.append(max(0, limit - used))
    return min(found, default=None)


def _whole_memory() -> list[int]:
    """Return the bytes of memory of this machine in a list, which is empty where the system does not say."""
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return []


def in_words(size: int) -> str:
    """Return a number of bytes as a person reads it.

    >>> in_words(512), in_words(3 * 2**30 // 2)
    ('512 bytes', '1.5 GiB')
    """
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size >= 1024**power:
            return f"{size / 1024**power:,.1f} {unit}"
    return f"{size} bytes"
