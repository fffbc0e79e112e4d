"""The floating-point options that the compiled loops of this package share."""

from __future__ import annotations

FAST = {"reassoc", "nsz", "contract", "arcp", "afn"}
"""Freedom of the compiler with floating point (numba's `fastmath`). Not nnan and ninf: a run that diverges must be detected."""
