"""A cohort to find disease in: healthy brains beside brains with tumours: anomaly_cohort.py FOLDER [N] [SEED].

N healthy and N ill subjects; two thirds of the healthy and a third of the ill train, so that most of the ill are left
to be found. Healthy subjects get an empty mask.tumour, which says that there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from radloom.io import read, write
from radloom.phantom import write_cohort

COLUMN = "mask.tumour"
SHARES = {"none": (0.65, 0.1, 0.25), "tumour": (0.35, 0.2, 0.45)}  # of train, val and test


def main(folder: Path, subjects: int, seed: int) -> None:
    """Writes folder/none, folder/tumour and the joined table folder/cohort.csv."""
    tables = []
    for number, (variant, shares) in enumerate(SHARES.items()):
        write_cohort("brain", folder / variant, subjects=subjects, seed=seed + number, variant=variant, splits=shares)
        table = pd.read_csv(folder / variant / "cohort.csv", dtype=str, keep_default_na=False)
        if COLUMN not in table:
            table[COLUMN] = [_empty_mask(folder / variant, path) for path in table["mask.brain"]]
        for column in table.columns[table.columns.str.startswith(("image.", "mask."))]:
            table[column] = [f"{variant}/{path}" for path in table[column]]
        for column in ("case", "patient"):
            table[column] = [f"{variant}-{name}" for name in table[column]]
        tables.append(table)
    shared = [column for column in tables[0].columns if all(column in table for table in tables)]
    pd.concat([table[shared] for table in tables]).to_csv(folder / "cohort.csv", index=False)
    (folder / "cohort.json").write_text((folder / "none" / "cohort.json").read_text())


def _empty_mask(folder: Path, brain: str) -> str:
    image = read(folder / brain, kind="label")
    path = brain.replace("mask.brain", COLUMN)
    write(image.with_voxels(np.zeros(image.shape, np.uint8)), folder / path, description="radloom: simulated")
    return path


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(word) for word in [*sys.argv[2:], "48", "0"][:2]))
