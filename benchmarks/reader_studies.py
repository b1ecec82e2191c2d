"""CPU seconds of the analysis of reader studies beside loops that recompute the figure without each case in turn.

python benchmarks/reader_studies.py            # about half a minute; writes results/reader_studies.md
python benchmarks/reader_studies.py --quick    # a rehearsal of seconds, marked as such
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from measured import command_of, cpu_seconds, origin

from radloom.files import write_text
from radloom.metrics.afroc import ReaderMarks, wafroc_kernel
from radloom.stats import MultiReader, ReaderStudy, figure_study, mrmc_dbm, mrmc_or, pair_study, roc_study

HERE = Path(__file__).resolve().parent
GOAL = 0.1  # CPU seconds of one study


@dataclass(frozen=True)
class Sizes:
    """The design; half of the cases are diseased."""

    modalities: int
    readers: int
    cases: int


FULL, QUICK = Sizes(5, 4, 200), Sizes(2, 3, 20)


@dataclass(frozen=True)
class Row:
    """One line of the table: CPU seconds of ours and of the loop, and the test that both gave."""

    what: str
    ours: float
    loop: float
    who: str
    result: MultiReader


def main() -> None:
    """Measures every row and writes results/reader_studies.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: sizes that mean nothing")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of which ours' fastest counts (5)")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of reader_studies.md")
    options = parser.parse_args()
    sizes, repeats = (QUICK, 1) if options.quick else (FULL, options.repeats)
    text = _page([_roc(sizes, repeats), _wafroc(sizes, repeats)], sizes, repeats)
    write_text(Path(options.out) / "reader_studies.md", text)
    print(text)


def ratings(sizes: Sizes, marks: int) -> tuple[np.ndarray, np.ndarray]:
    """Ratings (modalities, readers, cases, marks) that share a case's and a reader's part, and the truth (cases,)."""
    rng = np.random.default_rng(0)
    truth = np.arange(sizes.cases) >= sizes.cases // 2
    case, reader = rng.normal(size=(1, 1, sizes.cases, 1)), rng.normal(size=(1, sizes.readers, 1, 1))
    own = rng.normal(size=(sizes.modalities, sizes.readers, sizes.cases, marks))
    better = np.linspace(0, 0.5, sizes.modalities)[:, None, None, None]
    return case + 0.3 * reader + own + truth[:, None] * (1.2 + better), truth


def _roc(sizes: Sizes, repeats: int) -> Row:
    """From the table of ratings to both analyses."""
    from sklearn.metrics import roc_auc_score

    values, truth = ratings(sizes, 1)
    values = values[..., 0]
    names = ("modality", "reader", "case")
    table = dict(zip(names, (index.ravel() for index in np.indices(values.shape)), strict=True))
    table |= {"diseased": truth[table["case"]] * 1, "rating": values.ravel()}

    def figure(one: np.ndarray, cases: np.ndarray) -> float:
        return float(roc_auc_score(truth[cases], one[cases]))

    ours = cpu_seconds(lambda: _analysed(roc_study(table)), repeats)
    shape = range(sizes.modalities), range(sizes.readers)
    loop = cpu_seconds(lambda: _analysed(figure_study(figure, list(values), sizes.cases, *shape)), 1)
    return _row("ROC, from a table of ratings", ours, loop, "scikit-learn's area, each case left out")


def _wafroc(sizes: Sizes, repeats: int) -> Row:
    """From the marks to both analyses: up to 3 false marks on a case, 1 to 3 lesions on a diseased one."""
    values, truth = ratings(sizes, 3)
    rng = np.random.default_rng(1)
    n_lesions = rng.integers(1, 4, np.count_nonzero(truth))[:, None]
    absent = np.arange(3) >= n_lesions
    weights = np.where(absent, 0, 1 / n_lesions)

    def marks(one: np.ndarray) -> ReaderMarks:
        marked = np.random.default_rng(2).random((2, *one.shape)) < 0.5
        false = np.where(marked[0], one - 1.2 * truth[:, None], -np.inf)
        found = np.where(marked[1][truth], one[truth], -np.inf)
        return ReaderMarks(false, truth, np.where(absent, np.nan, found), weights)

    every = [[marks(one) for one in row] for row in values]

    def figure(one: ReaderMarks, cases: np.ndarray) -> float:
        return _weighted_afroc(one.nl[cases[~truth[cases]]], one.ll[cases[truth[cases]] - np.count_nonzero(~truth)])

    shape = range(sizes.modalities), range(sizes.readers)
    ours = cpu_seconds(
        lambda: _analysed(pair_study([[wafroc_kernel(one) for one in row] for row in every], *shape)), repeats
    )
    loop = cpu_seconds(lambda: _analysed(figure_study(figure, every, sizes.cases, *shape)), 1)
    return _row("weighted AFROC, from marks", ours, loop, "all pairs in numpy, each case left out")


def _weighted_afroc(false: np.ndarray, lesions: np.ndarray) -> float:
    """The figure by its definition, lesions of a case weighing the same."""
    highest = false.max(axis=1)
    above, below = lesions[:, :, None], highest
    psi = np.where(above > below, 1.0, np.where(above == below, 0.5, 0.0))
    psi[np.isnan(lesions)] = np.nan
    return float(np.nanmean(psi, axis=1).mean())


def _analysed(study: ReaderStudy) -> tuple[ReaderStudy, MultiReader, MultiReader]:
    return study, mrmc_or(study), mrmc_dbm(study)


def _row(what: str, ours: tuple, loop: tuple, who: str) -> Row:
    """The row, once both studies are the same: figures, covariances and both tests."""
    (seconds, (study, *tests)), (slower, (plain, *others)) = ours, loop
    np.testing.assert_allclose(study.figures, plain.figures, rtol=1e-12)
    np.testing.assert_allclose(study.covariance, plain.covariance, rtol=1e-9, atol=1e-15)
    for one, other in zip(tests, others, strict=True):
        np.testing.assert_allclose([one.f, one.df2, one.p], [other.f, other.df2, other.p], rtol=1e-8)
    return Row(what, seconds, slower, who, tests[0])


def _line(row: Row) -> str:
    told = f"F {row.result.f:.4f}, df {row.result.df2:.2f}, p {row.result.p:.3g}"
    return f"| {row.what} | {row.ours:.4f} | {row.loop:.3f} | {row.loop / row.ours:.0f}x | {row.who} | {told} |"


def _page(rows: list[Row], sizes: Sizes, repeats: int) -> str:
    rehearsal = ["A rehearsal with a small study: do not quote.", ""] if sizes is QUICK else []
    design = f"{sizes.modalities} modalities, {sizes.readers} readers, {sizes.cases} cases"
    return "\n".join([
        "# Reader studies: CPU seconds", "", *rehearsal,
        f"{design}: figures, jackknife covariance, Obuchowski-Rockette's and Dorfman-Berbaum-Metz's analysis. The "
        f"fastest of {repeats} rounds, the loops once; one process, one thread. Figures, covariances and tests are "
        f"asserted equal before a line is printed. The goal for ours is {GOAL} s.", "",
        *origin(command_of("reader_studies.py")),
        f"- peer: scikit-learn {version('scikit-learn')}", "- data: simulated", "",
        "| what | ours, s | loop, s | loop / ours | loop | value |",
        "| --- | --- | --- | --- | --- | --- |", *map(_line, rows), "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
