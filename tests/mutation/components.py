"""The corpus of seeded component bugs: what they are, how they are planted, whether their check kills them.

`python tests/mutation/components.py` prints the table: every bug with the check that must kill it, in seconds.
With VIRTUAL_ENV=ENVIRONMENT, the Python and the torch of that environment run them.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dlcoder.progress import silent
from dlcoder.sandbox.report import Check, Report
from dlcoder.sandbox.validate import validate_code

HERE = Path(__file__).parent
ORIGINALS = sorted((HERE / "originals").glob("*/*.py"))


@dataclass(frozen=True)
class Mutant:
    """One seeded bug.

    Attributes:
        original: The good component, "loss/dice.py".
        bug: What is wrong with it now.
        killer: The check that must fail.
        code: The mutated code.
        contract: What its caller would say.
    """

    original: str
    bug: str
    killer: str
    code: str
    contract: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.original.split("/")[0]

    def __str__(self) -> str:
        return f"{Path(self.original).stem}: {self.bug}"


def mutants() -> list[Mutant]:
    """Every bug, planted."""
    entries = yaml.safe_load((HERE / "components.yaml").read_text())
    return [_plant(entry) for entry in entries]


def _plant(entry: dict[str, Any]) -> Mutant:
    code = (HERE / "originals" / entry["in"]).read_text()
    for suffix in ("", "2", "3"):
        if (old := entry.get(f"old{suffix}")) is not None:
            if old not in code:
                raise ValueError(f"{entry['in']} does not hold {old!r}")
            code = code.replace(old, entry[f"new{suffix}"], 1)
    contract = dict(entry.get("contract", {}))
    if "init" in entry:
        contract["init"] = entry["init"]
    return Mutant(entry["in"], entry["bug"], entry["killer"], code, contract)


def check(code: str, kind: str, contract: dict[str, Any], checks: list[str] | None = None) -> Report:
    """The report on a component, from the sandbox."""
    return asyncio.run(validate_code(code, None, kind, contract, checks, None, "cpu", silent))


def verdict(mutant: Mutant) -> Check:
    """What the check that must kill a mutant says of it."""
    report = check(mutant.code, mutant.kind, mutant.contract, [mutant.killer])
    found = {item.name: item for item in report.checks}
    return found.get(mutant.killer) or next(item for item in report.checks if item.status in ("fail", "error"))


def main() -> int:
    """Print the table; 1 if fewer than 95% are killed or a good component is accused."""
    check(ORIGINALS[0].read_text(), ORIGINALS[0].parent.name, {})  # starts the warm worker
    killed, slowest = 0, 0.0
    corpus = mutants()
    for mutant in corpus:
        start = time.perf_counter()
        result = verdict(mutant)
        seconds = time.perf_counter() - start
        slowest = max(slowest, seconds)
        dead = result.name == mutant.killer and result.status == "fail"
        killed += dead
        print(f"{'killed' if dead else 'ALIVE':7}{seconds:5.1f} s  {mutant.killer:22}{mutant}")
    accused = [path for path in ORIGINALS if not check(path.read_text(), path.parent.name, {}).passed]
    for path in accused:
        print(f"FALSE ALARM on {path.parent.name}/{path.name}")
    share = killed / len(corpus)
    print(f"{killed} of {len(corpus)} component bugs killed ({share:.1%}), slowest {slowest:.1f} s;")
    print(f"{len(accused)} false alarms on {len(ORIGINALS)} good components.")
    return int(share < 0.95 or bool(accused))


if __name__ == "__main__":
    sys.exit(main())
