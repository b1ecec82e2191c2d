"""Steps against quality: one trained diffusion network, drawn by every solver with 1 to 1000 network evaluations.

    python benchmarks/steps.py                       # 15 CPU minutes on one thread; resumes where it stopped
    python benchmarks/steps.py --quick --out FOLDER  # a rehearsal, marked as such

Writes steps.json, steps.md and, with --docs, the figure and the section "How many steps" of the documentation.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from measured import command_of, origin
from steps_field import CROSSED, FIELD, GRIDS, HIGHEST, LOWEST, ODE, SDE, Contender
from steps_judge import Key, floor, judged
from steps_page import insert, page, section
from steps_round import Draws, Job, agreed, apart, drawn, held_out, images_of, network, reference

from radloom.errors import RadloomError
from radloom.files import read_json, write_json, write_text
from radloom.models.diffusion import Diffusion

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = (1, 2, 4, 6, 8, 10, 14, 20, 30, 50, 100, 200)
QUICK = Job(subjects=6, seconds=1.0, count=8, longest=16, seed=0)
CROSSED_AT, CROSSED_COUNT = (10, 20), 48


def main() -> None:
    """Trains, draws what is missing, judges and writes."""
    options = _options()
    work, out = Path(options.work), Path(options.out)
    whole = Job(options.subjects, options.seconds, options.count, 1000, options.seed)
    job = QUICK if options.quick else whole
    torch.set_num_threads(1)
    try:
        agreed(job, work)
        model, trained = network(job, work)
        sets = _sets(model, job, (2, 8) if options.quick else BUDGETS, work)
        crossed = _crossed(model, job, (8,) if options.quick else CROSSED_AT, work)
        real, patients = held_out(work)
        rows = judged(real, patients, sets, FIELD, job.longest, job.seed)
    except RadloomError as error:
        sys.exit(f"steps.py: {error}")
    about = {
        "origin": origin(command_of("steps.py"), ("python", "torch", "radloom")), "quick": options.quick,
        **asdict(job), **trained, "range": [LOWEST, HIGHEST], "real": len(real), "patients": len(set(patients)),
        "floor": floor(real, patients, job.count, job.seed), "titles": {one.name: one.title for one in FIELD},
    }  # fmt: skip
    found = {"about": about, "rows": [asdict(row) | {"within_goal": row.verdict} for row in rows], "crossed": crossed}
    write_text(out / "steps.json", json.dumps(found, indent=1) + "\n")
    text = page(about, rows, crossed)
    write_text(out / "steps.md", text)
    print(text)
    if options.docs:
        from steps_figure import figure

        figure(rows, about, Path(options.docs) / "images" / "steps.png")
        insert(Path(options.docs) / "explanation" / "diffusion.md", section(about, rows, crossed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=210.0, help="CPU seconds of training")
    parser.add_argument("--subjects", type=int, default=120, help="simulated brains")
    parser.add_argument("--count", type=int, default=128, help="images of each set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: a second of training, few images")
    parser.add_argument("--out", default=str(ROOT / "results"))
    parser.add_argument("--work", default="", help="cohort, network, finished draws; build/steps, or OUT/steps.work")
    parser.add_argument("--docs", default="", help="the documentation's folder, to write figure and section there")
    options = parser.parse_args()
    usual = Path(options.out) == ROOT / "results"
    options.work = options.work or str(ROOT / "build" / "steps" if usual else Path(options.out) / "steps.work")
    return options


def budgets(one: Contender, allowed: tuple[int, ...], longest: int) -> list[int]:
    """The numbers of evaluations that the contender is measured at: those that give it another step than the last."""
    found: list[int] = []
    for budget in (*allowed, longest):
        wanted = one.name in (ODE, SDE) if budget == longest else budget <= one.most
        if wanted and one.steps(budget) > (one.steps(found[-1]) if found else 0):
            found.append(budget)
    return found


def _sets(model: Diffusion, job: Job, allowed: tuple[int, ...], work: Path) -> dict[Key, Draws]:
    """Every contender's draws, the reference first, then from few evaluations to many."""
    keys = [(one, budget) for one in FIELD for budget in budgets(one, allowed, job.longest)]
    keys.sort(key=lambda key: ((key[0].name, key[1]) != (ODE, job.longest), key[1]))
    found = {}
    for one, budget in keys:
        found[one.name, budget] = drawn(model, one, budget, job, work)
        print(f"steps: {one.title}, {budget}: {1000 * found[one.name, budget].seconds:.1f} ms", file=sys.stderr)
    return found


def _crossed(model: Diffusion, job: Job, allowed: tuple[int, ...], work: Path) -> list[dict[str, object]]:
    """Every deterministic solver on every grid: how far its images are from the same noise's end points."""
    place = work / "crossed.json"
    if not place.is_file():
        ends, found = reference(work), []
        for evaluations in allowed:
            for one in CROSSED:
                for title, grid in GRIDS.items():
                    tried, count = replace(one, grid=grid), min(CROSSED_COUNT, job.count)
                    images, _, asked = images_of(model, tried, evaluations, count, job.seed)
                    found.append({"solver": one.title, "grid": title, "allowed": evaluations, "evaluations": asked,
                                  "apart": float(np.mean(apart(images, ends)))})  # fmt: skip
        write_json(place, found)
    return read_json(place)


if __name__ == "__main__":
    main()
