"""The study of enhancement: counts by hand, planted gains and nulls; gates and stacks of networks."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radloom import studies, systems
from radloom.data.cohort import Cohort
from radloom.networks.added import Added
from radloom.networks.attention_unet import AttentionUNet, Gate, Stacked
from radloom.studies.enhancement import counted, enhancing, findings
from radloom.systems.contrast_cgan import where_bright


def test_enhancing_is_what_stands_above_t1_inside_the_region_and_is_no_speck() -> None:
    before = np.full((6, 6, 3), 1.2)
    after = before.copy()
    after[0, :3, 0] = 1.8  # three joined voxels
    after[3, 3, 1] = 3.0  # one
    after[5, :3, 2] = 1.55  # below the threshold
    after[:, 5, :] = 9.0  # outside
    region = np.ones(before.shape, bool)
    region[:, 5] = False
    found = enhancing(after, before, region, threshold=0.5)
    assert found[0, :3, 0].all()
    assert found.sum() == 3
    assert not enhancing(before, before, region, threshold=0.5).any()


def test_counts_by_hand() -> None:
    labels, real, made = np.zeros((12, 4, 1), int), np.zeros((12, 4, 1), bool), np.zeros((12, 4, 1), bool)
    labels[0:3], labels[3:6], labels[6] = 3, 1, 2
    real[0:2] = True  # the expert drew one row more than the image shows
    real[11] = True  # a vessel
    made[2:4] = True  # beside it: rows 2 (the expert's) and 3
    made[6] = True  # false, in oedema
    made[8] = True  # false, outside the tumour
    told = counted(made, real, labels, voxel_cm3=0.5)
    assert told["found"] == pytest.approx(4 / 12)
    assert told["false_tumour"] == pytest.approx(0.5 * 8)  # rows 3 and 6: row 3 is two from what enhances
    assert told["false_elsewhere"] == pytest.approx(0.5 * 4)
    assert told["missed"] == pytest.approx(0.5 * 8)  # row 0 and the vessel; row 1 lies beside row 2
    assert told["tumour"] == pytest.approx(0.5 * 12)
    assert told["enhances"] == 1
    nothing = counted(made, real, 0 * labels, voxel_cm3=1.0)
    assert np.isnan(nothing["found"])
    assert nothing["enhances"] == 0


def rows(patients: int, found: dict[str, float], false: dict[str, float], *, absent: int = 0) -> pd.DataFrame:
    out = []
    for p, arm in itertools.product(range(patients + absent), found):
        has = p < patients
        out.append({"patient": f"p{p}", "case": f"c{p}", "arm": arm, "enhances": float(has),
                    "found": found[arm] + 0.02 * np.sin(p + len(arm)) if has else np.nan,
                    "false_tumour": false[arm] + 0.02 * np.cos(p * len(arm)), "false_elsewhere": 0.1, "missed": 0.2,
                    "tumour": 5 * found[arm] if has else false[arm]})  # fmt: skip
    return pd.DataFrame(out)


FOUND = {"real": 1.0, "model": 0.7, "cubic": 0.3}
FALSE = {"real": 0.0, "model": 0.5, "cubic": 0.5}


def test_planted_gain_without_more_false_enhancement_passes() -> None:
    told = findings(rows(12, FOUND, FALSE, absent=4), 0.4)
    assert told["passed"] is True
    assert told["against_cubic"]["found"]["difference"] == pytest.approx(0.4, abs=0.03)
    assert told["against_cubic"]["found"]["n"] == 12
    assert "16 patients" in told["answer"]
    assert [row[0] for row in told["tables"][0]["rows"]] == ["real", "model", "cubic"]
    assert [row[-1] for row in told["tables"][0]["rows"]] == ["1.00"] * 3


def test_a_gain_bought_with_false_enhancement_and_no_gain_do_not_pass() -> None:
    bought = findings(rows(12, FOUND, {**FALSE, "model": 2.0}), 0.4)
    assert bought["passed"] is False
    assert "more of it, with more false enhancement" in bought["answer"]
    null = findings(rows(12, {**FOUND, "model": 0.3}, FALSE), 0.4)
    assert null["passed"] is False
    assert null["tables"][0]["rows"][0][-1] == "–"  # all of them enhance


def test_few_patients_get_no_verdict() -> None:
    assert findings(rows(5, FOUND, FALSE), 0.4)["passed"] is None
    assert findings(rows(5, FOUND, FALSE, absent=10), 0.4)["passed"] is None


def test_what_the_study_needs_is_named(tmp_path: Path) -> None:
    study = studies.load("enhancement")
    recipe = systems.load("contrast_cgan").resolve("tiny", 2, {})
    table = pd.DataFrame({"case": ["a"], "patient": ["a"], "site": "", "vendor": "", "split": ["test"]})
    assert study.needs(recipe, Cohort(table, tmp_path)) == "not every test case has mask.tumour"
    assert study.needs(recipe, Cohort(table.assign(**{"mask.tumour": "x"}), tmp_path)) is None
    other = systems.load("contrast_cgan").resolve("tiny", 2, {"inputs": "image.t2"})
    assert study.needs(other, Cohort(table, tmp_path)) == "enhancement is what one target shows beyond image.t1"


def test_a_gate_begins_almost_open_and_can_close() -> None:
    torch.manual_seed(0)
    gate = Gate(2, 8)
    skip, deeper = torch.randn(2, 2, 8, 5, 5)
    with torch.no_grad():
        gate.weight.weight.zero_()  # pyright: ignore
        torch.testing.assert_close(gate(skip, deeper), skip * torch.sigmoid(torch.tensor(2.0)))
        gate.weight.bias.fill_(-30.0)  # pyright: ignore
        assert gate(skip, deeper).abs().max() < 1e-6


@pytest.mark.parametrize("size", [(17, 12), (9, 10, 11)])
def test_the_stack_adds_to_the_first_answer_what_the_second_draws(size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    dims = len(size)
    first, second = AttentionUNet(dims, 2, 1, (4, 8)), AttentionUNet(dims, 3, 1, (4, 8))
    x = torch.randn(1, 2, *size)
    answer = Stacked(first, second)(x)
    assert answer.shape == (1, 1, *size)
    torch.testing.assert_close(answer, first(x) + second(torch.cat([x, first(x)], dim=1)))


def test_every_parameter_of_an_attention_unet_is_heard() -> None:
    torch.manual_seed(0)
    network = AttentionUNet(2, 2, 1, (4, 8, 8))
    network(torch.randn(1, 2, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_what_is_added_stands_on_the_first_input() -> None:
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 1, 1)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(Added(network)(x), x[:, :1] + network(x))


def test_bright_voxels_weigh_by_how_far_they_stand_above_the_median() -> None:
    real = torch.ones(1, 1, 9, 9)
    assert where_bright(real + 1, real) == 0
    real[..., 4, 4] = 2.8  # 1.8 above, spread over 3 x 3 voxels: 0.2 each
    assert where_bright(real + 1, real).item() == pytest.approx(9 * 0.2 / 81)
