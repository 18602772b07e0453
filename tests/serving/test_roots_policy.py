"""The allowed directories: those of the command line, else the client's, else the place where the server stands."""

from pathlib import Path
from typing import Any

import pytest
from connections import MODES
from mcp import Client
from mcp.types import ListRootsResult, Root
from sample_tools import SAMPLES

from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("era", MODES)]


async def resolved(era: str, path: str, *, given: tuple[Path, ...] = (), roots: list[str] | None = None) -> Any:
    """Where a path leads, or the error's text; `roots` is what the client answers, `None` if it declares none."""

    async def list_roots(context: Any) -> ListRootsResult:
        assert roots is not None
        return ListRootsResult(roots=[Root(uri=uri) for uri in roots])

    callback = None if roots is None else list_roots
    server = DlcoderServer(Options(RootsPolicy(given), tools=SAMPLES))
    async with Client(server, mode=MODES[era], list_roots_callback=callback) as client:
        result = await client.call_tool("where", {"path": path})
    return result.content[0].text if result.is_error else result.structured_content["said"]


async def test_the_clients_roots_are_asked_for_and_allowed(era: str, tmp_path: Path) -> None:
    spaced = tmp_path / "a b"
    spaced.mkdir()
    roots = [tmp_path.joinpath("one").as_uri(), spaced.as_uri(), "file://elsewhere/x"]
    assert await resolved(era, "x", roots=roots) == str(tmp_path / "one" / "x")
    assert await resolved(era, str(spaced / "y"), roots=roots) == str(spaced / "y")
    assert "outside the allowed directories" in await resolved(era, str(tmp_path / "two"), roots=roots)


async def test_the_command_lines_roots_come_before_the_clients(era: str, tmp_path: Path) -> None:
    given = (tmp_path / "given",)
    assert await resolved(era, "x", given=given, roots=["file:///"]) == str(given[0] / "x")
    assert "outside" in await resolved(era, "/etc/passwd", given=given, roots=["file:///"])


@pytest.mark.parametrize("roots", [None, [], ["file://elsewhere/x"]])
async def test_without_either_the_project_of_the_client_counts_and_then_the_current_directory(
    era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roots: list[str] | None
) -> None:
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert await resolved(era, "x", roots=roots) == str(tmp_path / "x")
    monkeypatch.setenv("CLAUDE_PROJECT_DIR", str(tmp_path / "project"))
    assert await resolved(era, "x", roots=roots) == str(tmp_path / "project" / "x")
    assert "outside" in await resolved(era, str(tmp_path), roots=roots)


async def test_a_server_that_stands_at_the_top_of_the_disk_allows_nothing(
    era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.chdir("/")
    assert "--root DIR" in await resolved(era, "tmp")


async def test_links_and_look_alike_names_lead_nowhere_else(era: str, tmp_path: Path) -> None:
    root = tmp_path / "proj"
    root.mkdir()
    (root / "link").symlink_to("/etc")
    (tmp_path / "project").mkdir()
    for path in ("link/passwd", "../project", str(tmp_path / "project"), "..", "sub/../../x", "~root/x"):
        assert "outside the allowed directories" in await resolved(era, path, given=(root,)), path


async def test_over_http_a_clients_word_only_narrows(era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client may be someone else, so that its roots cannot open more than the server's own."""
    from dlcoder.serving import roots as subject

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLAUDE_PROJECT_DIR", raising=False)
    monkeypatch.setattr(subject, "_is_http", lambda ctx: True)
    inner = tmp_path / "inner"
    assert await resolved(era, "x", roots=["file:///", inner.as_uri()]) == str(inner / "x")
    assert "outside" in await resolved(era, "/etc/passwd", roots=["file:///"])
