"""How long each embedded cohort takes at its usual size and how much memory, and whether workers change a file."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from measured import command_of, origin

from radloom.files import write_text
from radloom.phantom import load, names, write_cohort

HERE = Path(__file__).resolve().parent
SECONDS, GIB = 60.0, 2.0  # what 32 subjects may take on two cores
FORMS = {"brain": ("ms-follow-up", "metastases", "idh", "response"), "breast-cbct": ("projections",)}


@dataclass(frozen=True)
class Run:
    """One cohort's process: wall and CPU seconds, peak resident memory, and size on disk."""

    wall: float
    cpu: float
    gib: float
    megabytes: float


def main() -> None:
    """Measures every cohort and writes results/cohorts.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cohorts", nargs="*", help="names (all)")
    parser.add_argument("--subjects", type=int, default=32, help="of each cohort (32)")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: two subjects of the smallest size")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of cohorts.md")
    options = parser.parse_args()
    subjects = 2 if options.quick else options.subjects
    lines = []
    for name in options.cohorts or names():
        for variant in (load(name).variants[0], *FORMS.get(name, ())):
            shape = load(name).small if options.quick else load(name).shape
            lines.append(_line(name, variant, shape, _measured(name, variant, shape, subjects)))
            print(lines[-1], flush=True)
    write_text(Path(options.out) / "cohorts.md", _page(lines, subjects))


def _measured(name: str, variant: str, shape: tuple[int, int, int], subjects: int) -> Run:
    """The command that a user types, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "cohort"
        asked = [sys.executable, "-m", "radloom", "data", "phantom", name, "--variant", variant, "--seed", "1",
                 "--subjects", str(subjects), "--shape", ",".join(map(str, shape)), "--out", str(out)]  # fmt: skip
        began = time.perf_counter()
        child = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)  # this child's own peak, which getrusage cannot tell
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{name} {variant} ended with {child.returncode}")
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, size / 1e6)


def same_for_any_workers(name: str, variant: str) -> bool:
    """Whether three small subjects give the same bytes by one worker and by two."""
    found = set()
    with tempfile.TemporaryDirectory() as folder:
        for workers in (1, 2):
            out = Path(folder) / str(workers)
            write_cohort(
                name, out, subjects=3, seed=1, shape=load(name).small, variant=variant, workers=workers
            )  # fmt: skip
            digest = hashlib.sha256()
            for path in sorted(path for path in out.rglob("*") if path.is_file()):
                digest.update(str(path.relative_to(out)).encode() + path.read_bytes())
            found.add(digest.hexdigest())
    return len(found) == 1


def _line(name: str, variant: str, shape: tuple[int, int, int], run: Run) -> str:
    # In a process of its own: what this one holds would count as the next child's peak.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        same = "yes" if pool.submit(same_for_any_workers, name, variant).result() else "no"
    size = " x ".join(map(str, shape))
    return (f"| {name} | {variant} | {size} | {run.wall:.0f} | {run.cpu:.0f} | {run.cpu / 2:.0f} | {run.gib:.2f} "
            f"| {run.megabytes:.0f} | {same} |")  # fmt: skip


def _page(lines: list[str], subjects: int) -> str:
    return "\n".join([
        f"# Embedded cohorts of {subjects} subjects: time and memory", "",
        f"Asked for: 32 subjects in under {SECONDS:.0f} s on two cores, below {GIB:.0f} GiB. Each row is one process "
        "of `radloom data phantom`, start included; it uses two threads, so half of its CPU seconds is what two free "
        f"cores would need. The load average at the end was {os.getloadavg()[0]:.1f}. The last column: three subjects "
        "of the smallest size have the same bytes by one worker and by two.", "",
        *origin(command_of("cohorts.py")), "",
        "| cohort | variant | voxels | wall, s | CPU, s | CPU / 2, s | peak, GiB | on disk, MB | workers alike |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", *lines, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
