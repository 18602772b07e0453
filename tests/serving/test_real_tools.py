"""The real tools through the real server: each answer satisfies its schema, and the command line says the same."""

import json
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client

from dlcoder import cli
from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy
from dlcoder.tools import TOOLS

LOG = """step 100 loss 0.9
step 200 loss nan
Traceback (most recent call last):
  File "train.py", line 10, in <module>
    main()
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB of \
which 1.2 GiB is free.
"""
LOSS = """
import torch

class Loss(torch.nn.Module):
    def forward(self, logits, target):
        return torch.nn.functional.cross_entropy(logits.float(), target)
"""
CALLS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "scaffold_project": (
        {"path": "new", "spec": {"task": "classification"}, "dry_run": True},
        ["scaffold", "new", "--task", "classification", "--dry-run"],
    ),
    "validate_code": ({"path": "loss.py", "kind": "loss"}, ["validate", "loss.py", "--kind", "loss"]),
    "diagnose_log": ({"paths": ["train.log"]}, ["diagnose", "train.log"]),
    "review_code": ({"paths": ["loss.py"]}, ["review", "loss.py"]),
    "describe_environment": ({}, ["env"]),
}
HERE = [listed.name for listed in TOOLS if listed.exists and listed.name in CALLS]


async def call(root: Path, name: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The output schema of a tool and its answer."""
    async with Client(DlcoderServer(Options(RootsPolicy((root,))))) as client:
        schema = next(tool for tool in (await client.list_tools()).tools if tool.name == name).output_schema
        assert schema
        return schema, await client.call_tool(name, arguments)


@pytest.mark.parametrize("name", HERE)
def test_the_answer_satisfies_its_schema_and_the_command_line_says_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.log").write_text(LOG)
    (tmp_path / "loss.py").write_text(LOSS)
    arguments, argv = CALLS[name]
    schema, result = anyio.run(call, tmp_path, name, arguments)
    assert not result.is_error, result.content[0].text
    jsonschema.validate(result.structured_content, schema)
    assert len(json.dumps(result.structured_content)) / 4 < 4000 and 50 < len(result.content[0].text) < 4 * 4000
    capsys.readouterr()
    assert cli.main([*argv, "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out).keys() == result.structured_content.keys()
