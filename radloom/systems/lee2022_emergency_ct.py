"""Emergency head CT: what a GAN of normal slices cannot draw, by vote of its reconstructions (Lee et al. 2022)."""

from radloom.models.augmentation import Augmentation, radiology
from radloom.models.ct_windows import Windows
from radloom.models.feedback import Feedback
from radloom.models.losses import non_saturating
from radloom.models.model import Model
from radloom.models.noise_gan import GAN
from radloom.models.penalties import PathLength, r1
from radloom.models.style_healing import Search, StyleHealing
from radloom.networks.residual_discriminator import ResidualDiscriminator
from radloom.networks.style_encoder import StyleEncoder
from radloom.networks.stylegan import Mapping, StyleGenerator, StyleSynthesis2
from radloom.synthesis import Synthesis
from radloom.system import Citation, Figure, Size, System, Training

_WINDOWS = ((5.0, 55.0), (0.0, 80.0), (-20.0, 180.0))
_UNFITTED = (-1024.0, 2000.0)  # HU of -1 and 1 in a rehearsal, before the cohort is known # ours


def cn_stylegan(
    *, dims: int, task: Synthesis, channels: tuple[int, ...], latent: int, width: int, depth: int, gamma: float,
    every: int, target: float, images: int, stem: int, gan_steps: int, encoder_steps: int, known: int,
    average: float, style_steps: int, noise_steps: int, style_rate: float, noise_rate: float, limit: float,
    median: int, rim: int,
) -> Model:  # fmt: skip
    """StyleGAN2 for gan_steps, an encoder for encoder_steps. known: last steps whose styles say what is normal.
    average: of the generator. limit in HU, median and rim in pixels: see Search."""
    size, count = task.grid, len(_WINDOWS)
    mapping = Mapping(latent, width, depth=depth)
    synthesis = StyleSynthesis2(dims, size, count, channels, width, patch=stem)
    judge = ResidualDiscriminator(dims, size, count, channels, patch=stem)
    disguise = Augmentation(radiology(), Feedback(target=target, images=images))
    gan = GAN(StyleGenerator(mapping, synthesis), judge, game=non_saturating, penalties=(r1(gamma, every=every),),
              path_length=PathLength(), disguise=disguise)  # fmt: skip
    encoder = StyleEncoder(dims, size, count, channels, styles=synthesis.styles, width=width, patch=stem)
    search = Search(style_steps, style_rate, noise_steps, noise_rate, limit, median, rim)
    windows = Windows(task.window[0] if task.window else _UNFITTED, _WINDOWS)
    return StyleHealing(gan, encoder, windows, search, first=gan_steps, second=encoder_steps, known=known, ema=average)


_SEARCH = {"style_rate": 0.1, "noise_rate": 2.0, "limit": 5.0}
_TINY = {"channels": (8, 8), "latent": 8, "width": 8, "depth": 2, "gamma": 1.0, "every": 4, "target": 0.6,
         "images": 1000, "stem": 2, "gan_steps": 6, "encoder_steps": 6, "known": 3, "average": 0.9, "style_steps": 2,
         "noise_steps": 2, "median": 3, "rim": 1, **_SEARCH}  # fmt: skip # ours
_CPU = {"channels": (64, 64, 48, 32), "latent": 64, "width": 64, "depth": 2, "gamma": 50.0, "every": 8, "target": 0.6,
        "images": 5000, "stem": 2, "gan_steps": 900, "encoder_steps": 600, "known": 200, "average": 0.99,
        "style_steps": 20, "noise_steps": 10, "median": 3, "rim": 1, **_SEARCH}  # fmt: skip # ours
# the code's, but for encoder_steps, known and rim, which are ours; average: a half-life of 10,000 images, 16 a step
_PAPER = {"channels": (512, 512, 512, 512, 512, 256, 128, 64), "latent": 512, "width": 512, "depth": 8, "gamma": 10.0,
          "every": 16, "target": 0.6, "images": 500_000, "stem": 1, "gan_steps": 8_000_000,
          "encoder_steps": 1_000_000, "known": 100_000, "average": 0.9989, "style_steps": 100, "noise_steps": 100,
          "median": 19, "rim": 4, **_SEARCH}  # fmt: skip
_SCHEDULE = {"learning_rate": 2e-3, "betas": (0.0, 0.99), "warmup": 0.02, "decay_from": 0.8, "ema": 0.99,
             "flip": 0.5}  # fmt: skip # ours

SYSTEM = System(
    name="lee2022_emergency_ct",
    title="Emergency head CT: what a GAN of normal slices cannot draw, by vote",
    family="anomaly",
    cite=Citation(
        key="lee2022emergency",
        authors="Lee S, Jeong B, Kim M, Jang R, Paik W, Kang J, et al.",
        title="Emergency triage of brain computed tomography via anomaly detection with a deep generative model",
        venue="Nat Commun 13:4251",
        year=2022,
    ),
    task=Synthesis(target=("image.ct",), without="mask.haemorrhage", scaling="window"),
    sizes={
        ("tiny", 2): Size(cn_stylegan, _TINY, Training(12, 4, (32, 32), learning_rate=1e-3),
                          {"autoencoder_steps": 4, "segmenter_steps": 4}),
        ("cpu", 2): Size(cn_stylegan, _CPU, Training(1500, 8, (64, 64), **_SCHEDULE),
                         {"autoencoder_steps": 600, "segmenter_steps": 300}),
        ("paper", 2): Size(cn_stylegan, _PAPER, Training(9_000_000, 16, (512, 512), learning_rate=1e-5,
                                                         betas=(0.0, 0.99), decay_from=1.0, flip=0.5),
                           {"autoencoder_steps": 20_000, "segmenter_steps": 20_000}),
    },
    study="anomaly",
    metrics=(),
    claim="Finds diseased voxels with a higher average precision than an autoencoder and than intensity alone",
    paper=(
        Figure("AUC of cases, internal test", "0.85 (0.81 to 0.89)", "abstract"),
        Figure("AUC of cases, external test", "0.87 (0.85 to 0.89)", "abstract"),
        Figure("median wait of emergencies, first come and with the scores", "422.5 s and 70.5 s", "abstract"),
    ),
    deviations=(
        "Learns the slices that do not show mask.haemorrhage. For normal heads alone, as published, the table's train "
        "split holds normal heads alone.",
        "The perceptual distance (LPIPS) is |x - y| + (1 - SSIM) / 2 at three resolutions: no weights of a network are "
        "needed.",
        "What is normal is one distribution of styles for all slices, from the encoder's last training steps; the "
        "authors' has one for each slice and its neighbours.",
        "The encoder's images are mirrored and partly erased, not turned. One learning rate serves all players; the "
        "authors' encoder learns ten times faster than its discriminator.",
        "The inside of the skull comes from bone in the slice, not from a brain extraction; what lies outside has a "
        "map of 0, and slices of the skull base and the vertex may have none.",
        "Styles are searched for without noise, and noise maps from 0. The score of a case is the study's: the mean of "
        "its three most suspect slices, each by the highest hundredth of its map.",
        "At size cpu 20 and 10 steps stand for 100 and 100, a median of 3 pixels of 64 for 19 of 512, and the finest "
        "resolution holds 2 x 2 patches as channels. Trained so briefly, the GAN draws blobs and no heads, and the "
        "reconstructions miss the edge of the skull: most of the map is that.",
    ),
)  # fmt: skip
