"""Read the same settings in every form, and print what each gives.

    python configs.py CLASS MODULE SUFFIX:FORM...

In the folder FORM lie MODULE.py and configs/default.SUFFIX. Prints an object by form: `loaded`, the settings of the
file; `again`, the same after a round trip; `refused`, what is said to a misspelt name; or `missing`, a package.
"""

import contextlib
import importlib.util
import io
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Read the forms that the command line names."""
    root, name, *forms = sys.argv[1:]
    found = {}
    for each in forms:
        suffix, _, form = each.partition(":")
        try:
            found[form] = _facts(form, name, root, Path(form, "configs", f"default.{suffix}"))
        except ModuleNotFoundError as error:
            found[form] = {"missing": error.name}
    print(json.dumps(found))


def _facts(form: str, name: str, root: str, file: Path) -> dict[str, Any]:
    module = _module(Path(form, f"{name}.py"))
    cls = getattr(module, root)
    if form == "argparse":
        loaded = module.load_settings(cls, file)
        words = [word for name, value in _leaves(module.to_mapping(loaded)) for word in _flag(name, value)]
        empty = file.with_name("empty.json")
        empty.write_text("{}")
        parser = module.FlagParser(cls, description="Proof.")
        again = module.load_settings(cls, empty, parser.parse_args(words))
        refused = _refused(lambda wrong: parser.parse_args([f"--{wrong}", "1"]), module.to_mapping(loaded))
    else:
        loaded = module.load_settings(cls, file)
        again = module.from_mapping(cls, module.to_mapping(loaded))
        if hasattr(module, "save_settings"):
            module.save_settings(loaded, file.with_name("saved"))
            again = module.load_settings(cls, file.with_name("saved"))
        refused = _refused(lambda wrong: module.load_settings(cls, file, [f"{wrong}=1"]), module.to_mapping(loaded))
    return {"loaded": module.to_mapping(loaded), "again": module.to_mapping(again), "refused": refused}


def _module(file: Path) -> Any:
    """The settings of one form, under the name by which a file in Python imports them."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _leaves(tree: dict[str, Any], outer: str = "") -> list[tuple[str, Any]]:
    leaves = []
    for name, value in tree.items():
        leaves += _leaves(value, f"{outer}{name}.") if isinstance(value, dict) else [(outer + name, value)]
    return leaves


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    # With a sign of equality, so that a value may begin with a minus.
    return [f"--{name}", *map(str, value)] if isinstance(value, list) else [f"--{name}={value}"]


def _refused(read: Any, tree: dict[str, Any]) -> str:
    """What is said to the first setting's name with a letter too many."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            read(f"{_leaves(tree)[0][0]}x")
    except (ValueError, SystemExit) as error:
        return f"{error} {said.getvalue()}"
    return ""


if __name__ == "__main__":
    main()
