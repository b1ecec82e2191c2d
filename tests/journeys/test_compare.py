"""`radloom compare` on small folders, tables, samples and arrays: what is written, and that its numbers are right."""

import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from unittest import mock

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

from radloom import io
from radloom.__main__ import main
from radloom.compare.run import Options, compare
from radloom.metrics import distribution, features, fidelity
from radloom.results import Results

SIDE, N = 48, 26


def radloom(*arguments) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of the command line, run in this process."""
    out, err = StringIO(), StringIO()
    with (
        mock.patch.object(sys, "argv", ["radloom", *map(str, arguments)]), redirect_stdout(out), redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):  # fmt: skip
        main()
    code = end.value.code
    return (code if isinstance(code, int) else 0 if code is None else 1), out.getvalue(), err.getvalue()


def body(rng: np.random.Generator, *, sharp: float = 1.0) -> np.ndarray:
    """An 8-bit picture: a bright ellipse of random place on a dark ground, with texture; `sharp` is the grain's sd."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    cx, cy, a, b = rng.uniform([-0.2, -0.2, 0.5, 0.5], [0.2, 0.2, 0.8, 0.8])
    shape = 150.0 * (((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 < 1)
    grain = gaussian_filter(rng.normal(size=(SIDE, SIDE)), sharp)
    return np.clip(40 + gaussian_filter(shape, 1) + 20 * grain / grain.std(), 0, 255).round()


def write(folder: Path, pictures: dict[str, np.ndarray]) -> Path:
    folder.mkdir(parents=True)
    for name, values in pictures.items():
        Pillow.fromarray(values.astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Real and held-out pictures, and synthetic ones: blurred ones, and three copies."""
    folder, rng = tmp_path_factory.mktemp("two sets"), np.random.default_rng(0)
    real = {f"r{i:02d}": body(rng) for i in range(N)}
    made = {f"s{i:02d}": body(rng, sharp=2.0) for i in range(N - 3)}
    made |= {"t0": real["r03"], "t1": real["r07"][:, ::-1], "t2": np.round(0.7 * real["r09"] + 20)}
    write(folder / "real", real)
    write(folder / "held out", {f"h{i:02d}": body(rng) for i in range(N)})
    write(folder / "made", made)
    return folder


@pytest.fixture(scope="module")
def done(place) -> tuple[dict, pd.DataFrame, str]:
    """The JSON answer, results.csv and report.html of one comparison."""
    code, out, err = radloom("compare", place / "real", place / "made", "--held-out", place / "held out",
                             "--radiomics", 0, "--out", place / "out", "--json")  # fmt: skip
    assert code == 0, err
    return json.loads(out), pd.read_csv(place / "out/results.csv"), (place / "out/report.html").read_text()


def number(table: pd.DataFrame, metric: str, arm: str = "synthetic") -> pd.Series:
    rows = table[(table["metric"] == metric) & (table["arm"] == arm)]
    assert len(rows) == 1, (metric, arm, len(rows))
    return rows.iloc[0]


def pixels(folder: Path) -> list[np.ndarray]:
    return [io.read(path).voxels[:, :, 0] for path in sorted(folder.iterdir())]


def test_values_are_those_of_the_metrics_called_directly(place, done):
    _, table, _ = done
    real, made = pixels(place / "real"), pixels(place / "made")
    high = float(np.percentile(np.concatenate([image.ravel() for image in real]), 99.9))
    extract = features.multiscale_texture(2, window=(0, high))
    x, y = extract(real), extract(made)
    assert number(table, "fd")["estimate"] == pytest.approx(distribution.frechet_distance(x.values, y.values).value)
    assert number(table, "mmd2")["estimate"] == pytest.approx(distribution.mmd2_polynomial(x.values, y.values))
    expected = distribution.prdc(x.values, y.values, 5)
    for name in ("precision", "recall", "density", "coverage"):
        assert number(table, name)["estimate"] == pytest.approx(getattr(expected, name))
    row = number(table, "fd")
    assert (row["n"], row["n_real"], row["d"], row["extractor"]) == (N, N, 44, "multiscale_texture_2d")
    assert row["preprocessing"] == x.preprocessing


def test_a_frechet_distance_never_stands_bare(done):
    _, table, _ = done
    row, unlimited = number(table, "fd"), number(table, "fd_infinity")
    assert "mostly sampling bias" in row["note"]  # 26 images, 44 features
    assert row["low"] < row["estimate"] < row["high"]
    assert np.isfinite(unlimited[["low", "high"]].to_numpy(float)).all()
    floor, copied = number(table, "fd_equal_n", "real halves"), number(table, "fd_equal_n", "duplicated real")
    assert copied["estimate"] < floor["estimate"] < number(table, "fd_equal_n")["estimate"]
    assert number(table, "fd_equal_n")["n"] == floor["n"] == N // 2


def test_copies_are_found_through_mirrors_and_brightness(done):
    answer, table, page = done
    row = number(table, "copies")
    assert 3 / N <= row["estimate"] <= 4 / N  # the three copies, and at most one by chance
    assert number(table, "identical")["estimate"] == pytest.approx(1 / N)
    assert page.count("closer than real images come") >= 3
    assert "1 are identical" in " ".join(answer["targets"][""]["verdict"])


def test_blur_is_seen_in_the_spectrum_and_not_between_real_halves(done):
    _, table, _ = done
    row, floor = number(table, "high_frequency_excess"), number(table, "high_frequency_excess", "real halves")
    assert row["high"] < floor["low"]
    assert row["estimate"] < -3


def test_held_out_images_bring_the_memorisation_metrics(done):
    answer, table, _ = done
    for metric in ("nearest_training_ratio", "copy_fraction", "authenticity", "data_copying", "membership_auc"):
        assert np.isfinite(number(table, metric)["estimate"])
    assert not any("--held-out" in reason for reason in answer["targets"][""]["not_applicable"].values())


def test_what_does_not_apply_is_listed_with_its_reason(done):
    answer, _, page = done
    absent = answer["targets"][""]["not_applicable"]
    assert "no case has the same name" in absent["fidelity of pairs (MSE, PSNR, SSIM, ...)"]
    assert "classifier" in absent["inception_score"]
    assert "--weights inception=FILE" in absent["features of inception"]
    assert all(reason.replace("'", "&#39;") in page for reason in absent.values())


class Page(HTMLParser):
    """What a page asks for, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.pictures, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open += [tag] * (tag not in ("meta", "img", "br", "path"))
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data"):
                (self.pictures if value.startswith("data:") else self.asked).append(value)

    def handle_endtag(self, tag):
        if tag != "path":
            assert self.open.pop() == tag


def test_the_page_stands_alone(done):
    _, _, page = done
    seen = Page()
    seen.feed(page)
    assert seen.open == []
    assert len(seen.pictures) == 24  # six at either end, each beside its neighbour
    assert [link for link in seen.asked if not link.startswith("#")] == []
    assert not re.search(r"https?://|@import|url\(", page)
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert {link[1:] for link in seen.asked} <= ids


def test_the_page_and_the_answer_say_where_the_images_come_from(place, done):
    answer, _, page = done
    about = answer["provenance"]["targets"]["images"]
    assert about["real"]["images"] == N
    assert about["real"]["voxels_sha256"] != about["synthetic"]["voxels_sha256"]
    assert about["real"]["voxels_sha256"] in page
    assert str(place / "made") in page
    assert "give a cohort table, or --patient" in page
    assert "99.9th percentile of the real voxels" in page
    assert "data: simulated" not in page


def test_one_seed_gives_one_table_whatever_the_order_of_reading(place, done, tmp_path):
    _, table, _ = done
    code, _, err = radloom("compare", place / "real", place / "made", "--held-out", place / "held out",
                           "--radiomics", 0, "--out", tmp_path)  # fmt: skip
    assert code == 0, err
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "results.csv"), table)


def cohort(folder: Path, volumes: dict[str, np.ndarray]) -> Path:
    """A cohort table of FLAIR volumes, two cases to a patient."""
    folder.mkdir()
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    rows = []
    for i, (case, voxels) in enumerate(volumes.items()):
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), folder / f"{case}.nii.gz")
        rows.append({"case": case, "patient": f"p{i // 2}", "image.flair": f"{case}.nii.gz"})
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def volumes(tmp_path_factory) -> Path:
    """A cohort of eight volumes and the samples of a run of them, case c0 drawn twice."""
    folder, rng = tmp_path_factory.mktemp("volumes"), np.random.default_rng(1)
    real = {f"c{i}": np.stack([body(rng) for _ in range(6)], axis=-1) for i in range(8)}
    cohort(folder / "cohort", real)
    samples = folder / "run" / "samples"
    samples.mkdir(parents=True)
    (folder / "run" / "run.json").write_text("{}")
    for case, voxels in [*real.items(), ("c0", real["c0"])]:
        draw = len(list(samples.glob(f"{case}.*")))
        noisy = voxels + 10 * rng.normal(size=voxels.shape)
        nib.save(nib.Nifti1Image(noisy.astype(np.float32), np.diag([1.0, 1.0, 3.0, 1.0])),
                 samples / f"{case}.draw{draw}.image.flair.nii.gz")  # fmt: skip
    return folder


def test_samples_of_a_run_are_paired_with_the_cohorts_cases(volumes):
    code, out, err = radloom("compare", volumes / "cohort", volumes / "run", "--radiomics", 0, "--slices", 3,
                             "--data-range", 200, "--out", volumes / "out", "--json")  # fmt: skip
    assert code == 0, err
    answer = json.loads(out)["targets"]["image.flair"]
    assert answer["pairs"] == 9  # eight cases, one drawn twice
    cases = Results.read(volumes / "out/cases.csv").table
    for case, draw in (("c3", "c3"), ("c0.draw1", "c0")):
        real = nib.load(volumes / f"cohort/{draw}.nii.gz").get_fdata(dtype=np.float32)
        number_of = 1 if case.endswith("1") else 0
        made = nib.load(volumes / f"run/samples/{draw}.draw{number_of}.image.flair.nii.gz").get_fdata(dtype=np.float32)
        own = cases[(cases["case"] == case) & (cases["arm"] == "synthetic")].set_index("metric")["value"]
        assert own["psnr"] == pytest.approx(fidelity.psnr(made, real, data_range=200))
        assert own["ssim_slices"] == pytest.approx(fidelity.ssim_slices(made, real, data_range=200))
    table = pd.read_csv(volumes / "out/results.csv")
    psnr, other = number(table, "psnr"), number(table, "psnr", "another real")
    assert psnr["estimate"] > other["high"]
    assert psnr["estimate"] == pytest.approx(
        cases[(cases["metric"] == "psnr") & (cases["arm"] == "synthetic")]["value"].mean()
    )
    assert "data range 200 as given" in answer["notes"][0]
    assert "SSIM by slices of 9 pairs is" in " ".join(answer["verdict"])
    assert "11" in answer["not_applicable"]["ssim"]  # voxels along each axis, and there are 6 slices
    assert "22 voxels" in answer["not_applicable"]["ms_ssim"]
    assert not any("--patient" in note for note in answer["notes"])  # a cohort table knows its patients


def test_volumes_are_compared_by_slices_with_patients_as_clusters(volumes):
    found = compare(volumes / "cohort", volumes / "run", options=Options(slices=3, radiomics=0))
    target = found.targets[0]
    assert len(target.real.planes) == 24
    assert len(set(target.real.patients)) == 4  # two cases of each
    assert set(target.synthetic.patients) == set(target.real.patients)
    assert any("axial slices" in note for note in target.notes)
    nearest = target.nearest
    assert nearest is not None
    assert all(one.real.item.patient != one.synthetic.item.patient for one in nearest.neighbours)  # own ones are alike


def test_a_simulated_cohort_is_called_simulated(volumes):
    from radloom.report.compare_page import page

    (volumes / "cohort/cohort.json").write_text('{"simulated": true}')
    found = compare(volumes / "cohort", volumes / "run", options=Options(slices=2, radiomics=0))
    assert found.provenance["simulated"] is True
    assert page(found).count("supports no clinical claim") == 2  # banner and foot


def test_without_pairs_the_same_names_mean_nothing(volumes):
    found = compare(volumes / "cohort", volumes / "run", options=Options(pairs="none", slices=2, radiomics=0))
    assert found.targets[0].pairs == 0
    assert any("--pairs none" in one.reason for one in found.targets[0].found.refused)


def test_arrays_are_paired_only_when_they_carry_names(tmp_path):
    rng = np.random.default_rng(2)
    real = np.stack([body(rng) for _ in range(10)])
    noisy = real + 5 * rng.normal(size=real.shape)
    bare = compare(real, noisy, options=Options(radiomics=0))
    assert bare.targets[0].pairs == 0
    names = np.array([f"case {i}" for i in range(10)])
    np.savez(tmp_path / "real.npz", images=real, cases=names)
    np.savez(tmp_path / "made.npz", images=noisy[::-1], cases=names[::-1])
    named = compare(tmp_path / "real.npz", tmp_path / "made.npz", options=Options(radiomics=0, data_range=255))
    assert named.targets[0].pairs == 10
    mean = named.targets[0].found.of("mae", "synthetic")
    assert mean is not None
    assert mean.estimate == pytest.approx(np.abs(noisy - real).mean())


def test_an_arbitrary_scale_goes_when_images_are_divided_by_their_median():
    rng = np.random.default_rng(3)
    real = np.stack([np.where(body(rng) > 100, body(rng), 0) for _ in range(8)])
    scaled = real * rng.uniform(1, 9, size=(8, 1, 1))
    plain, divided = (compare(real, scaled, options=Options(radiomics=0, normalise=how)) for how in ("none", "median"))
    far, near = (one.targets[0].found.of("histogram_distance", "synthetic") for one in (plain, divided))
    assert far is not None
    assert near is not None
    assert near.estimate < 1e-9 < 0.1 < far.estimate


def test_a_patient_found_in_the_names_is_the_cluster(place):
    found = compare(place / "real", place / "held out", options=Options(radiomics=0, patient="([0-9])$"))
    assert set(found.targets[0].real.patients) == set("0123456789")


def test_radiomic_features_come_with_their_distance(tmp_path):
    rng = np.random.default_rng(4)
    real, made = (np.stack([body(rng, sharp=s) for _ in range(16)]) for s in (1.0, 2.5))
    found = compare(real, made, options=Options(radiomics=16)).targets[0]
    frd = found.found.of("frd", "synthetic")
    assert frd is not None
    assert frd.d > 300
    assert "sampling bias" in frd.note
    floor = found.found.of("fd_equal_n", "real halves", "radiomic_frd_v1_2d, z-scored")
    mine = found.found.of("fd_equal_n", "synthetic", "radiomic_frd_v1_2d, z-scored")
    assert floor is not None
    assert mine is not None
    assert mine.low > floor.high


def test_only_an_eight_bit_network_gets_eight_bits_and_the_page_says_so(tmp_path):
    import torch

    from radloom.metrics.resnet import ResNet50
    from radloom.report.compare_page import page

    torch.manual_seed(0)
    torch.save(ResNet50().state_dict(), tmp_path / "net.pt")
    rng = np.random.default_rng(5)
    real = np.stack([20000 + 100 * body(rng) for _ in range(6)])
    made = real + 3  # less than one of 256 levels
    options = Options(radiomics=0, window=(0, 65535), weights=(("radimagenet", tmp_path / "net.pt"),))
    found = compare(real, made, options=options)
    target = found.targets[0]
    assert target.spaces == ("radimagenet_resnet50", "multiscale_texture_2d")
    moved = target.synthetic.features["multiscale_texture_2d"].values - target.real.features[
        "multiscale_texture_2d"].values  # fmt: skip
    levels = moved[:, 23:28]  # five quantiles, in widths of the window
    np.testing.assert_allclose(levels, 3 / 65535, rtol=1e-6)
    assert "rounded to 256 levels" in page(found)
