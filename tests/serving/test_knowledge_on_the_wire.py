"""Resources, prompts and completions: what is listed can be had, and what can be typed is offered."""

import pytest
from connections import Connect
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference

from dlcoder.knowledge.causes import load_causes
from dlcoder.serving.prompts import PROMPTS, Prompt
from dlcoder.serving.resources import components
from dlcoder.tools import TOOLS

pytestmark = pytest.mark.anyio
TEMPLATE = ResourceTemplateReference(type="ref/resource", uri="dlcoder://templates/{kind}/{name}")
CAUSE = ResourceTemplateReference(type="ref/resource", uri="dlcoder://causes/{id}")
RUN = ResourceTemplateReference(type="ref/resource", uri="dlcoder://runs/{id}/{name}")


async def test_every_listed_resource_can_be_read_over_every_transport(connect: Connect) -> None:
    async with connect() as client:
        listed = (await client.list_resources()).resources
        assert [resource.uri for resource in listed] == ["dlcoder://templates", "dlcoder://causes"]
        families = (await client.list_resource_templates()).resource_templates
        assert [family.uri_template for family in families] == [TEMPLATE.uri, CAUSE.uri, RUN.uri]
        for resource in listed:
            (content,) = (await client.read_resource(resource.uri)).contents
            assert content.mime_type == resource.mime_type and content.text.startswith("- `")


async def test_every_component_and_cause_can_be_read(connect_in_memory: Connect) -> None:
    async with connect_in_memory() as client:
        for (kind, name), sidecar in components().items():
            (content,) = (await client.read_resource(f"dlcoder://templates/{kind}/{name}")).contents
            file = sidecar.with_suffix(".sh" if kind == "launchers" else ".py")
            if kind == "configs":
                assert content.text.startswith('"""All settings of a run.') and content.mime_type == "text/x-python"
            else:
                assert content.text == file.read_text(encoding="utf-8")
        for cause in load_causes().values():
            (content,) = (await client.read_resource(f"dlcoder://causes/{cause.id}")).contents
            assert cause.title in content.text and cause.verify[0].command.strip() in content.text


async def test_what_is_not_there_is_refused_with_the_nearest(connect_in_memory: Connect) -> None:
    async with connect_in_memory() as client:
        with pytest.raises(MCPError, match="Did you mean 'autograd-nonscalar'"):
            await client.read_resource("dlcoder://causes/autograd-nonscaler")
        with pytest.raises(MCPError, match="Did you mean 'losses/dice'"):
            await client.read_resource("dlcoder://templates/losses/dicee")
        for uri in (
            "dlcoder://templates/losses/../../server",
            "dlcoder://templates/losses/%2e%2e%2fdice",
            "dlcoder://",
        ):
            with pytest.raises(MCPError, match="There is no"):
                await client.read_resource(uri)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
async def test_every_prompt_carries_what_was_filled_in(connect_in_memory: Connect, prompt: Prompt) -> None:
    filled = {blank.name: f"<{blank.name} in ~~~~~ fences>" for blank in prompt.arguments}
    required = {blank.name: filled[blank.name] for blank in prompt.arguments if blank.required}
    async with connect_in_memory() as client:
        listed = {item.name: item for item in (await client.list_prompts()).prompts}[prompt.name]
        assert listed.title and listed.description and all(item.description for item in listed.arguments)
        full = (await client.get_prompt(prompt.name, filled)).messages[0].content.text
        short = (await client.get_prompt(prompt.name, required)).messages[0].content.text
    assert all(value in full for value in filled.values())
    assert len(short) < len(full) and not any(filled[name] in short for name in filled.keys() - required.keys())
    assert "\n~~~~~~" in full  # what was pasted cannot close its own fence


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_a_prompt_leads_to_the_tools_that_are_served_and_to_no_others(prompt: Prompt) -> None:
    filled = {blank.name: "x" for blank in prompt.arguments}
    names = [listed.name for listed in TOOLS]
    everything, nothing = prompt.render(filled, names), prompt.render(filled, [])
    assert sum(name in everything for name in names) >= 2
    assert not [name for name in names if name in nothing] and "1. " in nothing
    for step in prompt.steps:
        assert {name for name in names if name in step.text} == set(step.needs)


async def test_what_can_be_typed_is_offered_over_every_transport(connect: Connect) -> None:
    symptom = PromptReference(type="ref/prompt", name="find_bug")
    async with connect() as client:
        found = (await client.complete(symptom, {"name": "symptom", "value": "NA"})).completion
        assert found.values == ["nan"] and found.total == 1
        kinds = (await client.complete(TEMPLATE, {"name": "kind", "value": ""})).completion.values
        assert kinds == sorted({kind for kind, _ in components()})
        chosen = {"kind": "losses"}
        names = (await client.complete(TEMPLATE, {"name": "name", "value": "dic"}, context_arguments=chosen)).completion
        assert names.values[0].startswith("dic") and ("losses", names.values[0]) in components()
        causes = (await client.complete(CAUSE, {"name": "id", "value": ""})).completion
        assert causes.total == len(load_causes()) and len(causes.values) <= 100
        unknown = PromptReference(type="ref/prompt", name="x")
        for ref, name in [(symptom, "log"), (TEMPLATE, "id"), (RUN, "id"), (RUN, "name"), (unknown, "y")]:
            assert (await client.complete(ref, {"name": name, "value": ""})).completion.values == []
