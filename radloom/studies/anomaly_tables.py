"""The tables and the answer of a study of anomalies: every arm beside the model, intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from radloom.stats.auc import auc, bootstrap_auc, delong_ci
from radloom.studies.anomaly_scores import (
    SIZES,
    Counts,
    auprc,
    auroc,
    case_scores,
    dices,
    lesions,
    otsu,
    resampled,
    slice_scores,
)
from radloom.studies.anomaly_slices import Slices

WITH_LABELS = "U-Net with labels"
FEWEST = 10  # patients for a verdict


@dataclass(frozen=True, eq=False)
class Arm:
    """One way to make a map: on validation and test slices, the threshold of best Dice on validation, test counts."""

    name: str
    val: Float[np.ndarray, "m h w"]
    test: Float[np.ndarray, "n h w"]
    threshold: float
    counts: Counts
    seconds: float


def tables(
    arms: Sequence[Arm], val: Slices, test: Slices, draws: Float[np.ndarray, "d p"], rng: np.random.Generator
) -> dict[str, Any]:  # fmt: skip
    """answer, passed, numbers and tables. draws: how often each test patient came up in each bootstrap draw."""
    pixels = [_pixels(arm, test, draws) for arm in arms]
    answer, passed = _answer(pixels, len(set(test.patient)))
    prevalence = float(test.truth[test.region].mean())
    return {
        "answer": answer, "passed": passed, "pixels": [{k: v for k, v in p.items() if k != "draws"} for p in pixels],
        "tables": [
            {"title": "Voxels", "columns": ["arm", "AUPRC", "AUROC", "best Dice", "Dice at val threshold",
                                            "Dice by Otsu, a slice", "CPU s a slice"],
             "rows": [_pixel_row(p) for p in pixels],
             "note": f"Over all voxels of the head or body of {len(test.x)} test slices of {len(set(test.patient))} "
             f"patients, {100 * prevalence:.1f} % of them diseased: AUPRC of a map that knows nothing. Intervals of 95 "
             "% by drawing patients. Best Dice takes its threshold from the test itself and is out of reach in "
             f"practice. {WITH_LABELS} has seen masks, the others none."},
            {"title": "Lesions found, by size", "columns": ["arm", *(name for name, _, _ in SIZES)],
             "rows": [_lesion_row(arm, test) for arm in arms],
             "note": "A lesion of a slice is found when a tenth of it lies above the threshold that validation chose. "
             "Small: up to 71 pixels of an image of 128 x 128, large: above 570."},
            {"title": "Slices and cases", "columns": ["arm", "AUC of slices", "AUC of cases"],
             "rows": [_image_row(arm, test, rng) for arm in arms],
             "note": "A slice's score is the mean of the highest hundredth of its map, a case's that of its three "
             "highest slices. Slices: interval by drawing patients. Cases: DeLong's."},
        ],
    }  # fmt: skip


def _pixels(arm: Arm, test: Slices, draws: Float[np.ndarray, "d p"]) -> dict[str, Any]:
    ill, healthy = arm.counts.ill.sum(0), arm.counts.healthy.sum(0)
    drawn_ill, drawn_healthy = resampled(arm.counts, draws)
    some = drawn_ill[:, 0] > 0
    found: dict[str, Any] = {"arm": arm.name, "threshold": arm.threshold, "seconds": arm.seconds}
    curves = {"auprc": auprc, "auroc": auroc, "best_dice": lambda i, h: dices(i, h).max(axis=-1)}
    for name, of in curves.items():
        values = of(drawn_ill[some], drawn_healthy[some])
        found[name] = _with_interval(float(of(ill, healthy)), values)
        if name == "auprc":
            found["draws"] = np.full(len(draws), np.nan)
            found["draws"][some] = values
    found["dice"] = _dice_at(arm, test, draws)
    found["otsu"] = _by_otsu(arm, test)
    return found


def _with_interval(estimate: float, values: Float[np.ndarray, " d"]) -> tuple[float, float, float]:
    low, high = np.quantile(values, (0.025, 0.975)) if len(values) else (np.nan, np.nan)
    return estimate, float(low), float(high)


def _dice_at(arm: Arm, test: Slices, draws: Float[np.ndarray, "d p"]) -> tuple[float, float, float]:
    """Dice of all voxels together at the validation threshold."""
    marked = (arm.test > arm.threshold) & test.region
    names = np.asarray(test.patient)
    sums = np.array([[(marked & test.truth)[names == p].sum(), marked[names == p].sum(), test.truth[names == p].sum()]
                     for p in arm.counts.patients], dtype=float)  # fmt: skip
    hit, said, true = (draws @ sums).T
    some = true > 0
    a, b, c = sums.sum(0)
    return _with_interval(2 * a / (b + c), 2 * hit[some] / (said + true)[some])


def _by_otsu(arm: Arm, test: Slices) -> float:
    """The mean Dice of diseased slices, each at its own Otsu threshold."""
    found = []
    for number in np.flatnonzero(test.ill):
        one, inside, truth = arm.test[number], test.region[number], test.truth[number]
        marked = (one > otsu(one[inside].astype(float))) & inside
        found.append(2 * (marked & truth).sum() / (marked.sum() + truth.sum()))
    return float(np.mean(found))


def _pixel_row(p: dict[str, Any]) -> list[str]:
    cells = [_cell(p[name]) for name in ("auprc", "auroc", "best_dice", "dice")]
    return [p["arm"], *cells, f"{p['otsu']:.3f}", f"{p['seconds']:.3g}"]


def _cell(value: tuple[float, float, float]) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})" if np.isfinite(value[1]) else f"{value[0]:.3f}"


def _lesion_row(arm: Arm, test: Slices) -> list[str]:
    rows = lesions((arm.test > arm.threshold) & test.region, test.truth)
    cells = []
    for name, _, _ in SIZES:
        mine = [found for _, size, found in rows if size == name]
        cells.append(f"{sum(mine)} of {len(mine)} ({100 * sum(mine) / len(mine):.0f} %)" if mine else "none there")
    return [arm.name, *cells]


def _image_row(arm: Arm, test: Slices, rng: np.random.Generator) -> list[str]:
    scores = slice_scores(arm.test, test.region)
    ill = dict.fromkeys(test.case, False)
    for case, sick in zip(test.case, test.ill, strict=True):
        ill[case] |= bool(sick)
    slices = "only one kind"
    if 0 < test.ill.sum() < len(test.ill):
        found = bootstrap_auc(scores, test.ill, patients=np.asarray(test.patient), draws=500, rng=rng)
        slices = _cell((found.estimate, found.low, found.high))
    by_case = case_scores(scores, test.case)
    truth = np.array([ill[case] for case in by_case])
    if truth.all() or not truth.any():
        return [arm.name, slices, "only one kind of case"]
    return [arm.name, slices, _case_auc(np.array(list(by_case.values())), truth)]


def _case_auc(scores: Float[np.ndarray, " n"], truth: np.ndarray) -> str:
    area = auc(scores, truth)
    if area in (0, 1):
        return f"{area:.3f} (no interval: {truth.sum()} and {(~truth).sum()} cases do not overlap)"
    found = delong_ci(scores, truth, method="logit")
    return _cell((found.estimate, found.low, found.high))


def _answer(pixels: Sequence[dict[str, Any]], patients: int) -> tuple[str, bool | None]:
    """One sentence, and whether the model is above every baseline without labels, its interval above 0."""
    model, others = pixels[0], [p for p in pixels[1:] if p["arm"] != WITH_LABELS]
    best = max(others, key=lambda p: p["auprc"][0])
    gaps = {p["arm"]: _with_interval(model["auprc"][0] - p["auprc"][0],
                                     (d := model["draws"] - p["draws"])[np.isfinite(d)]) for p in others}  # fmt: skip
    model["gaps"] = gaps
    sentence = (f"Without labels of voxels, the model's map finds diseased voxels with an average precision of "
                f"{_cell(model['auprc'])}; the best of {len(others)} baselines without labels ({best['arm']}) has "
                f"{_cell(best['auprc'])}, a difference of {_cell(gaps[best['arm']])} ({patients} test patients)"
                )  # fmt: skip
    supervised = next((p for p in pixels if p["arm"] == WITH_LABELS), None)
    if supervised:
        sentence += f"; a U-Net that learned from masks has {_cell(supervised['auprc'])}"
    if patients < FEWEST:
        return f"{sentence}. {patients} patients are too few for a verdict.", None
    return f"{sentence}.", all(gap[1] > 0 for gap in gaps.values())
