"""The conformance kit: what this repository's plugins and a stranger's are held to.

`rl-core check my-agent` says what is wrong, and one line in a test file keeps it right:

    from rl_core.conformance import conformance_tests

    test_conformance = conformance_tests("my-package")

Every check is a function whose docstring says what it holds a component to; `rl-core check --list` prints them all.
"""

from __future__ import annotations

from rl_core.conformance.testing import conformance_tests

__all__ = ["conformance_tests"]
