"""SynDiff: translation without pairs by diffusion in four large adversarial steps (Ozbey 2023)."""

from radloom.models.adversarial_diffusion import AdversarialDiffusion, large_steps
from radloom.models.losses import Term, l1
from radloom.models.model import Model
from radloom.models.paths import variance_preserving
from radloom.models.syndiff import SynDiff
from radloom.networks.conditions import image_maps
from radloom.networks.diffusion_unet import DiffusionUNet
from radloom.networks.pix2pix import PatchDiscriminator, ResNetGenerator
from radloom.networks.residual_unet import ChannelNorm, ResidualUNet
from radloom.networks.time_discriminator import TimeDiscriminator
from radloom.samplers import guidance
from radloom.system import Citation, Size, System, Task, Training


def syndiff(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    judge: tuple[int, ...], width: int, translator_blocks: int, judge_width: int, latents: int, chain: int,
    l1_weight: float, cycle: float, penalty: float,
) -> Model:  # fmt: skip
    """The paper's scheme with ResNet translators and PatchGANs; `chain` steps of diffusion."""
    k, c = len(task.inputs), len(task.target)
    chains = [_chain(dims, out, seen, channels, blocks, stem, attention, judge, latents, chain, l1_weight, penalty)
              for out, seen in ((c, k), (k, c))]  # fmt: skip
    translators = [ResNetGenerator(dims, a, b, width=width, blocks=translator_blocks) for a, b in ((k, c), (c, k))]
    judges = [PatchDiscriminator(dims, count, width=judge_width) for count in (c, k)]
    return SynDiff(*chains, *translators, *judges, cycle=cycle)


def residual(
    *, dims: int, task: Task, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    judge: tuple[int, ...], translators: tuple[int, ...], judge_width: int, latents: int, chain: int,
    l1_weight: float, cycle: float, penalty: float,
) -> Model:  # fmt: skip
    """The same with residual U-Nets on 2x2 patches as translators."""
    k, c = len(task.inputs), len(task.target)
    chains = [_chain(dims, out, seen, channels, blocks, stem, attention, judge, latents, chain, l1_weight, penalty)
              for out, seen in ((c, k), (k, c))]  # fmt: skip
    both = [ResidualUNet(dims, a, b, translators, finish=8, norm=ChannelNorm) for a, b in ((k, c), (c, k))]
    judges = [PatchDiscriminator(dims, count, width=judge_width, halvings=2) for count in (c, k)]
    return SynDiff(*chains, *both, *judges, cycle=cycle)


def _chain(
    dims: int, out: int, seen: int, channels: tuple[int, ...], blocks: int, stem: int, attention: bool,
    judge: tuple[int, ...], latents: int, chain: int, l1_weight: float, penalty: float,
) -> AdversarialDiffusion:  # fmt: skip
    network = DiffusionUNet(dims, out + latents, out, channels, blocks=blocks, patch=stem, attention=attention,
                            maps=(image_maps(seen),))  # fmt: skip
    return AdversarialDiffusion(
        network, TimeDiscriminator(dims, 2 * out, judge), sigmas=large_steps(variance_preserving(earliest=1e-3), chain),
        latents=latents, terms=(Term("l1", l1_weight, l1),), penalty=penalty, guides=(guidance.inside_region,),
    )  # fmt: skip


_WEIGHTS = {"latents": 1, "chain": 4, "l1_weight": 0.5, "cycle": 0.5, "penalty": 1.0}
_TINY = {"channels": (8, 16), "blocks": 1, "stem": 2, "attention": False, "judge": (8, 16), "translators": (8, 16),
         "judge_width": 8, **_WEIGHTS}  # fmt: skip # ours
_CPU = {"channels": (16, 32, 64), "blocks": 1, "stem": 2, "attention": False, "judge": (8, 16, 32, 32),
        "translators": (16, 32, 64), "judge_width": 16, **_WEIGHTS, "l1_weight": 5.0, "cycle": 5.0}  # fmt: skip # ours
_PAPER = {"channels": (64, 64, 128, 128, 256, 256), "blocks": 2, "stem": 1, "attention": True,
          "judge": (128, 256, 512, 512, 512, 512, 512), "width": 64, "translator_blocks": 6, "judge_width": 64,
          **_WEIGHTS}  # fmt: skip
_SCHEDULE = {"learning_rate": 1e-3, "betas": (0.5, 0.99), "decay_from": 0.4, "ema": 0.99}  # ours

SYSTEM = System(
    name="ozbey2023_syndiff",
    title="SynDiff: translation without pairs, by diffusion in four adversarial steps",
    cite=Citation(
        key="ozbey2023unsupervised",
        authors="Ozbey M, Dalmaz O, Dar SUH, Bedel HA, Ozturk S, Gungor A, et al.",
        title="Unsupervised medical image translation with adversarial diffusion models",
        venue="IEEE Transactions on Medical Imaging 42:3524-3539",
        year=2023,
    ),
    task=Task(target=("image.flair",), inputs=("image.t2",), pairing="unpaired"),
    sizes={
        ("tiny", 2): Size(residual, _TINY, Training(12, 2, (32, 32), learning_rate=1e-3)),
        ("cpu", 2): Size(residual, _CPU, Training(1000, 1, (64, 64), **_SCHEDULE)),
        # 500 epochs of batch 1 over 2500 slices
        ("paper", 2): Size(
            syndiff,
            _PAPER,
            Training(
                1_250_000, 1, (256, 256), learning_rate=1.6e-4, betas=(0.5, 0.9), decay_from=0.0, ema=0.999, clip=1e9
            ),
        ),
    },
    metrics=("psnr", "ssim_slices", "mae", "mse"),
    claim="Without pairs it draws images nearer to the real ones than CycleGAN does on the same cohort and budget",
    paper=(),
    deviations=(
        "Settings are those of the public code; the full paper was not at hand, and the review reports no numbers.",
        "The chains' network is a residual U-Net with one channel of latent noise beside the image, not NCSN++ with a "
        "mapped latent vector; their discriminator scores patches and does not see the deviation across the batch.",
        "One learning rate for all players, falling linearly; the code has 1.6e-4 and 1e-4, falling along a cosine.",
        "Sizes tiny and cpu: translators are residual U-Nets on 2x2 patches; absolute and "
        "cycle errors weigh ten times as much, and the learning rate is higher.",
        "Intensities are divided by the median of the head, CT in units of water; no output is bounded by a tanh.",
        "Outside its own head every image is 0, in training too.",
    ),
    pitfalls=(
        "Test pairs must be registered: a shift of two voxels costs several dB.",
        "No term compares the drawn image with the real one: grey levels of two tissues may be swapped.",
        "What one kind of images shows more often than the other, such as tumours, is drawn or wiped away.",
    ),
)
