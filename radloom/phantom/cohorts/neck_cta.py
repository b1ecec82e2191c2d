"""Necks before and after the injection for CT angiography, with plaque, stenosis and a little motion between."""

from radloom.phantom.neck_case import IMAGES, examination
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    return lambda index: [examination(request, index)]


SIMULATION = Simulation(
    name="neck-cta",
    shows="CT of the neck before and in the arterial phase, slightly moved; carotid and vertebral arteries, stenoses",
    shape=(160, 160, 32),
    small=(32, 32, 8),
    variants=("patients",),
    images=IMAGES,
    usual=("ncct", "cta"),
    begin=begin,
    labels={
        "image.aligned": "the scan without contrast agent as if nobody had moved; drawn on request",
        "mask.vessels": "1 right and 2 left carotid, 3 right and 4 left vertebral artery, 5 jugular veins, as in cta",
        "mask.plaque": "1 soft plaque, 2 calcified, 3 occluded artery, as in cta",
        "label.stenosis_right": "NASCET stenosis of the right internal carotid artery, percent; 100 is occluded",
        "label.stenosis_left": "the same on the left",
        "label.plaque_right": "none, soft, calcified or mixed",
        "label.plaque_left": "the same on the left",
        "label.severe": "1 where a stenosis reaches 70 percent",
        "label.occluded": "1 where an internal carotid artery is occluded",
        "label.shift_mm": "mean displacement of ncct against cta inside the body, mm",
    },
)
