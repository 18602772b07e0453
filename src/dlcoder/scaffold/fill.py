"""A project's templates, filled with what was decided."""

import base64
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlcoder.templates.kept import KEPT

if TYPE_CHECKING:
    import jinja2

_TEMPLATES = Path(__file__).parent.parent / "templates/project"


def fill(template: str, context: Mapping[str, object]) -> str:
    """The text of a project template."""
    return _jinja().get_template(template).render(context)


@cache
def _jinja() -> "jinja2.Environment":
    import jinja2

    class Compiled(jinja2.BytecodeCache):
        """Compiled templates, kept from process to process: to compile one takes far longer than to fill it."""

        def load_bytecode(self, bucket: Any) -> None:
            known = KEPT.get("compiled", bucket.key, bucket.checksum)
            if known is not None:
                bucket.bytecode_from_string(base64.b64decode(known))

        def dump_bytecode(self, bucket: Any) -> None:
            text = base64.b64encode(bucket.bytecode_to_string()).decode()
            KEPT.put(text, "compiled", bucket.key, bucket.checksum)

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        bytecode_cache=Compiled(),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # code and prose, not HTML
    )
    environment.filters |= {"py": _py, "yaml": _yaml, "cell": _cell, "class_name": _class_name}
    return environment


def _py(value: Any) -> str:
    """A value as Python source."""
    return 'float("inf")' if value == float("inf") else repr(value)


def _yaml(value: Any) -> str:
    """A value on one line of YAML."""
    known = KEPT.get("yaml", repr(value))
    if known is not None:
        return known
    import yaml

    plain = list(value) if isinstance(value, tuple) else value
    dumped: str = yaml.safe_dump(plain, default_flow_style=True, width=10**6, allow_unicode=True)
    text = dumped.removesuffix("...\n").strip()
    KEPT.put(text, "yaml", repr(value))
    return text


def _class_name(part: str) -> str:
    """The dataclass of a part of the settings: TrainSettings for train."""
    return "".join(word.capitalize() for word in part.split("_")) + "Settings"


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
