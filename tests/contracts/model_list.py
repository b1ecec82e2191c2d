"""The models that the contracts of test_models.py run over, each small; a new one joins by a line in MODELS.

A model with limits stands in one of the sets below MODELS as well: where it exists, and what it is not asked to do.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from radloom.given import Given
from radloom.models import augmentation, diffusion_gan, paths, penalties, predictions, times
from radloom.models.adversarial_diffusion import AdversarialDiffusion, large_steps
from radloom.models.augmentation import Augmentation
from radloom.models.available import Available
from radloom.models.bridge import Bridge, even_in_root, walk
from radloom.models.closed_form import Constant, TrainingMean, Voxelwise
from radloom.models.consistency import Consistency, Ladder
from radloom.models.cyclegan import CycleGAN
from radloom.models.diffusion import Diffusion
from radloom.models.diffusion_flow import DiffusionFlow
from radloom.models.diffusion_gan import Diffused
from radloom.models.discrete import Levels, LogisticMixture, Softmax
from radloom.models.energy import EnergyModel, Langevin
from radloom.models.ensemble import Averaged, Ensemble
from radloom.models.features import FeatureDiffusion, as_trained, joined
from radloom.models.feedback import Feedback
from radloom.models.flow import DenoisingFlow, Flow
from radloom.models.gan import PairedGAN
from radloom.models.improved_ddpm import ImprovedDDPM
from radloom.models.irem import IREM, given_image
from radloom.models.latent import Latent, as_they_are
from radloom.models.losses import GAMES, Term, l1
from radloom.models.model import Batch, Model
from radloom.models.noise_gan import GAN, Growth
from radloom.models.penalties import PathLength, Unrolled
from radloom.models.pixelcnn import PixelCNN
from radloom.models.planes import Planes
from radloom.models.registration_gan import Jolt, RegistrationGAN
from radloom.models.revgan import RevGAN
from radloom.models.syndiff import SynDiff
from radloom.models.vae import VAE
from radloom.models.vqvae import VQVAE, Codes
from radloom.models.wavelet import Wavelet
from radloom.models.wrappers import Independent, Route, Slicewise, Tiled
from radloom.models.zero_shot import ZeroShot
from radloom.networks.autoencoder import Decoder, Encoder
from radloom.networks.causal import GatedPixelCNN, PixelCNNPlusPlus
from radloom.networks.codebook import Codebook
from radloom.networks.conditions import Dropout, image_maps, mask_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.energies import ConvEnergy
from radloom.networks.flows import Affine, Glow, Spline
from radloom.networks.pix2pix import PatchDiscriminator
from radloom.networks.progressive import ProgressiveDiscriminator, ProgressiveGenerator
from radloom.networks.r3gan import R3Discriminator, R3Generator
from radloom.networks.registration import RegistrationNet
from radloom.networks.residual_discriminator import ResidualDiscriminator
from radloom.networks.residual_unet import ResidualUNet
from radloom.networks.reversible import ReversibleGenerator
from radloom.networks.stylegan import Mapping, StyleGenerator, StyleSynthesis, StyleSynthesis2
from radloom.networks.time_discriminator import TimeDiscriminator
from radloom.networks.voxelwise import VoxelwisePolynomial
from radloom.random import torch_stream
from radloom.samplers import grids, guidance, solvers, stochastic
from radloom.samplers.denoiser import Sampler
from radloom.systems.conte2021_missing_sequence import SYSTEM

INPUTS, TARGETS = 2, 2
SHAPE = (12, 9, 8)
OTHER_SHAPES = {"PixelCNN": (5, 4, 3), "PixelCNN++": (4, 3, 3), "conte 2021, tiny": (16, 13, 12)}  # slow; deep


def gan(dims: int, *, game: str = "least_squares", base: bool = False, inputs: int = 2, outputs: int = 2) -> PairedGAN:
    return PairedGAN(
        ResidualUNet(dims, inputs, (1 + base) * outputs, (8, 8)),
        PatchDiscriminator(dims, inputs + outputs, width=4, halvings=1) if game else None,
        game=GAMES[game or "hinge"], adversarial_weight=0.01, terms=(Term("l1", 1.0, l1),),
        base=VoxelwisePolynomial(inputs, outputs, 2) if base else None,
    )  # fmt: skip


def independent(dims: int) -> Independent:
    parts = (gan(dims, inputs=1, outputs=1, base=True), gan(dims, inputs=2, outputs=1, base=True))
    return Independent(parts, (Route(draws=(1,), sees=(0,)), Route(draws=(0,), sees=(1, 0))))


def denoiser(dims: int, outputs: int = TARGETS) -> DiffusionUNet:
    return DiffusionUNet(dims, TARGETS, outputs, (16, 8), maps=(image_maps(INPUTS),), spade=mask_maps(1))


def diffusion(dims: int, name: str) -> Diffusion:
    path, prediction, when, sampler = DIFFUSIONS[name]
    guides = (guidance.classifier_free(1.5, drop=("image",)), guidance.inside_region)
    return Diffusion(
        denoiser(dims), path, prediction, times=when, sampler=sampler, sigmas=grids.karras(3, 0.02, 50.0),
        guides=guides, dropout=Dropout(("image",)),
    )  # fmt: skip


DIFFUSIONS: dict[str, tuple[paths.Path, predictions.Prediction, times.Times, Sampler]] = {
    "DDPM": (paths.variance_preserving(), predictions.noise, times.discrete(1000), stochastic.ancestral),
    "DDIM": (paths.cosine(), predictions.v, times.uniform, stochastic.ddim(0.0)),
    "score-SDE, VE": (paths.variance_exploding(0.01, 50.0), predictions.score, times.uniform,
                      stochastic.predictor_corrector(snr=0.16)),
    "score-SDE, sub-VP": (paths.sub_variance_preserving(), predictions.score, times.uniform, solvers.midpoint),
    "EDM": (paths.edm(), predictions.preconditioned(0.5), times.log_normal(), solvers.heun),
    "rectified flow": (paths.rectified_flow(), predictions.velocity, times.logit_normal(), solvers.flow_midpoint),
    "image prediction": (paths.cosine(), predictions.image, times.uniform, solvers.unipc(2)),
}  # fmt: skip


def features(dims: int) -> FeatureDiffusion:
    return FeatureDiffusion(diffusion(dims, "DDPM"), {"one": joined((1,))}, method="one", chain=2, see=as_trained)


def adversarial_diffusion(dims: int) -> AdversarialDiffusion:
    generator = DiffusionUNet(dims, TARGETS + 1, TARGETS, (16, 8), maps=(image_maps(INPUTS),), spade=mask_maps(1))
    discriminator = TimeDiscriminator(dims, 2 * TARGETS, (4, 8), maps=(image_maps(INPUTS),))
    return AdversarialDiffusion(
        generator, discriminator, sigmas=large_steps(paths.variance_preserving(), 4), terms=(Term("l1", 10.0, l1),),
        guides=(guidance.inside_region,), dropout=Dropout(("image",)),
    )  # fmt: skip


def bridge(dims: int) -> Bridge:
    return Bridge(
        denoiser(dims), predictions.preconditioned, times=even_in_root(3), sampler=walk(1.0),
        guides=(guidance.inside_region,),
    )  # fmt: skip


def wavelet(dims: int) -> Wavelet:
    k = 2**dims  # bands of each channel
    network = DiffusionUNet(
        dims, TARGETS * k, TARGETS * k, (16, 8), patch=1, maps=(image_maps(INPUTS * k),), spade=mask_maps(1)
    )
    sigmas = grids.karras(3, 0.02, 50.0)
    inner = Diffusion(network, paths.cosine(), predictions.image, sampler=solvers.dpm_solver_2m, sigmas=sigmas)
    return Wavelet(inner)


def vae(dims: int) -> VAE:
    return VAE(Encoder(dims, TARGETS, 8, (8, 8)), Decoder(dims, 4, TARGETS, (8, 8)), 4)


def vqvae(dims: int) -> VQVAE:
    return VQVAE(Encoder(dims, TARGETS, 4, (8, 8)), Decoder(dims, 4, TARGETS, (8, 8)), Codebook(16, 4))


def codes_with_a_prior(dims: int) -> Latent:
    prior = PixelCNN(dims, 1, GatedPixelCNN(dims, 1, 8, layers=1), Softmax(16), Levels(16))
    return Latent(Codes(vqvae(dims)), prior, gate=float("inf"), scale=as_they_are)


def latent_diffusion(dims: int) -> Latent:
    network = DiffusionUNet(dims, 4, 4, (8,), patch=1, maps=(image_maps(INPUTS),))
    sigmas = grids.karras(3, 0.02, 50.0)
    prior = Diffusion(network, paths.cosine(), predictions.v, sampler=solvers.midpoint, sigmas=sigmas, spread=1.0)
    return Latent(vae(dims), prior, gate=float("inf"))


def glow(dims: int, transform: Affine | Spline) -> Glow:
    return Glow(dims, TARGETS, 8, levels=2, steps=1, transform=transform)


def energy(dims: int, *, reference: float | None) -> EnergyModel:
    network = ConvEnergy(dims, TARGETS, (8, 8), reference=reference)
    return EnergyModel(network, (TARGETS, *SHAPE[:dims]), langevin=Langevin(3, 0.1, 0.01, clip=1.0), buffer=4)


def diffusion_flow(dims: int) -> DiffusionFlow:
    drift, score = (DiffusionUNet(dims, TARGETS, TARGETS, (8,)) for _ in range(2))
    return DiffusionFlow(drift, score, paths.variance_preserving(), torch.tensor([0.1, 0.4, 0.9]))


def pixelcnn(dims: int) -> PixelCNN:
    return PixelCNN(dims, TARGETS, GatedPixelCNN(dims, TARGETS, 8, layers=1), Softmax(16), Levels(16))


def pixelcnn_plus_plus(dims: int) -> PixelCNN:
    network = PixelCNNPlusPlus(dims, TARGETS, 4, levels=2, blocks=1)
    return PixelCNN(dims, TARGETS, network, LogisticMixture(256, 2), Levels(256))


def styled(dims: int, synthesis: type[StyleSynthesis] | type[StyleSynthesis2]) -> StyleGenerator:
    return StyleGenerator(Mapping(4, 4), synthesis(dims, SHAPE[:dims], TARGETS, (8, 4), 4))


def judge(dims: int, *, times: int = 0) -> ResidualDiscriminator:
    return ResidualDiscriminator(dims, SHAPE[:dims], TARGETS, (8, 4), times=times, width=4 if times else 0)


def progressive(dims: int, channels: tuple[int, ...]) -> tuple[ProgressiveGenerator, ProgressiveDiscriminator]:
    return (ProgressiveGenerator(dims, SHAPE[:dims], TARGETS, channels, latent=4),
            ProgressiveDiscriminator(dims, SHAPE[:dims], TARGETS, channels))  # fmt: skip


def adversarial(dims: int, name: str) -> GAN:
    r1, ahead = penalties.r1(1.0, every=2), Feedback(target=-0.5, images=20, every=2)  # p rises from the first steps on
    if name == "StyleGAN":
        both = (r1, penalties.r2(1.0, every=2))
        return GAN(styled(dims, StyleSynthesis), judge(dims), game=GAMES["relativistic"], penalties=both)
    if name == "StyleGAN2, ADA":
        return GAN(styled(dims, StyleSynthesis2), judge(dims), game=GAMES["non_saturating"], penalties=(r1,),
                   path_length=PathLength(every=2), disguise=Augmentation(augmentation.radiology(), ahead))  # fmt: skip
    if name == "R3GAN":
        players = (R3Generator(dims, SHAPE[:dims], TARGETS, (8, 4), latent=4, blocks=1, group=4),
                   R3Discriminator(dims, SHAPE[:dims], TARGETS, (8, 4), blocks=1, group=4))  # fmt: skip
        both = (penalties.r1(1.0, every=2), penalties.r2(1.0, every=2))
        return GAN(*players, game=GAMES["relativistic"], penalties=both)
    if name == "PGGAN":
        wgan = (penalties.gradient_penalty(), penalties.drift())
        return GAN(*progressive(dims, (8, 4)), game=GAMES["wasserstein"], penalties=wgan, growth=Growth(6, 4))
    if name == "unrolled GAN":
        return GAN(*progressive(dims, (8,)), game=GAMES["minimax"], unrolled=Unrolled(1))
    return GAN(styled(dims, StyleSynthesis2), judge(dims, times=diffusion_gan.LONGEST), game=GAMES["non_saturating"],
               disguise=Diffused(ahead))  # fmt: skip


def cyclegan(dims: int) -> CycleGAN:
    generators = (ResidualUNet(dims, INPUTS, TARGETS, (8,)), ResidualUNet(dims, TARGETS, INPUTS, (8,)))
    judges = (
        PatchDiscriminator(dims, TARGETS, width=4, halvings=1),
        PatchDiscriminator(dims, INPUTS, width=4, halvings=1),
    )
    return CycleGAN(*generators, *judges, shapes=((TARGETS, *SHAPE[:dims]), (INPUTS, *SHAPE[:dims])), pool=3)


def syndiff(dims: int) -> SynDiff:
    def chain(draws: int, sees: int) -> AdversarialDiffusion:
        generator = DiffusionUNet(dims, draws + 1, draws, (8,), maps=(image_maps(sees),))
        judge, sigmas = TimeDiscriminator(dims, 2 * draws, (4, 8)), large_steps(paths.variance_preserving(), 2)
        return AdversarialDiffusion(generator, judge, sigmas=sigmas, terms=(Term("l1", 1.0, l1),))

    translators = (ResidualUNet(dims, INPUTS, TARGETS, (8,)), ResidualUNet(dims, TARGETS, INPUTS, (8,)))
    judges = (PatchDiscriminator(dims, count, width=4, halvings=1) for count in (TARGETS, INPUTS))
    return SynDiff(chain(TARGETS, INPUTS), chain(INPUTS, TARGETS), *translators, *judges)


def registration_gan(dims: int) -> RegistrationGAN:
    judge = PatchDiscriminator(dims, TARGETS, width=4, halvings=1)
    registration = RegistrationNet(dims, 2 * TARGETS, (4, 8), blocks=1)
    return RegistrationGAN(ResidualUNet(dims, INPUTS, TARGETS, (8,)), judge, registration, adversarial_weight=0.1,
                           jolt=Jolt())  # fmt: skip


def revgan(dims: int) -> RevGAN:
    judges = (PatchDiscriminator(dims, count, width=4, halvings=1) for count in (TARGETS, INPUTS))
    return RevGAN(ReversibleGenerator(dims, INPUTS, TARGETS, width=4, depth=2), *judges,
                  shapes=((TARGETS, *SHAPE[:dims]), (INPUTS, *SHAPE[:dims])), cycle=1.0, pool=3)  # fmt: skip


MODELS: dict[str, Callable[[int], Model]] = {
    **{name: lambda dims, name=name: diffusion(dims, name) for name in DIFFUSIONS},
    "improved DDPM": lambda dims: ImprovedDDPM(denoiser(dims, 2 * TARGETS), paths.cosine(latest=0.9), draws=4),
    **{f"GAN, {game}": lambda dims, game=game: gan(dims, game=game) for game in GAMES},
    "GAN over a base": lambda dims: gan(dims, base=True),
    "no game": lambda dims: gan(dims, game="", base=True),
    **{
        name: lambda dims, name=name: adversarial(dims, name)
        for name in ("StyleGAN", "StyleGAN2, ADA", "R3GAN", "PGGAN", "unrolled GAN", "Diffusion-GAN")
    },
    "CycleGAN": cyclegan,
    "RevGAN": revgan,
    "adversarial diffusion": adversarial_diffusion,
    "SynDiff": syndiff,
    "registration GAN": registration_gan,
    "bridge": bridge,
    "consistency": lambda dims: Consistency(denoiser(dims), Ladder(100), dropout=Dropout(("image",))),
    "wavelet": wavelet,
    "features": features,
    "VAE": vae,
    "VQ-VAE": vqvae,
    "VQ-VAE, prior": codes_with_a_prior,
    "latent diffusion": latent_diffusion,
    "Glow": lambda dims: Flow(glow(dims, Affine()), Levels(256)),
    "spline flow": lambda dims: Flow(glow(dims, Spline(4)), Levels(256)),
    "denoising flow": lambda dims: DenoisingFlow(glow(dims, Affine()), 40),
    "diffusion flow": diffusion_flow,
    "energy": lambda dims: energy(dims, reference=None),
    "generative ConvNet": lambda dims: energy(dims, reference=1.0),
    "IREM": lambda dims: IREM(ConvEnergy(dims, INPUTS + TARGETS, (8,)), given_image, steps=2, draws=3),
    "PixelCNN": pixelcnn,
    "PixelCNN++": pixelcnn_plus_plus,
    "independent": independent,
    "available": lambda dims: Available(gan(dims, base=True, inputs=4), inputs=2, hide=0.4),
    "planes": lambda dims: Planes((diffusion(2, "EDM"), diffusion(2, "EDM"), diffusion(2, "EDM")), slices=2),
    "zero-shot": lambda dims: ZeroShot(diffusion(dims, "DDPM")),
    "ensemble": lambda dims: Ensemble((vae(dims), vae(dims))),
    "averaged": lambda dims: Averaged(Ensemble((vae(dims), vae(dims)))),
    "tiled": lambda dims: Tiled(gan(dims, base=True), (8,) * dims),
    "slicewise": lambda dims: Slicewise(gan(2, base=True), chunk=3),
    "constant": lambda dims: Constant(0.5),
    "training mean": lambda dims: TrainingMean(TARGETS),
    "cubic": lambda dims: Voxelwise(INPUTS, TARGETS, 3),
    "conte 2021, tiny": lambda dims: SYSTEM.resolve("tiny", dims, {}).build(),
}

DIMS = {"slicewise": (3,), "planes": (3,)}  # the others in 2D and 3D
UNTRAINED = {"constant", "training mean", "cubic"}
ONE_ANSWER = {
    *UNTRAINED, *(name for name in MODELS if name.startswith("GAN, ")), "GAN over a base", "no game", "IREM",
    "CycleGAN",
    "independent", "available", "tiled", "slicewise", "conte 2021, tiny",
    "RevGAN", "registration GAN",
}  # fmt: skip
# these draw 0 outside the region
CUT_OFF = {*DIFFUSIONS, *ONE_ANSWER, "SynDiff", "features", "planes", "zero-shot"} - {"IREM", "constant"}
CONTESTED = {
    "StyleGAN",
    "StyleGAN2, ADA",
    "R3GAN",
    "PGGAN",
    "unrolled GAN",
    "Diffusion-GAN",
    "CycleGAN",
    "RevGAN",
    "SynDiff",
}  # by games above all
NO_SAY = {  # parameters that ten steps do not hear of
    "IREM": {"energy.head.bias"},  # an energy's constant has no slope
    "StyleGAN": {"discriminator.head.bias"},  # differences of scores have no constant
    "GAN, wasserstein": {"discriminator.layers.5.bias"},  # nor here
    "GAN, relativistic": {"discriminator.layers.5.bias"},
    "GAN, hinge": {"discriminator.layers.5.bias"},  # while no margin is kept, real and fake pull a constant alike
}

CASES = [(name, dims) for name in MODELS for dims in DIMS.get(name, (2, 3))]


def shape_of(name: str, dims: int) -> tuple[int, ...]:
    """The spatial shape on which a model is tried."""
    return OTHER_SHAPES.get(name, SHAPE)[:dims]


def example(size: tuple[int, ...], count: int = 2) -> Batch:
    """Targets that depend on the given image, inside a region one or two voxels from the edges."""
    dims = len(size)
    rng = torch.Generator().manual_seed(dims)
    image = torch.rand((count, INPUTS, *size), generator=rng)
    mask = torch.zeros((count, 1, *size), dtype=torch.bool)
    rim = 2 if min(size) > 6 else 1
    mask[(..., *(slice(rim, -rim),) * dims)] = True
    x = torch.stack([image[:, 1] ** 2, 1 - image[:, 0]], dim=1) * mask
    return Batch(x, Given(image=image * mask, mask=mask), mask)


def begun(name: str, dims: int) -> Model:
    """A new model after a look at the examples."""
    torch.manual_seed(0)
    model = MODELS[name](dims)
    model.begin(lambda: [example(shape_of(name, dims))])
    return model


def drawn(model: Model, given: Given, count: int, size: tuple[int, ...], seed: int = 0) -> Tensor:
    """The draws of a model, in evaluation mode."""
    with torch.no_grad():
        return model.eval().sample(given, (count, TARGETS, *size), rng=torch_stream(seed, "draw"))
