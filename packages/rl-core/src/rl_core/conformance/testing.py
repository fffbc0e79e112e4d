"""The conformance kit as pytest tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rl_core.errors import nearest

if TYPE_CHECKING:
    from rl_core.conformance.checks import Check
    from rl_core.conformance.subjects import Subject


SPEC = "says-what-it-is"  # the name of the test of all checks that read what the plugin says of a component


def conformance_tests(*names: str, expected_failures: Mapping[str, str] | None = None, steps: int | None = None) -> Callable[..., None]:
    """Return a test for each check of each component named, and one for all checks of its spec; `-k` selects by component and check.

        test_conformance = conformance_tests("my-package")

    Args:
        names: Packages, or components.
        expected_failures: Why a check is known to fail, by its name, or by `component:check` where only one component fails it. Such a
            test is reported as an expected failure, and fails as soon as the check passes.
        steps: Steps of an agent's reference run at least; `None`: 10.

    Raises:
        ValueError: if an expected failure names no test.
        RequestError: if a name is that of no package and no component.
    """
    import pytest

    from rl_core.conformance import checks, subjects
    from rl_core.plugins.catalogue import Catalogue

    catalogue = Catalogue.discover()
    found = [subject for name in names for subject in subjects.named(catalogue, name)]
    for subject in found:
        subject.steps = steps or subject.steps
    pairs = [(subject, check) for subject in found for check in checks.all_checks() if check.applies(subject)]
    expected = dict(expected_failures or {})
    known = {key for subject, check in pairs for key in _keys(subject, check)}
    for key in expected:
        if key not in known:
            close = nearest(key, known, 1)
            raise ValueError(
                f"expected_failures names {key!r}, which is not a check of {', '.join(names)}"
                + (f"; did you mean {close[0]!r}?" if close else "")
            )
    parameters: list[Any] = []
    together: dict[int, list[Check]] = {}
    for subject, check in pairs:
        reasons = [expected[key] for key in _keys(subject, check) if key in expected]
        if check.is_static and not reasons:  # they take a millisecond each, and pytest as long for each test
            if id(subject) in together:
                together[id(subject)].append(check)
                continue
            group, name = together.setdefault(id(subject), [check]), SPEC
        else:
            group, name = [check], check.name
        marks = [pytest.mark.xfail(reason=reasons[0], strict=True)] if reasons else []
        parameters.append(pytest.param(subject, group, id=f"{subject.kind}-{subject.name}-{name}", marks=marks))

    current: list[Subject] = []

    @pytest.mark.parametrize(("component", "group"), parameters)
    def test_conformance(component: Subject, group: list[Check]) -> None:
        if current and current[0] is not component:  # its runs would be kept until the last test
            current.pop().close()
        current[:] = [component]
        results = {check: checks.perform(check, component) for check in group}
        failed = [
            f"{component.kind} {component.name}: {result.message}\nIt is held to: {check.text}"
            for check, result in results.items()
            if result.status == "failed"
        ]
        if failed:
            pytest.fail("\n".join(failed), pytrace=False)
        if all(result.status == "skipped" for result in results.values()):
            pytest.skip(results[group[0]].message)

    return test_conformance


def _keys(subject: Subject, check: Check) -> tuple[str, str]:
    return f"{subject.name}:{check.name}", check.name
