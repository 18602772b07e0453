"""Models with the weights of transformers' give its outputs: nothing differs but the names."""

import re

import pytest
import torch
import torch.nn.functional as F

from dlcoder.templates.components.models.convnext import ConvNeXt
from dlcoder.templates.components.models.gpt import GPT
from dlcoder.templates.components.models.mae import MAE
from dlcoder.templates.components.models.segformer import SegFormer
from dlcoder.templates.components.models.vit import ViT

hf = pytest.importorskip("transformers", reason="transformers is part of the extra `published`")
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
VIT |= {"image_size": 64, "patch_size": 16, "layer_norm_eps": 1e-6}

LLAMA_NAMES = {
    r"^model\.": "",
    r"embed_tokens": "embedding",
    r"layers\.": "blocks.",
    r"self_attn\.q_proj": "attention.query",
    r"self_attn\.k_proj": "attention.key",
    r"self_attn\.v_proj": "attention.value",
    r"self_attn\.o_proj": "attention.output",
    r"input_layernorm": "attention_norm",
    r"post_attention_layernorm": "feed_forward_norm",
    r"mlp\.(\w+)_proj": r"feed_forward.\1",
    r"lm_head": "output",
}
VIT_NAMES = {
    r"^vit\.(embeddings\.)?": "",
    r"cls_token": "class_token",
    r"position_embeddings": "positions",
    r"patch_embeddings\.projection": "patches",
    r"^layers\.": "blocks.",
    r"attention\.o_proj": "output",
    r"layernorm_before": "attention_norm",
    r"layernorm_after": "feed_forward.0",
    r"mlp\.fc1": "feed_forward.1",
    r"mlp\.fc2": "feed_forward.3",
    r"^layernorm": "norm",
}
MAE_NAMES = {
    **VIT_NAMES,
    r"^blocks\.": "encoder.",
    r"^norm": "encoder.2",
    r"^decoder\.decoder_layers": "decoder",
    r"^decoder\.decoder_embed": "to_decoder",
    r"^decoder\.decoder_norm": "decoder.1",
    r"^decoder\.decoder_pred": "decoder.2",
    r"^decoder\.mask_token": "mask_token",
    r"^decoder\.decoder_pos_embed": "decoder_positions",
}
SEGFORMER_NAMES = {
    r"^segformer\.|^decode_head\.": "",
    r"patch_embeddings\.proj": "patches",
    r"patch_embeddings\.layer_norm": "patch_norm",
    r"layernorm_before": "attention_norm",
    r"layernorm_after": "feed_forward_norm",
    r"attention\.q_proj": "query",
    r"attention\.k_proj": "key",
    r"attention\.v_proj": "value",
    r"attention\.o_proj": "output",
    r"attention\.sequence_reduction\.sequence_reduction": "shorten",
    r"attention\.sequence_reduction\.layer_norm": "shorten_norm",
    r"(\d)\.layer_norm": r"\1.norm",
    r"mlp\.fc1": "expand",
    r"mlp\.dwconv\.dwconv": "depthwise",
    r"mlp\.fc2": "reduce",
    r"linear_projections\.(\d)\.proj": r"project.\1",
    r"linear_fuse": "fuse.0",
    r"batch_norm": "fuse.1",
}


def filled(ours, theirs, names):
    """Our model with their weights, renamed; queries, keys and values may be joined."""
    torch.manual_seed(0)
    weights = {}
    for name, value in theirs.state_dict().items():
        for pattern, replacement in names.items():
            name = re.sub(pattern, replacement, name)
        # A standard initialization is all ones and zeros, and hides what is swapped.
        weights[name] = value.copy_(value + 0.1 * torch.rand_like(value)) if value.is_floating_point() else value
    for name in [n for n in weights if "attention.q_proj" in n]:
        parts = [weights.pop(name.replace("q_proj", f"{part}_proj")) for part in "qkv"]
        weights[name.replace("attention.q_proj", "query_key_value")] = torch.cat(parts)
    # Their model has no registers, and ours here none of them.
    unmatched = ours.load_state_dict(weights, strict=False)
    assert set(unmatched.missing_keys) <= {"registers"}
    assert not unmatched.unexpected_keys
    theirs.eval()
    return ours.eval()


def assert_same(found, expected):
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_gpt_is_a_llama():
    theirs = hf.LlamaForCausalLM(
        hf.LlamaConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            rms_norm_eps=1e-5,
        )
    )
    ours = filled(GPT(50, width=32, layers=2, heads=4, kv_heads=2, hidden=48), theirs, LLAMA_NAMES)
    tokens = torch.arange(24).view(2, 12)
    assert_same(ours(tokens), theirs(tokens).logits)


@torch.no_grad()
def test_vit_is_a_vision_transformer():
    theirs = hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=3))
    ours = ViT(3, image_size=64, patch_size=16, width=32, layers=2, heads=2, registers=0)
    ours = filled(ours, theirs, VIT_NAMES)
    assert_same(ours(IMAGES), theirs(IMAGES).logits)


@torch.no_grad()
def test_mae_is_a_masked_autoencoder():
    decoder = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    config = hf.ViTMAEConfig(**VIT, **{f"decoder_{name}": value for name, value in decoder.items()})
    theirs = hf.ViTMAEForPreTraining(config)
    ours = MAE(
        image_size=64,
        patch_size=16,
        width=32,
        layers=2,
        heads=2,
        decoder_width=16,
        decoder_layers=1,
        decoder_heads=2,
    )
    # Our class token has no position, theirs one of zeros.
    for positions in (theirs.vit.embeddings.position_embeddings, theirs.decoder.decoder_pos_embed):
        assert not positions[:, 0].any()
        positions.data = positions[:, 1:]
    ours = filled(ours, theirs, MAE_NAMES)
    for positions in (theirs.vit.embeddings.position_embeddings, theirs.decoder.decoder_pos_embed):
        positions.data = F.pad(positions, (0, 0, 1, 0))
    noise = torch.rand(2, 16)
    prediction, masked = ours(IMAGES, noise)
    expected = theirs(IMAGES, noise=noise)
    assert torch.equal(masked, expected.mask.bool())
    assert_same(prediction, expected.logits)


@torch.no_grad()
def test_segformer_is_a_segformer():
    theirs = hf.SegformerForSemanticSegmentation(
        hf.SegformerConfig(hidden_sizes=[8, 16, 20, 32], depths=[1, 2, 1, 1], decoder_hidden_size=16, num_labels=5)
    )
    ours = filled(SegFormer(5, widths=(8, 16, 20, 32), depths=(1, 2, 1, 1), decoder_width=16), theirs, SEGFORMER_NAMES)
    expected = F.interpolate(theirs(IMAGES).logits, size=(64, 64), mode="bilinear", align_corners=False)
    assert_same(ours(IMAGES), expected)


@torch.no_grad()
def test_convnext_is_a_convnext():
    theirs = hf.ConvNextForImageClassification(
        hf.ConvNextConfig(hidden_sizes=[8, 16, 32, 64], depths=[1, 1, 2, 1], num_labels=3, layer_norm_eps=1e-6)
    )
    ours = ConvNeXt(3, width=8, depths=(1, 1, 2, 1))
    # Both register their layers in the same order.
    names = dict(zip(theirs.state_dict(), ours.state_dict(), strict=True))
    ours = filled(ours, theirs, {rf"^{re.escape(name)}$": own for name, own in names.items()})
    assert_same(ours(IMAGES), theirs(IMAGES).logits)
