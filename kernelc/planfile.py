"""plan.json: a feature plan that was asked for, written beside the module, with the request that makes it again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

PLAN_FILE = "plan.json"

_KEYS = ("dim", "features", "epsilon", "kernel", "depth", "sketch", "seed", "pairs")
#: Numbers of a plan agree with those made again to this, relatively: linear algebra rounds differently elsewhere.
_ROUNDING = 1e-6
_DEEPEST = 8


def plan_text(request: Mapping[str, Any], plan: Mapping[str, Any], kernelc: str) -> str:
    """The text of plan.json: the version of kernelc, `request` (the options of `Kernel.plan`) and the plan itself."""
    content = {"generated_by": f"kernelc {kernelc}", "request": {key: request[key] for key in _KEYS}, "plan": plan}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def plan_problem(text: str, again: Callable[..., Mapping[str, Any]]) -> str | None:
    """What is wrong with the text of a plan.json, None where `again(**request)` makes the same plan."""
    try:
        content = json.loads(text)
        request, plan = content["request"], content["plan"]
        if set(request) != set(_KEYS):
            raise ValueError("its request has other options")
        made = json.loads(json.dumps(again(**request)))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        return f"{PLAN_FILE} is no plan of this kernel ({error}); delete it, or write it again"
    path = _difference(plan, made, "plan", _DEEPEST)
    return None if path is None else f"{PLAN_FILE} is not what its request makes ({path}); delete it, or write it again"


def _difference(one: object, other: object, path: str, depth: int) -> str | None:
    """Where two JSON values first differ, None where they agree up to the rounding of numbers."""
    if depth == 0:
        return path
    if isinstance(one, dict) and isinstance(other, dict):
        if list(one) != list(other):
            return path
        pairs = [(one[key], other[key], f"{path}.{key}") for key in other]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return path
        pairs = [(a, b, f"{path}[{place}]") for place, (a, b) in enumerate(zip(one, other, strict=True))]
    elif isinstance(one, float) and isinstance(other, float):
        return None if abs(one - other) <= _ROUNDING * abs(other) else path
    else:
        return None if type(one) is type(other) and one == other else path
    return next((found for a, b, where in pairs if (found := _difference(a, b, where, depth - 1)) is not None), None)
