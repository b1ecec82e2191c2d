"""Rows of a benchmark that are worked off one by one, each in a process of its own, and kept when they are finished."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from radloom.files import read_json, write_json

HERE = Path(__file__).resolve().parent


def finished(name: str, job: Any, work: Path, script: str, about: Mapping[str, Any]) -> None:
    """Runs `script job.json answer.json` on one thread and keeps what it answers, with `about`, in WORK/rows/NAME.json.

    job: a dataclass. A row that is there for the same job is left as it is; a process that dies is a row with "error".
    """
    place = work / "rows" / f"{name}.json"
    if place.is_file() and read_json(place)["job"] == asdict(job):
        return
    print(f"{script.removesuffix('_round.py')}: {name}", file=sys.stderr, flush=True)
    asked, answer = work / "jobs" / f"{name}.json", work / "jobs" / f"{name}.answer.json"
    write_json(asked, asdict(job))
    answer.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / script), str(asked), str(answer)]
    surroundings = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    if answer.is_file():
        found: dict[str, Any] = read_json(answer)
    else:
        found = {"error": (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]}
    write_json(place, {"job": asdict(job), **about, **found})
