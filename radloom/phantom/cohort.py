"""Simulated cohorts on disk: images, table and description; what is in an image is brain.py's matter."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from radloom.errors import RadloomError
from radloom.files import whole_folder, write_json
from radloom.io import write
from radloom.phantom.anatomy import head_grid, load_atlas
from radloom.phantom.brain import CONTRASTS, DISEASES, DiseaseName, subject
from radloom.random import numpy_stream
from radloom.types import Case

SPLITS = ("train", "val", "test")
WORKERS = 2  # NumPy, SciPy and zlib release the interpreter lock, so that threads are enough


def write_brain(
    out: Path | str,
    *,
    subjects: int = 64,
    seed: int = 0,
    shape: tuple[int, int, int] = (96, 96, 24),
    contrasts: Sequence[str] = ("t1", "t1c", "t2", "flair"),
    disease: DiseaseName = "tumour",
    splits: tuple[float, float, float] = (0.6, 0.15, 0.25),
) -> Path:
    """The path of `out`, now holding images/, cohort.csv and cohort.json of simulated brains."""
    import pandas

    out, shape = Path(out), (shape[0], shape[1], shape[2])
    _check(out, subjects=subjects, contrasts=contrasts, disease=disease, splits=splits)
    head_grid(shape, centre_z_mm=0.0)  # refuses an impossible shape before the work
    names = split_of_subjects(subjects, splits, seed=seed)
    atlas = load_atlas()
    with whole_folder(out) as folder:
        (folder / "images").mkdir()

        def make(index: int) -> dict[str, object]:
            case = subject(atlas, index, seed=seed, shape=shape, contrasts=contrasts, disease=disease)
            return _write_case(case, folder, split=names[index])

        with ThreadPoolExecutor(WORKERS) as pool:
            rows = list(pool.map(make, range(subjects)))
        pandas.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
        about = {"simulated": True, "generator": "brain", "seed": seed, "subjects": subjects, "shape": list(shape),
                 "contrasts": list(contrasts), "disease": disease, "splits": list(splits),
                 "labels": {"label.idh": "1 mutant, 0 wild type"}}  # fmt: skip
        write_json(folder / "cohort.json", about)
    return out


def split_of_subjects(subjects: int, splits: tuple[float, float, float], *, seed: int) -> list[str]:
    """One of train, val and test for each subject, in random order; every share above 0 gets a subject if it can."""
    ends = np.rint(np.cumsum(splits) / sum(splits) * subjects).astype(int)
    counts = np.diff(ends, prepend=0)
    for wanted in range(len(splits)):
        if splits[wanted] > 0 and counts[wanted] == 0 and counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[wanted] += 1
    order = numpy_stream(seed, "brain", "split", subjects).permutation(subjects)
    return [SPLITS[i] for i in np.repeat(np.arange(len(splits)), counts)[order]]


def _check(
    out: Path, *, subjects: int, contrasts: Sequence[str], disease: str, splits: tuple[float, float, float]
) -> None:
    if out.exists():
        raise RadloomError(f"{out} already exists", expected="a new folder", do="remove it or choose another")
    if subjects < 1:
        raise RadloomError(f"a cohort of {subjects} subjects", expected="at least 1")
    unknown = [one for one in contrasts if one not in CONTRASTS]
    if unknown or not contrasts:
        raise RadloomError(f"unknown contrasts {unknown}", expected=f"some of {', '.join(CONTRASTS)}")
    if len(set(contrasts)) < len(contrasts):
        raise RadloomError(f"contrasts {', '.join(contrasts)} name one twice", expected="each once")
    if disease not in DISEASES:
        raise RadloomError(f"unknown disease {disease!r}", expected=f"one of {', '.join(DISEASES)}")
    if len(splits) != 3 or min(splits) < 0 or abs(sum(splits) - 1) > 1e-6:
        raise RadloomError(f"splits {splits}", expected="three shares of train, val and test that sum to 1")


def _write_case(case: Case, folder: Path, *, split: str) -> dict[str, object]:
    row: dict[str, object] = {
        "case": case.id, "patient": case.patient, "site": case.site, "vendor": case.vendor, "split": split
    }  # fmt: skip
    for key, image in case.images.items():
        name = f"images/{case.id}.{key.split('.')[1]}.nii.gz"
        write(image, folder / name, description="radloom: simulated")
        row[key] = name
    return row | dict(case.labels)
