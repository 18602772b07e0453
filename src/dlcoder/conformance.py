"""What the official MCP conformance suite calls by name, registered on the very server that it is to prove.

`dlcoder serve --http --conformance-fixtures` adds these to the real server, so that the suite goes through the same
middleware, transports and settings as every user. Nothing here is served without that flag. The names, texts and
keys are the suite's own: it compares them literally.
"""

import asyncio
import base64
import json
import warnings
from collections.abc import Callable
from typing import Annotated, Any

from mcp import MCPDeprecationWarning, MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer, UserMessage
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Prompt
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CompleteRequestParams,
    CompleteResult,
    Completion,
    ContentBlock,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import BaseModel, Field

Schema = dict[str, Any]

# The smallest valid files: a PNG of one pixel, a WAV of no sample.
_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
_WAV = base64.b64encode(
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
).decode()


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


# Content.


def _text(text: str) -> TextContent:
    return TextContent(type="text", text=text)


def _image() -> ImageContent:
    return ImageContent(type="image", data=_PNG, mime_type="image/png")


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def test_simple_text() -> str:
    """Answer with text."""
    return "This is a simple text response for testing."


def test_image_content() -> list[ContentBlock]:
    """Answer with an image."""
    return [_image()]


def test_audio_content() -> list[ContentBlock]:
    """Answer with sound."""
    return [AudioContent(type="audio", data=_WAV, mime_type="audio/wav")]


def test_embedded_resource() -> list[ContentBlock]:
    """Answer with an embedded resource."""
    return [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[ContentBlock]:
    """Answer with text, an image and an embedded resource."""
    data = _embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
    return [_text("Multiple content types test:"), _image(), data]


def test_error_handling() -> str:
    """Fail in the anticipated way."""
    raise ToolError("This tool intentionally returns an error for testing")


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "<none>",
) -> str:
    """Take an argument that HTTP clients mirror into the header Mcp-Param-Region."""
    return f"region={region}"


# Notifications.


async def _log(ctx: Context, text: str) -> None:
    # Protocol logging is deprecated, and still part of what both revisions test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        sending = ctx.info(text)
    await sending


async def test_tool_with_logging(ctx: Context) -> str:
    """Send three log messages, 50 ms apart."""
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await _log(ctx, text)
        await asyncio.sleep(0.05)
    return "Tool with logging executed successfully"


async def test_logging_tool(ctx: Context) -> str:
    """Log once; a caller of 2026-07-28 who did not ask for a level must not see it."""
    await _log(ctx, "A message for those who asked")
    return "Logged"


async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"Completed step {done} of 100")
        await asyncio.sleep(0.05)
    return str((ctx.request_context.meta or {}).get("progress_token", 0))


async def test_reconnection(ctx: Context) -> str:
    """Close the response's stream mid-call, where there is an event store to resume it from."""
    await _log(ctx, "Before disconnect")
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    await _log(ctx, "After reconnect")
    return "Reconnection test completed"


def _transient() -> str:
    """There for a moment, to change a list."""
    return "transient"


async def test_trigger_tool_change(ctx: Context) -> str:
    """Change the list of tools and tell the listeners."""
    ctx.mcp_server.add_tool(_transient, name="test_transient_tool")
    ctx.mcp_server.remove_tool("test_transient_tool")
    await ctx.notify_tools_changed()
    return "tool list changed"


async def test_trigger_prompt_change(ctx: Context) -> str:
    """Change the list of prompts and tell the listeners."""
    ctx.mcp_server.add_prompt(Prompt.from_function(_transient, name="test_transient_prompt"))
    ctx.mcp_server.remove_prompt("test_transient_prompt")
    await ctx.notify_prompts_changed()
    return "prompt list changed"


# Questions to the client, up to 2025-11-25: requests in mid-call.


def _sampling(prompt: str) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=_text(prompt))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=100))


def _said(answer: object) -> str:
    content = answer.content if isinstance(answer, CreateMessageResult) else None
    return content.text if isinstance(content, TextContent) else "?"


async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    answer = await ctx.session.send_request(_sampling(prompt), CreateMessageResult, metadata=related)
    return f"LLM response: {_said(answer)}"


async def _ask(ctx: Context, message: str, schema: Schema) -> str:
    result = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return f"action={result.action}, content={json.dumps(result.content or {})}"


async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the client's user one question."""
    schema = _object(response={"type": "string", "description": "User's response"})
    return f"User response: {await _ask(ctx, message, schema)}"


_STATES = ["active", "inactive", "pending"]
_DEFAULTS = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": _STATES, "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
}


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask with a default for every primitive type."""
    return f"Elicitation completed: {await _ask(ctx, 'Please provide user information', _DEFAULTS)}"


def _titled(**titles: str) -> list[Schema]:
    return [{"const": const, "title": title} for const, title in titles.items()]


_ENUMS = _object(
    untitledSingle={"type": "string", "enum": _STATES},
    titledSingle={
        "type": "string",
        "oneOf": _titled(low="Low Priority", medium="Medium Priority", high="High Priority"),
    },
    legacyEnum={
        "type": "string",
        "enum": ["small", "medium", "large"],
        "enumNames": ["Small Size", "Medium Size", "Large Size"],
    },
    untitledMulti={"type": "array", "items": {"type": "string", "enum": ["read", "write", "execute"]}},
    titledMulti={
        "type": "array",
        "items": {"anyOf": _titled(feature="New Feature", bug="Bug Fix", docs="Documentation")},
    },
)


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask with every kind of enumeration."""
    return f"Elicitation completed: {await _ask(ctx, 'Please select values', _ENUMS)}"


# Questions to the client, from 2026-07-28: results that require input.

_NAME = _object(name={"type": "string"})
_OK = _object(ok={"type": "boolean"})


def _elicitation(message: str, schema: Schema) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _answers(ctx: Context) -> dict[str, object]:
    return dict(ctx.input_responses or {})


def _field(answer: object, name: str) -> str:
    content = answer.content if isinstance(answer, ElicitResult) else None
    return str((content or {}).get(name, "?"))


def _require(state: str | None = None, **requests: InputRequest) -> InputRequiredResult:
    return InputRequiredResult(input_requests=requests, request_state=state)


def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    """Require one answer of the user."""
    if "user_name" in (answers := _answers(ctx)):
        return f"Hello, {_field(answers['user_name'], 'name')}!"
    return _require(user_name=_elicitation("What is your name?", _NAME))


def test_streaming_elicitation(ctx: Context) -> str | InputRequiredResult:
    """Require an answer over a stream, on which no request of the server may appear."""
    return test_input_required_result_elicitation(ctx)


def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    """Require one answer of the client's model."""
    if "capital_question" in (answers := _answers(ctx)):
        return f"Model said: {_said(answers['capital_question'])}"
    return _require(capital_question=_sampling("What is the capital of France?"))


def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    """Require the client's roots."""
    if "client_roots" in (answers := _answers(ctx)):
        return f"Client exposed {len(getattr(answers['client_roots'], 'roots', []))} root(s)."
    return _require(client_roots=ListRootsRequest())


def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    """Hand out a state and require it back with the answer."""
    if "confirm" in _answers(ctx) and ctx.request_state == "nonce":
        return "state-ok: confirmation received"
    return _require("nonce", confirm=_elicitation("Please confirm", _OK))


def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    """Require a user's, a model's and the roots' answer at once."""
    if {"user_name", "greeting", "client_roots"} <= _answers(ctx).keys():
        return "All inputs received."
    return _require(
        "multiple-inputs",
        user_name=_elicitation("What is your name?", _NAME),
        greeting=_sampling("Generate a greeting"),
        client_roots=ListRootsRequest(),
    )


def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    """Require two answers, one after the other, and remember the first in the state."""
    state = json.loads(ctx.request_state or '{"round": 0}')
    answers = _answers(ctx)
    if state["round"] == 1 and "step1" in answers:
        question = _elicitation("Step 2: What is your favorite color?", _object(color={"type": "string"}))
        return _require(json.dumps({"round": 2, "name": _field(answers["step1"], "name")}), step2=question)
    if state["round"] == 2 and "step2" in answers:
        return f"{state['name']} likes {_field(answers['step2'], 'color')}."
    return _require(json.dumps({"round": 1}), step1=_elicitation("Step 1: What is your name?", _NAME))


def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    """Hand out a state that comes back changed: the SDK's seal must refuse it before this is called."""
    if ctx.request_state is not None:
        return f"state-ok: {ctx.request_state}"
    return _require("round-1", confirm=_elicitation("Please confirm", _OK))


def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    """Require only what the client declared that it can answer."""
    declared = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if declared is None or declared.sampling is not None:
        requests["sample"] = _sampling("Say hello")
    if declared is None or declared.elicitation is not None:
        requests["ask"] = _elicitation("What is your name?", _NAME)
    return _require("capability-gated", **requests)


def test_missing_capability(ctx: Context) -> str:
    """Refuse a client that did not declare sampling."""
    declared = ctx.client_capabilities
    if declared is not None and declared.sampling is not None:
        return "The client declared sampling."
    raise MCPError(
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        "This tool requires the client's capability 'sampling'.",
        {"requiredCapabilities": {"sampling": {}}},
    )


# Resources and prompts.


def _static_text() -> str:
    return "This is the content of the static text resource."


def _static_binary() -> bytes:
    return base64.b64decode(_PNG)


def _template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


def _watched() -> str:
    return "Watched resource content"


_RESOURCES: dict[str, tuple[Callable[..., str | bytes], str]] = {
    "test://static-text": (_static_text, "text/plain"),
    "test://static-binary": (_static_binary, "image/png"),
    "test://template/{id}/data": (_template, "application/json"),
    "test://watched-resource": (_watched, "text/plain"),
}


def test_simple_prompt() -> str:
    """Say one sentence."""
    return "This is a simple prompt for testing."


def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """Say its two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 (the suite's name)
    """Show a resource."""
    resource = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(resource), UserMessage("Please process the embedded resource above.")]


def test_prompt_with_image() -> list[UserMessage]:
    """Show an image."""
    return [UserMessage(_image()), UserMessage("Please analyze the image above.")]


def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
    """Require an answer before there is a prompt."""
    if "user_context" in (answers := _answers(ctx)):
        return f"Use the following context: {_field(answers['user_context'], 'context')}"
    question = _elicitation("What context should the prompt use?", _object(context={"type": "string"}))
    return _require(user_context=question)


# What MCPServer does not serve itself.

# The one schema that no Python signature yields: the suite looks for each of these keywords in tools/list.
_SCHEMA_2020_12: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def json_schema_2020_12_tool() -> str:
    """Be listed with a schema full of keywords of JSON Schema 2020-12."""
    return "json_schema_2020_12_tool"


# Methods of the handshake era that MCPServer dropped. Messages and updates go to every session, so there is nothing
# to remember: the answer is all that they owe.
_ACKNOWLEDGED: dict[str, type[BaseModel]] = {
    "logging/setLevel": SetLevelRequestParams,
    "resources/subscribe": SubscribeRequestParams,
    "resources/unsubscribe": UnsubscribeRequestParams,
}
_COMPLETIONS = {"arg1": ["paris", "park", "party"], "arg2": ["one", "two"]}


def _complete(params: CompleteRequestParams) -> CompleteResult:
    values = [v for v in _COMPLETIONS.get(params.argument.name, []) if v.startswith(params.argument.value)]
    return CompleteResult(completion=Completion(values=values, total=len(values), has_more=False))


def _is_fixture_completion(ctx: ServerRequestContext[Any, Any]) -> bool:
    ref = (ctx.params or {}).get("ref")
    return isinstance(ref, dict) and ref.get("name") == test_prompt_with_arguments.__name__


async def _serve_the_rest(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Answer or amend, as middleware, what `MCPServer` has no public call to register."""
    legacy = ctx.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS
    if legacy and ctx.method in _ACKNOWLEDGED:
        _ACKNOWLEDGED[ctx.method].model_validate(ctx.params or {}, by_name=False)
        return EmptyResult()
    if ctx.method == "completion/complete" and _is_fixture_completion(ctx):
        result = _complete(CompleteRequestParams.model_validate(ctx.params, by_name=False))
        dumped = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return dumped if legacy else dumped | {"resultType": "complete"}
    answer = await call_next(ctx)
    if ctx.method == "initialize" and isinstance(answer, dict):
        answer["capabilities"].setdefault("logging", {})
        answer["capabilities"].setdefault("resources", {})["subscribe"] = True
    if ctx.method == "tools/list" and isinstance(answer, dict):
        for tool in answer["tools"]:
            if tool["name"] == json_schema_2020_12_tool.__name__:
                tool["inputSchema"] = _SCHEMA_2020_12
    return answer


_TOOLS: tuple[Callable[..., Any], ...] = (
    test_simple_text,
    test_image_content,
    test_audio_content,
    test_embedded_resource,
    test_multiple_content_types,
    test_error_handling,
    test_x_mcp_header,
    test_tool_with_logging,
    test_logging_tool,
    test_tool_with_progress,
    test_reconnection,
    test_trigger_tool_change,
    test_trigger_prompt_change,
    test_sampling,
    test_elicitation,
    test_elicitation_sep1034_defaults,
    test_elicitation_sep1330_enums,
    test_streaming_elicitation,
    test_input_required_result_elicitation,
    test_input_required_result_sampling,
    test_input_required_result_list_roots,
    test_input_required_result_request_state,
    test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round,
    test_input_required_result_tampered_state,
    test_input_required_result_capabilities,
    test_missing_capability,
    json_schema_2020_12_tool,
)
_PROMPTS: tuple[Callable[..., Any], ...] = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
)


def register(server: MCPServer[Any]) -> None:
    """Add everything that the conformance suite calls by name to `server`.

    Args:
        server: The server under test; what it serves already stays as it is.
    """
    for tool in _TOOLS:
        server.add_tool(tool, structured_output=False)
    for uri, (read, mime_type) in _RESOURCES.items():
        server.resource(uri, name=uri.partition("//")[2], mime_type=mime_type)(read)
    for prompt in _PROMPTS:
        server.add_prompt(Prompt.from_function(prompt))
    server.middleware.append(_serve_the_rest)
