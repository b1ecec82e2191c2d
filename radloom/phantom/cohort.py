"""Simulated cohorts on disk: images, table and description; what is in an image is the cohort's own matter."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_folder, write_json
from radloom.io import write
from radloom.phantom.cohorts import load
from radloom.phantom.simulation import Request, Simulation
from radloom.random import numpy_stream
from radloom.types import Case

SPLITS = ("train", "val", "test")
WORKERS = 2  # NumPy, SciPy and zlib release the interpreter lock, so that threads are enough
Shares = tuple[float, float, float]


def write_cohort(
    name: str,
    out: Path | str,
    *,
    subjects: int = 64,
    seed: int = 0,
    shape: tuple[int, int, int] | None = None,
    variant: str | None = None,
    images: Sequence[str] | None = None,
    splits: Shares = (0.6, 0.15, 0.25),
    workers: int = WORKERS,
) -> Path:
    """The folder `out`, now holding the simulated cohort `name`: images/, cohort.csv and cohort.json.

    Subject i depends on the request and i alone, not on how many subjects or workers there are. shape: (x, y, z).
    variant, images: one of the cohort's forms, and which keys to draw; the cohort's usual ones unless given.
    """
    import pandas

    simulation, out = load(name), Path(out)
    request = Request(
        seed,
        simulation.shape if shape is None else (shape[0], shape[1], shape[2]),
        simulation.variants[0] if variant is None else variant,
        simulation.usual if images is None else tuple(images),
    )
    _check(simulation, request, out, subjects=subjects, splits=splits)
    make_subject = simulation.begin(request)
    split = split_of_subjects(subjects, splits, seed=seed, name=name)
    with whole_folder(out) as folder:
        (folder / "images").mkdir()

        def make(index: int) -> list[dict[str, object]]:
            return [_write_case(case, folder, split=split[index]) for case in make_subject(index)]

        with ThreadPoolExecutor(workers) as pool:
            rows = [row for made in pool.map(make, range(subjects)) for row in made]
        pandas.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
        about = {"simulated": True, "generator": name, "seed": seed, "subjects": subjects,
                 "shape": list(request.shape), "variant": request.variant, "images": list(request.images),
                 "splits": list(splits), "labels": dict(simulation.labels)}  # fmt: skip
        write_json(folder / "cohort.json", about)
    return out


def split_of_subjects(subjects: int, splits: Shares, *, seed: int, name: str) -> list[str]:
    """One of train, val and test for each subject, in random order; every share above 0 gets a subject if it can."""
    ends = np.rint(np.cumsum(splits) / sum(splits) * subjects).astype(int)
    counts = np.diff(ends, prepend=0)
    for wanted in range(len(splits)):
        if splits[wanted] > 0 and counts[wanted] == 0 and counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[wanted] += 1
    order = numpy_stream(seed, name, "split", subjects).permutation(subjects)
    return [SPLITS[i] for i in np.repeat(np.arange(len(splits)), counts)[order]]


def _check(simulation: Simulation, request: Request, out: Path, *, subjects: int, splits: Shares) -> None:
    if out.exists():
        raise RadloomError(f"{out} already exists", expected="a new folder", do="remove it or choose another")
    if subjects < 1:
        raise RadloomError(f"a cohort of {subjects} subjects", expected="at least 1")
    if len(request.shape) != 3 or min(request.shape) < 1:
        raise RadloomError(f"cannot make images of shape {request.shape}", expected="three sizes of at least 1 voxel")
    unknown = [one for one in request.images if one not in simulation.images]
    if unknown or not request.images:
        raise RadloomError(f"unknown images {unknown}", expected=f"some of {', '.join(simulation.images)}")
    if len(set(request.images)) < len(request.images):
        raise RadloomError(f"images {', '.join(request.images)} name one twice", expected="each once")
    if request.variant not in simulation.variants:
        raise RadloomError(f"unknown variant {request.variant!r}", expected=f"one of {', '.join(simulation.variants)}")
    if len(splits) != 3 or min(splits) < 0 or abs(sum(splits) - 1) > 1e-6:
        raise RadloomError(f"splits {splits}", expected="three shares of train, val and test that sum to 1")


def _write_case(case: Case, folder: Path, *, split: str) -> dict[str, object]:
    row: dict[str, object] = {
        "case": case.id, "patient": case.patient, "site": case.site, "vendor": case.vendor, "split": split
    }  # fmt: skip
    for key, image in case.images.items():
        kind, entry = key.split(".", 1)
        name = f"images/{case.id}.{entry if kind == 'image' else key}.nii.gz"
        write(image, folder / name, description="radloom: simulated")
        row[key] = name
    return row | dict(case.labels) | dict(case.text)
