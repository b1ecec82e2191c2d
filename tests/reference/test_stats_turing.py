"""Turing tests against hand-worked values, tables of d' and the exact binomial distribution."""

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.stats import turing_test, two_afc, wilson

z = NormalDist().inv_cdf


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def answers(
    readers: int, cases: int, right: float | np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Every reader answers on every case, half of them synthetic, right with this probability."""
    reader, case = (index.ravel() for index in np.indices((readers, cases)))
    synthetic = case % 2
    says = np.where(generator.random(len(case)) < right, synthetic, 1 - synthetic)
    return {"reader": reader, "case": case, "synthetic": synthetic, "says_synthetic": says}


def one_reader(hits: int, misses: int, alarms: int, rejections: int) -> dict[str, list]:
    synthetic = [1] * (hits + misses) + [0] * (alarms + rejections)
    says = [1] * hits + [0] * misses + [1] * alarms + [0] * rejections
    return {"reader": ["a"] * len(says), "case": list(range(len(says))), "synthetic": synthetic, "says_synthetic": says}


def two_sided(k: int, n: int) -> float:
    """Twice the smaller tail of the binomial of n fair coins, in whole numbers."""
    tail = sum(math.comb(n, i) for i in range(max(k, n - k), n + 1))
    return min(1.0, float(Fraction(2 * tail, 2**n)))


def test_one_reader_has_the_hand_worked_accuracy_p_and_d_prime():
    """8 of 10 hits, 3 of 10 false alarms: rates 8.5/11 and 3.5/11 after the log-linear correction."""
    result = turing_test(one_reader(8, 2, 3, 7), rng=rng())
    reader = result.readers[0]
    assert reader.reader == "a"
    assert reader.accuracy == wilson(15, 20)
    assert reader.p == pytest.approx(two_sided(15, 20), rel=1e-12)
    assert reader.d_prime == pytest.approx(z(8.5 / 11) - z(3.5 / 11), rel=1e-9)
    assert reader.criterion == pytest.approx(-(z(8.5 / 11) + z(3.5 / 11)) / 2, rel=1e-9)
    assert (reader.d_prime, reader.criterion) == pytest.approx((0.748 + 0.473, -(0.748 - 0.473) / 2), abs=1e-3)  # table
    assert result.chance == 0.5


def test_a_reader_who_calls_everything_synthetic_has_bias_but_no_d_prime():
    reader = turing_test(one_reader(10, 0, 10, 0), rng=rng()).readers[0]
    assert (reader.accuracy.estimate, reader.d_prime, reader.p) == (0.5, 0, 1)
    assert reader.criterion == pytest.approx(-z(10.5 / 11), rel=1e-9)


def test_a_perfect_reader_has_a_finite_d_prime_and_no_spread():
    result = turing_test(one_reader(10, 0, 0, 10), rng=rng())
    assert result.readers[0].d_prime == pytest.approx(2 * z(10.5 / 11), rel=1e-9)
    assert (result.accuracy.low, result.accuracy.high) == (1, 1)
    assert "better than chance" in result.verdict
    assert not result.equivalence.equivalent


def test_chance_is_the_share_of_the_commoner_class():
    """12 of 16 are real: who calls all real is right in 3 of 4, which is chance."""
    result = turing_test(one_reader(0, 4, 0, 12), rng=rng())
    assert (result.chance, result.readers[0].accuracy.estimate) == (0.75, 0.75)
    assert result.readers[0].p > 0.99
    assert "better than chance" not in result.verdict


def test_many_readers_on_many_cases_are_shown_to_be_at_chance_and_few_are_not():
    many = turing_test(answers(12, 200, 0.5, rng()), margin=0.05, rng=rng())
    assert many.equivalence.equivalent
    assert "equivalent within -0.05 to 0.05" in many.verdict
    few = turing_test(answers(2, 10, 0.5, np.random.default_rng(4)), margin=0.05, rng=rng())
    assert all(reader.p > 0.05 for reader in few.readers)  # which is no proof of anything:
    assert not few.equivalence.equivalent
    assert "not shown to be equivalent" in few.verdict


def test_the_interval_spans_readers_and_cases():
    """Answers of chance alone count three times (Owen 2007), the spread of readers once."""
    result = turing_test(answers(10, 100, 0.7, rng()), draws=3000, rng=rng())
    width = result.accuracy.high - result.accuracy.low
    assert width == pytest.approx(2 * 1.96 * math.sqrt(3 * 0.21 / 1000), rel=0.3)
    table = answers(10, 100, 0.5, rng())
    skilled = table["reader"] < 5
    table["says_synthetic"] = np.where(skilled, table["synthetic"], 1 - table["synthetic"])
    apart = turing_test(table, draws=3000, rng=rng())  # five always right, five always wrong
    assert apart.accuracy.high - apart.accuracy.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 10), rel=0.15)


def test_the_interval_covers_the_accuracy_of_readers_who_differ():
    """5 readers of 0.6 with a spread of 0.1, 100 studies: the standard error of a coverage of 0.95 is 0.022."""
    generator, covered, shown = np.random.default_rng(1), 0, 0
    for _ in range(100):
        right = np.repeat(np.clip(generator.normal(0.6, 0.1, 5), 0, 1), 80)
        result = turing_test(answers(5, 80, right, generator), margin=0.1, draws=200, rng=generator)
        covered += result.accuracy.low <= 0.6 <= result.accuracy.high
        shown += result.equivalence.equivalent  # wrongly, since 0.6 is at the margin
    assert covered >= 88
    assert shown <= 12


def test_the_order_of_rows_and_the_names_of_readers_change_nothing_but_names():
    table = answers(3, 20, 0.7, rng())
    order = rng().permutation(60)
    shuffled = {name: column[order] for name, column in table.items()}
    one, other = turing_test(table, rng=rng()), turing_test(shuffled, rng=rng())
    assert one == other
    named = turing_test({**table, "reader": np.array(["a", "b", "c"])[table["reader"]]}, rng=rng())
    assert [reader.reader for reader in named.readers] == ["a", "b", "c"]
    assert named.accuracy == one.accuracy


def test_turning_all_answers_round_turns_accuracy_and_d_prime_round():
    table = answers(3, 20, 0.7, rng())
    turned = turing_test({**table, "says_synthetic": 1 - table["says_synthetic"]}, rng=rng())
    plain = turing_test(table, rng=rng())
    assert turned.accuracy.estimate == pytest.approx(1 - plain.accuracy.estimate)
    assert [r.d_prime for r in turned.readers] == pytest.approx([-r.d_prime for r in plain.readers])


@pytest.mark.parametrize(("change", "said"), [
    ({"case": [0] * 20}, "two answers on one case"),
    ({"synthetic": [0] * 20}, "images of one kind only"),
    ({"says_synthetic": [2] * 20}, "other values than 0 and 1"),
    ({"says_synthetic": [math.nan] * 20}, "NaN"),
    ({"says_synthetic": [], "synthetic": [], "case": [], "reader": []}, "at least one"),
])  # fmt: skip
def test_answers_that_do_not_hold_are_refused(change, said):
    with pytest.raises(RadloomError, match=said):
        turing_test({**one_reader(8, 2, 3, 7), **change}, rng=rng())


def test_a_missing_column_and_a_case_of_both_kinds_are_refused():
    table = one_reader(8, 2, 3, 7)
    with pytest.raises(RadloomError, match="lack says_synthetic"):
        turing_test({name: column for name, column in table.items() if name != "says_synthetic"}, rng=rng())
    both = {name: [*column, *column] for name, column in table.items()}
    both["reader"] = ["a"] * 20 + ["b"] * 20
    both["synthetic"][20] = 0
    with pytest.raises(RadloomError, match="real in one row and synthetic in another"):
        turing_test(both, rng=rng())


@pytest.mark.parametrize(("right", "d_prime"), [(50, 0.0), (60, 0.36), (76, 1.00), (84, 1.41), (92, 1.99), (24, -1.00)])
def test_forced_choice_has_the_d_prime_of_the_tables(right, d_prime):
    """Percentages and d' of two-alternative forced choice as printed in tables (Macmillan and Creelman)."""
    assert two_afc([1] * right + [0] * (100 - right)).d_prime == pytest.approx(d_prime, abs=0.005)


def test_forced_choice_has_the_exact_p_and_wilsons_interval_carried_over():
    result = two_afc([1] * 15 + [0] * 5)
    assert result.p == pytest.approx(two_sided(15, 20), rel=1e-12)
    assert result.correct == wilson(15, 20)
    assert result.d_prime_low == pytest.approx(math.sqrt(2) * z(wilson(15, 20).low), rel=1e-9)
    assert result.d_prime_high == pytest.approx(math.sqrt(2) * z(wilson(15, 20).high), rel=1e-9)


def test_forced_choice_at_chance_is_equivalent_to_it_only_with_many_trials():
    assert not two_afc([1, 0] * 10).equivalence.equivalent
    assert two_afc([1, 0] * 200).equivalence.equivalent
    assert not two_afc([1, 1, 1, 0] * 100).equivalence.equivalent


def test_forced_choice_all_right_is_infinite_and_never_at_chance():
    result = two_afc([1] * 8)
    assert result.d_prime == math.inf
    assert result.d_prime_low > 0
    assert result.p == pytest.approx(2 / 2**8)
    assert not result.equivalence.equivalent
    with pytest.raises(RadloomError, match="other values"):
        two_afc([1, 2])
    with pytest.raises(RadloomError, match="at least one"):
        two_afc([])
