"""Chest radiographs with dual-energy images, nodules, effusions and heart failure, by two vendors."""

from radloom.errors import RadloomError
from radloom.phantom.chest_xray import IMAGES, NAME, VARIANTS, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    if request.shape[2] != 1 or min(request.shape[:2]) < 32 or request.shape[0] != request.shape[1]:
        raise RadloomError(f"a radiograph of shape {request.shape}", expected="n x n x 1 pixels, n at least 32")
    return lambda index: [subject(index, request)]


SIMULATION = Simulation(
    name=NAME,
    shows="chest radiographs: dual-energy pairs, nodules, effusion, heart failure, reports; two vendors",
    shape=(192, 192, 1),
    small=(48, 48, 1),
    variants=VARIANTS,
    images=IMAGES,
    usual=("cxr", "soft", "bone"),
    begin=begin,
    labels={
        "image.soft": "dual-energy soft-tissue image: measured, with noise and the motion between two exposures",
        "image.bone": "dual-energy bone image of the same two exposures",
        "image.boneless": "the truth behind bone suppression: the standard exposure of the patient without bones",
        "image.other": "the same patient by the other vendor",
        "image.healthy": "the same person by the same vendor without nodules, effusion and heart failure",
        "label.nodules": "how many; number n has the value n in mask.nodule",
        "label.nodule_mm": "diameter of each nodule, mm, in that order",
        "label.nodule_covered": "whether bone covers at least half of each nodule, in that order",
        "label.malignant": "1 when any nodule is malignant; size, kind and edge tell only a part of it",
        "label.failure": "1 when the heart fails; 15 % of failing hearts show nothing on the film",
        "label.congestion": "how strongly the film shows heart failure, 0 to 1",
        "label.heart_ratio": "cardiothoracic ratio, measured in the masks",
        "mask.lung": "1 right, 2 left: where air fills most of the ray; likewise mask.effusion",
        "mask.bone": "1 where the rays cross more than 1.5 mm of bone",
        "text.report": "structured report; small or covered nodules and small effusions may be missing from it",
    },
)
