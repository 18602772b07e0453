"""Networks that map an image to one vector: of classes, or of features."""

from dlcoder.scaffold.task import Family

DEPTH = "Literal[18, 34, 50, 101]"
RESNET_SIZES = {
    "tiny": {"depth": 18, "width": 16},
    "small": {"depth": 18, "width": 64},
    "base": {"depth": 50, "width": 64},
    "large": {"depth": 101, "width": 64},
}
RESNET_SETTINGS = {"depth": "Number of layers.", "width": "Channels of the first stage."}
VIT_SIZES = {
    "tiny": {"patch_size": 16, "width": 192, "layers": 12, "heads": 3},
    "small": {"patch_size": 16, "width": 384, "layers": 12, "heads": 6},
    "base": {"patch_size": 16, "width": 768, "layers": 12, "heads": 12},
    "large": {"patch_size": 16, "width": 1024, "layers": 24, "heads": 16},
}
VIT_SETTINGS = {
    "patch_size": "Side of a patch in pixels, dividing the image's.",
    "width": "Numbers in a token.",
    "layers": "Number of blocks.",
    "heads": "Attention heads of a block, dividing the width.",
}
_CLASSES = "len(data.classes)"

CLASSIFIERS = {
    "small_cnn": Family(
        "small_cnn",
        "SmallCNN",
        "small convolutional network",
        settings={"width": "Channels of the first stage; the last has eight times as many."},
        sizes={"tiny": {"width": 8}, "small": {"width": 16}, "base": {"width": 32}, "large": {"width": 64}},
        smoke={"width": 8},
        data=_CLASSES,
    ),
    "resnet": Family(
        "resnet",
        "ResNet",
        "residual network",
        settings=RESNET_SETTINGS,
        sizes=RESNET_SIZES,
        smoke={"depth": 18, "width": 8},
        data=_CLASSES,
        types={"depth": DEPTH},
        small_images=True,
        smoke_size=64,
    ),
    "convnext": Family(
        "convnext",
        "ConvNeXt",
        "ConvNeXt",
        settings={"depths": "Blocks of each stage.", "width": "Channels of the first stage; each doubles them."},
        sizes={
            "tiny": {"depths": (2, 2, 6, 2), "width": 48},
            "small": {"depths": (3, 3, 9, 3), "width": 96},
            "base": {"depths": (3, 3, 27, 3), "width": 128},
            "large": {"depths": (3, 3, 27, 3), "width": 192},
        },
        smoke={"depths": (1, 1, 1, 1), "width": 8},
        data=_CLASSES,
        types={"depths": "tuple[int, int, int, int]"},
        multiple_of=32,
        smoke_size=64,
    ),
    "vit": Family(
        "vit",
        "ViT",
        "vision transformer",
        settings=VIT_SETTINGS,
        sizes=VIT_SIZES,
        smoke={"patch_size": 8, "width": 16, "layers": 1, "heads": 2},
        data=f"{_CLASSES}, image_size=data.image_size",
        multiple_of=16,
    ),
}
