"""What is wrong with a message that is no JSON-RPC, said in a way that its sender is not left waiting.

The SDK drops such messages in silence, and a client that waits for the id hangs. Here every one of them gets an error
that carries the id, dug out of the damaged text where need be.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    JSONRPCMessage,
    JSONRPCNotification,
    RequestId,
    jsonrpc_message_adapter,
)

_ID = rb'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\]|\\.){0,200}")'
_ID_AT_HEAD = re.compile(_ID)
_ID_AT_END = re.compile(_ID + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')
HEAD, TAIL = 4096, 512
"""How many bytes of each end of a message are searched for its id."""


@dataclass(frozen=True)
class Refusal:
    """Why a message is not served, addressed to the request it came in."""

    id: RequestId | None
    code: int
    message: str


def read_frame(frame: bytes) -> JSONRPCMessage | list[Refusal]:
    """Parse one message, or say what is wrong with it.

    Args:
        frame: The bytes between two newlines, or an HTTP body.

    Returns:
        The message, or one refusal for each request that waits for an answer (at least one).
    """
    try:
        message = jsonrpc_message_adapter.validate_json(frame, by_name=False)
    except (ValueError, RecursionError):
        return _refuse(frame)
    # A notification ignores unknown fields, so a request with the id null passes for one.
    if isinstance(message, JSONRPCNotification) and b'"id"' in frame and "id" in json.loads(frame):
        return [Refusal(None, INVALID_REQUEST, "The id of a request must be a string or an integer.")]
    return message


def recover_id(frame: bytes) -> RequestId | None:
    """The id of a request that cannot be parsed, or `None` where it cannot be told."""
    if not frame.lstrip().startswith(b"{"):
        return None
    head = frame[:HEAD].split(b'"params"', 1)[0]
    found = _ID_AT_HEAD.search(head) or _ID_AT_END.search(frame[-TAIL:])
    if found is None:
        return None
    try:
        return _as_id(json.loads(found.group(1)))
    except ValueError:
        return None


def _as_id(value: Any) -> RequestId | None:
    return value if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)) else None


def _refuse(frame: bytes) -> list[Refusal]:
    try:
        value = json.loads(frame.decode("utf-8"))
    except UnicodeDecodeError:
        return [Refusal(recover_id(frame), PARSE_ERROR, "The message is not valid UTF-8.")]
    except RecursionError:
        return [Refusal(recover_id(frame), PARSE_ERROR, "The message is nested too deeply.")]
    except ValueError:
        return [Refusal(recover_id(frame), PARSE_ERROR, "The message is not valid JSON.")]
    if isinstance(value, list):
        ids = [_as_id(item.get("id")) for item in value if isinstance(item, dict) and "method" in item]
        message = "Batches are not part of this protocol: send one message a line."
        return [Refusal(id, INVALID_REQUEST, message) for id in ids or [None]]
    return [_refuse_value(value)]


def _refuse_value(value: Any) -> Refusal:
    if not isinstance(value, dict):
        return Refusal(None, INVALID_REQUEST, "A message must be a JSON object.")
    id = _as_id(value.get("id"))
    if value.get("jsonrpc") != "2.0":
        problem = 'A message must say "jsonrpc": "2.0".'
    elif "id" in value and id is None:
        problem = "The id of a request must be a string or an integer."
    elif not isinstance(value.get("method", ""), str):
        problem = "The method must be a string."
    elif not isinstance(value.get("params", {}), dict):
        problem = "The params must be an object."
    else:
        problem = "The message is no JSON-RPC request, notification or response."
    return Refusal(id, INVALID_REQUEST, problem)
