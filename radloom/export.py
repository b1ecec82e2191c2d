"""Drawn images as DICOM series that say that they are synthetic, one series a case, target and draw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radloom import __version__
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.files import read_json, whole_folder
from radloom.io import read
from radloom.io.dicom import Series, find_series
from radloom.io.dicom_write import Provenance, write_series
from radloom.runfolder import RunFolder

_MODALITIES = {"image.ct": "CT", "image.pet": "PT"}  # every other image is an MR contrast


def export_dicom(run: Path, out: Path, *, burn_in: str = "") -> list[Path]:
    """The new folders of DICOM files, one for each drawn image of the run; `burn_in` is drawn into every slice.

    Patient and study come from the source series where the cohort's images are DICOM. Raises RadloomError when
    nothing was drawn or `out` exists.
    """
    folder = RunFolder.open(run)
    sidecars = sorted((run / "samples").glob("*.json"))
    if not sidecars:
        raise RadloomError(f"{run} has no drawn images", do=f"draw them first: radloom draw {run}")
    if out.exists():
        raise RadloomError(f"{out} exists already", expected="a new folder", do="choose another --out")
    record, names = folder.record(), []
    with whole_folder(out) as temporary:
        for path in sidecars:
            about = read_json(path)
            name = f"{about['case']}.draw{about['draw']}.{about['key'].removeprefix('image.')}"
            image = read(path.with_suffix(".nii.gz"))
            provenance = Provenance(about["system"], __version__, about["weights_sha256"], run.resolve().name,
                                    about["split_hash"], about["seed"], synthetic=True)  # fmt: skip
            write_series(image, temporary / name, provenance=provenance, source=_source(record, about),
                         modality=_MODALITIES.get(about["key"], "MR"),
                         description=about["key"].removeprefix("image.").upper(), burnt_in=burn_in)  # fmt: skip
            names.append(name)
    return [out / name for name in names]


def _source(record: dict[str, Any], about: dict[str, Any]) -> Series | None:
    """The DICOM series that the image was drawn from; None when the cohort's images are of another format."""
    cohort = Cohort.read(Path(about["source"]))
    if about["case"] not in cohort.ids:
        return None
    path = cohort.path(about["case"], record["inputs"][0])
    if path is None or not path.is_dir():
        return None
    found = find_series(path)
    return found[0] if len(found) == 1 else None
