"""Chest CT with nodules or interstitial disease, by seven groups of vendor, dose and kernel."""

from radloom.errors import RadloomError
from radloom.phantom.chest_ct import IMAGES, NAME, VARIANTS, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    if min(request.shape[:2]) < 16 or request.shape[2] < 4:
        raise RadloomError(f"a chest CT of shape {request.shape}", expected="at least 16 x 16 x 4 voxels")
    return lambda index: [subject(index, request)]


SIMULATION = Simulation(
    name=NAME,
    shows="chest CT with nodules, interstitial disease (ild) or neither (none); 7 groups of vendor, dose and kernel",
    shape=(160, 128, 40),
    small=(48, 40, 12),
    variants=VARIANTS,
    images=IMAGES,
    usual=("ct",),
    begin=begin,
    labels={
        "image.reference": "the same patient and disease as group 1 would scan them",
        "image.healthy": "the same scan, with the same noise, without the disease",
        "label.group": "1 to 7; group 1 (vendor A, standard dose, sharp kernel) is the target of harmonisation",
        "label.nodules": "how many; number n has the value n in mask.nodule",
        "label.nodule_mm": "diameter of each nodule, mm, in that order",
        "label.nodule_kind": "solid, part-solid or ground-glass, in that order",
        "label.malignant": "1 when any nodule is malignant; size, kind and edge tell only a part of it",
        "label.ground_glass": "percent of the lungs; likewise consolidation, reticulation, honeycombing, emphysema",
        "label.fvc": "forced vital capacity, percent of predicted; the patterns explain a part of it",
        "mask.lung": "1 right, 2 left",
        "mask.pattern": "1 ground glass, 2 consolidation, 3 reticulation, 4 honeycombing, 5 emphysema",
    },
)
