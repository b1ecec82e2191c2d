"""The report on a made-up run folder: what is on the page, and that it stands alone."""

import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from radloom.errors import RadloomError
from radloom.report.page import write_report
from radloom.results import Results, Row

INPUTS, TARGETS = ("image.t1c", "image.t2"), ("image.t1", "image.flair")
ARMS = ("model", "linear", "cubic", "mean", "zero")
SETS = ("image.t1+image.flair", "image.flair", "image.t1")
QUALITY = {"model": 31.0, "cubic": 28.4, "linear": 26.0, "mean": 19.3, "zero": 11.0}


@dataclass(frozen=True)
class Made:
    """A run folder to make: names of its cases, their split, whether a study was run."""

    cases: tuple[str, ...] = tuple(f"case{i:02d}" for i in range(8))
    split: str = "test"
    study: bool = True


def head() -> np.ndarray:
    """A flat ellipsoid of tissue 1 with a brighter core on a background of 0, (24, 30, 8)."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (24, 30, 8)), indexing="ij")
    radius = x**2 + y**2 + 0.5 * z**2
    return np.where(radius < 0.8, 1 + 0.5 * (radius < 0.2), 0.0)


def write_run(folder: Path, anatomy: np.ndarray, made: Made, spacing_mm: float = 2.0) -> Path:
    """A run folder and its cohort as the contract describes them, without any training."""
    rng = np.random.default_rng(0)
    cohort, run = folder / "cohort", folder / "run"
    for place in (cohort, run / "samples", run / "masks"):
        place.mkdir(parents=True)
    table = [write_case(cohort, run, anatomy, case, made, spacing_mm, rng) for case in made.cases]
    pd.DataFrame(table).to_csv(cohort / "cohort.csv", index=False)
    about = {"simulated": True, "generator": "brain", "seed": 0}
    (cohort / "cohort.json").write_text(json.dumps(about))
    Results.of(rows(made, rng)).write(run / "results.csv")
    losses(rng).to_csv(run / "losses.csv", index=False)
    (run / "run.json").write_text(json.dumps(record(cohort, about, made)))
    (run / "next.txt").write_text("radloom run conte2021_missing_sequence --data COHORT --out RUN --seed 1\n")
    if made.study:
        (run / "study.json").write_text(json.dumps(study()))
    return run


def write_case(cohort, run, anatomy, case, made, spacing_mm, rng) -> dict[str, str]:
    """One case's images, samples, sidecars and masks; returns its row of the cohort table."""
    affine = np.diag([spacing_mm, spacing_mm, 2 * spacing_mm, 1.0])
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in anatomy.shape), indexing="ij"))
    centre = np.array([rng.uniform(0.2, 0.4), rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2)]).reshape(3, 1, 1, 1)
    radius = np.sqrt((((grid - centre) / [[[[0.22]]], [[[0.2]]], [[[0.4]]]]) ** 2).sum(0))
    mask = (np.select([radius < 0.4, radius < 0.6, radius < 1], [1, 3, 2]) * (anatomy > 0)).astype(np.uint8)
    contrasts = {"image.t1": anatomy - 0.3 * (mask > 0), "image.t1c": anatomy + 0.9 * (mask == 3)}
    contrasts |= {
        "image.t2": 1.6 - 0.6 * anatomy + 0.6 * (mask > 0),
        "image.flair": 1.2 - 0.3 * anatomy + 0.8 * (mask > 0),
    }
    row = {"case": case, "patient": f"p-{case}", "site": "a", "vendor": "a", "split": made.split}
    safe = re.sub(r"\W", "_", case)
    for key, clean in contrasts.items():
        voxels = np.where(anatomy > 0, np.clip(clean + rng.normal(0, 0.02, anatomy.shape), 0.05, None), 0) * 400
        nib.save(nib.Nifti1Image(voxels.astype(np.float32), affine), cohort / f"{safe}.{key}.nii.gz")
        row[key] = f"{safe}.{key}.nii.gz"
        if key in TARGETS:
            error = rng.normal(0, 0.06, anatomy.shape) - 0.25 * (radius < 0.7)
            made_up = np.where(anatomy > 0, np.clip(voxels / 400 + error, 0, None), 0) * 100
            name = run / "samples" / f"{case}.draw0.{key}"
            nib.save(nib.Nifti1Image(made_up.astype(np.float32), affine), f"{name}.nii.gz")
            side = {
                "case": case,
                "synthetic": True,
                "scale": {"offset": 0.0, "scale": 100 * np.median(clean[anatomy > 0])},
            }
            Path(f"{name}.json").write_text(json.dumps(side))
    nib.save(nib.Nifti1Image(mask, affine), cohort / f"{safe}.mask.nii.gz")
    row["mask.tumour"] = f"{safe}.mask.nii.gz"
    if made.study:
        nib.save(nib.Nifti1Image(mask * (radius < 0.95), affine), run / "masks" / f"{case}.real.real.nii.gz")
        nib.save(nib.Nifti1Image(mask * (radius < 0.85), affine), run / "masks" / f"{case}.model.{SETS[0]}.nii.gz")
        nib.save(nib.Nifti1Image(mask * (radius < 0.5), affine), run / "masks" / f"{case}.zero.{SETS[0]}.nii.gz")
    return row


def rows(made: Made, rng: np.random.Generator) -> list[Row]:
    """Rows for each case: PSNR and SSIM in the brain, PSNR and MAE in the tumour, Dice of every arm."""
    found = []
    for case in made.cases:
        start = ("conte2021_missing_sequence", "run", 0, case, f"p-{case}", made.split)
        shift = rng.normal(0, 1.2)
        for target in TARGETS:
            for arm in ARMS:
                psnr = QUALITY[arm] + shift + rng.normal(0, 0.4) + (1.5 if target == "image.t1" else 0)
                place = (*start, arm, "", target)
                found.append(Row(*place, "brain", "psnr", psnr, "dB"))
                found.append(Row(*place, "brain", "ssim", 1 - 4 / psnr**1.2, "1"))
                found.append(Row(*place, "tumour", "psnr", psnr - 4, "dB"))
                found.append(Row(*place, "tumour", "mae", 10 ** (-psnr / 20) * 2, "image"))
        if made.study:
            for region, top in (("whole tumour", 0.9), ("FLAIR hyperintensity", 0.84), ("enhancing", 0.8)):
                real = top + rng.normal(0, 0.03)
                found.append(Row(*start, "real", "", "", region, "dice", real, "1"))
                for replaced in SETS:
                    for k, arm in enumerate(ARMS):
                        loss = (0.02 + 0.05 * k) * (0.4 if replaced == "image.t1" else 1) + abs(rng.normal(0, 0.02))
                        found.append(Row(*start, arm, replaced, "", region, "dice", real - loss, "1"))
                        found.append(Row(*start, arm, replaced, "", region, "dice_to_real", 0.97 - loss, "1"))
    return found


def losses(rng: np.random.Generator) -> pd.DataFrame:
    """A learning curve for two generators and two validation targets."""
    steps = np.arange(0, 2001, 5)
    parts = []
    for name, top in (("generator.total", 1.2), ("generator.l1", 0.9), ("discriminator.total", 0.5)):
        value = top * np.exp(-steps / 300) + 0.03 + rng.gamma(2, 0.01, len(steps))
        parts.append(pd.DataFrame({"step": steps, "seconds": steps * 0.05, "name": name, "value": value}))
    for target, top in (("image.t1", 32.5), ("image.flair", 31.0)):
        value = top - 10 * np.exp(-steps[::40] / 400)
        parts.append(
            pd.DataFrame(
                {"step": steps[::40], "seconds": 0.05 * steps[::40], "name": f"val.psnr.{target}", "value": value}
            )
        )
    return pd.concat(parts)


def record(cohort: Path, about: dict, made: Made) -> dict:
    """run.json as training writes it."""
    sizes = {"train": 40, "val": 6, made.split: len(made.cases)}
    return {
        "system": "conte2021_missing_sequence",
        "title": "Missing MR sequences from those that were acquired",
        "cite": {"key": "conte2021", "text": "Conte GM et al. Radiology 2021;299:313-323."},
        "target": list(TARGETS),
        "inputs": list(INPUTS),
        "dims": 2,
        "size": "cpu",
        "seed": 0,
        "settings": {"steps": 2000, "batch": 4, "learning_rate": 1e-3, "channels": [32, 64, 128], "ema": True},
        "paper": [{"quantity": "median Dice, whole lesion, both replaced", "value": "0.82", "source": "review"}],
        "deviations": ["Residual U-Net instead of the unpublished generator.", "L1 weight is ours."],
        "claim": "Dice with synthetic FLAIR lies between zero-filled and all real",
        "cohort": str(cohort / "cohort.csv"),
        "about": about,
        "split_hash": "9f2c" * 16,
        "cases": {split: [f"{split}{i}" for i in range(n)] for split, n in sizes.items()},
        "patients": sizes,
        "data_range": {"image.t1": 1.6, "image.flair": 2.1},
        "parameters": 1234567,
        "weights_sha256": "ab12" * 16,
        "plan": {"seconds": 95.0, "peak_mb": 820.0},
        "stages": [{"name": "train", "seconds": 101.2, "peak_mb": 861.0}, {"name": "draw", "seconds": 4.1}],
        "machine": {"cpu": "Xeon", "cores": 2},
        "versions": {"torch": "2.13.0", "radloom": "0.1.0"},
        "commit": "0123abc",
        "started": "2025-01-01T10:00:00",
    }


def study() -> dict:
    """study.json as the replace study writes it."""
    answer = "With synthetic T1 and FLAIR the whole tumour loses 0.036 Dice against all real; zero-filled loses 0.24."
    question = "How much Dice does a fixed segmenter lose when sequences are replaced?"
    segmenter = {"sha256": "cd34" * 16, "parameters": 987654, "dice_val": 0.89}
    return {"name": "replace", "question": question, "answer": answer, "passed": True, "segmenter": segmenter}


class Checked(HTMLParser):
    """Collects tags, attributes that load something, and text; notes tags that close in the wrong order."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "line", "circle", "path"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.wrong, self.loads, self.tags, self.said, self.alts = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action", "poster") and v]
        self.alts += [values["alt"]] if tag == "img" else []
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))

    def handle_data(self, data):
        self.said.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.said).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("report"), head(), Made())


@pytest.fixture(scope="module")
def html(run) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_the_report_loads_nothing_from_outside_itself(html):
    loads = Checked(html).loads
    assert loads
    assert all(place.startswith(("data:image/", "#")) for place in loads)
    assert not re.search(r"https?://|@import|url\(|<link|<iframe|<object", html)


def test_the_page_is_closed_as_it_was_opened(html):
    page = Checked(html)
    assert page.wrong == []
    assert page.open == []


def test_it_says_simulated_at_the_top_and_synthetic_at_every_made_picture(html):
    page = Checked(html)
    assert "data: simulated - supports no clinical claim" in page.text
    assert page.text.index("data: simulated") < page.text.index("The model beats")
    assert len([alt for alt in page.alts if alt.startswith("synthetic")]) == 3 * len(TARGETS)
    assert page.text.count("Synthetic FLAIR") >= 3


def test_every_arm_metric_and_shown_case_is_on_the_page(html):
    text = Checked(html).text
    for said in ("cubic voxel-wise map", "linear voxel-wise map", "training mean", "zero-filled", "PSNR", "SSIM", "MAE",
                 "whole tumour", "FLAIR hyperintensity", "enhancing", "T1 + FLAIR replaced", "all real"):  # fmt: skip
        assert said in text
    assert {"Typical (median)", "Best", "Worst"} <= set(re.findall(r"(Typical \(median\)|Best|Worst): case\d\d", text))


def test_the_gallery_ranks_cases_by_the_hardest_target(run, html):
    table = pd.read_csv(run / "results.csv")
    flair = table.query("arm == 'model' and target == 'image.flair' and metric == 'psnr' and region == 'brain'")
    order = flair.sort_values("value")["case"].tolist()
    text = Checked(html).text
    assert f"Worst: {order[0]}" in text
    assert f"Best: {order[-1]}" in text
    assert f"Typical (median): {order[3]}" in text


def test_provenance_is_on_the_page(html):
    text = Checked(html).text
    hashes = ("9f2c" * 16, "ab12" * 16, "cd34" * 16)
    cost = ("1 min 35 s, 820 MB", "1 min 41 s, 861 MB")
    others = ("40 patients, 40 cases", "0123abc", "2.13.0", "1 234 567 parameters", "--seed 1")
    for said in (*hashes, *cost, *others, "L1 weight is ours.", "not comparable"):
        assert said in text


def test_a_run_without_study_says_that_usefulness_was_not_asked(tmp_path):
    text = Checked(write_report(write_run(tmp_path, head(), Made(study=False))).read_text()).text
    assert "No study was run" in text
    assert "No downstream study was run" in text


def test_one_patient_gives_a_page_without_intervals_and_tests(tmp_path):
    page = Checked(write_report(write_run(tmp_path, head(), Made(cases=("only",)))).read_text())
    assert "n = 1: no interval" in page.text
    assert "one patient: no test" in page.text
    assert "The only case: only" in page.text
    assert "nan" not in page.text.lower().split()
    assert page.wrong == []


def test_validation_cases_alone_are_named_as_such(tmp_path):
    page = Checked(write_report(write_run(tmp_path, head(), Made(cases=("a", "b", "c"), split="val"))).read_text())
    assert "No test patients were evaluated." in page.text
    assert "3 val patients" in page.text


def test_odd_case_names_are_escaped(tmp_path):
    odd = "a&amp;'d' é"
    run = write_run(tmp_path, head(), Made(cases=(odd,)))
    (run / "study.json").write_text(json.dumps(study() | {"answer": "x <b>y</b> & z"}))
    html = write_report(run).read_text(encoding="utf-8")
    page = Checked(html)
    assert "<b>" not in html
    assert "b" not in page.tags
    assert "x <b>y</b> & z" in page.text
    assert odd in page.text
    assert any(odd in alt for alt in page.alts)


def test_a_run_without_results_ends_in_one_line_and_leaves_no_page(tmp_path):
    run = write_run(tmp_path, head(), Made(cases=("a",)))
    (run / "results.csv").unlink()
    with pytest.raises(RadloomError, match="radloom evaluate"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_a_missing_sample_ends_in_one_line_and_leaves_no_page(tmp_path):
    run = write_run(tmp_path, head(), Made(cases=("a",)))
    (run / "samples" / "a.draw0.image.flair.nii.gz").unlink()
    with pytest.raises(RadloomError, match=r"image\.flair"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_any_study_that_leaves_tables_and_pictures_is_on_the_page(tmp_path):
    run = write_run(tmp_path, head(), Made())
    table = {"title": "Lesions found", "columns": ["arm", "found", "p"], "rows": [["model", "3 of 4", "p = 0.04"],
             ["zero", "0 of 4", ""]], "note": "Fisher's exact test."}  # fmt: skip
    figure = {"title": "The worklist", "file": "study/queue.png", "note": "before and after"}
    (run / "study").mkdir()
    png = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000"
                        "0200015d0d2d0a0000000049454e44ae426082")  # fmt: skip
    (run / "study" / "queue.png").write_bytes(png)
    answer = {"name": "detect", "question": "Are lesions found?", "answer": "Three of four were found.",
              "tables": [table], "figures": [figure]}  # fmt: skip
    (run / "study.json").write_text(json.dumps(answer))
    page = Checked(write_report(run).read_text(encoding="utf-8"))
    assert page.wrong == []
    for said in ("Study: detect", "Are lesions found?", "Three of four were found.", "Lesions found", "3 of 4",
                 "zero-filled", "Fisher's exact test.", "The worklist"):  # fmt: skip
        assert said in page.text
    assert "No study was run" not in page.text
    assert "Dice against the expert mask" not in page.text  # rows about whole cases are not taken for another study's
    (run / "study" / "queue.png").unlink()
    with pytest.raises(RadloomError, match=r"queue\.png is absent; .*radloom study"):
        write_report(run)
