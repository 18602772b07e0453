"""Models at their published sizes, and the invariants that a wrong one breaks silently."""

import pytest
import torch

from dlcoder.templates.components.models.convnext import ConvNeXt
from dlcoder.templates.components.models.dcgan import Discriminator, Generator
from dlcoder.templates.components.models.ddpm_unet import DDPMUNet
from dlcoder.templates.components.models.deeplabv3_plus import DeepLabV3Plus
from dlcoder.templates.components.models.dino import DINO
from dlcoder.templates.components.models.dino_head import DINOHead
from dlcoder.templates.components.models.dit import DiT
from dlcoder.templates.components.models.fcos import FCOS
from dlcoder.templates.components.models.gpt import GPT
from dlcoder.templates.components.models.mae import MAE
from dlcoder.templates.components.models.mlp import MLP
from dlcoder.templates.components.models.projection_head import ProjectionHead
from dlcoder.templates.components.models.resnet_encoder import ResNetEncoder
from dlcoder.templates.components.models.segformer import SegFormer
from dlcoder.templates.components.models.simclr import SimCLR
from dlcoder.templates.components.models.unet import UNet
from dlcoder.templates.components.models.vae import VAE
from dlcoder.templates.components.models.vit import ViT

PUBLISHED = {
    "TinyLlama": (lambda: GPT(32000, width=2048, layers=22, heads=32, kv_heads=4, hidden=5632), 1_100_048_384),
    "ViT-Ti/16": (lambda: ViT(1000, width=192, heads=3, registers=0), 5_717_416),
    "ViT-S/16": (lambda: ViT(1000, width=384, heads=6, registers=0), 22_050_664),
    "ViT-B/16": (lambda: ViT(1000, width=768, heads=12, registers=0), 86_567_656),
    "ConvNeXt-T": (lambda: ConvNeXt(1000), 28_589_128),
    "ConvNeXt-S": (lambda: ConvNeXt(1000, depths=(3, 3, 27, 3)), 50_223_688),
    "U-Net": (lambda: UNet(2), 31_037_698),
    "DCGAN generator": (lambda: Generator(), 3_576_704),
    "DCGAN discriminator": (lambda: Discriminator(), 2_764_737),
    "DDPM CIFAR-10": (lambda: DDPMUNet(), 35_746_307),
    "DiT-XL/2": (lambda: DiT(1000, width=1152, layers=28, heads=16, learn_variance=True), 674_834_720),
    "DeepLabV3+ ResNet-50": (lambda: DeepLabV3Plus(1), 26_677_585),
    "FCOS ResNet-50": (lambda: FCOS(91), 32_322_720),
    "MAE ViT-B/16": (lambda: MAE(), 111_907_840 - 197 * (768 + 512)),  # published with its fixed positions
    "ResNet-50 encoder": (lambda: ResNetEncoder(depth=50), 25_557_032 - 2049 * 1000),
    "SegFormer-B0": (lambda: SegFormer(150), 3_752_694),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_model_has_the_published_number_of_parameters(name):
    build, expected = PUBLISHED[name]
    with torch.device("meta"):
        assert sum(p.numel() for p in build().parameters()) == expected


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def tiny_gpt():
    return GPT(50, width=32, layers=2, heads=4, kv_heads=2, max_length=32)


# Every tiny model with the arguments of one call and the shape that it must return.
TINY = {
    "gpt": (tiny_gpt, lambda: (torch.arange(24).view(2, 12),), (2, 12, 50)),
    "vit": (
        lambda: ViT(5, image_size=32, patch_size=8, width=32, layers=2, heads=2),
        lambda: (images(2, 3, 32, 32),),
        (2, 5),
    ),
    "convnext": (
        lambda: ConvNeXt(5, depths=(1, 1, 1, 1), width=8),
        lambda: (images(2, 3, 64, 64),),
        (2, 5),
    ),
    "unet": (lambda: UNet(3, width=4), lambda: (images(2, 3, 35, 50),), (2, 3, 35, 50)),
    "segformer": (
        lambda: SegFormer(5, widths=(8, 16, 20, 32), depths=(1, 1, 1, 1), decoder_width=16),
        lambda: (images(2, 3, 65, 70),),
        (2, 5, 65, 70),
    ),
    "deeplabv3_plus": (
        lambda: DeepLabV3Plus(3, depth=18, width=4, channels=8, rates=(1, 2, 3)),
        lambda: (images(2, 3, 65, 50),),
        (2, 3, 65, 50),
    ),
    "mlp": (lambda: MLP(6, 2, width=16, depth=2), lambda: (images(4, 6),), (4, 2)),
    "dit": (
        lambda: DiT(10, image_size=8, width=32, layers=2, heads=2),
        lambda: (images(2, 4, 8, 8), torch.tensor([1, 5]), torch.tensor([1, 2])),
        (2, 4, 8, 8),
    ),
    "ddpm_unet": (
        lambda: DDPMUNet(width=32, multipliers=(1, 2)),
        lambda: (images(2, 3, 16, 16), torch.tensor([1, 5])),
        (2, 3, 16, 16),
    ),
    "dcgan_generator": (lambda: Generator(16, width=8), lambda: (images(2, 16),), (2, 3, 64, 64)),
    "dcgan_discriminator": (lambda: Discriminator(width=8), lambda: (images(2, 3, 64, 64),), (2,)),
    "simclr": (lambda: SimCLR(width=4, projection=8), lambda: (images(4, 3, 32, 32),), (4, 8)),
    "dino": (
        lambda: DINO(width=4, prototypes=16, hidden=16),
        lambda: (images(3, 4, 3, 32, 32),),
        (3, 4, 16),
    ),
    "projection_head": (lambda: ProjectionHead(8, 4), lambda: (images(3, 8),), (3, 4)),
    "dino_head": (lambda: DINOHead(8, 32, hidden=16), lambda: (images(2, 8),), (2, 32)),
}
tiny = pytest.mark.parametrize("name", TINY)


def build(name):
    torch.manual_seed(0)
    make, arguments, shape = TINY[name]
    return make(), arguments(), shape


@tiny
def test_a_tiny_model_returns_its_shape_and_every_parameter_learns(name):
    model, arguments, shape = build(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert model(*arguments).shape == shape
    # Layers that start at zero block the gradient of those before them: give them three steps.
    for _ in range(3):
        optimizer.zero_grad()
        output = model(*arguments)
        (output * images(*shape)).sum().backward()
        optimizer.step()
    silent = [n for n, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []


@tiny
def test_a_sample_does_not_depend_on_its_neighbors_in_evaluation(name):
    model, arguments, _ = build(name)
    model.eval()
    whole, alone = model(*arguments), model(*(a[:1] for a in arguments))
    torch.testing.assert_close(whole[:1], alone, rtol=1e-4, atol=1e-5)


@tiny
def test_a_model_survives_the_round_trip_through_a_checkpoint(name, tmp_path):
    model, arguments, _ = build(name)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    torch.manual_seed(1)
    other = TINY[name][0]()
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert torch.equal(model.eval()(*arguments), other.eval()(*arguments))


def test_a_gpt_sees_no_future_token():
    model = tiny_gpt().eval()
    tokens = torch.arange(12).unsqueeze(0)
    changed = tokens.clone()
    changed[0, 7:] = 49
    assert torch.equal(model(tokens)[0, :7], model(changed)[0, :7])
    assert not torch.equal(model(tokens)[0, 7:], model(changed)[0, 7:])


def test_a_cache_in_uneven_pieces_gives_the_logits_of_the_whole():
    model, tokens, cache = tiny_gpt().eval(), torch.arange(12).view(1, 12), []
    pieces = [model(tokens[:, a:b], cache) for a, b in ((0, 5), (5, 6), (6, 12))]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(tokens))


def test_greedy_generation_equals_generation_without_a_cache():
    model, tokens = tiny_gpt().eval(), torch.arange(3).unsqueeze(0)
    expected = tokens
    for _ in range(6):
        expected = torch.cat([expected, model(expected)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(model.generate(tokens, 6, temperature=0), expected)


def test_rotary_positions_depend_on_distance_only():
    model = tiny_gpt().eval()
    repeated = torch.tensor([[3, 7, 3, 7, 3, 7]])
    query, key = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    from dlcoder.templates.components.models.gpt import rotary_table, rotate

    table = rotary_table(20, 8)
    near = (rotate(query, table[5:6]) * rotate(key, table[2:3])).sum()
    far = (rotate(query, table[15:16]) * rotate(key, table[12:13])).sum()
    torch.testing.assert_close(near, far)
    assert model(repeated).isfinite().all()


def test_a_sequence_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="max_length=32"):
        tiny_gpt()(torch.zeros(1, 33, dtype=torch.long))


def test_tied_embeddings_are_one_parameter():
    model = GPT(50, width=32, layers=1, heads=2, kv_heads=1, tie_embeddings=True)
    assert model.output.weight is model.embedding.weight


def test_dit_drops_labels_in_training_only():
    model = DiT(10, image_size=8, width=32, layers=1, heads=2, label_dropout=1.0)
    torch.nn.init.normal_(model.output.weight)
    torch.nn.init.normal_(model.blocks[0].modulation.weight)
    arguments = images(2, 4, 8, 8), torch.tensor([1, 5])
    one, other = torch.tensor([1, 2]), torch.tensor([3, 4])
    assert torch.equal(model(*arguments, one), model(*arguments, other))
    model.eval()
    assert not torch.equal(model(*arguments, one), model(*arguments, other))


def tiny_mae():
    return MAE(
        image_size=16, patch_size=4, width=16, layers=1, heads=2, decoder_width=8, decoder_layers=1, decoder_heads=2
    )


def test_an_mae_does_not_see_what_it_has_to_fill_in():
    model, x, noise = tiny_mae().eval(), images(2, 3, 16, 16), torch.rand(2, 16)
    prediction, masked = model(x, noise)
    assert prediction.shape == (2, 16, 48)
    assert masked.sum(dim=1).tolist() == [12, 12]
    hidden = masked.view(2, 1, 4, 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    changed = torch.where(hidden, -x, x)
    torch.testing.assert_close(model(changed, noise)[0], prediction)
    assert not torch.equal(model(-x, noise)[0], prediction)


def test_every_parameter_of_an_mae_learns_and_its_masks_are_random():
    model, x = tiny_mae(), images(2, 3, 16, 16)
    prediction, masked = model(x)
    prediction.square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert not torch.equal(masked, model(x)[1])
    assert model.features(x).shape == (2, 16)


def test_dino_takes_crops_of_several_sizes():
    model = DINO(width=4, prototypes=16, hidden=16).eval()
    large, small = images(2, 3, 3, 32, 32), images(4, 3, 3, 16, 16)
    logits = model([*large, *small])
    assert logits.shape == (6, 3, 16)
    torch.testing.assert_close(logits[4], model(small[2:3])[0])


def test_a_vae_is_deterministic_in_evaluation_and_samples_in_training():
    model, x = VAE(latent_dim=8, width=8), images(2, 3, 32, 32)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    reconstruction, mean, log_variance = model(x)
    assert torch.equal(reconstruction, model(x)[0])
    assert reconstruction.shape == x.shape
    assert mean.shape == log_variance.shape == (2, 8)
