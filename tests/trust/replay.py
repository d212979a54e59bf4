"""One case of a campaign again, in this process, with everything that it says.

python -m tests.trust.replay --seed 1 --case 182
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from tests.trust.campaign import cases
from tests.trust.soundness import judge


def main() -> None:
    """Prints the case and its outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--case", type=int, required=True)
    parser.add_argument("--whole-every", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    case = next(islice(cases(options.seed, options.whole_every), options.case, None))
    print(json.dumps(case.request))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asdict(judge(case, Path(folder), options.seconds)), indent=2))


if __name__ == "__main__":
    main()
