"""MEGA-Bench's test of a program that a model wrote.

The program runs wherever `execute` runs it: never here. Without one, nothing is scored.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/scoring/program_judge.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# From a program and the lines that each run of it can read, to what each run printed, or None for one that failed.
Execute = Callable[[str, Sequence[Sequence[str]]], Sequence[str | None]]


def share_of_tests_passed(response: object, eval_context: Mapping[str, Any], execute: Execute) -> float:
    """Return the share of the tests whose output is the expected one but for white space at the end.

    `eval_context` has `test_case`, a test or a list of them: `input`, a list of lines, and `expected`.
    """
    tests = eval_context["test_case"]
    tests = [tests] if isinstance(tests, Mapping) else tests
    if not isinstance(response, str) or not tests:
        return 0.0
    printed = execute(response, ["\n".join(test["input"]).splitlines() for test in tests])
    passed = [
        text is not None and bool(text.rstrip() == test["expected"].rstrip())
        for text, test in zip(printed, tests, strict=True)
    ]
    return passed.count(True) / len(tests)
