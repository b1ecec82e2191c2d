"""Response: enhancing volume on real and synthetic images, progression read from it, and what it says of survival."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from radloom.data.cohort import Cohort
from radloom.evaluation import all_arms
from radloom.files import whole_file
from radloom.metrics.agreement import bland_altman, bootstrap_agreement, ccc
from radloom.random import numpy_stream
from radloom.runfolder import RunFolder
from radloom.stats.intervals import bootstrap_ci
from radloom.stats.survival import kaplan_meier
from radloom.studies.by_patient import figure_path, told
from radloom.studies.progression import Course, Progression, log_hazard, progression, restricted_mean, same_hazard
from radloom.studies.replace import MASK, expert_labels, trained_reader
from radloom.system import Recipe, translation

QUESTION = (
    "Does a segmenter measure the enhancing tumour on synthetic images as on real ones, and does progression read from "
    "them foretell survival alike?"
)
MONTHS, SURVIVAL, DEATH = "time.months", "time.os", "event.os"
ENHANCING = 3
LANDMARK = 4.0  # months; a later one leaves fewer patients, an earlier one fewer progressions (ours)
_READ = ("model", "cubic")  # arms read beside the real image
LEAST_PATIENTS = 9
TRUSTED = 0.5  # concordance with the expert below which a segmenter measures something else (ours)


def needs(recipe: Recipe, cohort: Cohort) -> str | None:
    """Why the study cannot run on this cohort; None when it can. Times are not needed for volumetry."""
    for split in ("train", "test"):
        part = cohort.where(split)
        if MASK not in part.table.columns or not all(part.path(case, MASK) for case in part.ids):
            return f"not every {split} case has {MASK}"
    return None


def run(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> dict[str, Any]:
    """Trains a segmenter on real images, measures every arm of the test cases, follows patients with several visits.

    Writes study.json, study/cases.csv and study/*.png.
    """
    started = time.perf_counter()
    cases = pd.DataFrame(_measured(recipe, folder, cohort))
    study: dict[str, Any] = {"name": "response", "question": QUESTION, **findings(cases, courses(cases))}
    study["figures"] = _figures(folder, cases, courses(cases))
    return told(folder, study, cases, started)


def _measured(recipe: Recipe, folder: RunFolder, cohort: Cohort) -> list[dict[str, Any]]:
    """One row a test case and arm: enhancing volume in cm3, with the times that the table has."""
    task = translation(recipe)
    reader = trained_reader(recipe, folder, cohort)
    arms = all_arms(recipe, folder, cohort)
    rows = []
    for case in cohort.where("test").ids:
        prepared = task.read(cohort, case)
        real = prepared.stack(task.keys)
        voxel_cm3 = float(np.prod(prepared.grid.spacing_mm)) / 1000
        labels = cohort.case(case, []).labels
        about = {"patient": prepared.patient, "case": case,
                 **{key: labels.get(key) for key in (MONTHS, SURVIVAL, DEATH)}}  # fmt: skip
        expert = float((expert_labels(task, cohort, case) == ENHANCING).sum()) * voxel_cm3
        read = {"expert": expert, "real": _enhancing(reader.segmenter.read(real)) * voxel_cm3}
        for arm, images in arms.of(prepared):
            if arm in _READ:
                mixed = np.concatenate([prepared.stack(task.inputs), images]).astype(np.float32)
                read[arm] = _enhancing(reader.segmenter.read(mixed)) * voxel_cm3
        rows += [{**about, "arm": arm, "cm3": value} for arm, value in read.items()]
    return rows


def _enhancing(labels: np.ndarray) -> int:
    return int((labels == ENHANCING).sum())


def courses(cases: pd.DataFrame) -> list[Course]:
    """The patients with two visits or more and a survival time, visits in order; empty without such columns."""
    if not {MONTHS, SURVIVAL, DEATH} <= set(cases.columns):
        return []
    table: Any = cases.dropna(subset=[MONTHS, SURVIVAL, DEATH])
    found = []
    for patient, rows in table.groupby("patient", sort=False):
        wide = rows.pivot_table(index=MONTHS, columns="arm", values="cm3").sort_index()
        if len(wide) > 1 and not wide.isna().any(axis=None):
            months = tuple(float(month) for month in wide.index)
            volumes = {str(arm): tuple(float(v) for v in wide[arm]) for arm in wide.columns}
            first = rows.iloc[0]
            found.append(Course(str(patient), months, volumes, float(first[SURVIVAL]), bool(int(first[DEATH]))))
    return found


def findings(cases: pd.DataFrame, followed: Sequence[Course], *, draws: int = 200) -> dict[str, Any]:
    """Answer, verdict and tables from the rows of study/cases.csv and the courses of patients with visits."""
    table: Any = cases
    wide = table.pivot_table(index=["patient", "case"], columns="arm", values="cm3", sort=False)
    volumes = {arm: _volumetry(wide, arm) for arm in wide.columns if arm != "real"}
    patients = wide.index.get_level_values("patient").nunique()
    answer = (
        f"Enhancing volume on synthetic images agrees with that on real ones with a concordance of "
        f"{volumes['model']['concordance']} and a median difference of {volumes['model']['median']} cm3 "
        f"({patients} patients, {len(wide)} examinations)"
    )
    found: dict[str, Any] = {"tables": [_volume_table(volumes)], "volumetry": volumes}
    blind = _blind(volumes)
    if blind:
        return {"answer": f"{blind} {answer}, which says nothing.", "passed": None, **found}
    if len(followed) < LEAST_PATIENTS:
        text = f"{answer}. Patients with visits and survival times are too few for the rest: {len(followed)}."
        return {"answer": text, "passed": None, **found}
    times = {arm: _times(followed, arm) for arm in ("real", "model", *(a for a in ("cubic", "expert") if a in volumes))}
    found["tables"].append(_progression_table(times, followed, draws))
    same = same_hazard(
        followed, "model", "real", landmark=LANDMARK, draws=draws, rng=numpy_stream(0, "response", "hazard")
    )
    if same is None:
        rest = "Cox's model of survival after the landmark cannot be fitted: too few progressed or died"
        return {"answer": f"{answer}. {rest}.", "passed": None, **found}
    found["equivalence"] = {"difference": same.difference, "low": same.low, "high": same.high, "p": same.p}
    rest = (
        f"The log hazard ratio of progression differs from that read on real images by {same.difference:+.2f} "
        f"(90 % {same.low:+.2f} to {same.high:+.2f}, {len(followed)} patients): {same.verdict}"
    )
    return {"answer": f"{answer}. {rest}.", "passed": same.equivalent, **found}


def _blind(volumes: Mapping[str, Mapping[str, Any]]) -> str:
    """A sentence where the segmenter does not measure on real images what the expert drew; else nothing.

    A segmenter that marks the same share of any brain agrees with itself whatever the images show.
    """
    expert = volumes.get("expert")
    if expert is None or (expert["estimate"] is not None and expert["estimate"] >= TRUSTED):
        return ""
    return (
        f"The segmenter does not measure the tumour even on real images: its concordance with the expert is "
        f"{expert['concordance']}."
    )


def _volumetry(wide: Any, arm: str) -> dict[str, Any]:
    """How an arm's volume agrees with that read on real images: all cases, patients resampled."""
    pairs = wide[[arm, "real"]].dropna()
    who = pairs.index.get_level_values("patient")
    rng = numpy_stream(0, "response", arm)
    agreement = bootstrap_agreement(
        pairs.to_numpy(), lambda rows: ccc(rows[:, 0], rows[:, 1]).estimate, patients=who, rng=rng
    )
    difference = (pairs[arm] - pairs["real"]).to_numpy()
    median = bootstrap_ci(difference, patients=who, statistic=np.median, rng=rng)
    means = np.log1p(pairs).groupby(level="patient", sort=False).mean()
    limits = bland_altman(means[arm], means["real"]) if len(means) > 1 else None
    missed = (pairs[arm] == 0) != (pairs["real"] == 0)
    return {
        "estimate": None if not np.isfinite(agreement.estimate) else float(agreement.estimate),
        "concordance": _text(agreement.estimate, agreement.low, agreement.high, 3),
        "median": _text(median.estimate, median.low, median.high, 2),
        "limits": "–" if limits is None else f"{np.exp(limits.lower):.2f} to {np.exp(limits.upper):.2f}",
        "disagree": f"{int(missed.sum())} of {len(pairs)}",
    }


def _volume_table(volumes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "title": "Enhancing volume against that on real images",
        "columns": ["read on", "concordance (95 %)", "median difference, cm3 (95 %)", "limits of agreement, ratio",
                    "present in one only"],
        "rows": [[arm, one["concordance"], one["median"], one["limits"], one["disagree"]]
                 for arm, one in volumes.items()],
        "note": "One segmenter, trained on real images and frozen, reads each arm; expert: the mask itself. "
        "Concordance: Lin's; intervals: patients resampled with all their visits. Limits: Bland and Altman's, on each "
        "patient's mean of ln(1 + cm3), shown as the ratio of (1 + cm3).",
    }  # fmt: skip


def _times(followed: Sequence[Course], arm: str) -> list[Progression]:
    return [progression(one.months, one.volumes[arm]) for one in followed]


def _progression_table(
    times: Mapping[str, Sequence[Progression]], followed: Sequence[Course], draws: int
) -> dict[str, Any]:
    horizon = float(np.median([one.months[-1] - one.months[0] for one in followed]))
    rows = []
    for arm, found in times.items():
        same = sum(a.event == b.event for a, b in zip(found, times["real"], strict=True))
        median = kaplan_meier([one.months for one in found], [int(one.event) for one in found]).median
        ratio = float(np.exp(log_hazard(followed, arm, landmark=LANDMARK)))
        rows.append([
            arm, f"{sum(one.event for one in found)} of {len(found)}", f"{same} of {len(found)}",
            f"{median:.1f}" if np.isfinite(median) else "not reached", _gain(found, times["real"], horizon, arm, draws),
            f"{ratio:.2f}" if np.isfinite(ratio) else "–",
        ])  # fmt: skip
    return {
        "title": "Progression",
        "columns": ["read on", "progressed", "as on real images", "median time, months",
                    f"mean time to {horizon:.1f} months, minus real (95 %)", "hazard ratio of death"],
        "rows": rows,
        "note": "Progression: 40 % above the lowest volume so far and 1 cm3 or more, confirmed by the next visit. "
        "Median: Kaplan-Meier. Mean time without progression up to the horizon; interval: patients resampled, both "
        f"arms together (a log-rank test would take them for different patients). Hazard ratio: Cox, progressed by "
        f"{LANDMARK:g} months against not, among who then lived.",
    }  # fmt: skip


def _gain(found: Sequence[Progression], real: Sequence[Progression], horizon: float, arm: str, draws: int) -> str:
    if arm == "real":
        return "–"

    def difference(rows: np.ndarray) -> float:
        chosen = [(found[i], real[i]) for i in rows.astype(int)]
        means = [
            restricted_mean([one[k].months for one in chosen], [one[k].event for one in chosen], horizon=horizon)
            for k in (0, 1)
        ]
        return means[0] - means[1]

    numbers = np.arange(len(found))
    interval = bootstrap_ci(numbers, patients=numbers, statistic=difference, draws=draws,
                            rng=numpy_stream(0, "response", "mean time", arm))  # fmt: skip
    return _text(interval.estimate, interval.low, interval.high, 2)


def _text(value: float, low: float, high: float, digits: int) -> str:
    if not np.isfinite(low):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _figures(folder: RunFolder, cases: pd.DataFrame, followed: Sequence[Course]) -> list[dict[str, str]]:
    """Volumes against each other, and the curves of progression where patients were followed."""
    from matplotlib.figure import Figure

    table: Any = cases
    wide = table.pivot_table(index=["patient", "case"], columns="arm", values="cm3")
    figure = Figure(figsize=(7.0 if len(followed) >= LEAST_PATIENTS else 3.4, 3.2), layout="constrained")
    axes = figure.subplots(1, 2 if len(followed) >= LEAST_PATIENTS else 1, squeeze=False)[0]
    top = float(np.nanmax(wide[["real", "model"]].to_numpy())) * 1.05 + 0.1
    axes[0].plot([0, top], [0, top], color="0.7", linewidth=0.8)
    axes[0].plot(wide["real"], wide["model"], "o", markersize=3)
    axes[0].set(xlabel="on the real image, cm³", ylabel="on the synthetic image, cm³", xlim=(0, top), ylim=(0, top))
    if len(followed) >= LEAST_PATIENTS:
        for arm, style in (("real", "-"), ("model", "--")):
            found = _times(followed, arm)
            curve = kaplan_meier([one.months for one in found], [int(one.event) for one in found])
            axes[1].step(curve.times, curve.survival, style, where="post", label=arm)
        axes[1].set(xlabel="months", ylabel="without progression", ylim=(0, 1.02))
        axes[1].legend(frameon=False)
    path, name = figure_path(folder, "response.png")
    _saved(figure, path)
    return [{"title": "Volume and progression", "file": name,
             "note": "Each point an examination; on the diagonal both images give the same volume."}]  # fmt: skip


def _saved(figure: Any, path: Path) -> None:
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
