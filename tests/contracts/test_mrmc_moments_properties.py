"""What the U-statistic analysis of a reader study keeps, also where readings are missing: names, order, scale, sign."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.stats import UStatistics, mrmc_u, roc_study

seeds = st.integers(0, 10_000)


def partial_table(seed: int, lost: float = 0.25) -> pd.DataFrame:
    """Whole ratings from 0 to 5, with ties; a share of readings lost."""
    rng = np.random.default_rng(seed)
    m, r, c = (index.ravel() for index in np.indices((2, 4, 24)))
    rating = rng.integers(0, 4, len(c)) + np.tile(rng.integers(0, 2, 24), 8) + c % 2
    table = pd.DataFrame({"modality": m, "reader": r, "case": c, "diseased": c % 2, "rating": rating})
    return table.loc[rng.random(len(table)) >= lost]


def numbers(result: UStatistics) -> list[float]:
    """Intervals, degrees of freedom and differences in one list."""
    each = [(d.estimate, d.low, d.high, d.t, d.df, d.p) for d in result.differences]
    means = [(one.estimate, one.low, one.high) for one in result.modalities.values()]
    return [*result.df.values(), *np.ravel(each), *np.ravel(means)]


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_the_order_of_rows_and_the_names_of_readers_and_cases_mean_nothing(seed):
    table, rng = partial_table(seed), np.random.default_rng(seed)
    places = rng.permutation(24)
    renamed = table.sample(frac=1, random_state=seed).assign(
        reader=lambda t: np.array(["r7", "r1", "r4", "a"])[t.reader], case=lambda t: places[t.case]
    )
    assert numbers(mrmc_u(renamed)) == pytest.approx(numbers(mrmc_u(table)), rel=1e-8, abs=1e-12, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_swapping_two_modalities_turns_the_difference_and_keeps_p(seed):
    table = partial_table(seed)
    one, other = (mrmc_u(t).differences[0] for t in (table, table.assign(modality=1 - table.modality)))
    assert (other.df, other.p) == pytest.approx((one.df, one.p), rel=1e-8, nan_ok=True)
    assert (other.estimate, other.low, other.high) == pytest.approx(
        (-one.estimate, -one.high, -one.low), abs=1e-12, nan_ok=True
    )


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_only_ranks_count_and_turning_ratings_and_truth_round_changes_nothing(seed):
    table = partial_table(seed)
    one = numbers(mrmc_u(table))
    stretched = mrmc_u(table.assign(rating=np.exp(table.rating)))
    turned = mrmc_u(table.assign(rating=-table.rating, diseased=1 - table.diseased))
    for other in (stretched, turned):
        assert numbers(other) == pytest.approx(one, rel=1e-8, abs=1e-12, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_fully_crossed_areas_are_those_of_the_crossed_analysis_and_coefficients_sum_to_nothing(seed):
    table = partial_table(seed, lost=0.0)
    found, study = mrmc_u(table), roc_study(table)
    assert [one.estimate for one in found.modalities.values()] == pytest.approx(study.figures.mean(axis=1))
    for one in found.variances.values():
        assert sum(one.coefficients) == pytest.approx(0, abs=1e-12)


@settings(max_examples=10, deadline=None)
@given(seeds, st.floats(0.5, 0.99))
def test_a_higher_level_gives_a_wider_interval(seed, level):
    table = partial_table(seed)
    narrow, wide = (mrmc_u(table, level=share).differences[0] for share in (level, (1 + level) / 2))
    assert np.isnan(narrow.low) or wide.low < narrow.low < narrow.high < wide.high
