"""The answer on a run that draws from nothing, read off its results; it says so when no model was needed."""

from __future__ import annotations

from dataclasses import dataclass

from radloom.compare.measures import HALVES, SYNTHETIC, Findings, Measure
from radloom.compare.trivial import AGAIN, GAUSSIAN
from radloom.report import names
from radloom.report.compare_page import interval, written
from radloom.report.verdict import Number


@dataclass(frozen=True)
class Answer:
    """Sentences on one target, the first one the verdict, and its headline numbers."""

    sentences: tuple[str, ...]
    numbers: tuple[Number, ...]


def answer(found: Findings, target: str) -> Answer:
    """The verdict of one target from the measures of all arms."""
    spaces = list(dict.fromkeys(one.extractor for one in found.measures if one.metric == "fd_equal_n"))
    if not spaces:
        return Answer((f"{names.entry(target)}: too few or too small images for a verdict.",), ())
    outcomes = [_outcome(found, space, GAUSSIAN) for space in spaces]
    said = [_verdict(target, outcomes, len(spaces)), *(_distances(found, space) for space in spaces)]
    said += _against_copies([_outcome(found, space, AGAIN) for space in spaces])
    return Answer((*said, *_copies(found)), tuple(_numbers(found, spaces)))


def _outcome(found: Findings, space: str, arm: str) -> str:
    """Whether the model's distances are all "better" than the arm's over the splits, all "worse", or "open"."""
    model, other = found.of("fd_equal_n", SYNTHETIC, space), found.of("fd_equal_n", arm, space)
    if model is None or other is None:
        return "open"
    return "better" if model.high < other.low else "worse" if model.low > other.high else "open"


def _verdict(target: str, outcomes: list[str], spaces: int) -> str:
    name, where = names.entry(target), "both feature spaces" if spaces == 2 else "its feature space"
    if set(outcomes) == {"better"}:
        return (f"{name}: the drawn images are nearer to those of held-out patients than draws from a Gaussian fitted "
                f"on the training images, in {where}.")  # fmt: skip
    if {"better", "worse"} <= set(outcomes):
        return (f"{name}: the drawn images are nearer to those of held-out patients than draws from a Gaussian fitted "
                "on the training images in one feature space and farther in the other; the model does not beat "
                "it.")  # fmt: skip
    if "worse" in outcomes:
        return (f"{name}: the model does not beat a Gaussian fitted on the training images, which needs no network; "
                "these images should not be used.")  # fmt: skip
    return f"{name}: it is not shown that the model beats a Gaussian fitted on the training images."


def _distances(found: Findings, space: str) -> str:
    parts = []
    for arm, what in ((SYNTHETIC, "drawn"), (GAUSSIAN, "Gaussian"), (AGAIN, "training images again"),
                      (HALVES, "real against real")):  # fmt: skip
        one = found.of("fd_equal_n", arm, space)
        if one is not None:
            parts.append(f"{what} {written(one.estimate)} ({interval(one)})")
    return f"Frechet distance in {space.removesuffix(', z-scored')}, over ten splits: {'; '.join(parts)}."


def _against_copies(outcomes: list[str]) -> list[str]:
    if "worse" in outcomes:
        return ["Showing the training images again comes nearer to held-out patients than the model does, as it must: "
                "it is the bound that a faithful generator reaches without copying."]  # fmt: skip
    return ["The model comes as near to held-out patients as the training images themselves."]


def _copies(found: Findings) -> list[str]:
    one = found.of("copies", SYNTHETIC)
    if one is None:
        return []
    share, low, high = (names.fixed(100 * value, 1) for value in (one.estimate, one.low, one.high))
    text = (
        f"{share} % of the drawn images ({low} to {high} %) are nearer to a training image than 99 % of test images are"
    )
    return [
        f"{text}: more than chance, look at the nearest neighbours." if one.low > 0.01 else f"{text}; chance is 1 %."
    ]


def _numbers(found: Findings, spaces: list[str]) -> list[Number]:
    shown = []
    for metric, label, arm, word in (
        ("fd_equal_n", "Frechet distance, equal n", GAUSSIAN, "Gaussian"),
        ("coverage_equal_n", "coverage, equal n", GAUSSIAN, "Gaussian"),
        ("ms_ssim_diversity", "MS-SSIM within the set", "real", "real images"),
        ("bits_per_dimension", "bits per voxel of test images", "", ""),
        ("cpu_seconds_per_image", "CPU seconds per image", "", ""),
    ):  # fmt: skip
        space = spaces[0] if metric.endswith("equal_n") else ""
        made, other = found.of(metric, SYNTHETIC, space), found.of(metric, arm, space) if arm else None
        if made:
            shown.append(Number(written(made.estimate), label, _beside(made, other, word)))
    return shown


def _beside(made: Measure, other: Measure | None, word: str) -> str:
    return f"{word}: {written(other.estimate)}" if other else interval(made)
