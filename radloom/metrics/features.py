"""Named feature extractors: from images to a matrix of features that carries its extractor's name; no distances.

An `Extractor` says what it wants (channels, bit depth, size, normalisation), under which licence it stands, and hashes
all of this with its weights, so that two numbers compare only when their hashes agree. 16-bit and HU images are never
squeezed to 8 bits unless the extractor's contract says so. None of them is settled for radiology: report more than one
and whether they agree (Woodland M et al. arXiv 2311.13717).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from radloom.errors import RadloomError
from radloom.metrics import features_texture, radiomics_sets
from radloom.metrics.arrays import Spacing
from radloom.metrics.features_extractor import Compute, Contract, Extractor, Features, Window, window_of
from radloom.metrics.features_weights import Origin, digest, existing, fill, read_state

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = [
    "Contract",
    "Extractor",
    "Features",
    "inception_v3_fid",
    "inception_v3_logits",
    "multiscale_texture",
    "radimagenet_resnet50",
    "radiomic",
    "safetensors_network",
    "torchscript",
]

INCEPTION = Origin(
    "inception_v3_fid",
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights",
    "Apache-2.0",
)
RADIMAGENET = Origin(
    "radimagenet_resnet50",
    "ResNet50.pt",
    "https://github.com/BMEII-AI/RadImageNet",
    "on request, for research; read the terms there",
)


def inception_v3_fid(weights: Path | str | None, *, window: Window) -> Extractor:
    """The 2048 pooled features of the TensorFlow Inception-v3, as Frechet and kernel inception distances take them.

    weights: path of the public port's state dict or its safetensors copy. 2D images (x, y): window to 8 bit, bicubic
    with antialiasing to 299 x 299 (as clean-fid), three equal channels, (v - 128) / 128. Batches move the features by
    about 1e-6. Blind to: what photographs do not teach; 16-bit detail. Heusel M et al. NeurIPS 2017;30; Parmar G et
    al. CVPR 2022:11410-11420. Raises RadloomError when the weights are absent or of another network.

    >>> inception_v3_fid("absent.pth", window=(0, 255))
    Traceback (most recent call last):
    radloom.errors.RadloomError: inception_v3_fid has no weights at absent.pth; expected \
pt_inception-2015-12-05-6726825d.pth (Apache-2.0) from \
https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights; download it and give its path as weights.
    """
    path = existing(weights, INCEPTION)
    from radloom.metrics.inception import WIDTH, InceptionV3

    network = InceptionV3()
    fill(network, read_state(path), path)
    return Extractor(INCEPTION.network, INCEPTION.licence, WIDTH, _inception_contract(window),
                     _network(network.pooled, _inception_contract(window), 128.0, 128.0), digest(path))  # fmt: skip


def inception_v3_logits(weights: Path | str | None, *, window: Window) -> Extractor:
    """The 1008 logits of the same network, for the inception score; see `inception_v3_fid`.

    Blind to: everything but photographic classes, so the score means little in radiology. Salimans T et al. NeurIPS
    2016;29. Raises RadloomError when the weights are absent or of another network.

    >>> inception_v3_logits(None, window=(0, 255))
    Traceback (most recent call last):
    radloom.errors.RadloomError: inception_v3_fid has no weights; expected pt_inception-2015-12-05-6726825d.pth \
(Apache-2.0) from https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights; download it and give its path as \
weights.
    """
    path = existing(weights, INCEPTION)
    from radloom.metrics.inception import CLASSES, InceptionV3

    network = InceptionV3()
    fill(network, read_state(path), path)
    return Extractor("inception_v3_logits", INCEPTION.licence, CLASSES, _inception_contract(window),
                     _network(network, _inception_contract(window), 128.0, 128.0), digest(path))  # fmt: skip


def radimagenet_resnet50(weights: Path | str | None, *, window: Window) -> Extractor:
    """The 2048 pooled features of a ResNet-50 trained on RadImageNet's CT, MR and ultrasound images.

    weights: RadImageNet's PyTorch file, or any ResNet-50 state dict under the usual names. 2D images (x, y): window to
    8 bit, bilinear with antialiasing to 224 x 224, three equal channels, (v - 127.5) / 127.5. Resizing and scaling are
    our choice, not checked against RadImageNet's own scripts. Blind to: 16-bit detail; its rankings of models were
    found volatile (Woodland M et al. arXiv 2311.13717). Mei X et al. Radiol Artif Intell 2022;4:e210315.
    Raises RadloomError when the weights are absent or of another network.

    >>> radimagenet_resnet50(None, window=(0, 255))
    Traceback (most recent call last):
    radloom.errors.RadloomError: radimagenet_resnet50 has no weights; expected ResNet50.pt (on request, for research; \
read the terms there) from https://github.com/BMEII-AI/RadImageNet; download it and give its path as weights.
    """
    path = existing(weights, RADIMAGENET)
    from radloom.metrics.resnet import WIDTH, ResNet50, plain_names

    network = ResNet50()
    fill(network, plain_names(read_state(path)), path)
    contract = Contract(2, 3, "8 bit", 224, "antialiased bilinear", "(v - 127.5) / 127.5", window)
    return Extractor(RADIMAGENET.network, RADIMAGENET.licence, WIDTH, contract,
                     _network(network, contract, 127.5, 127.5), digest(path))  # fmt: skip


def torchscript(path: Path | str, *, name: str, licence: str, dim: int, contract: Contract) -> Extractor:
    """Any TorchScript network that turns (b, channels, y, x) into (b, dim): say its name, licence and contract.

    The network gets v / 255 after an 8-bit contract, else the window scaled to [0, 1] without clipping (as it is
    without a window), resized as the contract says; any other normalisation belongs into the script. A TorchScript file
    is a program: run only files that you trust. Raises RadloomError when the file is absent or unreadable.
    Blind to: whatever the network is.

    >>> plain = Contract(2, 1, "any", None, "none", "as it is", None)
    >>> torchscript("absent.ts", name="mine", licence="MIT", dim=8, contract=plain)
    Traceback (most recent call last):
    radloom.errors.RadloomError: mine has no weights at absent.ts; expected absent.ts (MIT) from its author; download \
it and give its path as weights.
    """
    found = existing(path, Origin(name, Path(path).name, "its author", licence))
    import torch

    try:
        network = torch.jit.load(found, map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RadloomError(f"cannot read the TorchScript file {found}: {reason}", do="export it again") from error
    return Extractor(name, licence, dim, contract, _network(network, contract, 0.0, _top(contract)), digest(found))


def safetensors_network(
    path: Path | str, network: nn.Module, *, name: str, licence: str, dim: int, contract: Contract
) -> Extractor:
    """A network of yours filled from a safetensors file (or state dict); what it is given is as for `torchscript`.

    Raises RadloomError when the file is absent, unreadable or of another network. Blind to: whatever the network is.

    >>> import torch
    >>> plain = Contract(2, 1, "any", None, "none", "as it is", None)
    >>> safetensors_network("no.safetensors", torch.nn.Flatten(), name="mine", licence="MIT", dim=8, contract=plain)
    Traceback (most recent call last):
    radloom.errors.RadloomError: mine has no weights at no.safetensors; expected no.safetensors (MIT) from its author; \
download it and give its path as weights.
    """
    found = existing(path, Origin(name, Path(path).name, "its author", licence))
    fill(network, read_state(found), found)
    return Extractor(name, licence, dim, contract, _network(network, contract, 0.0, _top(contract)), digest(found))


def multiscale_texture(axes: Literal[2, 3], *, window: Window) -> Extractor:
    """The extractor that needs no download: 44 (2D) or 40 (3D) numbers of intensity, layout and structure by scale.

    Any size from 32 voxels on and any bit depth; see `features_texture.multiscale_texture`. Few enough features that
    100 images estimate their covariance. Blind to: meaning, and fine relations of shape.

    >>> multiscale_texture(2, window=(0, 4095))([np.zeros((32, 32)), np.ones((64, 40))]).values.shape
    (2, 44)
    """
    if axes not in (2, 3):
        raise RadloomError(f"{axes} axes", expected="2 or 3")
    low, high = window_of(window)
    contract = Contract(axes, 1, "any", None, "none", "(v - low) / (high - low), not clipped", (low, high))
    return Extractor(
        f"multiscale_texture_{axes}d", "Apache-2.0", 44 if axes == 2 else 40, contract,
        lambda images: np.stack([features_texture.multiscale_texture(one, window=(low, high)) for one in images]),
    )  # fmt: skip


def radiomic(preset: Literal["frd_v0", "frd_v1"], axes: Literal[2, 3], *, spacing_mm: Spacing) -> Extractor:
    """The radiomic vector of whole images for the Frechet radiomic distance: 93 features (v0), 385 or 1001 (v1).

    Every image has the same spacing. For regions of interest call `radiomics.frd_v1_features` for each case and stack
    the values. Blind to: shape; see the presets. Konz N, Osuala R et al. arXiv 2412.01496.

    >>> radiomic("frd_v0", 2, spacing_mm=(1, 1))([np.arange(64.0).reshape(8, 8)]).values.shape
    (1, 93)
    """
    presets = {"frd_v0": radiomics_sets.frd_v0_features, "frd_v1": radiomics_sets.frd_v1_features}
    dims = {("frd_v0", 2): 93, ("frd_v0", 3): 93, ("frd_v1", 2): 385, ("frd_v1", 3): 1001}
    if (preset, axes) not in dims:
        raise RadloomError(f"unknown radiomic vector {preset!r} with {axes} axes", expected="frd_v0 or frd_v1, 2 or 3")
    spacing = tuple(float(side) for side in spacing_mm)
    contract = Contract(axes, 1, "any", None, "2 mm, cubic spline" if preset == "frd_v1" else "none",
                        f"{preset}; spacing {spacing} mm", None)  # fmt: skip
    return Extractor(
        f"radiomic_{preset}_{axes}d", "Apache-2.0", dims[preset, axes], contract,
        lambda images: np.stack([
            list(presets[preset](one, np.ones(one.shape, bool), spacing).values()) for one in images
        ]),
    )  # fmt: skip


def _inception_contract(window: Window) -> Contract:
    return Contract(2, 3, "8 bit", 299, "antialiased bicubic", "(v - 128) / 128", window)


def _top(contract: Contract) -> float:
    return 255.0 if contract.bit_depth == "8 bit" else 1.0


def _network(network: Callable[[Tensor], Tensor], contract: Contract, zero: float, unit: float) -> Compute:
    """The images through the contract and the network, one by one where their sizes differ."""
    import torch

    from radloom.metrics.features_input import as_input

    mode = contract.resize.removeprefix("antialiased ")

    def compute(images: list[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            inputs = [
                as_input(image, contract.size, mode, contract.window, contract.bit_depth).sub(zero).div(unit)
                for image in images
            ]
            inputs = [one.expand(1, contract.channels, *one.shape[2:]) for one in inputs]
            same = len({one.shape for one in inputs}) == 1
            found: list[Any] = [network(torch.cat(inputs))] if same else [network(one) for one in inputs]
            return torch.cat(found).double().numpy()

    return compute
