"""New images like those of a dataset: by denoising, from a latent code, or in a game."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Family, Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_sources import IMAGE_FOLDER, generated, num_classes
from dlcoder.templates.bindings import Bindings, Default, Fixed

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_DDPM = {"width": "Channels of the first level, a multiple of 32.", "depth": "Residual blocks of a level."}


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (num_classes(choices), *generated(choices, noise=0.1))


# What is learned from shifted images, or erased ones, comes back in the samples.
_MIRROR: Bindings = {"RandomAugment": {name: Fixed("0.0") for name in ("shift", "jitter", "erase")}}
_SOURCES = {
    "synthetic": Source("synthetic_images", "SyntheticImages", _synthetic, "synthetic.py.j2"),
    "image_folder": IMAGE_FOLDER,
}

DIFFUSION = Task(
    words="Image generation by diffusion",
    noun="diffusion model",
    objective=("diffusion", "Diffusion"),
    evaluator=("evaluate_diffusion", "evaluate_diffusion"),
    log=("loss_denoising",),
    metrics={
        "denoising_error": Metric("Falls as long as the model learns; judge samples by eye.", lower_is_better=True)
    },
    families={
        "ddpm_unet": Family(
            "ddpm_unet",
            "DDPMUNet",
            "U-Net that knows the step",
            settings={**_DDPM, "dropout": "Probability of dropping a number inside a block."},
            sizes={
                "tiny": {"width": 32, "depth": 1, "dropout": 0.0},
                "small": {"width": 64, "depth": 2, "dropout": 0.1},
                "base": {"width": 128, "depth": 2, "dropout": 0.1},
                "large": {"width": 192, "depth": 3, "dropout": 0.1},
            },
            smoke={"width": 32, "depth": 1, "dropout": 0.1},
            multiple_of=8,
            bindings={"channels": Fixed("3")},
        ),
    },
    default_family=lambda _: ("ddpm_unet", "What diffusion models of pixels are built on."),
    sources=_SOURCES,
    results="diffusion.py.j2",
    picture="samples.png",
    bindings={"DiffusionLoss": {"prediction": Fixed('"v"')}, **_MIRROR},
    classes=10,
    image_sizes=(32, 64),
    augments=True,
    epochs=(30, 100),
    lr={"adamw": 2e-4, "sgd": 0.01},
)


def _beta(choices: "Choices") -> tuple[Setting, ...]:
    return (Setting("beta", 1.0, "Weight of the KL divergence; above 1 it trades sharpness for order."),)


VAE = Task(
    words="Image generation with a variational autoencoder",
    noun="variational autoencoder",
    objective=("variational", "Variational"),
    evaluator=("evaluate_variational", "evaluate_variational"),
    log=("loss_negative_elbo", "metric_reconstruction_error"),
    metrics={
        "negative_elbo": Metric("What is minimized, at a weight of 1.", lower_is_better=True),
        "reconstruction_error": Metric("Only what comes back counts, not what can be drawn.", lower_is_better=True),
    },
    families={
        "vae": Family(
            "vae",
            "VAE",
            "convolutional encoder and decoder",
            settings={"latent_dim": "Numbers in a latent code, Z.", "width": "Channels of the first level."},
            sizes={
                "tiny": {"latent_dim": 16, "width": 16},
                "small": {"latent_dim": 64, "width": 32},
                "base": {"latent_dim": 128, "width": 64},
                "large": {"latent_dim": 256, "width": 128},
            },
            smoke={"latent_dim": 4, "width": 8},
            data="image_size=data.image_size",
            multiple_of=16,
            smoke_size=32,
        ),
    },
    default_family=lambda _: ("vae", "A latent code for every image, and fast samples."),
    sources=_SOURCES,
    results="vae.py.j2",
    picture="samples.png",
    bindings={"BetaVAELoss": {"likelihood": Fixed('"gaussian"')}, **_MIRROR},
    objective_settings=_beta,
    classes=10,
    image_sizes=(32, 64),
    augments=True,
    epochs=(20, 100),
)


def _game(choices: "Choices") -> tuple[Setting, ...]:
    games = 'Literal["hinge", "non_saturating", "wasserstein"]'
    return (
        Setting(
            "game", "non_saturating", "What the two networks play; with R1, it is the one that converges.", type=games
        ),
        Setting("penalty", 10.0, "Weight of the penalty on the discriminator's slope; hinge has none."),
    )


GAN = Task(
    words="Image generation by a GAN",
    noun="generative adversarial network",
    objective=("adversarial", "Discrimination, Generation"),
    evaluator=("evaluate_generation", "evaluate_generation"),
    log=("loss_discriminator", "loss_generator", "grad_norm_discriminator"),
    metrics={
        "frechet_distance": Metric(
            "By features of a fixed random network: falls as samples come nearer. Not the FID of papers.",
            lower_is_better=True,
        )
    },
    families={
        "dcgan": Family(
            "dcgan",
            "Generator",
            "generator and a discriminator of strided convolutions (DCGAN)",
            settings={"noise_dim": "Numbers that an image is made of, Z.", "width": "Channels at the finest level."},
            sizes={
                "tiny": {"noise_dim": 64, "width": 16},
                "small": {"noise_dim": 100, "width": 64},
                "base": {"noise_dim": 100, "width": 96},
                "large": {"noise_dim": 100, "width": 128},
            },
            smoke={"noise_dim": 8, "width": 4},
            data="image_size=data.image_size",
            # What images of about zero mean and unit variance lie between.
            bindings={"bound": Default("2.7")},
            multiple_of=16,
            smoke_size=32,
        ),
    },
    default_family=lambda _: ("dcgan", "Sharp samples in one pass; the networks are small and fast."),
    sources=_SOURCES,
    results="gan.py.j2",
    picture="samples.png",
    objective_settings=_game,
    training="adversarial",
    bindings=_MIRROR,
    classes=10,
    image_sizes=(32, 64),
    augments=True,
    epochs=(30, 100),
    lr={"adamw": 2e-4, "sgd": 0.01},
    weight_decay={"adamw": 0.0, "sgd": 0.0},
)
