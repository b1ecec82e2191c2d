"""Pelves with T1, T2 and CT of one anatomy, of either sex, by three sites."""

from radloom.phantom.pelvis_case import IMAGES, examination
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    return lambda index: [examination(request, index)]


SIMULATION = Simulation(
    name="pelvis",
    shows="pelves with T1, T2 and CT of one anatomy; bladder, prostate or uterus, rectum, bones, some tumours",
    shape=(160, 160, 32),
    small=(32, 32, 6),
    variants=("patients",),
    images=IMAGES,
    usual=IMAGES,
    begin=begin,
    labels={
        "mask.organs": "1 bladder, 2 prostate or uterus, 3 rectum, 4 femora, 5 pelvic bones and sacrum",
        "mask.tumour": "1 tumour of the prostate, or fibroid of the uterus",
        "label.sex": "male or female",
        "label.tumour": "1 where mask.tumour is not empty",
        "label.tumour_ml": "volume of the tumour, ml",
    },
)
