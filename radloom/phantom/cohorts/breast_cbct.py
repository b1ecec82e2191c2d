"""Cone-beam CT of breasts: FDK volumes from all, half and a third of the views, or the projections themselves."""

from radloom.phantom.breast import breast_grid
from radloom.phantom.breast_cbct import IMAGES, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    breast_grid(request.shape)  # refuses an impossible shape before the work
    return lambda index: [subject(index, request)]


SIMULATION = Simulation(
    name="breast-cbct",
    shows="breasts by cone-beam CT from all, half and a third of the views: volumes (images) or projections",
    shape=(64, 64, 40),
    small=(16, 16, 10),
    variants=("images", "projections"),
    images=IMAGES,
    usual=("full", "half", "third"),
    begin=begin,
    labels={
        "label.masses": "how many; mask.mass numbers them",
        "label.mass_mm": "diameter of the largest, 0 without one",
        "label.malignant": "1 when a mass is spiculated",
        "label.calcifications": "how many specks of 0.2-0.5 mm",
        "label.gland": "share of gland in the breast's volume",
        "label.density": "a to d, at most 0.12, 0.25, 0.5 and more of gland",
        "mask.half": "1 where image.half was measured and is not interpolated (projections); likewise third",
    },
)
