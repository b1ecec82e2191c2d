"""CPU seconds and memory of metrics of sets beside pytorch-fid's, torch-fidelity's, torchmetrics' and prdc's.

python benchmarks/distribution.py            # ten minutes or more; writes results/distribution.md
python benchmarks/distribution.py --quick --out /tmp/rehearsal
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from distribution_round import FIELD, SUBSETS, Answer, Contender, K

from radloom.files import write_text
from radloom.runfolder import commit, machine, versions

HERE = Path(__file__).resolve().parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
TASKS = {
    "frechet": "Frechet distance",
    "few": "Frechet distance of few images",
    "prdc": f"Precision, recall, density, coverage, k = {K}",
    "kid": f"KID, {SUBSETS} subsets of up to 1000",
    "mmd": "MMD of all pairs, no peer",
}


@dataclass(frozen=True)
class Sizes:
    """Rows of a large and of a small set, features, and how often each contender runs."""

    many: int
    few: int
    features: int
    runs: int


def main() -> None:
    """Runs every contender in processes of its own and writes distribution.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: sizes that mean nothing")
    parser.add_argument("--runs", type=int, default=2, help="rounds over all contenders, of which the fastest counts")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="which tasks (all)")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of distribution.md")
    options = parser.parse_args()
    sizes = Sizes(300, 50, 96, 1) if options.quick else Sizes(10_000, 500, 2048, options.runs)
    field = [contender for contender in FIELD if contender.task in options.tasks]
    with tempfile.TemporaryDirectory() as folder:
        write_sets(Path(folder), sizes)
        rounds = [[_answer(contender, Path(folder)) for contender in field] for _ in range(sizes.runs)]
    found = [min(answers, key=lambda a: a.statistics + a.distance) for answers in zip(*rounds, strict=True)]
    check(field, found)
    text = page(field, found, sizes, options.quick)
    write_text(Path(options.out) / "distribution.md", text)
    print(text)


def write_sets(folder: Path, sizes: Sizes) -> None:
    """Two sets of non-negative float32 features with a falling spectrum and slightly different factors, on disk."""
    rng = np.random.default_rng(0)
    d = sizes.features
    strength = np.linspace(1, 0.05, d // 8, dtype=np.float32)[:, None]
    factors = strength * rng.standard_normal((d // 8, d), np.float32) / np.float32(4)

    def drawn(shift: float, mix: np.ndarray) -> np.ndarray:
        latent = rng.standard_normal((sizes.many, d // 8), np.float32)
        noise = rng.standard_normal((sizes.many, d), np.float32)
        return np.abs(latent @ mix + np.float32(0.4) * noise + np.float32(shift))

    change = strength * rng.standard_normal((d // 8, d), np.float32) / np.float32(40)
    for name, rows in (("real", drawn(0.5, factors)), ("synthetic", drawn(0.55, factors + change))):
        for size, count in (("many", sizes.many), ("few", sizes.few)):
            (folder / size).mkdir(exist_ok=True)
            np.save(folder / size / f"{name}.npy", rows[:count])


def _answer(contender: Contender, folder: Path) -> Answer:
    sets = folder / ("few" if contender.task == "few" else "many")
    command = [sys.executable, str(HERE / "distribution_round.py"), contender.task, contender.name, str(sets)]
    done = subprocess.run(command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{contender.task}, {contender.name}: {done.stderr.strip()}")
    return Answer(**json.loads(done.stdout.strip().splitlines()[-1]))


def check(field: list[Contender], found: list[Answer]) -> None:
    """Stops unless every contender's values are those of the first of its task."""
    first: dict[str, Answer] = {}
    for contender, answer in zip(field, found, strict=True):
        ours = first.setdefault(contender.task, answer)
        if not np.allclose(answer.values, ours.values, rtol=contender.within, atol=0):
            sys.exit(f"{contender.task}, {contender.name}: {answer.values} where ours are {ours.values}")


def _lines(field: list[Contender], found: list[Answer], sizes: Sizes) -> list[str]:
    lines = []
    for task, title in TASKS.items():
        rows = [(c, a) for c, a in zip(field, found, strict=True) if c.task == task]
        if not rows:
            continue
        count = sizes.few if task == "few" else sizes.many
        ours = rows[0][1]
        lines += [f"## {title}, {count} against {count} x {sizes.features}", "",
                  "| who | statistics, CPU s | distance, CPU s | distance / ours | both / ours | peak, MiB "
                  "| above the data, MiB | value |", f"|{' --- |' * 8}"]  # fmt: skip
        for contender, answer in rows:
            both, base = answer.statistics + answer.distance, ours.statistics + ours.distance
            values = ", ".join(f"{value:.8g}" for value in answer.values)
            lines.append(
                f"| {contender.name} | {answer.statistics:.2f} | {answer.distance:.3f} "
                f"| {answer.distance / ours.distance:.1f}x | {both / base:.1f}x | {answer.peak:.0f} "
                f"| {answer.above:.0f} | {values} |"
            )
        lines.append("")
    return lines


def page(field: list[Contender], found: list[Answer], sizes: Sizes, rehearsal: bool) -> str:
    """The page with how it was measured and a table for each task."""
    host, packages = machine(), versions()
    return "\n".join([
        "# Metrics of sets: CPU seconds and memory", "",
        *(["A rehearsal with small sizes: do not quote.", ""] if rehearsal else []),
        f"The fastest of {sizes.runs} rounds over all contenders, each in a fresh process on one thread. Values are "
        "checked against ours before a line is written. *statistics*: mean and covariance in float64 (with fewer "
        "images than features ours needs none); *distance*: all that follows. *peak*: the highest resident memory of "
        "the process; *above the data*: minus what it held with its packages imported and both sets loaded.", "",
        f"- machine: {host['processor']}, {host['cores']} cores, {host['memory_gib']} GiB, {host['system']}",
        f"- load average at the end: {os.getloadavg()[0]:.1f}",
        f"- date: {datetime.now(UTC).isoformat(timespec='minutes')}",
        f"- commit: {commit() or 'not a checkout'}",
        f"- versions: {', '.join(f'{name} {value}' for name, value in packages.items())}",
        f"- command: `{' '.join(['python', 'benchmarks/distribution.py', *sys.argv[1:]])}`",
        "- data: simulated non-negative float32 features with a falling spectrum", "",
        *_lines(field, found, sizes),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
