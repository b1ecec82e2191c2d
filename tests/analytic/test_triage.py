"""The worklist against queueing theory, a second engine and known answers; harms come first; bad tables are refused."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radloom.errors import RadloomError
from radloom.studies import triage
from radloom.studies.triage_picture import crowded, picture
from radloom.studies.triage_queue import busy_periods, load, serve
from radloom.studies.triage_table import Worklist, read_table, worklist
from radloom.studies.triage_words import sentences


def poisson(n: int, gap: float, reading: np.ndarray, seed: int, share: float = 0.2, shift: float = 1.466) -> Worklist:
    """Poisson arrivals; scores of emergencies lie `shift` standard deviations higher (1.466: an AUC of 0.85)."""
    rng = np.random.default_rng(seed)
    arrival, ill = np.cumsum(rng.exponential(gap, n)), rng.random(n) < share
    names = tuple(f"s{i}" for i in range(n))
    return Worklist(names, arrival - arrival[0], reading, rng.normal(size=n) + shift * ill, ill, np.full(n, np.nan))


def plain_loop(available, reading, urgency, readers, patience) -> list[float]:
    """The same queue without a heap: whenever the first reader is free, search all who wait."""
    free, left, start = [min(available)] * readers, set(range(len(available))), [0.0] * len(available)
    while left:
        free.sort()
        now = max(free[0], min(available[i] for i in left))
        here = [i for i in left if available[i] <= now]
        best = max(here, key=lambda i: (round(urgency[i] + (now - available[i]) / patience, 9), -available[i], -i))
        start[best], free[0] = now, now + reading[best]
        left.remove(best)
    return start


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60), st.integers(0, 3)), min_size=1, max_size=25),
       st.integers(1, 3), st.sampled_from([math.inf, 64.0]))  # fmt: skip
def test_the_queue_agrees_with_a_plain_search_of_all_who_wait(studies, readers, patience):
    available, reading, urgency = np.array(studies, dtype=float).T
    found = serve(available, reading, urgency, readers=readers, patience_s=patience)
    assert found == pytest.approx(plain_loop(available, reading, urgency, readers, patience))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 900), st.floats(-3, 3)), min_size=1, max_size=60),
       st.integers(1, 4), st.floats(10, 1e5))  # fmt: skip
def test_with_equal_reading_times_a_reorder_conserves_the_mean_wait(studies, readers, patience):
    available, urgency = np.array(studies, dtype=float).T
    reading = np.full(len(available), 37.0)
    plain = serve(available, reading, np.zeros(len(available)), readers=readers)
    other = serve(available, reading, urgency, readers=readers, patience_s=patience)
    assert other.mean() == pytest.approx(plain.mean())


def test_with_unequal_reading_times_a_reorder_may_change_the_mean_wait():
    short_first = serve(np.zeros(2), np.array([10.0, 100.0]), np.array([1.0, 0.0]))
    long_first = serve(np.zeros(2), np.array([10.0, 100.0]), np.array([0.0, 1.0]))
    assert (short_first.tolist(), long_first.tolist()) == ([0.0, 10.0], [100.0, 0.0])


def test_first_come_first_served_waits_as_pollaczek_and_khinchin_say():
    n, rho = 60_000, 0.7
    rng = np.random.default_rng(3)
    reading = rng.exponential(70.0, n)
    found = serve(poisson(n, 100.0, reading, 4).arrival, reading, np.zeros(n))
    wait = (found - poisson(n, 100.0, reading, 4).arrival).mean()
    assert wait == pytest.approx(rho * 70.0 / (1 - rho), rel=0.08)  # M/M/1


def test_two_classes_wait_as_cobham_says():
    n = 60_000
    w = poisson(n, 100.0, np.full(n, 80.0), 5, share=0.3)
    wait = serve(w.arrival, w.reading, w.emergency.astype(float)) - w.arrival
    residual = 0.8 * 80.0 / 2  # lambda E[S^2] / 2
    first = residual / (1 - 0.3 * 0.8)
    assert wait[w.emergency].mean() == pytest.approx(first, rel=0.05)  # Cobham 1954
    assert wait[~w.emergency].mean() == pytest.approx(first / (1 - 0.8), rel=0.1)


def test_nobody_starves_once_waiting_counts():
    flood = np.arange(200) * 10.0
    available, urgency = np.append(flood, 5.0), np.append(np.ones(200), 0.0)
    reading = np.full(201, 10.0)
    assert serve(available, reading, urgency)[-1] == 2000.0
    assert serve(available, reading, urgency, patience_s=100.0)[-1] == pytest.approx(110.0)


def test_a_score_that_knows_nothing_helps_nobody_and_a_planted_one_is_found():
    blind, sharp = (poisson(3000, 100.0, np.full(3000, 90.0), 7, shift=shift) for shift in (0.0, 3.0))
    changes = []
    for w in (blind, sharp):
        threshold = triage.threshold_at(w.score, w.emergency, 0.5)
        found, _ = triage.triage(w, [triage.by_score()], threshold=threshold)
        changes.append(next(r["change"] for r in found["rows"][7:] if r["group"] == "all emergencies"))
    assert changes[0]["low_s"] < 0 < changes[0]["high_s"]
    assert changes[1]["high_s"] < -100
    assert changes[1]["p_holm"] < 0.01


def test_the_harms_are_said_first_and_the_missed_emergencies_wait_longer():
    w = poisson(4000, 100.0, np.full(4000, 90.0), 11)
    threshold = triage.threshold_at(w.score, w.emergency, 0.9)
    found, _ = triage.triage(w, [triage.by_threshold(threshold)], threshold=threshold)
    lines = sentences(found)
    assert "who waits longer" in lines[1]
    assert "emergencies that the model missed" in lines[1]
    missed = {r["policy"]: r for r in found["rows"] if r["group"] == "emergencies that the model missed"}
    assert missed["flagged first"]["wait_s"]["median"] > missed["first come"]["wait_s"]["median"]
    everyone = [r["wait_s"]["mean"] for r in found["rows"] if r["group"] == "all studies"]
    assert everyone[1] == pytest.approx(everyone[0])


def test_the_models_delay_counts_as_waiting():
    w = poisson(50, 1e5, np.full(50, 10.0), 2)  # nobody else ever waits
    found, _ = triage.triage(w, [triage.by_threshold(0.0, delay_s=30.0)], threshold=0.0)
    last = found["rows"][-1]
    assert (last["policy"], last["group"], last["wait_s"]["median"]) == ("flagged first", "all studies", 30.0)
    assert last["turnaround_s"]["median"] == pytest.approx(40.0)


def test_too_few_busy_periods_are_no_ground_for_a_test():
    w = poisson(30, 10.0, np.full(30, 90.0), 2)
    found, _ = triage.triage(w, [triage.by_score()], threshold=0.0)
    assert found["busy_periods"] < 10
    assert found["rows"][-1]["change"]["p"] is None
    assert any("too few busy periods" in line for line in sentences(found))
    assert any("more work arrives" in line for line in sentences(found))


def test_busy_periods_end_when_a_study_finds_nobody_reading():
    available, reading = np.array([0.0, 5.0, 9.0, 40.0]), np.array([10.0, 10.0, 10.0, 10.0])
    assert busy_periods(available, serve(available, reading, np.zeros(4)), reading).tolist() == [0, 0, 0, 1]


def test_the_threshold_is_the_highest_that_reaches_the_sensitivity():
    score, ill = np.array([5.0, 4.0, 3.0, 2.0, 9.0]), np.array([True, True, True, True, False])
    assert [triage.threshold_at(score, ill, s) for s in (0.25, 0.26, 0.75, 1.0)] == [5.0, 4.0, 3.0, 2.0]
    with pytest.raises(RadloomError, match="0 emergencies"):
        triage.threshold_at(score, np.zeros(5, bool), 0.9)


@pytest.mark.parametrize("readers", [1, 3])
def test_the_load_is_reached_by_drawing_arrivals_together(readers):
    w = poisson(400, 500.0, np.full(400, 90.0), 1)
    fuller = w.at_load(load(w.arrival, w.reading, readers), 0.9)
    assert load(fuller.arrival, fuller.reading, readers) == pytest.approx(0.9)
    assert np.isnan(fuller.logged_start).all()
    with pytest.raises(RadloomError, match="load of 0"):
        w.at_load(0.2, 0.0)


def test_impossible_queues_are_refused():
    with pytest.raises(RadloomError, match="0 readers"):
        serve(np.zeros(1), np.ones(1), np.zeros(1), readers=0)
    with pytest.raises(RadloomError, match="same time"):
        load(np.zeros(3), np.ones(3), 1)


RIS = {
    "accession": ["A1", "A2", "A3"],
    "Completed": ["2026-01-31 08:00:00", "2026-01-31 07:59:00", "2026-01-31 08:10:00"],
    "read_start": ["2026-01-31 08:01:00", "2026-01-31 08:00:00", "2026-01-31 08:12:00"],
    "read_end": ["2026-01-31 08:03:00", "2026-01-31 08:00:30", "2026-01-31 08:13:00"],
    "score": [0.2, 0.9, 0.4],
    "emergency": [0, 1, 0],
}


def written(folder, columns) -> object:
    pd.DataFrame(columns).to_csv(folder / "ris.csv", index=False)
    return folder / "ris.csv"


def test_the_log_of_an_information_system_is_read(tmp_path):
    w = worklist(read_table(written(tmp_path, RIS), {"arrival": "Completed"}))
    assert w.study == ("A2", "A1", "A3")
    assert w.arrival.tolist() == [0.0, 60.0, 660.0]
    assert w.reading.tolist() == [30.0, 120.0, 60.0]
    assert w.logged_start.tolist() == [60.0, 120.0, 780.0]
    found, _ = triage.triage(w, [triage.by_score()], threshold=0.5)
    assert found["logged_wait_s"]["median"] == 60.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": None}, "no column for score"),
        ({"Completed": ["soon", "2026-01-31", "2026-01-31"]}, "study A1 has no usable arrival"),
        ({"read_end": ["2026-01-31 08:00:00"] * 3}, "no usable reading time"),
        ({"score": [0.1, None, 0.3]}, "study A2 has no usable score"),
        ({"score": [0.1, "high", 0.3]}, "study A2 has no usable score"),
        ({"emergency": [0, 2, 0]}, "study A2 has no usable emergency"),
        ({"emergency": [0, 0, 0]}, "0 of 3 studies are emergencies"),
        ({"accession": ["A1", "A1", "A3"]}, "names study A1 twice"),
        ({"read_end": [None, None, None]}, "0 studies have a reading time"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path, change, message):
    columns = {name: values for name, values in (RIS | change).items() if values is not None}
    with pytest.raises(RadloomError, match=message) as error:
        worklist(read_table(written(tmp_path, columns), {"arrival": "Completed"}))
    assert "\n" not in str(error.value)


def test_columns_that_are_not_there_and_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(RadloomError, match="no column Done"):
        read_table(written(tmp_path, RIS), {"arrival": "Done"})
    with pytest.raises(RadloomError, match="no such role"):
        read_table(written(tmp_path, RIS), {"urgency": "score"})
    with pytest.raises(RadloomError, match="cannot read"):
        read_table(tmp_path / "absent.csv", {})


def test_missing_reading_times_come_from_the_others_distribution():
    rng = np.random.default_rng(0)
    reading = rng.lognormal(4.5, 0.3, 2000)
    columns = {"study": [f"s{i}" for i in range(2000)], "arrival": np.arange(2000) * 60.0, "score": rng.random(2000),
               "emergency": np.arange(2000) % 2, "reading": np.where(np.arange(2000) < 1000, reading, np.nan),
               }  # fmt: skip
    w = worklist(pd.DataFrame(columns))
    assert w.fitted == 1000
    assert np.log(w.reading[1000:]).mean() == pytest.approx(4.5, abs=0.05)
    assert np.log(w.reading[1000:]).std() == pytest.approx(0.3, abs=0.03)


def test_the_command_reads_a_cohort_with_scores_and_writes_what_it_found(tmp_path, monkeypatch, capsys):
    from radloom.__main__ import main

    w = poisson(600, 100.0, np.random.default_rng(1).lognormal(4.5, 0.3, 600), 1)
    cohort = {"case": w.study, "time.arrival": w.arrival, "time.reading": w.reading,
              "label.emergency": w.emergency.astype(int), "split": ["val", "test"] * 300}  # fmt: skip
    pd.DataFrame({"study": w.study, "score": w.score}).to_csv(tmp_path / "scores.csv", index=False)
    command = ["radloom", "triage", str(written(tmp_path, cohort)), "--scores", str(tmp_path / "scores.csv"), "--out",
               str(tmp_path / "out"), "--load", "0.9", "--patience", "1800"]  # fmt: skip
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert capsys.readouterr().out.splitlines()[1].startswith("  who waits longer")
    found = json.loads((tmp_path / "out" / "triage.json").read_text())
    assert found["studies"] == 300
    assert found["load"] == pytest.approx(0.9)
    waits = pd.read_csv(tmp_path / "out" / "waits.csv")
    assert waits.groupby("policy").size().tolist() == [300] * 6
    assert (waits["wait_s"] >= -1e-9).all()
    assert (tmp_path / "out" / "queues.png").stat().st_size > 20_000


def test_the_picture_shows_the_worst_crowd(tmp_path):
    w = poisson(300, 100.0, np.full(300, 95.0), 8)
    run = triage.simulate(w, triage.first_come(), readers=1)
    assert int(np.argmax(run.start - w.arrival)) in crowded(w, run)
    picture(tmp_path / "queue.png", w, [run], 0.0)
    assert (tmp_path / "queue.png").read_bytes()[:4] == b"\x89PNG"
