"""MEGA-Bench's simulation of a plan in a planning domain written in PDDL.

Facts are compared as they are written. As in the official code, a `(not ...)` condition or goal is never checked.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/scoring/symbolic_planning.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_PARAMETER = re.compile(r"\?([^\s?)]+)")
_LAST_TYPE = re.compile(r" - \s*[^\s)]+\s*\)")
_TYPE = re.compile(r" - \s*\S+ ")
_NOT = "(not "
_ACTION = "(:action"


@dataclass(frozen=True, slots=True)
class Action:
    """What an action needs and does, as written in the domain, with its parameters' names in place of objects."""

    parameters: tuple[str, ...]
    conditions: tuple[str, ...]
    effects: tuple[str, ...]


def plan_reaches_goal(response: object, eval_context: Mapping[str, str]) -> float:
    """Return 1.0 where every action of the plan applies and the goal holds at the end.

    Only lines that start with `(` are actions, with one space between their words; other lines are passed over, so a
    plan without any is right where the goal holds from the start. An unknown action, a wrong number of objects or a
    domain of one action scores 0.0. `eval_context` has `domain_pddl` and `task_pddl`. Raises ValueError, IndexError or
    KeyError for those that cannot be read.
    """
    actions = _actions(eval_context["domain_pddl"])
    task = eval_context["task_pddl"]
    if not isinstance(response, str | list | tuple) or task.count("(and") > 1 or len(actions) < 2:
        return 0.0
    _, _, start = task.partition("(:init")
    _, _, goal = task.partition("(and")
    state = _groups(start)[0]
    lines = response.split("\n") if isinstance(response, str) else response
    for line in lines:
        if line.startswith("(") and not _apply(line.strip(), actions, state):
            return 0.0
    return float(all(fact in state for fact in _groups(goal)[0] if not fact.startswith(_NOT)))


def _apply(step: str, actions: Mapping[str, Action], state: list[str]) -> bool:
    """Change the state as a step of the plan does, and say whether it could be taken."""
    name, *objects = step[1:-1].split(" ")
    action = actions.get(name.strip())
    if action is None or len(objects) != len(action.parameters):
        return False
    given = dict(zip(action.parameters, objects, strict=True))
    conditions = (_grounded(each, given) for each in action.conditions)
    if not all(fact.startswith(_NOT) or fact in state for fact in conditions):
        return False
    for effect in (_grounded(each, given) for each in action.effects):
        _, negated, rest = effect.partition(_NOT)
        gone = _groups(rest)[0] if negated else []
        if len(gone) > 1 or _NOT in rest:
            raise ValueError(f"{effect} is no single fact")
        if gone and gone[0] in state:
            state.remove(gone[0])
        if not gone and effect.strip() not in state:
            state.append(effect)
    return True


def _grounded(fact: str, given: Mapping[str, str]) -> str:
    for parameter, thing in given.items():
        fact = re.sub(rf"\?{re.escape(parameter)}(?=[^\w-])", thing.replace("\\", r"\\"), fact)
    return fact


def _groups(text: str) -> tuple[list[str], int]:
    """Return the outermost `(...)` up to the first `)` that closes none of them, and where the text after it starts."""
    groups: list[str] = []
    depth = start = 0
    for place, character in enumerate(text):
        if character == "(":
            start = place if depth == 0 else start
            depth += 1
        elif character == ")":
            if depth == 0:
                return groups, place + 1
            depth -= 1
            if depth == 0:
                groups.append(text[start : place + 1])
    return groups, len(text)


def _actions(domain: str) -> dict[str, Action]:
    """Read a domain's actions by name. Raises ValueError where one has not exactly three parts."""
    actions: dict[str, Action] = {}
    rest = domain
    while _ACTION in rest:
        _, _, rest = rest.partition(_ACTION)
        parts, end = _groups(rest)
        name, *_ = rest.split()
        if len(parts) != 3:
            raise ValueError(f"the action {name} has {len(parts)} parts")
        # The official code finds the text by the name, and so takes an earlier action whose name begins alike.
        body = domain.split(f"{_ACTION} {name}")[1]
        parameters = tuple(dict.fromkeys(_PARAMETER.findall(parts[0])))
        actions[name] = Action(parameters, _clauses(body, ":precondition"), _clauses(body, ":effect"))
        rest = rest[end:]
    return actions


def _clauses(body: str, keyword: str) -> tuple[str, ...]:
    """Return what an action's condition or effect joins with `and`, the negated first, so that they undo nothing."""
    text = body.split(keyword)[1].strip()
    if text.startswith("(and"):
        found: Sequence[str] = [_untyped(clause) for clause in _groups(text.removeprefix("(and"))[0]]
    else:
        found = [text.partition(")")[0].strip() + ")"]
    return tuple(sorted(dict.fromkeys(found), key=lambda clause: not clause.startswith(_NOT)))


def _untyped(clause: str) -> str:
    return _TYPE.sub(" ", _LAST_TYPE.sub(")", clause)).strip() if " - " in clause else clause
