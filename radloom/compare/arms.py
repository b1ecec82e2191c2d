"""The sets of a run that draws from nothing: its images, real test and training images, and the trivial baselines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radloom.compare.inputs import Item
from radloom.compare.measures import SYNTHETIC
from radloom.compare.planes import Scale
from radloom.compare.trivial import AGAIN, GAUSSIAN, NOISE, again, gaussian, noise
from radloom.data.cohort import Cohort
from radloom.data.views import Store
from radloom.drawing import samples_of, synthesis
from radloom.errors import RadloomError
from radloom.files import read_json
from radloom.random import numpy_stream
from radloom.runfolder import RunFolder
from radloom.sampling import read_sample
from radloom.stored import stored
from radloom.synthesis import Synthesis
from radloom.system import Recipe
from radloom.types import Image

PER_CASE = 8  # slices of a test volume that are judged
_MOST = 3000  # training slices that are searched for copies

Codes = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Arm:
    """Images of one origin. patients: of the test cases that they are judged by; all where empty."""

    name: str
    items: tuple[Item, ...]
    patients: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sets:
    """All images of one target, in brain medians or the files' own intensities.

    arms: the model's images first, mixed as the test images' labels are, then the baselines. conditions: the model's
    images under one condition, each with the test patients of the same. drawn: all images that were drawn. x_test:
    test images (n, c, *s) from -1 to 1 with their codes, for likelihoods.
    """

    key: str
    scale: Scale
    spacing_mm: tuple[float, float]
    seed: int
    test: tuple[Item, ...]
    training: tuple[Item, ...]
    arms: tuple[Arm, ...]
    conditions: tuple[Arm, ...]
    drawn: int
    x_test: np.ndarray
    codes_test: tuple[Codes, ...]
    patients_test: np.ndarray


@dataclass(frozen=True, eq=False)
class _Planes:
    """Real images from -1 to 1 (n, c, *s): names, patients and condition of each."""

    x: np.ndarray
    names: tuple[str, ...]
    patients: tuple[str, ...]
    codes: tuple[Codes, ...]


def read_sets(recipe: Recipe, folder: RunFolder, cohort: Cohort, key: str) -> Sets:
    """The sets of one target. Raises RadloomError when nothing was drawn or fewer than 2 test images are left."""
    task, seed = synthesis(recipe), int(folder.record()["seed"])
    store = stored(task, folder, cohort, ("train", "test"))
    test = _planes(recipe, store, cohort, "test", PER_CASE)
    training = _planes(recipe, store, cohort, "train", None)
    if len(test.x) < 2:
        raise RadloomError(f"{len(test.x)} test images to judge by", expected="2 or more; most metrics need 20",
                           do="give more patients to the test split with `radloom data split`")  # fmt: skip
    grid = task.read(cohort, cohort.where("train").ids[0]).grid
    make = _Maker(task, key, grid.affine)
    names = [name for name, _ in samples_of(folder, key)]
    x = np.stack([read_sample(folder, name, key).voxels.reshape(task.grid) for name in names])
    codes = [_codes(folder, task, name, key) for name in names]
    mixed = _as_mixed(codes, test.codes, task)
    low, high = task.window[task.target.index(key)]
    scale = Scale(low, high, high - low, f"window {low:g} to {high:g}: of the training images")
    channel = task.target.index(key)
    drawn = make.items(x, names, names)
    arms = [Arm(SYNTHETIC, tuple(drawn[i] for i in mixed))]
    arms += _baselines(make, training, channel, [codes[i] for i in mixed], task, seed)
    return Sets(
        key, scale, (grid.spacing_mm[0], grid.spacing_mm[1]), seed,
        make.items(test.x[:, channel], test.names, test.patients),
        make.items(training.x[:, channel], training.names, training.patients),
        tuple(arms), tuple(_by_condition(drawn, codes, test, task)), len(names), test.x, test.codes,
        np.array(test.patients),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes items of arrays from -1 to 1."""

    task: Synthesis
    key: str
    affine: np.ndarray

    def items(self, x: np.ndarray, names: Sequence[str], patients: Sequence[str]) -> tuple[Item, ...]:
        return tuple(
            Item(name, patient, name, self._loader(image))
            for image, name, patient in zip(x, names, patients, strict=True)
        )

    def _loader(self, x: np.ndarray) -> Callable[[], Image]:
        voxels = self.task.intensity(x.astype(np.float32), self.key).reshape(*x.shape, *(1,) * (3 - x.ndim))
        return lambda: Image(voxels, self.affine)


def _planes(recipe: Recipe, store: Store, cohort: Cohort, split: str, per_case: int | None) -> _Planes:
    """Slices as training sees them, evenly over each case; whole volumes in 3D."""
    task, view, cases = synthesis(recipe), recipe.view(), cohort.where(split).ids
    count = len(task.target)
    rows: list[tuple[np.ndarray, str, str, Codes]] = []
    places = [(case, i) for case in cases for i in _chosen(recipe, view.positions(store, [case]), per_case)]
    keep = np.unique(np.linspace(0, len(places) - 1, min(len(places), _MOST)).astype(int)) if places else []
    for case, z in (places[i] for i in keep):
        volume = store.volume(case)
        whole = volume.transpose(1, 2, 3, 0) if recipe.dims == 3 else volume[z]
        name = case if recipe.dims == 3 or len(volume) == 1 else f"{case}, slice {z}"
        codes = tuple(float(np.asarray(whole[i]).flat[0]) for i in range(count, len(whole) - 1))
        rows.append((np.array(whole[:count]), name, cohort.patient(case), codes))
    if not rows:
        return _Planes(np.empty((0, count, *task.grid)), (), (), ())
    x, names, patients, codes = zip(*rows, strict=True)
    return _Planes(np.stack(x), names, patients, codes)


def _chosen(recipe: Recipe, positions: list[tuple[str, int]], per_case: int | None) -> list[int]:
    if recipe.dims == 3:
        return [0]
    slices = [z for _, z in positions]
    if per_case is None or len(slices) <= per_case:
        return slices
    return [slices[int((i + 0.5) / per_case * len(slices))] for i in range(per_case)]


def _codes(folder: RunFolder, task: Synthesis, name: str, key: str) -> Codes:
    given = read_json(folder.path / "samples" / f"{name}.draw0.{key}.json")["given"] if task.condition else {}
    return tuple(one.code(given[one.column]) for one in task.condition)


def _as_mixed(codes: list[Codes], wanted: Sequence[Codes], task: Synthesis) -> list[int]:
    """The drawn images whose conditions have the test images' shares, as many as there are; all without classes."""
    kinds = sorted(set(codes))
    if any(not one.classes for one in task.condition) or len(kinds) < 2:
        return list(range(len(codes)))
    shares = {kind: wanted.count(kind) / len(wanted) for kind in kinds}
    if not all(shares.values()):  # a condition that no test image has
        kinds = [kind for kind in kinds if shares[kind]]
    if not kinds:
        return list(range(len(codes)))
    places = {kind: [i for i, one in enumerate(codes) if one == kind] for kind in kinds}
    most = min(len(places[kind]) / shares[kind] for kind in kinds)
    return sorted(i for kind in kinds for i in places[kind][: max(1, round(most * shares[kind]))])


def _baselines(
    make: _Maker, training: _Planes, channel: int, codes: list[Codes], task: Synthesis, seed: int
) -> list[Arm]:  # fmt: skip
    """The baselines, as many images of each condition as the model's."""
    by_class = all(one.classes for one in task.condition)
    kinds = sorted(set(codes)) if by_class else [()]
    found: dict[str, list[Item]] = {AGAIN: [], GAUSSIAN: [], NOISE: []}
    for kind in kinds:
        mine = [i for i, one in enumerate(training.codes) if not by_class or one == kind]
        count = codes.count(kind) if by_class else len(codes)
        x, label = training.x[mine, channel], "_".join(f"{code:g}" for code in kind)
        if len(x) < 2:
            continue
        copies, chosen = again(x, count, numpy_stream(seed, AGAIN, label))
        who = [training.patients[mine[i]] for i in chosen]
        found[AGAIN] += make.items(copies, [f"again {label} {i}" for i in range(count)], who)
        for arm, draw in ((GAUSSIAN, gaussian), (NOISE, noise)):
            names = [f"{arm} {label} {i}" for i in range(count)]
            found[arm] += make.items(draw(x, count, numpy_stream(seed, arm, label)), names, names)
    return [Arm(name, tuple(items)) for name, items in found.items() if len(items) > 1]


def _by_condition(drawn: Sequence[Item], codes: list[Codes], test: _Planes, task: Synthesis) -> list[Arm]:
    kinds = sorted(set(codes))
    if len(kinds) < 2 or any(not one.classes for one in task.condition):
        return []
    arms = []
    for kind in kinds:
        who = sorted({patient for patient, code in zip(test.patients, test.codes, strict=True) if code == kind})
        items = tuple(item for item, code in zip(drawn, codes, strict=True) if code == kind)
        name = ", ".join(f"{one.name} {one.said(code)}" for one, code in zip(task.condition, kind, strict=True))
        if who and len(items) > 1:
            arms.append(Arm(f"{SYNTHETIC}, {name}", items, tuple(who)))
    return arms
