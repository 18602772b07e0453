"""The network of tables."""

from dlcoder.scaffold.task import Family


def mlp(outputs: str) -> Family:
    """The network whose number of outputs is this expression of `data`."""
    return Family(
        "mlp",
        "MLP",
        "residual multilayer perceptron",
        settings={
            "width": "Numbers that each row of the table becomes.",
            "depth": "Number of blocks.",
            "dropout": "Probability of dropping a number inside a block.",
        },
        sizes={
            "tiny": {"width": 32, "depth": 2, "dropout": 0.0},
            "small": {"width": 128, "depth": 3, "dropout": 0.0},
            "base": {"width": 256, "depth": 4, "dropout": 0.1},
            "large": {"width": 512, "depth": 8, "dropout": 0.1},
        },
        smoke={"width": 16, "depth": 1, "dropout": 0.1},
        data=f"data.num_features, {outputs}",
    )


def default_family(image_size: int) -> tuple[str, str]:
    """The network to begin with, and why."""
    return "mlp", "Within reach of gradient-boosted trees when tuned; try those too on small tables."
