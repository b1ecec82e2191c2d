"""A fully crossed reader study: every reader's figure of merit in every modality, and how it moves with the cases.

A figure that is a mean over pairs of one diseased and one normal case (the area under the ROC curve, AFROC, weighted
AFROC) has its jackknife and DeLong covariance in closed form from the pairs; any other figure is computed again for
every case left out. What is concluded from them is in `mrmc`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from radloom.errors import RadloomError

Covariance = Literal["jackknife", "delong", "bootstrap"]
Figure = Callable[[Any, np.ndarray], float]


@dataclass(frozen=True, eq=False)
class ReaderStudy:
    """Figures of merit (modalities, readers) and their covariance over cases.

    covariance (modalities * readers,) * 2, modality by modality: of the estimated figures, under new cases.
    without (modalities, readers, cases): the figure with one case left out; None unless the covariance is jackknife's.
    """

    modalities: tuple[Hashable, ...]
    readers: tuple[Hashable, ...]
    n_cases: int
    figures: np.ndarray
    covariance: np.ndarray
    method: Covariance
    without: np.ndarray | None = None


def roc_study(
    table: Any, *, covariance: Covariance = "jackknife", draws: int = 1000, rng: np.random.Generator | None = None
) -> ReaderStudy:
    """The areas under the ROC curves of a table with the columns reader, modality, case, diseased, rating.

    One row for each reader, modality and case; diseased is 0 or 1 and a case's own; a high rating means disease. Cases
    are patients. Covariances: jackknife over all cases, DeLong's, or a bootstrap of diseased and normal cases apart
    (`draws`, `rng`). Raises RadloomError on missing or repeated readings (the analysis needs every reader to read every
    case in every modality), one class only, and NaN.
    Blind to: several cases of one patient. Hillis SL. Stat Med 2007;26:596-619.

    >>> rows = [(r, m, c, c > 2, c + m * (c % 2) - r) for r in (0, 1) for m in (0, 1) for c in range(6)]
    >>> names = ("reader", "modality", "case", "diseased", "rating")
    >>> roc_study(dict(zip(names, map(list, zip(*rows))))).figures.tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    modalities, readers, diseased, ratings = _crossed(table)
    kernels = np.array([[psi(r[~diseased], r[diseased]) for r in of] for of in ratings])
    return pair_study(kernels, modalities, readers, covariance=covariance, draws=draws, rng=rng)


def psi(normal: np.ndarray, diseased: np.ndarray) -> np.ndarray:
    """(diseased, normal): 1 where the diseased case is rated higher, 1/2 where both are equal, else 0.

    >>> psi(np.array([1.0, 2.0]), np.array([2.0])).tolist()
    [[1.0, 0.5]]
    """
    above, below = diseased[:, None], normal[None]
    return (above > below) + 0.5 * (above == below)


def pair_study(
    kernels: Any,
    modalities: Sequence[Hashable],
    readers: Sequence[Hashable],
    *,
    weights: Any = None,
    covariance: Covariance = "jackknife",
    draws: int = 1000,
    rng: np.random.Generator | None = None,
) -> ReaderStudy:
    """The study of a figure that is the mean of kernels (modalities, readers, diseased, normal), each in [0, 1].

    For weighted AFROC the kernel of diseased case k and normal case i is sum over lesions W_kl psi(X_i, Y_kl). Leaving
    out diseased case k gives the mean of the others' means, so the jackknife costs no more than the figure.
    weights (diseased,): what each diseased case counts in the mean, as the number of its lesions does in AFROC; None:
    all the same. Kernels of one reader come from `metrics.afroc`. Raises RadloomError with fewer than two diseased or
    two normal cases, with NaN, and with weights for DeLong's covariance, which knows none.

    >>> kernels = np.array([[[[1.0, 0.5], [1.0, 0.0]]]])
    >>> pair_study(kernels, ["CT"], ["a"]).without.tolist()
    [[[0.5, 0.75, 0.25, 1.0]]]
    """
    modalities, readers = tuple(modalities), tuple(readers)
    values = _kernels(kernels, len(modalities), len(readers))
    i, j, d, n = values.shape
    w = _case_weights(weights, d)
    v10, v01 = values.mean(axis=3), np.einsum("d,ijdn->ijn", w, values)
    figures, without = v01.mean(axis=2), None
    if covariance == "jackknife":
        left_out = [(figures[..., None] - w * v10) / (1 - w), (n * figures[..., None] - v01) / (n - 1)]
        without = np.concatenate(left_out, axis=2)
        found = _jackknife(without)
    elif covariance == "delong":
        if weights is not None:
            raise RadloomError("DeLong's covariance with weights", expected="jackknife or bootstrap")
        found = np.cov(v10.reshape(i * j, d)) / d + np.cov(v01.reshape(i * j, n)) / n
    else:
        found = _bootstrap(values, w, draws, _needed(covariance, rng))
    return ReaderStudy(modalities, readers, d + n, figures, np.atleast_2d(found), covariance, without)


def figure_study(
    figure: Figure,
    data: Sequence[Sequence[Any]],
    n_cases: int,
    modalities: Sequence[Hashable],
    readers: Sequence[Hashable],
    *,
    covariance: Literal["jackknife", "bootstrap"] = "jackknife",
    draws: int = 1000,
    rng: np.random.Generator | None = None,
) -> ReaderStudy:
    """The study of any figure of merit: `figure(data[modality][reader], cases)` with cases (k,) the indices to use.

    The jackknife calls it n_cases + 1 times for each reader and modality, the bootstrap draws + 1 times with repeated
    indices. Raises RadloomError when a figure is NaN.

    >>> def mean(ratings, cases): return float(np.mean(ratings[cases]))
    >>> study = figure_study(mean, [[np.array([1.0, 2.0, 3.0])]], 3, ["CT"], ["a"])
    >>> study.figures.tolist(), round(float(study.covariance[0, 0]), 4)
    ([[2.0]], 0.3333)
    """
    modalities, readers, every = tuple(modalities), tuple(readers), np.arange(n_cases)
    if len(data) != len(modalities) or any(len(of) != len(readers) for of in data):
        raise RadloomError("some reader did not read in some modality", expected="data[modality][reader] for all")
    if n_cases < 3:
        raise RadloomError(f"{n_cases} cases", expected="at least 3")

    def of(cases: np.ndarray) -> np.ndarray:
        found = np.array([[figure(one, cases) for one in row] for row in data], np.float64)
        if not np.isfinite(found).all():
            raise RadloomError("a figure of merit is NaN or infinite", expected="a number for every set of cases")
        return found

    without = None
    if covariance == "jackknife":
        without = np.stack([of(np.delete(every, k)) for k in every], axis=2)
        found = _jackknife(without)
    else:
        stream = _needed(covariance, rng)
        drawn = [of(stream.integers(n_cases, size=n_cases)).ravel() for _ in range(draws)]
        found = np.cov(np.array(drawn).T)
    return ReaderStudy(modalities, readers, n_cases, of(every), np.atleast_2d(found), covariance, without)


def _jackknife(without: np.ndarray) -> np.ndarray:
    flat = without.reshape(-1, without.shape[2])
    k = flat.shape[1]
    return (k - 1) ** 2 / k * np.atleast_2d(np.cov(flat))


def _kernels(kernels: Any, modalities: int, readers: int) -> np.ndarray:
    """The kernels (modalities, readers, diseased, normal) in float64."""
    try:
        values = np.asarray(kernels, np.float64)
    except ValueError as error:
        raise RadloomError("the kernels differ in shape", expected="the same cases for every reader and modality",
                           do="leave out cases that somebody did not read") from error  # fmt: skip
    if values.ndim != 4 or values.shape[:2] != (modalities, readers):
        raise RadloomError(f"kernels have shape {values.shape}",
                           expected=f"({modalities}, {readers}, diseased cases, normal cases)")  # fmt: skip
    if min(values.shape[2:]) < 2:
        raise RadloomError(f"{values.shape[2]} diseased and {values.shape[3]} normal cases",
                           expected="at least two of each")  # fmt: skip
    if not np.isfinite(values).all():
        raise RadloomError("the kernels have NaN or infinite values", expected="numbers in [0, 1]")
    return values


def _case_weights(weights: Any, diseased: int) -> np.ndarray:
    """The weight of each diseased case, summing to 1."""
    if weights is None:
        return np.full(diseased, 1 / diseased)
    w = np.asarray(weights, np.float64)
    if w.shape != (diseased,) or not (np.isfinite(w) & (w > 0)).all():
        raise RadloomError(f"weights of shape {w.shape}", expected=f"a number above 0 for each of {diseased} cases")
    return w / w.sum()


def _bootstrap(kernels: np.ndarray, weights: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    i, j, d, n = kernels.shape
    times, wn = (rng.multinomial(size, np.full(size, 1 / size), size=draws) for size in (d, n))
    wd = times * weights
    wd /= wd.sum(axis=1, keepdims=True)
    drawn = [np.einsum("bd,dn,bn->b", wd, kernel, wn / n, optimize=True) for kernel in kernels.reshape(i * j, d, n)]
    return np.atleast_2d(np.cov(np.array(drawn)))


def _needed(covariance: str, rng: np.random.Generator | None) -> np.random.Generator:
    if covariance != "bootstrap":
        raise RadloomError(f"covariance={covariance!r}", expected="jackknife, delong (pairs only) or bootstrap")
    if rng is None:
        raise RadloomError("the bootstrap has no rng", expected="rng=np.random.default_rng(seed)")
    return rng


def readings(table: Any) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...], np.ndarray, np.ndarray]:
    """Modalities, readers, diseased (cases,) and ratings (modalities, readers, cases), NaN where nobody read.

    The columns are those of `roc_study`, whose errors it raises; a reading may be missing, none may be there twice.

    >>> table = {"reader": [0, 1], "modality": ["CT"] * 2, "case": [0, 1], "diseased": [0, 1], "rating": [1.0, 2.0]}
    >>> readings(table)[3].tolist()
    [[[1.0, nan], [nan, 2.0]]]
    """
    names = ("reader", "modality", "case", "diseased", "rating")
    missing = [name for name in names if name not in table]
    if missing:
        raise RadloomError(f"the readings lack {', '.join(missing)}", expected=f"columns {', '.join(names)}")
    lengths = sorted({len(table[name]) for name in names})
    if len(lengths) > 1 or lengths[0] == 0:
        raise RadloomError(f"the columns have {' and '.join(map(str, lengths))} rows",
                           expected="one row for each reader, modality and case")  # fmt: skip
    reader, modality, case = (np.unique(np.asarray(table[name]), return_inverse=True) for name in names[:3])
    rating = np.asarray(table["rating"], np.float64)
    if not np.isfinite(rating).all():
        what = f"{np.count_nonzero(~np.isfinite(rating))} ratings are missing or infinite"
        raise RadloomError(what, expected="a number for each", do="leave out the cases that a reader did not rate")
    shape = (len(modality[0]), len(reader[0]), len(case[0]))
    counts = np.zeros(shape, int)
    np.add.at(counts, (modality[1], reader[1], case[1]), 1)
    if (counts > 1).any():
        _refuse_design(counts > 1, counts, modality[0], reader[0], case[0])
    ratings = np.full(shape, np.nan)
    ratings[modality[1], reader[1], case[1]] = rating
    truth = np.asarray(table["diseased"], np.float64)
    diseased = np.zeros(shape[2])
    diseased[case[1]] = truth
    if not np.isin(truth, (0, 1)).all() or (diseased[case[1]] != truth).any():
        raise RadloomError("diseased is not one value of 0 or 1 per case", expected="the truth, the same in every row")
    return tuple(modality[0].tolist()), tuple(reader[0].tolist()), diseased == 1, ratings


def _crossed(table: Any) -> tuple[tuple[Hashable, ...], tuple[Hashable, ...], np.ndarray, np.ndarray]:
    """The readings of a fully crossed table."""
    modalities, readers, diseased, ratings = readings(table)
    counts = np.isfinite(ratings).astype(int)
    if not counts.all():
        _refuse_design(counts == 0, counts, modalities, readers, np.unique(np.asarray(table["case"])))
    return modalities, readers, diseased, ratings


def _refuse_design(wrong: np.ndarray, counts: np.ndarray, modalities: Any, readers: Any, cases: Any) -> NoReturn:
    m, r, c = np.argwhere(wrong)[0]
    raise RadloomError(
        f"reader {readers[r]} has {counts[m, r, c]} ratings of case {cases[c]} in modality {modalities[m]}, "
        f"and {np.count_nonzero(wrong)} cells of the design are like that",
        expected="each reader reads each case once in each modality (split-plot designs are not supported)",
        do="leave out readers or cases that are not complete, or use `mrmc_u` where readings are missing",
    )
