"""The whole comparison: reads both sets, describes each in one pass, measures what applies, writes the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from radloom import __version__
from radloom.compare.comparison import Comparison, Target, notes_on
from radloom.compare.inputs import ImageSet, Item, Source, read_set, scaled_to_median, shared_columns
from radloom.compare.likeness import add_distances, add_nearest
from radloom.compare.measures import Findings, Refused, table
from radloom.compare.paired import add_fidelity
from radloom.compare.pairs import Pair, matched, with_real_patients
from radloom.compare.planes import Described, Scale, describe, survey
from radloom.compare.sets import (
    LOGITS,
    add_appearance,
    add_diversity,
    add_inception_score,
    add_radiomic_distance,
    varying,
)
from radloom.compare.spaces import Space, add_distribution
from radloom.errors import RadloomError
from radloom.files import whole_file
from radloom.metrics import features
from radloom.metrics.arrays import Number
from radloom.metrics.features_extractor import Extractor
from radloom.results import Results

NETWORKS = ("inception", "radimagenet")
_ALL = 10**9


@dataclass(frozen=True)
class Options:
    """What a user may decide.

    columns: the cohort's columns to compare; all shared ones when empty. split: the cases of cohort tables that count
    as real. patient: a regular expression that finds the patient in a name. pairs: "auto" by case, or "none".
    window, data_range: intensities; None takes them from the real set. normalise: "median" divides each image by the
    median above 0. weights: files by network name. slices: axial slices per volume. radiomics: most images per set
    for radiomic features, 0 for none.
    """

    columns: tuple[str, ...] = ()
    split: str = ""
    patient: str = ""
    pairs: Literal["auto", "none"] = "auto"
    window: tuple[Number, Number] | None = None
    data_range: Number | None = None
    normalise: Literal["none", "median"] = "none"
    weights: tuple[tuple[str, Path], ...] = ()
    slices: int = 8
    radiomics: int = 300
    seed: int = 0


def compare(
    real: Source, synthetic: Source, *, held_out: Source | None = None, options: Options = Options()
) -> Comparison:
    """Everything that can be said of two sets of images.

    real, synthetic, held_out: a folder of images (NIfTI, DICOM, PNG, JPEG, npz), a cohort table or its folder, a run or
    its samples, a .npy or .npz file, or an array (n, rows, columns) or (n, x, y, z). held_out: real images that the
    generator never saw; `real` are then taken as its training images.
    Raises RadloomError for sets that cannot be compared; a metric that does not apply is listed with its reason.
    """
    _check(options)
    sets = [read_set(real, split=options.split, patient=options.patient), read_set(synthetic, patient=options.patient)]
    if held_out is not None:
        sets.append(read_set(held_out, patient=options.patient))
    if options.normalise == "median":
        sets = [scaled_to_median(one) for one in sets]
    columns = shared_columns(sets[0], sets[1], options.columns)
    other = sets[2] if len(sets) > 2 else None
    absent = [column for column in columns if other and other.columns and column not in other.columns]
    if other and absent:
        raise RadloomError(f"{other.name} has no column {absent[0]}", expected=f"one of {', '.join(other.columns)}")
    targets = tuple(_target(column, sets[0], sets[1], other, options) for column in columns)
    return Comparison(sets[0], sets[1], other, targets, options.seed, _provenance(targets, sets[0].simulated, options))


def write_tables(comparison: Comparison, out: Path) -> list[Path]:
    """Writes results.csv, one row per number, and cases.csv, one per paired case and metric, where there are pairs."""
    paths = [out / "results.csv"]
    with whole_file(paths[0]) as temporary:
        table([one for target in comparison.targets for one in target.found.measures]).to_csv(temporary, index=False)
    cases = [target.cases for target in comparison.targets if target.pairs]
    if cases:
        joined = cases[0]
        for more in cases[1:]:
            joined = joined.merged(more)
        paths.append(out / "cases.csv")
        joined.write(paths[1])
    return paths


def _check(options: Options) -> None:
    unknown = [name for name, _ in options.weights if name not in NETWORKS]
    if unknown:
        raise RadloomError(f"--weights {unknown[0]}=... names no network", expected=" or ".join(NETWORKS))
    if options.pairs not in ("auto", "none") or options.normalise not in ("none", "median"):
        raise RadloomError(
            f"--pairs {options.pairs}, --normalise {options.normalise}",
            expected="pairs auto or none, normalise none or median",
        )
    if options.slices < 1 or options.radiomics < 0:
        raise RadloomError(
            f"--slices {options.slices}, --radiomics {options.radiomics}", expected="1 slice or more, 0 images or more"
        )


def _target(column: str, real: ImageSet, synthetic: ImageSet, held_out: ImageSet | None, options: Options) -> Target:
    items, drawn = real.of(column), synthetic.of(column)
    pairs = matched(items, drawn) if options.pairs == "auto" else []
    by_patient = with_real_patients(pairs, drawn)
    scale = survey(items, options.window, options.data_range)
    extractors = _extractors(items, scale, options)
    first = describe(items, scale, extractors, options.slices)
    second = describe(by_patient, scale, extractors, options.slices)
    if first.is_3d != second.is_3d:
        raise RadloomError(
            f"{real.name} holds {_kind(first)} and {synthetic.name} {_kind(second)}", expected="the same kind in both"
        )
    third = describe(held_out.of(column), scale, extractors, options.slices) if held_out else None
    if held_out and third and third.is_3d != first.is_3d:
        raise RadloomError(f"{held_out.name} holds {_kind(third)}", expected=f"{_kind(first)}, as in {real.name}")
    own = bool(pairs or options.patient or real.kind == synthetic.kind == "cohort table")
    found = Findings()
    name = Path(synthetic.name).name
    cases = add_fidelity(column, pairs, scale, options.seed, name, found) if pairs else Results.of([])
    spaces = list(_spaces(column, first, second, options.seed, found))
    curves = [add_distribution(space, found) for space in spaces]
    add_radiomic_distance(column, first, second, found)
    add_inception_score(column, second, options.seed, found)
    add_appearance(column, first, second, options.seed, found)
    add_diversity(column, first, second, scale, options.seed, found)
    nearest = add_nearest(column, first, second, excluded=own, held_out=third, seed=options.seed, found=found)
    for space in spaces:
        if not space.extractor.startswith("radiomic"):
            rows = third.features[space.extractor] if third else None
            add_distances(space, found, excluded=own, held_out=rows.values if rows else None,
                          patients_held_out=third.patients[rows.rows] if third and rows else np.empty(0))  # fmt: skip
    found.refused.extend(_absent(column, pairs, held_out, items, drawn, options))
    notes = _notes(extractors, scale, first, second, real.kind, own, options)
    return Target(column, scale, first, second, found, len(pairs), cases, tuple(s.extractor for s in spaces),
                  curves[0] if curves else None, nearest, notes)  # fmt: skip


def _notes(
    extractors: Sequence[tuple[Extractor, int]], scale: Scale, real: Described, synthetic: Described, kind: str,
    own: bool, options: Options,
) -> tuple[str, ...]:  # fmt: skip
    """What a reader must know; own: whether equal names of patients mean the same patient."""
    eight = [extractor.name for extractor, _ in extractors if extractor.contract.bit_depth == "8 bit"]
    notes = notes_on(scale, real, synthetic, options.slices, eight)
    if len(set(real.patients)) == real.images and kind != "cohort table":
        notes.append("Every image counts as a patient of its own. Where that is not so, intervals are too narrow and "
                     "the floor too low: give a cohort table, or --patient.")  # fmt: skip
    both = set(real.patients) & set(synthetic.patients)
    if own and both:
        notes.append(f"{len(both)} patients have images in both sets: an image's own patient does not count among its "
                     "nearest real images.")  # fmt: skip
    if options.normalise == "median":
        notes.append("Each image was divided by the median of its voxels above 0.")
    return tuple(notes)


def _kind(chosen: Described) -> str:
    return "volumes" if chosen.is_3d else "slices"


def _extractors(items: Sequence[Item], scale: Scale, options: Options) -> list[tuple[Extractor, int]]:
    """The networks whose weights were given, the texture that needs none, and the radiomic vector."""
    window = (scale.low, scale.high)
    made: list[tuple[Extractor, int]] = []
    for name, path in options.weights:
        if name == "inception":
            made.append((features.inception_v3_fid(path, window=window), _ALL))
            made.append((features.inception_v3_logits(path, window=window), _ALL))
        else:
            made.append((features.radimagenet_resnet50(path, window=window), _ALL))
    made.append((features.multiscale_texture(2, window=window), _ALL))
    if options.radiomics:
        image = items[0].image()
        in_plane = [side for side, voxels in zip(image.spacing_mm, image.shape, strict=True) if voxels > 1][:2]
        made.append((features.radiomic("frd_v1", 2, spacing_mm=tuple(in_plane)), options.radiomics))
    return made


def _spaces(column: str, real: Described, synthetic: Described, seed: int, found: Findings) -> Iterator[Space]:
    """Each extractor's space; radiomic features as z-scores by the real set, constant ones left out."""
    for name, one in real.features.items():
        other = synthetic.features[name]
        if one.reason or other.reason:
            found.refused.append(Refused(column, f"everything in the features of {name}", one.reason or other.reason))
            continue
        if name == LOGITS:
            continue
        x, y = one.values, other.values
        if name.startswith("radiomic"):
            kept = varying(x)
            mean, sd = x[:, kept].mean(axis=0), x[:, kept].std(axis=0)
            x, y = ((z[:, kept] - mean) / sd for z in (x, y))
            name = f"{name}, z-scored"
        yield Space(
            column, name, one.preprocessing, x, y, real.patients[one.rows], synthetic.patients[other.rows], seed
        )


def _absent(
    column: str, pairs: Sequence[Pair], held_out: ImageSet | None, items: Sequence[Item], drawn: Sequence[Item],
    options: Options,
) -> Iterator[Refused]:  # fmt: skip
    if not pairs:
        named = all(item.named for item in (*items, *drawn))
        reason = "not wanted (--pairs none)" if options.pairs == "none" else "no case has the same name in both sets"
        reason = reason if named or options.pairs == "none" else "the rows of an array carry no names"
        yield Refused(column, "fidelity of pairs (MSE, PSNR, SSIM, ...)", reason)
    if held_out is None:
        yield Refused(column, "copy_fraction, authenticity, data_copying, membership_auc",
                      "they need real images that the generator never saw: --held-out")  # fmt: skip
    given = [name for name, _ in options.weights]
    for name in NETWORKS:
        if name not in given:
            yield Refused(column, f"features of {name}", f"no weights were given: --weights {name}=FILE")
    yield Refused(
        column, "overlap, detection, classification, agreement", "no masks, boxes or readers are compared here"
    )


def _provenance(targets: Sequence[Target], simulated: bool, options: Options) -> dict[str, Any]:
    shown: Mapping[str, Any] = {
        "version": __version__,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seed": options.seed,
        "simulated": simulated,
        "targets": {
            target.column or "images": {
                "real": _about(target.real), "synthetic": _about(target.synthetic), "pairs": target.pairs,
                "data_range": target.scale.data_range, "window": [target.scale.low, target.scale.high],
            } for target in targets
        },
    }  # fmt: skip
    return dict(shown)


def _about(chosen: Described) -> dict[str, Any]:
    return {"images": chosen.images, "planes": len(chosen.planes), "patients": len(set(chosen.patients)),
            "voxels_sha256": chosen.content}  # fmt: skip
