"""Knees, proton density with and without fat saturation: complex images, menisci and their tears."""

from radloom.phantom.knee import knee_grid
from radloom.phantom.knee_mr import IMAGES, subject
from radloom.phantom.simulation import MakeSubject, Request, Simulation


def begin(request: Request) -> MakeSubject:
    """The function that makes subject i."""
    knee_grid(request.shape)  # refuses an impossible shape before the work
    return lambda index: [
        subject(index, seed=request.seed, shape=request.shape, images=request.images, fat_saturated=request.variant)
    ]


SIMULATION = Simulation(
    name="knee-mri",
    shows="knees, proton density without (pd) or with (pdfs) fat saturation, magnitude and complex; meniscal tears",
    shape=(128, 128, 42),
    small=(32, 32, 6),
    variants=("pd", "pdfs"),
    images=IMAGES,
    usual=IMAGES,
    begin=begin,
    labels={
        "label.tear": "1 when a meniscus is torn; mask.tear numbers the tears",
        "label.tear_medial": "1 when the inner meniscus is torn; likewise lateral",
        "label.degeneration": "1 when a line inside a meniscus does not reach its surface: not a tear",
        "label.side": "left or right knee",
        "text.boxes": "number:x0,y0,z0,x1,y1,z1 of the box around each tear of mask.tear, half-open voxel ranges",
        "mask.meniscus": "1 medial, 2 lateral",
    },
)
