"""CPU seconds of bootstrap AUC, DeLong and LUNA16's FROC beside plain loops with scikit-learn, equal values asserted.

python benchmarks/diagnostic.py            # about a minute; writes results/diagnostic.md
python benchmarks/diagnostic.py --quick    # a rehearsal of seconds, marked as such
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measured import command_of, cpu_seconds, origin

from radloom.files import write_text
from radloom.metrics.froc import RATES, MatchedMarks, cpm, cpm_ci, match_marks
from radloom.stats.auc import bootstrap_auc, delong_covariance

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Sizes:
    """How much work: draws of the AUC (n = 1000), DeLong's large n, scans, draws of the CPM, and draws of the loops."""

    draws: int
    large: int
    scans: int
    cpm_draws: int
    loop_draws: int


FULL = Sizes(2000, 100_000, 888, 1000, 20)
QUICK = Sizes(50, 2_000, 40, 20, 3)


@dataclass(frozen=True)
class Row:
    """One line of the table: CPU seconds of ours and of the peer (None: none), and the value that both gave."""

    what: str
    ours: float
    peer: float | None
    who: str
    value: str


def main() -> None:
    """Measures every row and writes results/diagnostic.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rehearsal: sizes that mean nothing")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of which the fastest counts (5)")
    parser.add_argument("--out", default=str(HERE.parent / "results"), help="folder of diagnostic.md")
    options = parser.parse_args()
    sizes, repeats = (QUICK, 1) if options.quick else (FULL, options.repeats)
    rows = [_bootstrap(sizes, repeats), *_delong(sizes, repeats), *_luna16(sizes, repeats)]
    text = _page(rows, sizes, repeats)
    write_text(Path(options.out) / "diagnostic.md", text)
    print(text)


def scored(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of an AUC near 0.76 and the truth (n,)."""
    rng = np.random.default_rng(0)
    truth = rng.random(n) < 0.4
    return rng.normal(size=n) + truth, truth


def _bootstrap(sizes: Sizes, repeats: int) -> Row:
    from sklearn.metrics import roc_auc_score

    scores, truth = scored(1000)

    def loop() -> np.ndarray:
        rng = np.random.default_rng(1)
        chosen = rng.integers(1000, size=(sizes.draws, 1000))
        return np.array([roc_auc_score(truth[rows], scores[rows]) for rows in chosen])

    who = np.arange(1000)
    ours, interval = cpu_seconds(
        lambda: bootstrap_auc(scores, truth, patients=who, draws=sizes.draws, rng=np.random.default_rng(1)), repeats
    )
    theirs, areas = cpu_seconds(loop, 1)
    np.testing.assert_allclose(interval.estimate, roc_auc_score(truth, scores), rtol=1e-12)
    # the draws differ, so the bounds agree to the error of so many draws
    np.testing.assert_allclose([interval.low, interval.high], np.quantile(areas, [0.025, 0.975]), atol=0.01)
    value = f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    return Row(f"AUC, n = 1000, {sizes.draws} bootstraps", ours, theirs, "scikit-learn loop", value)


def _delong(sizes: Sizes, repeats: int) -> list[Row]:
    def over_all_pairs(scores: np.ndarray, truth: np.ndarray) -> float:
        psi = np.heaviside(scores[truth][:, None] - scores[~truth][None], 0.5)
        return psi.mean(1).var(ddof=1) / truth.sum() + psi.mean(0).var(ddof=1) / (~truth).sum()

    small, large = scored(1000), scored(sizes.large)
    ours, (areas, covariance) = cpu_seconds(lambda: delong_covariance([small[0]], small[1]), repeats)
    theirs, variance = cpu_seconds(lambda: over_all_pairs(*small), repeats)
    np.testing.assert_allclose(covariance.item(), variance, rtol=1e-10)
    more, (areas_large, covariance_large) = cpu_seconds(lambda: delong_covariance([large[0]], large[1]), repeats)

    def told(areas: np.ndarray, covariance: np.ndarray) -> str:
        return f"{areas.item():.4f}, SE {covariance.item() ** 0.5:.5f}"

    return [
        Row("DeLong, n = 1000", ours, theirs, "all pairs in numpy", told(areas, covariance)),
        Row(f"DeLong, n = {sizes.large}", more, None, "", told(areas_large, covariance_large)),
    ]


def _luna16(sizes: Sizes, repeats: int) -> list[Row]:
    marks, findings, excluded, cases = _scans(sizes.scans)
    matching, matched = cpu_seconds(lambda: match_marks(marks, findings, cases=cases, excluded=excluded), repeats)
    ours, interval = cpu_seconds(lambda: cpm_ci(matched, draws=sizes.cpm_draws, rng=np.random.default_rng(0)), repeats)
    one, drawn = cpu_seconds(lambda: _copied_scans(matched, sizes.loop_draws), 1)
    np.testing.assert_allclose(drawn[0], cpm(matched), rtol=1e-12)
    name = f"{sizes.scans} scans, {len(marks['x'])} marks"
    value = f"{interval.estimate:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
    peer = one / sizes.loop_draws * sizes.cpm_draws
    return [
        Row(f"FROC: marks to findings, {name}", matching, None, "", f"{len(matched.hit_scores)} findings"),
        Row(f"FROC: CPM with {sizes.cpm_draws} bootstraps", ours, peer, "copied scans, scikit-learn curve*", value),
    ]


def _scans(n: int) -> tuple[dict, dict, dict, list[int]]:
    """Marks, findings and excluded findings as many as DeepLung's on LUNA16 has for each scan."""
    rng = np.random.default_rng(0)
    cases = list(range(n))

    def table(rows: int, column: str, values: np.ndarray) -> dict[str, np.ndarray]:
        x, y, z = rng.uniform(-150, 150, (3, rows))
        return {"case": rng.integers(0, n, rows), "x": x, "y": y, "z": z, column: values}

    findings = table(round(1.336 * n), "diameter_mm", rng.uniform(3, 25, round(1.336 * n)))
    excluded = table(round(39.6 * n), "diameter_mm", np.full(round(39.6 * n), -1.0))
    marks = table(round(62.7 * n), "score", rng.beta(0.5, 4, round(62.7 * n)))
    hits = rng.random(len(findings["x"])) < 0.95
    for name in ("case", "x", "y", "z"):
        marks[name][: hits.sum()] = findings[name][hits]
    marks["score"][: hits.sum()] = rng.beta(3, 1.5, hits.sum())
    return marks, findings, excluded, cases


def _copied_scans(matched: MatchedMarks, draws: int) -> list[float]:
    """The CPM of all scans, then of scans drawn and copied, with scikit-learn's curve, as the LUNA16 script does."""
    from sklearn.metrics import roc_curve

    rng = np.random.default_rng(0)
    hits = [matched.hit_scores[matched.hit_cases == scan] for scan in range(matched.n_cases)]
    false = [matched.false_scores[matched.false_cases == scan] for scan in range(matched.n_cases)]
    values = []
    for draw in range(draws):
        scans = rng.integers(matched.n_cases, size=matched.n_cases) if draw else np.arange(matched.n_cases)
        lesions = np.concatenate([hits[scan] for scan in scans])
        found, wrong = lesions[np.isfinite(lesions)], np.concatenate([false[scan] for scan in scans])
        truth = np.repeat([1, 0], [len(found), len(wrong)])
        fpr, tpr, _ = roc_curve(truth, np.concatenate([found, wrong]))
        # whole numbers again: where the curve stands upright at a rate, a rounding error would fall beside it
        rate, sensitivity = np.rint(fpr * len(wrong)) / len(scans), tpr * len(found) / len(lesions)
        values.append(float(np.interp(RATES, rate, sensitivity).mean()))
    return values


def _line(row: Row) -> str:
    peer = "" if row.peer is None else f"{row.peer:.4g}"
    ratio = "" if row.peer is None else f"{row.peer / row.ours:.0f}x"
    return f"| {row.what} | {row.ours:.4g} | {peer} | {ratio} | {row.who} | {row.value} |"


def _page(rows: list[Row], sizes: Sizes, repeats: int) -> str:
    rehearsal = ["A rehearsal with small sizes: do not quote.", ""] if sizes is QUICK else []
    return "\n".join([
        "# Diagnostic accuracy: CPU seconds", "", *rehearsal,
        f"The fastest of {repeats} rounds, loops of the peers once; both in one process on one thread. Values are "
        "asserted equal before a line is printed.", "",
        *origin(command_of("diagnostic.py")),
        "- data: simulated; the scans have as many marks and findings as DeepLung's on LUNA16", "",
        "| what | ours, s | peer, s | peer / ours | peer | value |",
        "| --- | --- | --- | --- | --- | --- |", *map(_line, rows), "",
        f"*Timed for {sizes.loop_draws} draws and scaled to {sizes.cpm_draws}.", "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
