"""The run folder: where a run's record, weights, samples and results lie; reading and writing the record."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from radloom import __version__
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.files import read_json, write_json
from radloom.system import Recipe, System, Training


@dataclass(frozen=True)
class RunFolder:
    """A run on disk (DESIGN section 4)."""

    path: Path

    @classmethod
    def create(cls, path: Path, recipe: Recipe, cohort: Cohort, table: Path, *, seed: int) -> RunFolder:
        """A new run with its record. Raises RadloomError when the folder exists and is not empty."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RadloomError(f"{path} exists already", expected="a new folder",
                               do="add --resume to continue that run, or choose another --out")  # fmt: skip
        path.mkdir(parents=True, exist_ok=True)
        folder = cls(path)
        write_json(folder.record_path, _record(recipe, cohort, table, seed))
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises RadloomError when there is none."""
        if not (path / "run.json").is_file():
            raise RadloomError(f"{path} is not a run folder", expected="a folder with run.json",
                               do="train first: radloom train SYSTEM --data COHORT --out RUN")  # fmt: skip
        return cls(path)

    @property
    def record_path(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def weights(self) -> Path:
        """The trained weights (moving average)."""
        return self.path / "weights.safetensors"

    @property
    def results(self) -> Path:
        """The results table."""
        return self.path / "results.csv"

    @property
    def state(self) -> Path:
        """What resume needs."""
        return self.path / "state"

    @property
    def cache(self) -> Path:
        """Prepared cases; may be deleted at any time."""
        return self.path / "cache"

    def record(self) -> dict[str, Any]:
        """run.json."""
        return read_json(self.record_path)

    def update(self, changes: dict[str, Any]) -> None:
        """Writes run.json with these entries replaced."""
        write_json(self.record_path, {**self.record(), **changes})

    def add_stage(self, name: str, seconds: float) -> None:
        """Records that a stage ran: its wall time (s) and the process's peak memory so far (MiB)."""
        stages = [stage for stage in self.record()["stages"] if stage["name"] != name]
        self.update({"stages": [*stages, {"name": name, "seconds": round(seconds, 1), "peak_mb": round(peak_mb())}]})

    def cohort(self) -> Cohort:
        """The cohort that the run was trained on. Raises RadloomError when its training split has changed since."""
        record = self.record()
        cohort = Cohort.read(Path(record["cohort"]))
        if cohort.split_hash("train") != record["split_hash"]:
            raise RadloomError(f"the training split of {record['cohort']} changed after {self.path} was trained",
                               expected=f"split hash {record['split_hash'][:12]}", do="train a new run")  # fmt: skip
        return cohort

    def recipe(self, system: System) -> Recipe:
        """The recipe that the record describes."""
        record = self.record()
        return Recipe(system.about_task(record), record["size"], record["dims"], _from_json(record["settings"]),
                      Training(**_from_json(record["training"])))  # fmt: skip


def _from_json(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings with JSON's lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _record(recipe: Recipe, cohort: Cohort, table: Path, seed: int) -> dict[str, Any]:
    system = recipe.system
    splits = {name: cohort.where(name) for name in ("train", "val", "test")}
    return {
        "system": system.name, "title": system.title, "claim": system.claim,
        "cite": {"key": system.cite.key, "text": _reference(system)},
        "target": list(system.task.target), "inputs": list(system.task.inputs), **system.task.record(),
        "dims": recipe.dims, "size": recipe.size, "seed": seed,
        "settings": dict(recipe.settings), "training": asdict(recipe.training),
        "paper": [asdict(figure) for figure in system.paper], "deviations": list(system.deviations),
        "cohort": str(Path(table).resolve()), "about": cohort.about, "split_hash": cohort.split_hash("train"),
        "cases": {name: part.ids for name, part in splits.items()},
        "patients": {name: len(set(part.table["patient"])) for name, part in splits.items()},
        "stages": [], "machine": machine(), "versions": versions(), "commit": commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def _reference(system: System) -> str:
    cite = system.cite
    return f"{cite.authors.rstrip('.')}. {cite.title}. {cite.venue}, {cite.year}." + (
        f" doi:{cite.doi}" if cite.doi else ""
    )


def peak_mb() -> float:
    """The largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def machine() -> dict[str, Any]:
    """Processor, cores and memory of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": platform.platform(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Versions of radloom, Python and the packages that decide the numbers."""
    found = {"radloom": __version__, "python": platform.python_version()}
    for name in ("torch", "monai", "numpy", "scipy", "lightning-fabric"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def commit() -> str:
    """The commit of radloom's checkout, with "+" when files differ from it; "" outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    try:
        head = subprocess.run(
            ["git", "-C", root, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        dirty = subprocess.run(
            ["git", "-C", root, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if dirty.stdout.strip() else "")
