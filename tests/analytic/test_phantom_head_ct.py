"""Head CT: HU of the tissues after noise, findings that are where the masks and columns say, the worklist's times."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from radloom.errors import RadloomError
from radloom.phantom import emergencies, head_ct
from radloom.phantom.anatomy import load_atlas, new_subject
from radloom.phantom.emergencies import Emergency, draw_emergency
from radloom.phantom.head import PARTS, cover, whole_head_grid
from radloom.random import numpy_stream
from radloom.types import Case

SHAPE = (72, 72, 16)
TEMPLATE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "brain_templates_ct_flair"


@cache
def heads() -> list[Case]:
    atlas = load_atlas()
    return [head_ct.subject(atlas, i, seed=2, shape=SHAPE, images=("ct", "t1c")) for i in range(5)]


@cache
def anatomy_and_head():
    grid = whole_head_grid(SHAPE)
    anatomy = new_subject(load_atlas(), grid, push=(np.zeros(3), 20.0, 0.0), rng=numpy_stream(0, "anatomy"))
    return anatomy, cover(anatomy.brain, grid, rng=numpy_stream(0, "head"))


def emergency(kind: str, **changes) -> Emergency:
    settings = {"side": 1, "centre": (50.0, -15.0, 30.0), "size_mm": 12.0, "hu": 68.0, "fracture": False,
                "hidden": False} | changes  # fmt: skip
    return Emergency(kind, **settings)


def test_air_brain_and_bone_have_their_hounsfield_units() -> None:
    for case in heads():
        hu = case.images["image.ct"].voxels
        assert hu.dtype == np.int16
        assert case.images["image.ct"].unit == "HU"
        assert np.median(hu[:4, :4]) == pytest.approx(-1000, abs=5)
        brain = case.images["mask.brain"].voxels > 0
        assert 24 < np.median(hu[brain]) < 40
        assert 1000 < hu.max() < 2000
        assert 0.03 < (hu > 300).mean() < 0.3


def test_grey_matter_is_denser_than_white_by_less_than_the_noise_of_a_few_voxels() -> None:
    anatomy, head = anatomy_and_head()
    hu = head_ct.hounsfield(anatomy, head, (), lambda name: numpy_stream(0, name))
    grey, white, csf = (np.median(hu[fraction > 0.95]) for fraction in anatomy.fractions)
    assert 5 < grey - white < 12
    assert grey == pytest.approx(39, abs=2)
    assert csf == pytest.approx(8, abs=2.5)


@pytest.mark.parametrize("noise", [2.0, 4.0])
def test_noise_is_what_the_scanner_is_said_to_have(noise: float) -> None:
    anatomy, head = anatomy_and_head()
    flat = np.full(SHAPE, 30.0)
    hu = head_ct.scanned(flat, anatomy, head, noise, 0.5, rng=numpy_stream(1, "noise"))
    deep = head.depth_mm < -22
    assert hu[deep].std() == pytest.approx(noise * 1.25, rel=0.2)
    assert hu[deep].mean() == pytest.approx(30, abs=0.5)


def test_the_parts_of_a_head_never_exceed_the_voxel_and_lie_outside_the_brain() -> None:
    anatomy, head = anatomy_and_head()
    assert set(head.parts) == set(PARTS)
    total = sum(head.parts.values())
    assert np.asarray(total).max() < 1.05
    assert not np.asarray(total)[anatomy.brain].any()
    bone = head.parts["cortical"] + head.parts["diploe"]
    # A skull all around: in the middle slice rays from the centre meet bone in every direction.
    cut = bone[:, :, SHAPE[2] // 2]
    middle = np.array(SHAPE[:2]) / 2
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        ray = (middle + np.outer(np.arange(2, 34), [np.cos(angle), np.sin(angle)])).astype(int)
        assert cut[tuple(ray.T)].max() > 0.5


@pytest.mark.parametrize("kind", ["intraparenchymal", "subdural", "epidural", "subarachnoid"])
def test_blood_is_dense_where_the_mask_says(kind: str) -> None:
    anatomy, head = anatomy_and_head()
    ill = emergency(kind)
    wounds, masks = emergencies.injure(ill, anatomy, head, rng=numpy_stream(0, "injury"))
    hu = head_ct.hounsfield(anatomy, head, wounds, lambda name: numpy_stream(0, name))
    blood = masks["mask.haemorrhage"] > 0
    assert blood.sum() > 20
    # In the cisterns blood is mixed with CSF: denser than brain, less dense than a clot.
    assert (42 < np.median(hu[blood]) < 68) if kind == "subarachnoid" else (60 < np.median(hu[blood]) < 72)
    assert not masks["mask.infarct"].any()
    if kind in ("subdural", "epidural"):
        assert not (blood & (head.depth_mm > head.skull_mm[0] + 1.7)).any()  # below the skull
        x = anatomy.grid.points_mm()[0]
        assert (x[blood] > 0).all()


def test_a_clot_has_the_volume_of_its_size() -> None:
    anatomy, head = anatomy_and_head()
    ill = emergency("intraparenchymal", centre=(25.0, -10.0, 25.0), size_mm=15.0)
    _, masks = emergencies.injure(ill, anatomy, head, rng=numpy_stream(0, "injury"))
    volume = masks["mask.haemorrhage"].sum() * np.prod(anatomy.grid.spacing_mm)
    assert volume == pytest.approx(4 / 3 * np.pi * 15.0**3, rel=0.4)  # its surface is irregular


def test_an_epidural_lens_is_shorter_than_a_subdural_crescent_of_the_same_thickness() -> None:
    anatomy, head = anatomy_and_head()
    counts = [
        emergencies.injure(emergency(kind), anatomy, head, rng=numpy_stream(0, "injury"))[1]["mask.haemorrhage"].sum()
        for kind in ("epidural", "subdural")
    ]
    assert counts[0] < 0.7 * counts[1]


def test_an_infarct_is_dark_and_its_grey_matter_no_longer_stands_out() -> None:
    anatomy, head = anatomy_and_head()
    ill = emergency("infarct", centre=(40.0, -5.0, 20.0), size_mm=28.0, hu=20.0)
    wounds, masks = emergencies.injure(ill, anatomy, head, rng=numpy_stream(0, "injury"))
    hu = head_ct.hounsfield(anatomy, head, wounds, lambda name: numpy_stream(0, name))
    dead, grey, white = masks["mask.infarct"] > 0, *(one > 0.8 for one in anatomy.fractions[:2])
    healthy = abs(np.median(hu[grey & ~dead]) - np.median(hu[white & ~dead]))
    assert abs(np.median(hu[grey & dead]) - np.median(hu[white & dead])) < 0.5 * healthy
    assert np.median(hu[dead]) < 26


def test_a_fracture_is_a_dark_line_in_the_bone() -> None:
    anatomy, head = anatomy_and_head()
    wounds, masks = emergencies.injure(
        emergency("fracture", fracture=True), anatomy, head, rng=numpy_stream(0, "injury")
    )
    crack = masks["mask.fracture"] > 0
    assert crack.any()
    whole, broken = (head_ct.hounsfield(anatomy, head, one, lambda name: numpy_stream(0, name)) for one in ((), wounds))
    assert (broken[crack] < whole[crack]).all()
    assert np.array_equal(broken[masks["mask.fracture"] == 0] < whole[masks["mask.fracture"] == 0] - 250,
                          np.zeros((~crack).sum(), bool))  # fmt: skip


def test_an_extra_axial_haematoma_moves_the_midline_to_the_other_side() -> None:
    grid = whole_head_grid(SHAPE)
    push = emergencies.push_of(emergency("epidural", size_mm=22.0))
    still, moved = (
        new_subject(load_atlas(), grid, push=one, rng=numpy_stream(0, "anatomy"))
        for one in ((push[0], push[1], 0.0), push)
    )
    column = np.abs(grid.axes_mm()[0]) < 15
    shift = (moved.template_x_mm - still.template_x_mm)[column][:, 30:40, 8:11]
    assert (
        shift.mean() > 0.8
    )  # what lies at x belonged further right: tissue has moved to the left, away from the blood


def test_half_of_the_heads_are_normal_and_some_findings_are_hidden() -> None:
    drawn = [draw_emergency(rng=numpy_stream(0, "draw", i)) for i in range(400)]
    assert {one.kind for one in drawn} == set(emergencies.KINDS)
    assert np.mean([one.urgent for one in drawn]) == pytest.approx(0.5, abs=0.08)
    hidden = [one for one in drawn if one.hidden]
    assert 0.01 < len(hidden) / 400 < 0.1
    assert {one.kind for one in hidden} == {"infarct", "subdural"}
    for one in drawn:
        assert (one.labels["label.haemorrhage"] == 1) == (one.kind in emergencies.BLEEDS)
        assert ("Fracture" in one.report) == one.fracture


def test_patients_arrive_in_the_order_of_their_numbers_about_every_hundred_seconds() -> None:
    ill = emergency("subdural")
    times = [head_ct.worklist(i, ill, seed=0) for i in range(60)]
    arrivals = np.array([one["time.arrival"] for one in times])
    assert (np.diff(arrivals) > 0).all()
    assert arrivals[-1] / 60 == pytest.approx(100, rel=0.4)
    assert 50 < np.median([one["time.reading"] for one in times]) < 140


def test_t1c_shares_the_masks_and_fresh_blood_hardly_shows_there() -> None:
    for case in heads():
        ct, t1c = case.images["image.ct"], case.images["image.t1c"]
        assert ct.same_grid(t1c)
        brain = case.images["mask.brain"].voxels > 0
        assert np.median(t1c.voxels[brain]) > 5 * np.median(t1c.voxels[:4, :4])


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(RadloomError, match="shape"):
        whole_head_grid((8, 64, 10))


@pytest.mark.skipif(not TEMPLATE.exists(), reason=f"{TEMPLATE} is not here")
def test_skull_and_brain_agree_with_the_average_head_of_the_shared_data() -> None:
    """Shares of the head above the level of the orbits; the average (HU, 1 mm) is of many people."""
    import nibabel

    image = nibabel.load(TEMPLATE / "ct_brain_atlas_1mm.nii.gz")  # pyright: ignore[reportPrivateImportUsage]
    average = np.asarray(image.dataobj)
    soft = average[(average > 15) & (average < 55)]
    ours = np.concatenate([c.images["image.ct"].voxels[c.images["mask.brain"].voxels > 0] for c in heads()])
    assert np.median(ours[(ours > 15) & (ours < 55)]) == pytest.approx(np.median(soft), abs=5)


def test_normal_heads_have_no_finding_and_are_other_people_than_the_emergencies() -> None:
    atlas = load_atlas()
    asked = {"seed": 2, "shape": (48, 48, 8), "images": ("ct",)}
    normal = [head_ct.subject(atlas, i, variant="normal", **asked) for i in range(3)]
    assert {case.labels["label.finding"] for case in normal} == {"normal"}
    assert not any(case.labels["label.emergency"] or case.labels["label.hidden"] for case in normal)
    for case in normal:
        assert not any(case.images[f"mask.{one}"].voxels.any() for one in ("haemorrhage", "infarct", "fracture"))
    other = head_ct.subject(atlas, 0, **asked)
    assert other.patient != normal[0].patient
    assert not np.array_equal(other.images["mask.brain"].voxels, normal[0].images["mask.brain"].voxels)
