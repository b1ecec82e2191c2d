"""The spread of data, as preconditioning asks for it; no model."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from radloom.errors import RadloomError


def root_mean_square(images: Iterable[Tensor]) -> float:
    """The sqrt(mean x**2) over all voxels of all images (b, c, *s), about 0 and in the images' unit: EDM's sigma_data.

    One pass, image by image, summed in float64: images may differ in size, and each voxel counts once, background and
    all, as it does in the loss. It is not the standard deviation: a network's input of unit mean square is the same
    whether it comes from spread or from an offset. Raises RadloomError without voxels, where one is not a finite
    number, and where all are 0. (Karras et al. 2022, appendix B.6.)

    >>> root_mean_square([torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 4.0, 0.0]]])])
    2.23606797749979
    """
    total, count = 0.0, 0
    for x in images:
        total += float(x.double().square().sum())
        count += x.numel()
    found = (total / count) ** 0.5 if count else 0.0
    if not 0 < found < float("inf"):
        raise RadloomError(
            f"training images whose root mean square is {found:g}" if count else "no training image to measure",
            expected="images of finite numbers that are not all 0", do="look with `radloom data audit`",
        )  # fmt: skip
    return found
