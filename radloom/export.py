"""Drawn images as DICOM series that say that they are synthetic: FOLDER/<patient>/<case>.draw0/<contrast>/0001.dcm."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

from radloom import __version__
from radloom.data.cohort import Cohort
from radloom.data.source_grid import on_source_grid
from radloom.errors import RadloomError
from radloom.files import read_json, whole_folder
from radloom.io import read
from radloom.io.dicom import Series, find_series
from radloom.io.dicom_write import Provenance, write_series
from radloom.runfolder import RunFolder

_MODALITIES = {"image.ct": "CT", "image.pet": "PT"}  # every other image is an MR contrast


def export_dicom(run: Path, out: Path, *, burn_in: str = "") -> list[Path]:
    """The new folders of DICOM files, one for each drawn image of the run; `burn_in` is drawn into every slice.

    Patient and study come from the source series where the cohort's images are DICOM, else each case is one study;
    images that `data build` resampled return to the grid of the source's files. Raises RadloomError when nothing was
    drawn or `out` exists.
    """
    RunFolder.open(run)
    sidecars = sorted((run / "samples").glob("*.json"))
    if not sidecars:
        raise RadloomError(f"{run} has no drawn images", do=f"draw them first: radloom draw {quote(str(run))}")
    if out.exists():
        raise RadloomError(f"{out} exists already", expected="a new folder", do="choose another --out")
    names: list[Path] = []
    cohorts: dict[str, Cohort] = {}
    with whole_folder(out) as temporary:
        for path in sidecars:
            about = read_json(path)
            table = about["source"]
            if table not in cohorts:
                cohorts[table] = Cohort.read(Path(table))
            contrast = about["key"].removeprefix("image.")
            place = Path(about["patient"].replace("/", "_"), f"{about['case']}.draw{about['draw']}", contrast)
            source, name = _source(cohorts[table], about), run.resolve().name
            # without a source series the DICOM patient is called by `run`: one for each of ours, never one for all
            provenance = Provenance(about["system"], __version__, about["weights_sha256"],
                                    name if source else f"{about['patient']} of {name}",
                                    about["split_hash"], about["seed"], synthetic=True)  # fmt: skip
            drawn = read(path.with_suffix(".nii.gz"))
            image = on_source_grid(drawn, cohorts[table], about["case"], (*about["condition"], "")[0])
            write_series(image, temporary / place, provenance=provenance, source=source,
                         modality=_MODALITIES.get(about["key"], "MR"),
                         description=contrast.upper(), examination=about["case"], burnt_in=burn_in)  # fmt: skip
            names.append(place)
    return [out / name for name in names]


def _source(cohort: Cohort, about: dict[str, Any]) -> Series | None:
    """The DICOM series of the first input that has one; None when the case's images are of another format."""
    if about["case"] not in cohort.ids:
        return None
    copied = cohort.about.get("dicom", {}).get(about["case"], {})
    for key in about["condition"]:
        path = cohort.path(about["case"], key)
        if key in copied and Path(copied[key]["folder"]).is_dir():
            path = Path(copied[key]["folder"])
        if path is not None and path.is_dir():
            uid = copied.get(key, {}).get("uid", "")
            found = [series for series in find_series(path) if uid in ("", series.uid)]
            if len(found) == 1:
                return found[0]
    return None
