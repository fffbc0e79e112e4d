"""An agent of unknown origin, and a module that needs what its distribution does not declare."""

from __future__ import annotations

import pytest

from faulty.climber import Climber

assert pytest


class Sourceless(Climber):
    """Nobody knows where it comes from."""
