"""The soundness campaign: random activations through the compiler, every bound against the truth.

    python -m tests.trust.campaign --count 3000 --seed 1 --log campaign.jsonl

One line a case in the log; a run that is stopped goes on where it was, and `--share 0/2` and `--share 1/2` beside
it do half of the cases each into one log. Each case is a process of its own, with a limit on memory, killed where
it overruns its budget and does not stop by itself (a hang).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from kernelc.pipeline import compile_activation
from tests.strategies import Formula, activations
from tests.trust.soundness import Case, Outcome, judge, make_case, reason_of
from tests.trust.truth import tell

_BLOCK = 20
_MEMORY = 6 * 2**30
_GRACE = 150.0


def formulas_of(block_seed: int, count: int) -> list[Formula]:
    """`count` examples at most of the strategy, the same for the same seed and version of hypothesis."""
    found: list[Formula] = []

    @seed(block_seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(activations())
    def gather(formula: Formula) -> None:
        found.append(formula)

    gather()
    return found


def cases(campaign_seed: int, whole_every: int) -> Iterator[Case]:
    """Cases without end, no formula twice."""
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()
    index = block = 0
    while True:
        for formula in formulas_of(1_000_000 * campaign_seed + block, _BLOCK):
            key = ("".join(formula.text.split()), formula.parameters)
            if key not in seen:
                seen.add(key)
                yield make_case(formula, campaign_seed, index, whole_every)
                index += 1
        block += 1


def in_a_process(case: Case, seconds: float) -> Outcome:
    """`judge` in a child; a hang, a crash and a lack of memory are outcomes too."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
            with tempfile.TemporaryDirectory() as folder, os.fdopen(writer, "w") as pipe:
                json.dump(asdict(judge(case, Path(folder), seconds)), pipe)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = _read_until(pipe, time.monotonic() + seconds + _GRACE)
        if text is None:
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text is None:
        return Outcome("hang", f"still there {_GRACE:g} s after its budget")
    if not text or status:
        return Outcome("crash", f"ended with status {status}")
    return Outcome(**json.loads(text))


def _read_until(pipe: Any, deadline: float) -> str | None:
    parts: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([pipe], [], [], left)
        if ready:
            part = os.read(pipe.fileno(), 65536)
            if not part:
                return b"".join(parts).decode()
            parts.append(part)
    return None


def summary(lines: list[dict[str, Any]]) -> str:
    """Counts, and every case in which something is wrong."""
    verdicts = Counter(line["verdict"] for line in lines)
    truths = Counter(line["truth"] or "-" for line in lines if line["verdict"] in ("certified", "estimated"))
    refused = Counter(reason_of(line["reason"]) for line in lines if line["verdict"] == "refused")
    text = [f"{len(lines)} activations: " + ", ".join(f"{n} {v}" for v, n in sorted(verdicts.items()))]
    text.append("  against the truth: " + ", ".join(f"{n} {v}" for v, n in truths.most_common()))
    text.append(f"  {sum(line['compared'] for line in lines)} numbers compared")
    text += [f"  refused, {reason}: {n}" for reason, n in refused.most_common()]
    for key in ("violations", "missed_estimates"):
        text.append(f"  {key}: {sum(bool(line[key]) for line in lines)} activations")
    bad = ("traceback", "hang", "crash", "self_check")
    for line in lines:
        if line["violations"] or line["verdict"] in bad:
            text.append(f"! case {line['case']}: {line['request']} {line['verdict']} {line['reason'][:200]}")
            text += [f"!     {v}" for v in line["violations"][:3]]
    return "\n".join(text)


def _share(text: str) -> tuple[int, int]:
    own, of = map(int, text.split("/"))
    if not 0 <= own < of:
        raise argparse.ArgumentTypeError("a share is I/N with 0 <= I < N")
    return own, of


def _lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in log.read_text().splitlines()] if log.exists() else []


def main() -> int:
    """Exit status 1 where a bound was violated or a case ended in a traceback, a crash or a hang."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0, help="budget of one compile")
    parser.add_argument("--whole-every", type=int, default=8, help="one case in so many goes through all stages")
    parser.add_argument("--log", type=Path, default=Path("campaign.jsonl"))
    parser.add_argument("--share", type=_share, default=(0, 1), help="I/N: the cases I, I + N, ... (default 0/1)")
    options = parser.parse_args()
    own, of = options.share
    done = {line["case"] for line in _lines_of(options.log)}
    # Caches that every case would fill again.
    for text in ("tanh(t)", "relu(t)", "abs(t)^(3/2)"):
        kernel = compile_activation(text, name="f", degree=8)
        kernel.report("html")
    tell(("call", "relu", ("name", "t")), (), Fraction(1), 4)
    with options.log.open("a") as log:
        for index, case in enumerate(cases(options.seed, options.whole_every)):
            if index >= options.count:
                break
            if index in done or index % of != own:
                continue
            start = time.monotonic()
            outcome = in_a_process(case, options.seconds)
            line = {"case": index, "request": case.request, **asdict(outcome)}
            line["seconds"] = round(time.monotonic() - start, 2)
            print(json.dumps(line), file=log, flush=True)
    lines = [line for line in _lines_of(options.log) if line["case"] < options.count]
    print(summary(lines))
    wrong = [x for x in lines if x["violations"] or x["verdict"] in ("traceback", "hang", "crash", "self_check")]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
