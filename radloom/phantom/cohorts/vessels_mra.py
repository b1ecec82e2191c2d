"""Angiographies without contrast agent at high and low resolution: arteries of the brain, or of the heart."""

from radloom.phantom import coronary, mra
from radloom.phantom.anatomy import load_atlas
from radloom.phantom.simulation import MakeSubject, Request, Simulation
from radloom.types import Case


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    wanted = {f"image.{key}" for key in request.images}
    if request.variant == "coronary":
        coronary.heart_grid(request.shape)  # refuses an impossible shape before the work

        def make(index: int) -> Case:
            return coronary.subject(index, seed=request.seed, shape=request.shape)
    else:
        mra.mra_grid(request.shape)
        atlas = load_atlas()

        def make(index: int) -> Case:
            return mra.subject(atlas, index, seed=request.seed, shape=request.shape)

    return lambda index: [_only(make(index), wanted)]


def _only(case: Case, wanted: set[str]) -> Case:
    images = {key: image for key, image in case.images.items() if key in wanted or key.startswith("mask.")}
    return Case(case.id, case.patient, images, case.labels, site=case.site, vendor=case.vendor)


SIMULATION = Simulation(
    name="vessels-mra",
    shows="time-of-flight angiography of the brain (tof) or of the coronaries (coronary), each at two resolutions",
    shape=(192, 192, 64),
    small=(32, 32, 6),
    variants=("tof", "coronary"),
    images=("high", "low"),
    usual=("high", "low"),
    begin=begin,
    labels={
        "label.aneurysm": "how many; mask.aneurysm numbers them",
        "label.aneurysm_mm": "diameter of the largest, 0 without one",
        "label.stenosis": "how many; mask.stenosis numbers them (tof)",
        "label.stenosis_share": "share of the diameter that the tightest takes, 0 without one",
        "label.occlusion": "how many arteries end in an occlusion",
        "label.flow_gap": "how many gaps of the signal are without any narrowing",
        "label.ill_vessels": "finding: vessel, for a count by vessel",
        "label.lad_mm": "length of the left anterior descending artery (coronary); likewise lcx and rca",
    },
)
