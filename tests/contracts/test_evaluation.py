"""Drawing and judging: files on the source's own grid, baselines fitted on training patients alone, no leaks."""

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from radloom.checking import check
from radloom.data.cohort import Cohort
from radloom.errors import RadloomError
from radloom.evaluation import BASELINES, all_arms, evaluate, fitted_baselines
from radloom.metrics import METRICS
from radloom.models.closed_form import TrainingMean
from radloom.phantom import write_cohort
from radloom.results import Results
from radloom.runfolder import RunFolder
from radloom.sampling import draw, on_volumes, read_sample, trained_model
from radloom.stored import stored
from radloom.system import Recipe
from radloom.systems import load
from radloom.training import hardware
from radloom.training.train import train

TARGET = ("image.t1", "image.flair")


def oblique(path: Path) -> None:
    """Rewrites a NIfTI file with axes towards Left, Posterior, Superior, turned by 20 degrees about z."""
    file = nib.nifti1.load(path)
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    turn = np.array([[c, -s, 0, 5], [s, c, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1]])
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = np.array(file.shape[:2]) - 1
    voxels = np.asanyarray(file.dataobj)[::-1, ::-1]
    nib.nifti1.Nifti1Image(np.ascontiguousarray(voxels), turn @ file.affine @ flip).to_filename(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, RunFolder, Cohort]:
    """A tiny run, drawn and judged; its first test case lies obliquely in LPS."""
    data = write_cohort("brain", tmp_path_factory.mktemp("evaluation") / "c", subjects=8, shape=(40, 36, 6))
    cohort = Cohort.read(data)
    for key in cohort.image_columns:
        path = cohort.path(cohort.where("test").ids[0], key)
        assert path is not None
        oblique(path)
    cohort = Cohort.read(data)
    recipe = load("conte2021_missing_sequence").resolve("tiny", 2, {"steps": "4"})
    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "run", recipe, cohort, data / "cohort.csv", seed=0)
    fabric = hardware.launched_fabric()
    train(recipe, folder, fabric, seed=0)
    draw(recipe, folder, cohort, fabric, table=data / "cohort.csv", seed=0)
    evaluate(recipe, folder, cohort, cohort.where("test").ids)
    return recipe, folder, cohort


Made = tuple[Recipe, RunFolder, Cohort]


def test_there_is_one_row_per_case_arm_target_region_and_metric(made: Made) -> None:
    recipe, folder, cohort = made
    table = Results.read(folder.results).table
    tests = cohort.where("test").ids
    expected = len(tests) * (1 + len(BASELINES)) * 2 * 2 * len(recipe.system.metrics)  # regions: brain, tumour
    assert len(table) == expected
    assert not table.duplicated(["case", "arm", "target", "region", "metric"]).any()
    assert set(table["case"]) == set(tests)
    assert set(table["split"]) == {"test"}
    assert set(table["arm"]) == {"model", *BASELINES}
    assert set(table["region"]) == {"brain", "tumour"}
    assert table["value"].notna().all()
    assert all(METRICS[m].unit == u for m, u in table[["metric", "unit"]].drop_duplicates().itertuples(index=False))


def test_values_are_those_of_the_metric_on_the_arms_image(made: Made) -> None:
    recipe, folder, cohort = made
    table = (
        Results.read(folder.results)
        .table.set_index(["case", "arm", "target", "region", "metric"])["value"]
        .sort_index()
    )
    case = cohort.where("test").ids[1]
    prepared = recipe.system.task.read(cohort, case)
    real = prepared.channels["image.flair"][prepared.region].astype(float)
    for arm, images in all_arms(recipe, folder, cohort).of(prepared):
        fake = images[1][prepared.region].astype(float)
        found = table[case, arm, "image.flair", "brain"]
        assert found["mae"] == pytest.approx(np.mean(np.abs(fake - real)), rel=1e-5)
        peak = folder.record()["data_range"]["image.flair"]
        assert found["psnr"] == pytest.approx(10 * np.log10(peak**2 / np.mean((fake - real) ** 2)), rel=1e-5)
        assert not images[:, ~prepared.region].any()
        assert arm != "zero" or not images.any()


def test_model_arm_is_what_the_weights_draw_although_it_went_through_files(made: Made) -> None:
    import torch

    recipe, folder, cohort = made
    case = cohort.where("test").ids[0]
    prepared = recipe.system.task.read(cohort, case)
    model = trained_model(recipe, folder)
    x = model.sample(recipe.system.task.given(prepared), (1, 2, *prepared.region.shape), rng=torch.Generator())[
        0
    ].numpy()
    for i, key in enumerate(TARGET):
        sample = read_sample(folder, case, key)
        np.testing.assert_allclose(sample.voxels * prepared.region, x[i], rtol=1e-4, atol=1e-4)
    with pytest.raises(RadloomError, match="absent; draw it first"):
        read_sample(folder, case, "image.t1", 7)


def test_drawn_file_lies_on_the_source_files_own_grid_and_says_what_it_is(made: Made) -> None:
    _recipe, folder, cohort = made
    for case in cohort.where("test").ids:
        source = nib.nifti1.load(cohort.path(case, "image.t2"))
        record = folder.record()
        for key in TARGET:
            path = folder.path / "samples" / f"{case}.draw0.{key}.nii.gz"
            drawn = nib.nifti1.load(path)
            assert drawn.shape == source.shape
            np.testing.assert_allclose(drawn.affine, source.affine, atol=1e-4)
            about = json.loads(path.with_name(path.name.removesuffix(".nii.gz") + ".json").read_text())
            assert {"case", "draw", "key", "seed", "run", "split_hash", "system", "synthetic", "unit", "scale"} <= set(
                about
            )
            assert (about["synthetic"], about["case"], about["key"], about["draw"]) == (True, case, key, 0)
            assert about["run"] == "run"
            assert about["split_hash"] == record["split_hash"] == cohort.split_hash("train")
            assert about["source"] == record["cohort"]
            values = np.asanyarray(drawn.dataobj)
            assert np.median(values[values > values.min()]) == pytest.approx(record["scale"][key]["scale"], rel=0.5)
    first = nib.nifti1.load(cohort.path(cohort.where("test").ids[0], "image.t2"))
    assert "".join(nib.aff2axcodes(first.affine)) == "LPS"


def test_drawing_needs_no_real_target_and_names_its_own_source(made: Made, tmp_path: Path) -> None:
    recipe, folder, cohort = made
    shutil.copytree(folder.path, tmp_path / "run")
    case = cohort.where("test").ids[1]
    table = cohort.table[cohort.table["case"] == case].drop(columns=["image.t1", "image.flair", "mask.tumour"])
    Cohort(table, cohort.root, {}).write(tmp_path / "other" / "cohort.csv")
    other = Cohort.read(tmp_path / "other")
    copy = RunFolder(tmp_path / "run")
    table_path = tmp_path / "other" / "cohort.csv"
    draw(recipe, copy, other, hardware.launched_fabric(), table=table_path, seed=0, cases=[case])
    assert np.array_equal(read_sample(copy, case, "image.t1").voxels, read_sample(folder, case, "image.t1").voxels)
    about = json.loads((copy.path / "samples" / f"{case}.draw0.image.t1.json").read_text())
    assert about["source"] == str(table_path)
    with pytest.raises(RadloomError, match=r"no column image\.t1"):
        evaluate(recipe, copy, other, [case])


def test_cubic_fits_the_training_patients_better_than_linear_and_the_mean(made: Made) -> None:
    import torch

    recipe, folder, cohort = made
    task, training = recipe.system.task, cohort.where("train").ids
    models = fitted_baselines(task, stored(task, folder, cohort, ("train",)), training)
    assert tuple(models) == BASELINES
    errors = dict.fromkeys(models, 0.0)
    for case in training:
        prepared = task.read(cohort, case)
        x, given = task.x(prepared), task.given(prepared)
        for arm, model in models.items():
            errors[arm] += float((model.sample(given, tuple(x.shape), rng=torch.Generator()) - x).square().sum())
    assert errors["cubic"] < errors["linear"] < errors["mean"] < errors["zero"]
    mean = models["mean"]
    assert isinstance(mean, TrainingMean)
    assert mean.mean.shape == (1, 2, 40, 36, 6)


def test_a_changed_test_case_changes_no_other_cases_rows(made: Made, tmp_path: Path) -> None:
    recipe, folder, cohort = made
    shutil.copytree(cohort.root, tmp_path / "c")
    shutil.copytree(folder.path, tmp_path / "run")
    copy = RunFolder(tmp_path / "run")
    copy.results.unlink()
    shutil.rmtree(copy.cache)
    changed = Cohort.read(tmp_path / "c")
    first, *rest = changed.where("test").ids
    for key in TARGET:
        path = changed.path(first, key)
        assert path is not None
        file = nib.nifti1.load(path)
        voxels = np.asanyarray(file.dataobj)
        nib.nifti1.Nifti1Image(np.roll(voxels, 5, axis=0), file.affine).to_filename(path)
    before = Results.read(folder.results).table
    after = evaluate(recipe, copy, changed, [first, *rest]).table
    for case, same in [(first, False), *((case, True) for case in rest)]:
        a, b = (table.loc[table["case"] == case, "value"].to_numpy() for table in (before, after))
        assert np.array_equal(a, b) is same
    model = before["arm"] == "zero"
    assert not np.array_equal(before.loc[model, "value"], after.loc[model, "value"])  # the change reached the judge


def test_baselines_see_training_patients_alone(made: Made, tmp_path: Path) -> None:
    recipe, folder, cohort = made
    asked: list[str] = []

    class Watched(Cohort):
        def case(self, case: str, keys=None):
            asked.append(case)
            return super().case(case, keys)

        def where(self, split: str) -> Cohort:
            part = super().where(split)
            return Watched(part.table, part.root, part.about)

    shutil.copytree(folder.path, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "cache")
    all_arms(recipe, RunFolder(tmp_path / "run"), Watched(cohort.table, cohort.root, cohort.about))
    assert set(asked) == set(cohort.where("train").ids)


def test_tumour_mask_on_another_grid_is_refused(made: Made, tmp_path: Path) -> None:
    recipe, folder, cohort = made
    shutil.copytree(cohort.root, tmp_path / "c")
    shutil.copytree(folder.path, tmp_path / "run")
    other = Cohort.read(tmp_path / "c")
    case = other.where("test").ids[1]
    path = other.path(case, "mask.tumour")
    assert path is not None
    file = nib.nifti1.load(path)
    nib.nifti1.Nifti1Image(np.asanyarray(file.dataobj)[:, :, :-1], file.affine).to_filename(path)
    with pytest.raises(RadloomError, match=r"mask\.tumour lie on different grids"):
        evaluate(recipe, RunFolder(tmp_path / "run"), other, [case])


@pytest.mark.parametrize("dims", [2, 3])
def test_identity_network_on_volumes_gives_the_input_back(dims: int, made: Made) -> None:
    """The path of whole volumes through slices or tiles, with networks that copy their first input."""
    import torch

    from radloom.models.gan import PairedGAN
    from radloom.models.wrappers import Independent

    class First(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1]

    recipe = load("conte2021_missing_sequence").resolve("tiny", dims, {"sees": "own"})
    inner = recipe.build()
    assert isinstance(inner, Independent)
    for part, _ in inner:
        assert isinstance(part, PairedGAN)
        part.generator, part.base = First(), None
    _, _, cohort = made
    prepared = recipe.system.task.read(cohort, cohort.where("test").ids[0])
    given = recipe.system.task.given(prepared)
    drawn = on_volumes(inner, recipe).sample(given, (1, 2, *prepared.region.shape), rng=torch.Generator())
    assert given.image is not None
    torch.testing.assert_close(drawn, given.image, rtol=1e-5, atol=1e-6)
    assert on_volumes(inner, recipe).sample(given, (1, 2, *prepared.region.shape), rng=torch.Generator()).any()


def test_checks_count_lesions_and_draw_again(made: Made) -> None:
    recipe, folder, cohort = made
    found = check(recipe, folder, cohort, cohort.where("test").ids)
    assert json.loads((folder.path / "checks.json").read_text()) == json.loads(json.dumps(found))
    assert [table["target"] for table in found["tables"]] == list(TARGET)
    assert [row[0] for row in found["tables"][0]["rows"]] == ["model", *BASELINES]
    zero = [one for one in found["cases"] if one["arm"] == "zero" and one["target"] == "image.flair"]
    fates = [fate for one in zero for fate in one["fates"]]
    assert fates
    assert all(fate["synthetic"] == 0 for fate in fates)
    assert (folder.path / found["figures"][0]["file"]).read_bytes().startswith(b"\x89PNG")
    assert "one answer" in found["figures"][0]["note"]  # a GAN without noise draws the same image each time


def test_a_cohort_without_test_cases_is_refused_before_anything_is_written(made: Made) -> None:
    recipe, folder, cohort = made
    before = folder.results.read_bytes()
    with pytest.raises(RadloomError, match=r"no case in split test; expected cases to judge; .*radloom data split"):
        evaluate(recipe, folder, cohort, [])
    assert folder.results.read_bytes() == before
