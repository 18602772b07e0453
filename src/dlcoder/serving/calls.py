"""One call of one tool, from raw arguments to an answer, whatever happens in between."""

import base64
import logging
from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ImageContent, InputRequiredResult, ResourceLink, TextContent

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.sandbox import artifacts
from dlcoder.serving.arguments import parse_arguments
from dlcoder.serving.progress import reporting
from dlcoder.serving.resources import run_file
from dlcoder.serving.roots import RootsPolicy
from dlcoder.serving.schemas import compact, portable_text
from dlcoder.serving.worker import TOOLS
from dlcoder.tools.base import AnyTool, Call, ToolInput, ToolOutput

_log = logging.getLogger(__name__)
_LINKS_SINCE = "2025-06-18"
"""Clients of an older protocol refuse an answer with a kind of content that they do not know."""


async def call_tool(
    tool: AnyTool, arguments: Mapping[str, Any], ctx: Context[Any, Any], policy: RootsPolicy
) -> CallToolResult | InputRequiredResult:
    """Run a tool and turn every outcome into an answer that its reader can act on.

    Returns:
        The tool's answer as text and as data, or an error in text; on a connection of the modern era perhaps the
        question which roots the client has.
    """
    try:
        parsed = parse_arguments(tool.input, arguments, tool.name)
        roots = await policy.roots(ctx, arguments)
        if isinstance(roots, InputRequiredResult):
            return roots
        answer = await _run(tool, parsed, roots, ctx)
        text = TextContent(type="text", text=portable_text(answer.text()))
        pictures = [base64.b64encode(image).decode("ascii") for image in answer.images()]
        images = [ImageContent(type="image", data=picture, mime_type="image/png") for picture in pictures]
        uris = answer.links() if (ctx.protocol_version or "") >= _LINKS_SINCE else []
        links = [ResourceLink(**vars(run_file(uri))) for uri in uris]
        return CallToolResult(content=[text, *images, *links], structured_content=compact(answer))
    except UserError as error:
        return refusal(portable_text(str(error)))
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        _log.exception("%s raised an unexpected exception", tool.name)
        return refusal(
            f"{tool.name} failed because of a bug in dlcoder ({type(error).__name__}), not because of your arguments. "
            "The details are in the server's error output. Go on without this call, or try it with other arguments."
        )


def refusal(text: str) -> CallToolResult:
    """An error that the model gets to read. It has no data beside it: some clients drop those of an error."""
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


async def _run(tool: AnyTool, parsed: ToolInput, roots: Roots, ctx: Context[Any, Any]) -> ToolOutput:
    # Reporting is free where the client did not ask for progress: the SDK drops it.
    async with reporting(ctx.report_progress) as progress:
        with artifacts.kept():
            answer: ToolOutput = await TOOLS.run(lambda: tool.run(parsed, Call(roots=roots, progress=progress)))
    return answer
