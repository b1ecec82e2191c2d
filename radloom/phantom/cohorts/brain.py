"""Brains with gliomas, metastases, MS-like lesions or nothing, by three MR scanners."""

from functools import partial
from typing import Any

from radloom.phantom import idh, metastases, response
from radloom.phantom.anatomy import head_grid, load_atlas
from radloom.phantom.brain import CONTRASTS, subject
from radloom.phantom.ms_follow_up import two_examinations
from radloom.phantom.simulation import MakeSubject, Request, Simulation

SEVERAL = {"ms-follow-up": two_examinations, "response": response.examinations}
ONE = {"metastases": metastases.subject, "idh": idh.subject}


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    head_grid(request.shape, centre_z_mm=0.0)  # refuses an impossible shape before the work
    atlas = load_atlas()
    asked: dict[str, Any] = {"seed": request.seed, "shape": request.shape, "contrasts": request.images}
    if request.variant in SEVERAL:
        return partial(SEVERAL[request.variant], atlas, **asked)
    make = ONE[request.variant] if request.variant in ONE else partial(subject, disease=request.variant)  # pyright: ignore
    return lambda index: [make(atlas, index, **asked)]


SIMULATION = Simulation(
    name="brain",
    shows="brains with gliomas (tumour, idh, response), metastases, MS-like lesions (ms, ms-follow-up) or none; ten "
    "contrasts",
    shape=(96, 96, 24),
    small=(32, 32, 6),
    variants=("tumour", "ms", "none", "ms-follow-up", "metastases", "idh", "response"),
    images=CONTRASTS,
    usual=("t1", "t1c", "t2", "flair"),
    begin=begin,
    labels={
        "label.idh": "1 mutant, 0 wild type",
        "label.lesions": "lesions in the examination; mask.number numbers them, alike at both visits (ms-follow-up)",
        "label.new_lesions": "new lesions since the first examination; mask.new holds their numbers (ms-follow-up)",
        "text.lesions": "number:place,mm3,old or new of each lesion (ms-follow-up)",
        "label.shift_mm": "shift of the head that registration left; label.turn_deg: its turn (ms-follow-up)",
        "time.months": "months since the first examination (ms-follow-up, response)",
        "label.metastases": "how many; mask.metastasis numbers them, mask.box holds their rough boxes (metastases)",
        "label.largest_mm": "diameter of the largest metastasis, 0 without one",
        "text.boxes": "number:x0,y0,z0,x1,y1,z1 of each rough box, half-open voxel ranges (metastases)",
        "label.size": "grade of the tumour's size, 0 to 1 (idh)",
        "label.enhancement": "grade of its enhancement, 0 to 1: share of the solid tumour (idh)",
        "label.volume_cm3": "volume of the whole tumour in mask.tumour (idh)",
        "label.enhancing_share": "share of the solid tumour in mask.tumour that enhances (idh)",
        "label.enhancing_cm3": "true enhancing volume at this visit (response)",
        "label.growth": "true rate of regrowth per month (response)",
        "time.os": "months from the first visit to death or the end of follow-up (response)",
        "event.os": "1 dead, 0 alive at the end of follow-up (response)",
    },
)
