"""How long `radloom --help` and the imports that users wait for take, and which heavy packages each one loads."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from measured import command_of, origin

from radloom.files import write_text

HERE = Path(__file__).resolve().parent
HEAVY = ("torch", "monai", "lightning", "lightning_fabric", "pandas", "scipy", "matplotlib", "SimpleITK", "nilearn",
         "highdicom")  # fmt: skip
HELP = "import sys; from radloom.__main__ import main; sys.argv = ['radloom', '--help']; main()"
STARTS = {
    "python alone": "pass",
    "radloom --help": HELP,
    "import radloom": "import radloom",
    "import radloom.data.cohort": "import radloom.data.cohort",
    "import radloom.networks": "import radloom.networks",
    "import radloom.networks.residual_unet": "import radloom.networks.residual_unet",
    "import radloom.report.page": "import radloom.report.page",
}
# runs after the statement whether or not it exits, as --help does
LOADED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps([name for name in {heavy!r} if name in sys.modules]), file=sys.stderr))
{statement}
"""


@dataclass(frozen=True)
class Start:
    """One start of Python: wall and CPU seconds of the whole process."""

    wall: float
    cpu: float


def main() -> None:
    """Measures every start and writes results/start_up.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="processes for each start (5)")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of start_up.md")
    options = parser.parse_args()
    # rounds over all starts, so that a busy moment hits every one; the first round only fills Python's caches
    rounds = [{name: _start(code) for name, code in STARTS.items()} for _ in range(options.runs + 1)][1:]
    lines = [_line(name, [times[name] for times in rounds]) for name in STARTS]
    text = _page(lines, options.runs)
    write_text(Path(options.out) / "start_up.md", text)
    print(text)


def _start(code: str) -> Start:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def loaded(code: str) -> list[str]:
    """The heavy packages that are loaded after `code`."""
    asked = LOADED.format(heavy=HEAVY, statement=code)
    done = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    return json.loads(done.stderr.strip().splitlines()[-1])


def _line(name: str, starts: list[Start]) -> str:
    walls = [start.wall for start in starts]
    cpu = statistics.median(start.cpu for start in starts)
    packages = ", ".join(loaded(STARTS[name])) or "none"
    spread = f"{min(walls):.2f}-{max(walls):.2f}"
    return f"| `{name}` | {statistics.median(walls):.2f} | {spread} | {cpu:.2f} | {packages} |"


def _page(lines: list[str], runs: int) -> str:
    return "\n".join([
        "# Start-up: seconds of the whole process, and the heavy packages that it loads", "",
        f"Median of {runs} fresh processes after one that fills Python's caches; they take turns. The load average at "
        f"the end was {os.getloadavg()[0]:.1f}. Looked for: {', '.join(HEAVY)}.", "",
        *origin(command_of("start_up.py")), "",
        "| start | wall, s | lowest-highest | CPU, s | heavy packages loaded |",
        "| --- | --- | --- | --- | --- |", *lines, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
