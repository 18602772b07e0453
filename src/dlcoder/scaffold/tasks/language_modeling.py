"""The next token from those before."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_texts import sample_texts, sample_tokens
from dlcoder.scaffold.task import Family, Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_sources import root
from dlcoder.scaffold.tasks.losses import PLAIN_CROSS_ENTROPY

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

GPT = Family(
    "gpt",
    "GPT",
    "decoder-only transformer",
    settings={
        "width": "Numbers in a token.",
        "layers": "Number of blocks.",
        "heads": "Attention heads, dividing the width.",
        "kv_heads": "Heads of keys and values, dividing the heads: fewer need a smaller cache.",
        "dropout": "Probability of dropping a number of a residual branch.",
    },
    sizes={
        "tiny": {"width": 128, "layers": 4, "heads": 4, "kv_heads": 4, "dropout": 0.0},
        "small": {"width": 384, "layers": 6, "heads": 6, "kv_heads": 6, "dropout": 0.0},
        "base": {"width": 768, "layers": 12, "heads": 12, "kv_heads": 12, "dropout": 0.0},
        "large": {"width": 1024, "layers": 24, "heads": 16, "kv_heads": 8, "dropout": 0.0},
    },
    smoke={"width": 16, "layers": 1, "heads": 2, "kv_heads": 1, "dropout": 0.1},
    data="data.vocab_size, max_length=data.length",
)


def length(choices: "Choices") -> Setting:
    """The setting of how long a sequence is."""
    return Setting("length", choices.length, "Tokens in a sequence, L.", smoke=16)


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (
        Setting("vocab_size", 32, "The number of different tokens, V."),
        length(choices),
        Setting("train_samples", 4096, "Sequences generated for training.", smoke=85),
        Setting("val_samples", 512, "Sequences generated for validation, with another seed.", smoke=33),
        Setting("noise", 0.1, "The probability that a token breaks the rule of the language."),
    )


def _text(choices: "Choices") -> tuple[Setting, ...]:
    return root(choices, "The folder that holds train/*.txt and val/*.txt."), length(choices)


def _tokens(choices: "Choices") -> tuple[Setting, ...]:
    return root(choices, "The folder that holds train.bin and val.bin, each with its .json."), length(choices)


def _default_family(image_size: int) -> tuple[str, str]:
    return "gpt", "What language models are."


LANGUAGE_MODELING = Task(
    words="Language modeling",
    noun="language model",
    objective=("language_modeling", "LanguageModeling"),
    evaluator=("evaluate_language_model", "evaluate_language_model"),
    arguments="length=data.length",
    log=("loss_cross_entropy", "metric_accuracy"),
    metrics={
        "perplexity": Metric("Of how many tokens the model hesitates between.", lower_is_better=True),
        "accuracy": Metric("How often the likeliest token is the right one."),
    },
    families={"gpt": GPT},
    default_family=_default_family,
    sources={
        "synthetic": Source("synthetic_text", "SyntheticText", _synthetic, "synthetic_text.py.j2", images=False),
        "text": Source(
            "text_files",
            "ByteText",
            _text,
            "text_files.py.j2",
            layout="Text goes into `{root}/train/` and `{root}/val/`, as .txt files: bytes are the tokens.",
            files=sample_texts,
            images=False,
            text="data.decode(row)",
        ),
        "tokens": Source(
            "token_memmap",
            "TokenMemmap",
            _tokens,
            "token_memmap.py.j2",
            layout=(
                "Tokens go into `{root}/train.bin` and `{root}/val.bin`, each described by a .json beside it; "
                "`write_tokens` of `token_memmap.py` writes both."
            ),
            files=sample_tokens,
            images=False,
        ),
    },
    results="language_modeling.py.j2",
    picture="loss_by_position.png",
    bindings={"CrossEntropyLoss": PLAIN_CROSS_ENTROPY},
    batch_size=32,
    sequences=True,
)
