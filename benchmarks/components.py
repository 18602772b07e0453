"""Each loss against the best public implementation that installs: time and memory of forward and backward, as ratios.

`python benchmarks/components.py [NAME...]` prints a Markdown table. It needs the extra `published`. A loss that no
package offers is measured against its formula, as one writes it in PyTorch (`plain_losses.py`). Both sides run in turn
in one process and thread, the least CPU time of each counts, which other programs disturb little; memory is the peak of
what tensors hold above their inputs, as the allocator reports it. Fails if a ratio is above 1.2, if more than one row
in ten is above 1, or if the chunked next-token loss takes more than a quarter of the memory of the plain one.
"""

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import kornia.losses as kornia
import monai.losses as monai
import plain_losses
import pytorch_metric_learning.losses as metric_learning
import torch
import torch.nn.functional as F
import transformers
from monai.losses.giou_loss import BoxGIoULoss
from pytorch_metric_learning.miners import BatchHardMiner
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torchmetrics.functional.image import structural_similarity_index_measure
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from dlcoder.templates.catalogue import catalogue
from dlcoder.templates.components.losses import (
    arcface,
    barlow_twins,
    beta_vae,
    binary_cross_entropy,
    boundary,
    box_iou,
    charbonnier,
    cross_entropy,
    dice,
    dice_cross_entropy,
    diffusion,
    dino,
    distillation,
    dpo,
    fcos,
    focal,
    gan,
    generalized_dice,
    info_nce,
    lovasz_softmax,
    mae_reconstruction,
    next_token,
    nt_xent,
    ohem_cross_entropy,
    region_consensus,
    sigmoid_focal,
    smooth_l1,
    ssim,
    supervised_contrastive,
    triplet,
    tversky,
    vicreg,
)
from dlcoder.templates.components.models.fcos import locations

Loss = Callable[..., Tensor]
PLAIN = "plain torch"
"""The formula itself, where no package has the loss."""
SECONDS, ROUNDS = 2.0, 7
"""How long a row may go on being timed, and how often each side runs at least."""


@dataclass(frozen=True)
class Case:
    """Two implementations of one loss, and what both are called with.

    Attributes:
        ours: The component.
        peers: Public implementations by name; the best of them counts, in time and in memory.
        inputs: Makes the arguments; those of floating point get a gradient.
        constant: How many of the last arguments get none.
    """

    ours: Loss
    peers: dict[str, Loss]
    inputs: Callable[[], tuple[Tensor, ...]]
    constant: int = 0


def step(loss: Loss, inputs: tuple[Tensor, ...]) -> None:
    """Forward and backward, from no gradient."""
    for tensor in inputs:
        tensor.grad = None
    loss(*inputs).backward()


def seconds(loss: Loss, inputs: tuple[Tensor, ...]) -> float:
    """The CPU time of one step."""
    start = time.process_time()
    step(loss, inputs)
    return time.process_time() - start


def peak(loss: Loss, inputs: tuple[Tensor, ...]) -> int:
    """Bytes that one step holds at most, gradients included."""
    for tensor in inputs:
        tensor.grad = None
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step(loss, inputs)
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def measure(case: Case) -> tuple[dict[str, float], dict[str, int]]:
    """Least seconds and peak bytes of every implementation, by name; "" is ours."""
    torch.manual_seed(0)
    inputs = case.inputs()
    for tensor in inputs[: len(inputs) - case.constant]:
        if tensor.is_floating_point():
            tensor.requires_grad_()
    losses = {"": case.ours, **case.peers}
    memory = {}
    for name, loss in losses.items():
        step(loss, inputs)  # buffers and caches are made
        memory[name] = peak(loss, inputs)
    best = dict.fromkeys(losses, float("inf"))
    start, rounds = time.process_time(), 0
    while rounds < ROUNDS or time.process_time() - start < SECONDS:
        for name, loss in losses.items():
            best[name] = min(best[name], seconds(loss, inputs))
        rounds += 1
    return best, memory


# Inputs.


def pixels(classes: int = 19) -> tuple[Tensor, ...]:
    """Logits and labels of four images, some of them ignored nowhere, as the peers require."""
    return torch.randn(4, classes, 256, 256), torch.randint(classes, (4, 256, 256))


def labels_with_channel(loss: Loss) -> Loss:
    """MONAI takes labels (B, 1, H, W)."""
    return lambda logits, target: loss(logits, target.unsqueeze(1))


def pair(*shape: int) -> tuple[Tensor, Tensor]:
    """Two like tensors."""
    return torch.rand(*shape), torch.rand(*shape)


def labeled(n: int = 512, dim: int = 128, classes: int = 32) -> tuple[Tensor, Tensor]:
    """Embeddings with classes."""
    return torch.randn(n, dim), torch.arange(n) % classes


def boxes(n: int = 20_000) -> tuple[Tensor, Tensor]:
    """Pairs of overlapping boxes."""
    corner = 100 * torch.rand(n, 2)
    first = torch.cat([corner, corner + 10 + 50 * torch.rand(n, 2)], dim=1)
    return first, first + 4 * torch.rand(n, 4)


def locations_of_a_detector(size: int = 256, classes: int = 32) -> tuple[Tensor, ...]:
    """What FCOS says of four images, and where its locations are."""
    places = locations(size, size)
    count = len(places)
    return torch.randn(4, count, classes), 1 + 40 * torch.rand(4, count, 4), torch.randn(4, count), places


# Peers that are not called as a loss is.


def clip_loss(query: Tensor, key: Tensor) -> Tensor:
    """What transformers computes for CLIP, on normalized embeddings."""
    similarity = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).T / 0.07
    return image_text_contrastive_loss(similarity)


def metric_learning_pair(loss: Loss) -> Loss:
    """Two views of each sample, for losses that take all embeddings at once."""

    def both(first: Tensor, second: Tensor) -> Tensor:
        return loss(torch.cat([first, second]), torch.arange(len(first)).repeat(2))

    return both


def batch_hard(margin: float = 0.3) -> Loss:
    """Triplets of the hardest positive and negative."""
    miner, loss = BatchHardMiner(), metric_learning.TripletMarginLoss(margin=margin)
    return lambda embeddings, labels: loss(embeddings, labels, miner(embeddings, labels))


def mae_peer() -> Loss:
    """The lines of transformers' ViTMAE that compute its loss, run on a model that returns what it is given."""
    config = transformers.ViTMAEConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        decoder_hidden_size=16,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        norm_pix_loss=True,
    )
    model = transformers.ViTMAEForPreTraining(config)

    def loss(prediction: Tensor, images: Tensor, masked: Tensor) -> Tensor:
        target = model.patchify(images)
        mean, variance = target.mean(dim=-1, keepdim=True), target.var(dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1.0e-6) ** 0.5
        return (((prediction - target) ** 2).mean(dim=-1) * masked).sum() / masked.sum()

    return loss


def elbo(reconstruction: Tensor, target: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The bound from torch's own parts."""
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    kl = torch.distributions.kl_divergence(posterior, prior).sum()
    return (F.mse_loss(reconstruction, target, reduction="sum") / 2 + kl) / len(target)


def whole_next_token(hidden: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """All logits at once."""
    return F.cross_entropy(F.linear(hidden, weight), target)


def distilled(student: Tensor, teacher: Tensor) -> Tensor:
    """The divergence of softened logits from torch's own parts."""
    return 16 * nn.KLDivLoss(reduction="batchmean", log_target=True)(
        F.log_softmax(student / 4, dim=-1), F.log_softmax(teacher / 4, dim=-1)
    )


def cases() -> dict[str, Case]:
    """Every loss of the catalogue."""
    one_hot = {"to_onehot_y": True, "softmax": True}
    return {
        "cross_entropy": Case(
            cross_entropy.CrossEntropyLoss(label_smoothing=0.1, ignore_index=255),
            {"torch": nn.CrossEntropyLoss(label_smoothing=0.1, ignore_index=255)},
            pixels,
        ),
        "binary_cross_entropy": Case(
            binary_cross_entropy.BinaryCrossEntropyLoss(),
            {"torch": nn.BCEWithLogitsLoss()},
            lambda: (torch.randn(4096, 256), torch.randint(2, (4096, 256)).float()),
            constant=1,
        ),
        "smooth_l1": Case(smooth_l1.SmoothL1Loss(), {"torch": nn.SmoothL1Loss()}, partial(pair, 4096, 256), 1),
        "charbonnier": Case(
            charbonnier.CharbonnierLoss(),
            {"kornia": partial(kornia.charbonnier_loss, reduction="mean")},
            partial(pair, 4, 3, 256, 256),
            constant=1,
        ),
        "focal": Case(
            focal.FocalLoss(),
            {
                "MONAI": labels_with_channel(monai.FocalLoss(use_softmax=True, to_onehot_y=True)),
                "kornia": kornia.FocalLoss(alpha=None, gamma=2.0, reduction="mean"),
            },
            pixels,
        ),
        "sigmoid_focal": Case(
            sigmoid_focal.SigmoidFocalLoss(),
            {
                "MONAI": monai.FocalLoss(alpha=0.25),
                "kornia": kornia.BinaryFocalLossWithLogits(alpha=0.25, gamma=2.0, reduction="mean"),
            },
            lambda: (torch.randn(64, 4, 64, 64), torch.randint(2, (64, 4, 64, 64)).float()),
            constant=1,
        ),
        "dice": Case(
            dice.DiceLoss(),
            {
                "MONAI": labels_with_channel(monai.DiceLoss(**one_hot)),
                "kornia": kornia.DiceLoss(average="macro"),
            },
            pixels,
        ),
        "dice_cross_entropy": Case(
            dice_cross_entropy.DiceCrossEntropyLoss(),
            {"MONAI": labels_with_channel(monai.DiceCELoss(**one_hot))},
            pixels,
        ),
        "generalized_dice": Case(
            generalized_dice.GeneralizedDiceLoss(),
            {"MONAI": labels_with_channel(monai.GeneralizedDiceLoss(**one_hot))},
            pixels,
        ),
        "tversky": Case(
            tversky.TverskyLoss(),
            {
                "MONAI": labels_with_channel(monai.TverskyLoss(**one_hot, alpha=0.3, beta=0.7)),
                "kornia": kornia.TverskyLoss(alpha=0.3, beta=0.7),
            },
            pixels,
        ),
        "lovasz_softmax": Case(lovasz_softmax.LovaszSoftmaxLoss(), {"kornia": kornia.LovaszSoftmaxLoss()}, pixels),
        "box_iou": Case(box_iou.BoxIoULoss(kind="giou"), {"MONAI": BoxGIoULoss()}, boxes, constant=1),
        "ssim": Case(
            ssim.SSIMLoss(),
            {
                "MONAI": monai.SSIMLoss(spatial_dims=2),
                "kornia": kornia.SSIMLoss(11, padding="valid"),
                "torchmetrics": lambda x, y: 1 - structural_similarity_index_measure(x, y, data_range=1.0),
            },
            partial(pair, 4, 3, 256, 256),
            constant=1,
        ),
        "distillation": Case(
            distillation.DistillationLoss(temperature=4.0),
            {"torch": distilled},
            partial(pair, 4096, 1000),
            constant=1,
        ),
        "nt_xent": Case(
            nt_xent.NTXentLoss(temperature=0.5),
            {"PML": metric_learning_pair(metric_learning.NTXentLoss(temperature=0.5))},
            partial(pair, 128, 128),
        ),
        "info_nce": Case(info_nce.InfoNCELoss(), {"transformers": clip_loss}, partial(pair, 1024, 256)),
        "supervised_contrastive": Case(
            supervised_contrastive.SupervisedContrastiveLoss(),
            {"PML": metric_learning.SupConLoss(temperature=0.1)},
            labeled,
        ),
        "triplet": Case(triplet.BatchHardTripletLoss(), {"PML": batch_hard()}, partial(labeled, n=256)),
        "arcface": Case(
            arcface.ArcFaceLoss(128, 1000),
            {"PML": metric_learning.ArcFaceLoss(1000, 128)},
            partial(labeled, classes=1000),
        ),
        "vicreg": Case(
            vicreg.VICRegLoss(),
            {"PML": lambda x, y: metric_learning.VICRegLoss()(x, ref_emb=y)},
            partial(pair, 1024, 512),
        ),
        "barlow_twins": Case(
            barlow_twins.BarlowTwinsLoss(), {"MONAI": monai.BarlowTwinsLoss()}, partial(pair, 1024, 512)
        ),
        "mae_reconstruction": Case(
            mae_reconstruction.MAEReconstructionLoss(patch_size=16),
            {"transformers": mae_peer()},
            lambda: (torch.randn(8, 196, 768), torch.rand(8, 3, 224, 224), torch.randint(2, (8, 196)).float()),
            constant=2,
        ),
        "beta_vae": Case(
            beta_vae.BetaVAELoss(),
            {"torch": elbo},
            lambda: (*pair(64, 3, 64, 64), *pair(64, 128)),
        ),
        "gan": Case(
            lambda real, fake: gan.GANLoss(kind="hinge").discriminator(real, fake),
            {"MONAI": _monai_hinge()},
            partial(pair, 64, 1, 64, 64),
        ),
        **plain_cases(),
        "next_token": Case(
            next_token.NextTokenLoss(chunk=128),
            {"torch": whole_next_token},
            lambda: (torch.randn(1024, 64), torch.randn(128_000, 64) / 8, torch.randint(128_000, (1024,))),
        ),
    }


def plain_cases() -> dict[str, Case]:
    """Losses that no package offers, against their formulas."""
    alpha_bar = torch.linspace(0.9999, 0.001, 1000)
    dino_loss = dino.DINOLoss(4096)
    return {
        "boundary": Case(
            boundary.BoundaryLoss(),
            {PLAIN: plain_losses.boundary},
            lambda: (*pixels(), 20 * torch.randn(4, 19, 256, 256)),
            constant=2,
        ),
        "diffusion": Case(
            diffusion.DiffusionLoss(alpha_bar),
            {PLAIN: partial(plain_losses.diffusion, alpha_bar=alpha_bar)},
            lambda: (*(torch.randn(64, 3, 64, 64) for _ in range(3)), torch.randint(1000, (64,))),
            constant=3,
        ),
        "dino": Case(
            dino_loss,
            {PLAIN: lambda student, teacher: plain_losses.dino(student, teacher, dino_loss.center)},
            lambda: (torch.randn(10, 64, 4096), torch.randn(2, 64, 4096)),
            constant=1,
        ),
        "dpo": Case(dpo.DPOLoss(), {PLAIN: plain_losses.dpo}, lambda: tuple(torch.randn(4, 2**16)), constant=2),
        "fcos": Case(
            fcos.FCOSLoss(),
            {PLAIN: plain_losses.fcos},
            lambda: (
                *locations_of_a_detector(),
                torch.cat([boxes(8)[0]] * 4).view(4, 8, 4),
                torch.arange(32).view(4, 8),
            ),
            constant=3,
        ),
        "ohem_cross_entropy": Case(
            ohem_cross_entropy.OhemCrossEntropyLoss(), {PLAIN: plain_losses.ohem_cross_entropy}, pixels
        ),
        "region_consensus": Case(
            region_consensus.RegionConsensusLoss(19), {PLAIN: plain_losses.region_consensus}, pixels
        ),
    }


def _monai_hinge() -> Loss:
    loss = monai.PatchAdversarialLoss(criterion="hinge")
    half = partial(loss, for_discriminator=True)
    return lambda real, fake: half(real, True) + half(fake, False)


def main(names: list[str]) -> int:
    """Measure, print, judge."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if missing := {c.id.removeprefix("losses/") for c in catalogue().values() if c.kind == "losses"} - set(cases()):
        sys.exit(f"There is no row for {', '.join(sorted(missing))}.")
    print("| loss | ms | against | time | memory (MB) | against | memory ratio |")
    print("|---|---|---|---|---|---|---|")
    ratios = {}
    for name, case in cases().items():
        if names and name not in names:
            continue
        times, memory = measure(case)
        fast, small = (min(case.peers, key=values.__getitem__) for values in (times, memory))
        ratios[name] = times[""] / times[fast], memory[""] / memory[small]
        row = f"| {name} | {times[''] * 1e3:.2f} | {fast} {times[fast] * 1e3:.2f} | {ratios[name][0]:.2f} "
        print(
            f"{row}| {memory[''] / 1e6:.2f} | {small} {memory[small] / 1e6:.2f} | {ratios[name][1]:.2f} |", flush=True
        )
    print(f"\nNo public counterpart installs for {', '.join(plain_cases())}: these run against their formulas.")
    return judge(ratios)


def judge(ratios: dict[str, tuple[float, float]]) -> int:
    """Whether any ratio is beyond its limit."""
    chunked = ratios.pop("next_token", (0.0, 0.0))
    # Two hundredths are the timer's.
    slow = [name for name, pair in ratios.items() if max(pair) > 1.02]
    far = [name for name, pair in ratios.items() if max(pair) > 1.2]
    print(
        f"\n{len(ratios) - len(slow)} of {len(ratios)} at most 1.0 in time and memory; above: {', '.join(slow) or '-'}"
    )
    return int(bool(far) or len(slow) > len(ratios) / 10 or chunked[1] > 0.25)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
