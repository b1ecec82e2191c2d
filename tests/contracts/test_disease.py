"""Models of healthy slices, and of slices by what they show: what is learned, told and healed."""

import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from radloom.data.cohort import Cohort
from radloom.data.condition import Condition
from radloom.drawing import wishes
from radloom.errors import RadloomError
from radloom.given import Given
from radloom.io import read
from radloom.models.healing import Heals
from radloom.phantom import write_cohort
from radloom.random import torch_stream
from radloom.studies.anomaly import needs
from radloom.studies.disease import Disease, disease_of
from radloom.synthesis import Synthesis
from radloom.systems import load, names

HEALING = [name for name in names() if load(name).study == "anomaly"]
MASK = "mask.tumour"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    """Eight brains with tumours."""
    out = tmp_path_factory.mktemp("ill") / "cohort"
    write_cohort("brain", out, subjects=8, seed=4, shape=(32, 32, 12), splits=(0.5, 0.13, 0.37))
    return Cohort.read(out)


def task(**changes) -> Synthesis:
    return replace(Synthesis(target=("image.t1", "image.flair"), grid=(24, 24)), **changes)


def test_slices_that_show_the_mask_are_left_out_and_all_others_stay(cohort):
    fitted = task(without=MASK).fitted(cohort)
    for case in cohort.ids:
        ill = (cohort.image(case, MASK).voxels > 0).any(axis=(0, 1))
        seen, read_ = fitted.seen(cohort, case), fitted.read(cohort, case)
        assert ill.any()
        assert not read_.region[..., ill].any()
        np.testing.assert_array_equal(read_.region[..., ~ill], seen.region[..., ~ill])
        assert seen.region[..., ill].any()


def test_a_mask_as_condition_tells_of_each_slice_whether_it_shows_disease(cohort):
    fitted = task(condition=(Condition(MASK),)).fitted(cohort)
    assert fitted.condition[0].classes == ("0", "1")
    case = cohort.ids[0]
    channel = fitted.read(cohort, case).channels[MASK]
    ill = (cohort.image(case, MASK).voxels > 0).any(axis=(0, 1))
    assert channel.shape == (24, 24, 12)
    np.testing.assert_array_equal(channel[3, 5], ill.astype(np.float32))
    assert [wish.name for wish in wishes(fitted, cohort, [])] == ["tumour_0", "tumour_1"]
    assert wishes(fitted, cohort, ["mask.tumour=0"])[0].codes == ((0.0,),)


def test_what_is_left_out_and_what_is_told_survives_the_record(cohort):
    one = task(without=MASK, condition=(Condition("label.idh"),)).fitted(cohort)
    record = {"target": list(one.target), **json.loads(json.dumps(one.record()))}
    assert task().restored(record) == one
    old = {key: value for key, value in record.items() if key != "without"}  # of a run before there was `without`
    assert task().restored(old) == replace(one, without="")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"without": "image.t1"}, '"image.t1" is no column'), ({"without": "mask.a,mask.b"}, "names 2 columns"),
     ({"condition": "image.t1"}, '"image.t1" is no column')],
)  # fmt: skip
def test_columns_that_cannot_be_set_are_one_clear_line(change, message):
    with pytest.raises(RadloomError, match=message):
        task().changed(change)


def test_a_mask_that_the_cohort_lacks_is_said(cohort):
    with pytest.raises(RadloomError, match=r"mask\.lesion"):
        task(without="mask.lesion").fitted(cohort)


@pytest.mark.parametrize("name", HEALING)
def test_every_system_of_the_study_builds_a_model_that_heals(name):
    recipe = load(name).resolve("tiny", 2, {})
    torch.manual_seed(0)
    model = recipe.build().eval().requires_grad_(False)
    assert isinstance(model, Heals)
    rng = torch.Generator().manual_seed(1)
    mask = torch.zeros((2, 1, 32, 32), dtype=torch.bool)
    mask[..., 4:28, 4:28] = True
    x = torch.where(mask, 2 * torch.rand((2, len(recipe.system.task.target), 32, 32), generator=rng) - 1, -1)
    found = [model.heal(x, Given(mask=mask), rng=torch_stream(seed)) for seed in (0, 0, 1)]
    for one in found:
        assert one.healthy.shape == x.shape
        assert one.map.shape == (2, 1, 32, 32)
        assert torch.isfinite(one.map).all()
        assert (one.map >= 0).all()
        assert one.healthy.abs().max() <= 1
    torch.testing.assert_close(found[0].map, found[1].map, rtol=0, atol=0)
    assert disease_of(recipe, Cohort(pd.DataFrame(columns=["case"]), Path())) == Disease(MASK)


def test_a_label_that_conditions_a_model_says_who_is_ill_only_where_a_class_is_named_healthy(cohort):
    guided = load("wolleb2022_ddim").resolve("tiny", 2, {"condition": "label.idh", "healthy": "1"})
    assert disease_of(guided, cohort) == Disease("label.idh", healthy="1")
    assert disease_of(guided, cohort).has(cohort, cohort.ids[0]) == (cohort.table["label.idh"].iloc[0] != 1)
    other = load("bercea2024_thor").resolve("tiny", 2, {"condition": "label.idh", "without": ""})
    assert disease_of(other, cohort) == Disease(MASK)


def test_a_cohort_without_masks_or_validation_cases_is_told_what_is_missing(cohort):
    recipe = load("bercea2024_thor").resolve("tiny", 2, {})
    assert needs(recipe, cohort) is None
    bare = replace(cohort, table=cohort.table.drop(columns=MASK))
    assert needs(recipe, bare) == f"not every train case has {MASK}"
    unwatched = replace(cohort, table=cohort.table[cohort.table["split"] != "val"])
    assert needs(recipe, unwatched) == "the cohort has no case in split val"


def test_a_run_ends_in_a_study_with_maps_that_lie_on_the_patient(cohort, tmp_path, monkeypatch):
    from radloom.__main__ import main

    run = tmp_path / "run"
    monkeypatch.setattr(sys, "argv", ["radloom", "train", "radloom_anomaly", "--data", str(cohort.root), "--out",
                                      str(run), "--size", "tiny", "--set", "steps=2"])  # fmt: skip
    with redirect_stdout(StringIO()), pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    monkeypatch.setattr(sys, "argv", ["radloom", "study", "anomaly", str(run)])
    with redirect_stdout(StringIO()) as out, pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "too few for a verdict" in out.getvalue()
    study = json.loads((run / "study.json").read_text())
    arms = [row[0] for row in study["tables"][0]["rows"]]
    assert arms[0] == "model"
    assert arms[2:] == ["autoencoder", "VAE", "nearest neighbours", "U-Net with labels"]
    for case in cohort.where("test").ids:
        drawn, real = read(run / "study" / f"{case}.healthy.image.flair.nii.gz"), cohort.image(case, "image.flair")
        found = read(run / "study" / f"{case}.map.nii.gz")
        assert found.shape == drawn.shape
        np.testing.assert_allclose(found.affine, drawn.affine)
        middle = real.affine @ [*(np.array(real.shape) - 1) / 2, 1]
        np.testing.assert_allclose(drawn.affine @ [*(np.array(drawn.shape) - 1) / 2, 1], middle, atol=1e-3)
        assert 0.5 < np.median(drawn.voxels[drawn.voxels > 0]) / np.median(real.voxels[real.voxels > 0]) < 2
        sidecar = json.loads((run / "study" / f"{case}.healthy.image.flair.json").read_text())
        assert sidecar["synthetic"] is True
        assert sidecar["case"] == case
    scores = pd.read_csv(run / "study" / "scores.csv")
    assert set(scores["study"]) == {*cohort.where("val").ids, *cohort.where("test").ids}
    assert (run / study["figures"][0]["file"]).read_bytes()[:4] == b"\x89PNG"
