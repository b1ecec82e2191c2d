"""Which synthetic image belongs to which real one: by the case's name; nothing is measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from radloom.compare.inputs import Item
from radloom.errors import RadloomError
from radloom.types import Image


@dataclass(frozen=True, eq=False)
class Pair:
    """A real image and a synthetic one of the same case."""

    real: Item
    synthetic: Item

    def images(self) -> tuple[Image, Image]:
        """Both images. Raises RadloomError when they do not lie on one grid."""
        real, synthetic = self.real.image(), self.synthetic.image()
        if real.shape != synthetic.shape:
            raise RadloomError(
                f'case "{self.real.case}" has {_shape(real)} real and {_shape(synthetic)} synthetic voxels',
                expected="one grid for a pair",
                do="resample one set, or compare without pairs: --pairs none",
            )
        if not real.same_grid(synthetic):
            raise RadloomError(
                f'the real and the synthetic image of case "{self.real.case}" lie on different grids of {_shape(real)}',
                expected="one grid for a pair",
                do="resample one set, or compare without pairs: --pairs none",
            )
        return real, synthetic


def matched(real: Sequence[Item], synthetic: Sequence[Item]) -> list[Pair]:
    """The pairs by case, in the order of the synthetic images; the rows of an array have no names and no pairs.

    Several draws of a case make several pairs with the same real image.
    """
    by_case = {item.case: item for item in real if item.named}
    return [Pair(by_case[item.case], item) for item in synthetic if item.named and item.case in by_case]


def with_real_patients(pairs: Sequence[Pair], synthetic: Sequence[Item]) -> list[Item]:
    """The synthetic images, those of a pair under the patient of their real image."""
    known = {id(pair.synthetic): pair.real.patient for pair in pairs}
    return [replace(item, patient=known.get(id(item), item.patient)) for item in synthetic]


def _shape(image: Image) -> str:
    return "x".join(map(str, image.shape))
