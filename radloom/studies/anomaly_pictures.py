"""What a study of anomalies leaves to look at: rows of slices, and volumes of pseudo-healthy images and maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from radloom.data.cohort import Cohort
from radloom.files import whole_file, write_json
from radloom.io import write
from radloom.runfolder import RunFolder
from radloom.studies.anomaly_scores import auprc
from radloom.studies.anomaly_slices import Slices
from radloom.studies.anomaly_tables import Arm
from radloom.synthesis import Synthesis

_ROWS = 6


def write_volumes(
    place: Path, folder: RunFolder, task: Synthesis, cohort: Cohort, table: str, slices: Slices,
    healthy: Float[np.ndarray, "n c h w"], maps: Float[np.ndarray, "n h w"],
) -> None:  # fmt: skip
    """For each case CASE.healthy.image.NAME.nii.gz in the case's own intensities and CASE.map.nii.gz, with sidecars.

    table: the cohort's file, which every image names as its source. Slices that the study did not look at are the
    input's, with a map of 0.
    """
    names, record = np.asarray(slices.case), folder.record()
    for case in dict.fromkeys(slices.case):
        mine = names == case
        prepared = task.seen(cohort, case)
        volumes = {"map": np.zeros(prepared.region.shape, np.float32)}
        volumes["map"][..., slices.z[mine]] = maps[mine].transpose(1, 2, 0)
        for channel, key in enumerate(task.target):
            drawn = prepared.channels[key].copy()
            drawn[..., slices.z[mine]] = healthy[mine][:, channel].transpose(1, 2, 0)
            volumes[f"healthy.{key}"] = drawn
        for name, voxels in volumes.items():
            image = replace(prepared.grid, voxels=voxels.astype(np.float32))
            if name != "map":
                image = prepared.scales[name.removeprefix("healthy.")].inverse(image)
            stem = place / f"{case}.{name}"
            write(image, stem.with_name(stem.name + ".nii.gz"), description="radloom: synthetic")
            write_json(stem.with_name(stem.name + ".json"), {
                "synthetic": True, "system": record["system"], "run": folder.path.resolve().name, "case": case,
                "patient": prepared.patient, "what": name, "split_hash": record["split_hash"],
                "weights_sha256": record["weights_sha256"], "source": table, "seed": record["seed"],
            })  # fmt: skip


def rows_of_slices(
    path: Path, slices: Slices, healthy: Float[np.ndarray, "n c h w"], maps: Float[np.ndarray, "n h w"],
    threshold: float | None, chosen: Sequence[int], names: tuple[str, ...],
) -> None:  # fmt: skip
    """Writes a PNG, a row for each chosen slice: input, pseudo-healthy, map, and what is marked over the truth.

    Without a threshold the last column says whether the case is ill.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    short = [name.partition(".")[2] for name in names]
    titles = [*short, *(f"{name}, healthy" for name in short), "map", "reference" if threshold is None else "marked"]
    figure = Figure(figsize=(1.5 * len(titles), 1.55 * len(chosen) + 0.3), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(chosen), len(titles), squeeze=False)
    figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.25 / (1.55 * len(chosen) + 0.3), 0.02, 0.02)
    top = float(np.quantile(maps[slices.region], 0.999))
    for row, number in zip(axes, chosen, strict=True):
        panels = [*slices.x[number], *healthy[number]]
        for axis, image in zip(row, panels, strict=False):
            axis.imshow(_upright(image), cmap="gray", vmin=-1, vmax=1)
        row[-2].imshow(_upright(maps[number]), cmap="inferno", vmin=0, vmax=top)
        row[-1].imshow(_upright(slices.x[number, -1]), cmap="gray", vmin=-1, vmax=1)
        if threshold is None:
            row[-1].text(0.04, 0.04, "ill" if slices.ill[number] else "healthy", color="#ff9d2e", fontsize=9,
                         bbox={"facecolor": "black", "edgecolor": "none", "pad": 2},
                         transform=row[-1].transAxes)  # fmt: skip
            continue
        marked = (maps[number] > threshold) & slices.region[number]
        for mask, colour in ((marked, "#ff9d2e"), (slices.truth[number], "#38a3ff")):
            if mask.any():
                row[-1].contour(_upright(mask.astype(float)), levels=[0.5], colors=[colour], linewidths=1.1)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=8)
    for axis in axes.ravel():
        axis.set_axis_off()
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png")


def shown(slices: Slices, arm: Arm) -> list[int]:
    """The slice with most disease of up to _ROWS patients, evenly from the best found to the worst."""
    which = {name: row for row, name in enumerate(arm.counts.patients)}
    names = np.asarray(slices.patient)
    ill = [name for name in which if slices.truth[names == name].any()]
    found = {name: float(auprc(arm.counts.ill[which[name]], arm.counts.healthy[which[name]])) for name in ill}
    ordered = sorted(ill, key=lambda name: -found[name])
    few = min(_ROWS, len(ordered))
    picked = [ordered[int((i + 0.5) / few * len(ordered))] for i in range(few)]
    sizes = slices.truth.sum(axis=(1, 2))
    return [int(np.argmax(np.where(names == name, sizes, -1))) for name in picked]


def _upright(image: np.ndarray) -> np.ndarray:
    """An axial slice (x, y) as one looks at it: patient's right on the left, front up."""
    return image.T[::-1, ::-1]
