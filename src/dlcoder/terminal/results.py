"""`dlcoder results`: the summary as a page (`--html`), its charts as a file (`--plot`)."""

import argparse
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.progress import Progress
from dlcoder.terminal.face import Face
from dlcoder.tools.base import ToolInput


class ResultsFace(Face):
    """Writes what a terminal cannot show."""

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add --html and --plot."""
        group = parser.add_argument_group("at a terminal")
        group.add_argument("--html", metavar="FILE", help="write a page: tables to sort, charts to enlarge")
        group.add_argument("--plot", metavar="FILE", help="write the charts: .svg, or .png by matplotlib")

    def after(self, options: argparse.Namespace, parsed: ToolInput, progress: Progress) -> str:
        """Write the files that were asked for."""
        if not options.html and not options.plot:
            return ""
        from dlcoder.experiments.report import make_report

        given: dict[str, Any] = parsed.model_dump()
        paths = [Roots(None).resolve(path) for path in given["paths"]]
        report = make_report(paths, given["baseline"], given["metric"], given["format"], progress)
        notes = [_write(options.html, report.page.encode("utf-8", "replace"))] if options.html else []
        if options.plot:
            drawn = report.picture if options.plot.endswith(".png") else report.drawing.encode("utf-8", "replace")
            if drawn is None:
                raise UserError("There is no PNG without matplotlib.", "Install dlcoder[plots], or name a .svg file.")
            notes.append(_write(options.plot, drawn))
        return "\n".join(notes)


def _write(name: str, content: bytes) -> str:
    file: Path = Roots(None).resolve(name)
    try:
        file.write_bytes(content)
    except OSError as error:
        problem = f"{str(file)!r} cannot be written: {error.strerror}."
        raise UserError(problem, "Name a file in an existing, writable directory.") from None
    return f"Wrote {file}"
