"""Every component of this package, held to the contract."""

from __future__ import annotations

from rl_core.conformance import conformance_tests

test_conformance = conformance_tests("rl-algos")
