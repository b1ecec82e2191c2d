"""Free-response curves against LUNA16's published score and a restatement of its rules; readers against RJafroc.

Values of RJafroc: Chakraborty DP, The RJafroc Froc Book, chapter "Empirical plots from FROC data" (dataset04), its
chapter on AFROC1 (dataset01), and the expectations in RJafroc's own tests (datasetCadLroc).
"""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radloom.errors import RadloomError
from radloom.metrics import froc as ours
from radloom.metrics.froc import MatchedMarks, ReaderMarks

INF = math.inf
COLUMNS = {"seriesuid": "case", "coordX": "x", "coordY": "y", "coordZ": "z", "probability": "score"}


@pytest.fixture(scope="module")
def luna16(shared: Path) -> MatchedMarks:
    """DeepLung on the 888 scans of LUNA16."""
    folder = shared / "reference_cases" / "luna16_froc"
    if not folder.is_dir():
        pytest.skip(f"the marks of LUNA16 are absent here ({folder})")

    def table(name: str) -> pd.DataFrame:
        return pd.read_csv(folder / f"luna16_deeplung_{name}.csv.gz", dtype={"seriesuid": str}).rename(columns=COLUMNS)

    cases = pd.read_csv(folder / "luna16_deeplung_seriesuids.csv.gz", header=None, dtype=str)[0].tolist()
    return ours.match_marks(
        table("results"), table("annotations"), cases=cases, excluded=table("annotations_excluded")
    )  # fmt: skip


@pytest.fixture(scope="module")
def readers(shared: Path) -> Callable[[str, int, int], ReaderMarks]:
    """One reader in one modality of a real study."""
    folder = shared / "reference_cases" / "reader_studies"
    if not folder.is_dir():
        pytest.skip(f"the reader studies are absent here ({folder})")
    tables = {}

    def read(name: str, modality: int, reader: int) -> ReaderMarks:
        if name not in tables:
            tables[name] = pd.read_csv(folder / f"{name}.csv"), json.loads((folder / f"{name}.json").read_text())
        table, card = tables[name]
        first = card["n_nondiseased"]
        lesions = {first + i: n for i, n in enumerate(card["lesions_per_case"])}
        mine = table[(table.modality == modality) & (table.reader == reader)]
        return ours.marks_from_table(mine, normal=range(first), lesions=lesions)

    return read


def test_deeplung_has_its_published_score_on_luna16(luna16):
    assert luna16.n_cases == 888
    assert len(luna16.hit_scores) == 1186
    assert 100 * ours.cpm(luna16) == pytest.approx(84.197, abs=5e-4)  # published as 84.2 (Zhu et al. WACV 2018)


def test_the_bootstrap_of_luna16_agrees_with_copying_scans(luna16):
    rng = np.random.default_rng(0)
    copied = []
    for _ in range(60):
        times = np.bincount(rng.integers(888, size=888), minlength=888)
        copied.append(ours.cpm(_repeated(luna16, times)))
    interval = ours.cpm_ci(luna16, rng=np.random.default_rng(1), draws=400)
    assert interval.n_patients == 888
    assert (interval.high - interval.low) / 3.92 == pytest.approx(np.std(copied), rel=0.3)
    assert (interval.high + interval.low) / 2 == pytest.approx(np.mean(copied), abs=0.01)


def _repeated(matched: MatchedMarks, times: np.ndarray) -> MatchedMarks:
    """The marks with each scan repeated so often."""
    hits, false = times[matched.hit_cases], times[matched.false_cases]
    return MatchedMarks(
        np.repeat(matched.hit_scores, hits), np.repeat(matched.hit_cases, hits),
        np.repeat(matched.false_scores, false), np.repeat(matched.false_cases, false), int(times.sum()),
    )  # fmt: skip


def test_every_draw_of_the_bootstrap_is_the_score_of_the_scans_drawn(luna16):
    from radloom.metrics.froc import _Events, _mean_at

    events = _Events.of(luna16)
    head = events.first(8000)
    for seed in range(3):
        times = np.random.default_rng(seed).multinomial(888, np.full(888, 1 / 888))
        got = _mean_at(np.asarray(ours.RATES), head, events, times.astype(float))
        assert got == pytest.approx(ours.cpm(_repeated(luna16, times)), rel=1e-12)
        late = _mean_at(np.asarray([40.0]), head, events, times.astype(float))
        assert late == pytest.approx(ours.cpm(_repeated(luna16, times), [40.0]), rel=1e-12)


def one(case: str, *rows: tuple) -> dict[str, list]:
    """A table of rows (x, y, z, value) of one case; the last column is score and diameter_mm."""
    x, y, z, value = ([row[i] for row in rows] for i in range(4))
    return {"case": [case] * len(rows), "x": x, "y": y, "z": z, "score": value, "diameter_mm": value}


def test_each_rule_of_luna16_holds():
    findings = one("a", (0, 0, 0, 10), (100, 0, 0, 6))
    marks = one(
        "a",
        (5, 0, 0, 0.99),  # on the sphere of radius 5: not inside
        (3, 0, 0, 0.7),
        (0, 0, 4, 0.8),  # the better of two on one finding
        (300, 0, 0, 0.6),  # inside an excluded finding of unknown size: radius 5
        (305, 0, 0, 0.5),  # on its sphere
    )
    matched = ours.match_marks(marks, findings, cases=["a", "b"], excluded=one("a", (300, 0, 0, -1)))
    assert matched.hit_scores.tolist() == [0.8, -INF]
    assert matched.false_scores.tolist() == [0.99, 0.5]
    curve = ours.froc(matched)
    assert curve.false_positives.tolist() == [0, 0.5, 0.5, 1]  # two scans, though one has neither mark nor finding
    assert curve.sensitivity.tolist() == [0, 0, 0.5, 0.5]
    assert curve.thresholds.tolist() == [INF, 0.99, 0.8, 0.5]
    # straight lines, the top of an upright piece, flat beyond the end
    assert ours.sensitivity_at(matched, [0.25, 0.5, 0.75, 9]).tolist() == [0, 0.5, 0.5, 0.5]
    assert ours.cpm(matched) == pytest.approx((0 + 0 + 0.5 * 5) / 7)


def test_a_mark_on_two_findings_hits_both_and_an_excluded_neighbour_does_not_spoil_it():
    findings, mark = one("a", (0, 0, 0, 10), (4, 0, 0, 10)), one("a", (2, 0, 0, 0.9))
    matched = ours.match_marks(mark, findings, cases=["a"], excluded=one("a", (2, 0, 0, -1)))
    assert matched.hit_scores.tolist() == [0.9, 0.9]
    assert len(matched.false_scores) == 0


def test_matching_agrees_with_a_loop_over_all_marks_and_findings():
    rng = np.random.default_rng(0)

    def table(n: int, column: str, low: float, high: float) -> pd.DataFrame:
        frame = pd.DataFrame(rng.uniform(0, 40, (n, 3)), columns=["x", "y", "z"])
        return frame.assign(case=rng.choice(list("abc"), n), **{column: rng.uniform(low, high, n).round(1)})

    for _ in range(4):
        marks, findings = table(80, "score", 0, 1), table(9, "diameter_mm", 10, 30)
        excluded = table(5, "diameter_mm", -3, 12)
        matched = ours.match_marks(marks, findings, cases=list("abcd"), excluded=excluded)
        spent, best = set(), []
        for finding in findings.itertuples():
            scores = [-INF]
            for mark in marks.itertuples():
                near = math.dist((finding.x, finding.y, finding.z), (mark.x, mark.y, mark.z)) < finding.diameter_mm / 2
                if mark.case == finding.case and near:
                    scores.append(mark.score)
                    spent.add(mark.Index)
            best.append(max(scores))
        for finding in excluded.itertuples():
            radius = 5 if finding.diameter_mm < 0 else finding.diameter_mm / 2
            for mark in marks.itertuples():
                near = math.dist((finding.x, finding.y, finding.z), (mark.x, mark.y, mark.z)) < radius
                if mark.case == finding.case and near:
                    spent.add(mark.Index)
        assert matched.hit_scores.tolist() == best
        assert matched.false_scores.tolist() == marks.score.drop(list(spent)).tolist()


def test_two_scans_have_a_score_and_no_interval():
    matched = ours.match_marks(one("a", (0, 0, 0, 0.5)), one("a", (0, 0, 0, 9)), cases=["a", "b"])
    interval = ours.cpm_ci(matched, rng=np.random.default_rng(0))
    assert interval.estimate == 1
    assert math.isnan(interval.low)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cases": ["a", "a"]}, "each scan once"),
        ({"cases": []}, "not none"),
        ({"cases": ["b"]}, "not listed"),
        ({"marks": {"case": ["a"], "x": [0]}}, "lack y, z, score"),
        ({"marks": one("a", (0, 0, math.nan, 0.5))}, "NaN"),
        ({"findings": one("a", (0, 0, 0, -1))}, "diameter_mm"),
    ],
)
def test_bad_tables_give_one_clear_line(change, message):
    given = {"marks": one("a", (0, 0, 0, 0.5)), "findings": one("a", (0, 0, 0, 9)), "cases": ["a"], **change}
    with pytest.raises(RadloomError, match=message) as raised:
        ours.match_marks(given["marks"], given["findings"], cases=given["cases"])
    assert "\n" not in str(raised.value)


def test_curves_without_a_finding_and_impossible_rates_are_refused():
    nothing = ours.match_marks(one("a", (0, 0, 0, 0.5)), one("a"), cases=["a"])
    with pytest.raises(RadloomError, match="no finding"):
        ours.froc(nothing)
    some = ours.match_marks(one("a", (0, 0, 0, 0.5)), one("a", (0, 0, 0, 9)), cases=["a"])
    for rates in ([], [0], [math.nan]):
        with pytest.raises(RadloomError, match="rates"):
            ours.cpm(some, rates)
    with pytest.raises(RadloomError, match="draws"):
        ours.cpm_ci(some, draws=0, rng=np.random.default_rng(0))


PUBLISHED = {  # dataset04 (Zanca et al. 2009), rows are modalities, columns readers
    ours.wafroc: """0.7792667 0.7248917 0.7036250 0.8050917
                    0.7870000 0.7269000 0.7226167 0.8037833
                    0.7296917 0.7157583 0.6723083 0.7726583
                    0.8101333 0.7431167 0.6943583 0.8294083
                    0.7488000 0.6822750 0.6551750 0.7712500""",
    ours.afroc: """0.7427113 0.7104930 0.7003169 0.7909859
                   0.7586972 0.7161620 0.7225352 0.7927465
                   0.6983451 0.6955282 0.6777817 0.7547535
                   0.7817606 0.7234507 0.7132746 0.8136268
                   0.7169718 0.6690845 0.6587324 0.7682042""",
    ours.hr_auc: """0.90425 0.79820 0.81175 0.86645
                    0.86425 0.84470 0.82050 0.87160
                    0.81295 0.81635 0.75275 0.85730
                    0.90235 0.83150 0.78865 0.87980
                    0.84140 0.77300 0.77115 0.84800""",
    ours.afroc1: """0.7744718 0.7157218 0.7229225 0.7913908
                    0.7826585 0.7278169 0.7364437 0.7897887
                    0.7412852 0.6868310 0.6946303 0.7573415
                    0.8087852 0.7346831 0.7343486 0.8155634
                    0.7580810 0.6825704 0.6643662 0.7742782""",
    ours.wafroc1: """0.8068333 0.7298917 0.7262042 0.8058542
                     0.8084625 0.7379917 0.7363083 0.8010167
                     0.7680875 0.7075583 0.6890208 0.7743875
                     0.8348750 0.7533917 0.7160250 0.8308333
                     0.7857708 0.6953292 0.6605167 0.7774000""",
    ours.froc_area: """0.2361972 0.1085035 0.2268486 0.09922535
                       0.2192077 0.2231338 0.4793310 0.18450704
                       0.1947359 0.1063028 0.2543662 0.15137324
                       0.2198768 0.1307394 0.3293662 0.13882042
                       0.1800528 0.1097535 0.3015141 0.16563380""",
}


def test_figures_of_merit_of_a_free_response_study_are_rjafrocs(readers):
    study = [[readers("dataset04", modality, reader) for reader in range(4)] for modality in range(5)]
    for figure, printed in PUBLISHED.items():
        want = np.array(printed.split(), float).reshape(5, 4)
        got = [[figure(reader) for reader in row] for row in study]
        np.testing.assert_allclose(got, want, atol=6e-8, err_msg=figure.__name__)


def test_ratings_of_whole_cases_have_rjafrocs_areas(readers):
    want = [[0.9196457, 0.8587762, 0.9038647, 0.9731079, 0.8297907],
            [0.9478261, 0.9053140, 0.9217391, 0.9993559, 0.9299517]]  # fmt: skip
    got = [[ours.hr_auc(readers("dataset02", modality, reader)) for reader in range(5)] for modality in range(2)]
    np.testing.assert_allclose(got, want, atol=6e-8)


def test_wafroc1_is_rjafrocs_with_and_without_normal_cases(readers):
    with_normals = [[0.8079866, 0.8696629, 0.8747798, 0.8517613, 0.8563468],
                    [0.7277103, 0.7781506, 0.8225630, 0.7968418, 0.7496963]]  # fmt: skip
    without = [[0.8594559, 0.9009910, 0.9369398, 0.8910807, 0.8871039],
               [0.8195304, 0.8570572, 0.8988448, 0.8231600, 0.8208875]]  # fmt: skip
    for modality in range(2):
        for reader in range(5):
            whole = readers("dataset01", modality, reader)
            assert ours.wafroc1(whole) == pytest.approx(with_normals[modality][reader], abs=6e-8)
            ill = ReaderMarks(whole.nl[whole.diseased], np.ones(len(whole.ll), bool), whole.ll, whole.weights)
            assert ours.wafroc1(ill) == pytest.approx(without[modality][reader], abs=6e-8)
            with pytest.raises(RadloomError, match="no normal case"):
                ours.wafroc(ill)


def test_lroc_is_rjafrocs(readers):
    sixth = readers("datasetCadLroc", 0, 5)
    curve = ours.lroc(sixth)
    assert curve.pcl == pytest.approx(0.6598214, abs=6e-8)
    assert curve.area == pytest.approx(0.1000335, abs=1e-7)
    assert ours.afroc(sixth) == pytest.approx(0.7686979, abs=6e-8)  # lesions against normal cases


def test_the_highest_rating_of_an_lroc_study_gives_the_roc_study_of_the_same_readings(readers):
    for reader in range(10):
        # dataset09 holds the same ten readers' ratings of whole cases
        whole = ours.hr_auc(readers("dataset09", 0, reader))
        assert ours.hr_auc(readers("datasetCadLroc", 0, reader)) == pytest.approx(whole, abs=1e-12)


def book_example() -> ReaderMarks:
    """The eight cases worked through in the RJafroc book: four normal, four diseased with six lesions."""
    nl = [[-INF, -INF], [0.5, -INF], [0.7, 0.6], [-0.3, -INF], [1.5, -INF], [-INF, -INF], [-INF, -INF], [-INF, -INF]]
    ll = [[0.9, math.nan], [-0.2, math.nan], [1.6, -INF], [3.0, 2.0]]
    weights = [[1, math.nan], [1, math.nan], [0.1, 0.9], [0.9, 0.1]]
    return ReaderMarks(np.array(nl), np.arange(8) >= 4, np.array(ll), np.array(weights))


def test_areas_are_the_trapezoids_worked_by_hand():
    reader = book_example()
    assert ours.afroc(reader) == pytest.approx(0.5 * 4 / 6 + 0.25 * 5 / 6 + 0.25 * 5 / 6 + (1 - 5 / 6) * 0.25 / 2)
    assert ours.wafroc(reader) == pytest.approx(0.678125)


def test_a_reader_who_marks_nothing_has_one_half_and_a_perfect_one_has_one():
    nothing = ReaderMarks(np.full((4, 1), -INF), np.arange(4) > 1, np.full((2, 1), -INF), np.ones((2, 1)))
    perfect = ReaderMarks(np.full((4, 1), -INF), np.arange(4) > 1, np.full((2, 1), 3.0), np.ones((2, 1)))
    for figure in (ours.afroc, ours.wafroc, ours.afroc1, ours.wafroc1, ours.hr_auc):
        assert figure(nothing) == 0.5
        assert figure(perfect) == 1
    assert ours.froc_area(perfect) == 0  # which is why readers are not compared by it
    assert ours.lroc(perfect, fpf=0.2).area == pytest.approx(0.2)


def test_a_table_of_marks_becomes_a_reader():
    table = pd.DataFrame({
        "case": ["n", "d", "d", "d", "e", "e"],
        "kind": ["NL", "NL", "LL", "LL", "IL", "LL"],
        "lesion": [None, None, 1, 1, None, 0],
        "rating": [1, 2, 3, 5, 4, 6],
    })  # fmt: skip
    reader = ours.marks_from_table(table, normal=["n", "m"], lesions={"d": [0.3, 0.7], "e": 1})
    assert reader.nl.tolist() == [[1], [-INF], [2], [4]]
    assert reader.diseased.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(reader.ll, [[-INF, 5], [6, math.nan]])
    assert reader.weights.tolist() == [[0.3, 0.7], [1, 0]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "NL", None, 1), "a listed case"),
        (("n", "TP", None, 1), "kind NL, IL or LL"),
        (("n", "NL", None, math.nan), "finite rating"),
        (("n", "LL", 0, 1), "a lesion that the case has"),
        (("d", "LL", 2, 1), "a lesion that the case has"),
        (("d", "LL", None, 1), "a lesion that the case has"),
    ],
)
def test_impossible_marks_give_one_clear_line(row, message):
    table = dict(zip(("case", "kind", "lesion", "rating"), ([value] for value in row), strict=True))
    with pytest.raises(RadloomError, match=message):
        ours.marks_from_table(table, normal=["n"], lesions={"d": 2})


def test_readers_that_cannot_be_are_refused():
    empty = {"case": [], "kind": [], "lesion": [], "rating": []}
    with pytest.raises(RadloomError, match="listed twice"):
        ours.marks_from_table(empty, normal=["a"], lesions={"a": 1})
    with pytest.raises(RadloomError, match="at least one diseased"):
        ours.marks_from_table(empty, normal=["a"], lesions={})
    with pytest.raises(RadloomError, match="at least one lesion"):
        ours.marks_from_table(empty, normal=["a"], lesions={"b": 0, "c": 1})
    with pytest.raises(RadloomError, match="sum to 1"):
        ours.marks_from_table(empty, normal=["a"], lesions={"b": [0.5, 0.4]})
    with pytest.raises(RadloomError, match="lack rating"):
        ours.marks_from_table({"case": [], "kind": [], "lesion": []}, normal=["a"], lesions={"b": 1})
    with pytest.raises(RadloomError, match="several lesions"):
        ours.lroc(book_example())
    with pytest.raises(RadloomError, match="NaN"):
        ReaderMarks(np.array([[math.nan], [0]]), np.array([False, True]), np.array([[1.0]]), np.array([[1.0]]))
