"""The tool `review_code`: read training code for faults that no error message tells of."""

from collections.abc import Iterator
from itertools import groupby

from pydantic import BaseModel, Field

from dlcoder.errors import UserError
from dlcoder.text import clean
from dlcoder.tools.base import Call, Tool, ToolInput, ToolOutput

_DESCRIPTION = """Reads PyTorch training code, without running it, for silent faults: unwired losses, double softmax, \
order of zero_grad, unscale, clip and step, eval mode, masked means, collectives on one rank, incomplete checkpoints, \
options nobody reads, and more. Milliseconds a file. No finding is no proof: validate_code and smoke_test run code."""
_SHOWN = 40


class ReviewCodeInput(ToolInput):
    """What to read."""

    code: str | None = Field(None, description="Python code. Give this or `paths`.")
    paths: list[str] | None = Field(None, description="Python files, or folders of them.", min_length=1)
    fix: bool = Field(False, description="Also return what can be corrected safely; nothing is written.")


class ReviewFinding(BaseModel):
    """A fault."""

    rule: str
    line: int
    message: str
    why: str
    fix: str
    file: str = ""
    code: str = Field("", description="The line itself.")


class ReviewCodeOutput(ToolOutput):
    """What was found."""

    findings: list[ReviewFinding]
    fixed_code: str | None = Field(default=None, description="For `code`: the code with its corrections.")
    diff: str | None = Field(default=None, description="For `paths`: the corrections as a patch.")
    files: int = Field(default=1, description="Files that were read.")
    skipped: list[str] = Field(default_factory=list, description="Files that could not be read, and why.")

    def text(self) -> str:
        """The findings by rule, what is wrong first; then the corrections."""
        return "\n".join([*self._verdict(), *self._findings(), *self._corrections()])

    def _verdict(self) -> Iterator[str]:
        files = "1 file" if self.files == 1 else f"{self.files} files"
        if self.findings:
            yield f"{len(self.findings)} finding{'s' * (len(self.findings) > 1)} in {files}."
        else:
            yield f"No finding in {files}. That is no proof: run it with validate_code or smoke_test."
        yield from (f"Not read: {reason}" for reason in self.skipped[:10])

    def _findings(self) -> Iterator[str]:
        shown = self.findings[:_SHOWN]
        for _, group in groupby(sorted(shown, key=lambda each: each.rule), key=lambda each: each.rule):
            same = list(group)
            yield f"{same[0].rule}: {same[0].why} Fix: {same[0].fix}"
            yield from (f"  {each.file}:{each.line}: {clean(each.message, 200)} | {each.code}" for each in same)
        if len(self.findings) > _SHOWN:
            yield f"... and {len(self.findings) - _SHOWN} more in `findings`."
        if shown:
            yield "A comment `# dlcoder: ignore[rule]` on the line silences a finding."

    def _corrections(self) -> Iterator[str]:
        if self.diff:
            yield f"Corrections, to be applied with `git apply`:\n{self.diff}"
        elif self.fixed_code is not None:
            yield f"Corrected:\n{self.fixed_code}"


async def _run(arguments: ReviewCodeInput, call: Call) -> ReviewCodeOutput:
    if (arguments.code is None) == (arguments.paths is None):
        raise UserError("Give either `code` or `paths`.", "Pass the code itself, or the files that hold it.")
    if arguments.code is not None:
        return _review_code(arguments.code, arguments.fix)
    return await _review_files(arguments.paths or [], arguments.fix, call)


def _review_code(code: str, fix: bool) -> ReviewCodeOutput:
    from dlcoder.review.review import corrected

    findings = list(_findings(code, "code"))
    return ReviewCodeOutput(findings=findings, fixed_code=corrected(code) if fix and findings else None)


async def _review_files(given: list[str], fix: bool, call: Call) -> ReviewCodeOutput:
    import asyncio

    from dlcoder.review.files import python_files, read
    from dlcoder.review.review import corrected, diff

    paths = [call.roots.resolve(path) for path in given]
    base = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    answer = ReviewCodeOutput(findings=[], files=0)
    texts: dict[str, str] = {}
    for file in dict.fromkeys(python_files(paths)):
        name = str(file.relative_to(base)) if base else file.name
        try:
            texts[name] = read(file)
        except UserError as error:
            answer.skipped.append(clean(error.problem, 200))
    around = "\n".join(texts.values())
    patches = []
    for number, (name, text) in enumerate(texts.items()):
        call.progress(name, number / len(texts))
        await asyncio.sleep(0)  # Lets a cancelled call end between two files.
        try:
            found = list(_findings(text, name, around))
            if fix and found and (new := corrected(text, name, around)) != text:
                patches.append(diff(text, new, name))
        except UserError as error:
            answer.skipped.append(clean(error.problem, 200))
            continue
        answer.findings += found
        answer.files += 1
    if not answer.files:
        raise UserError(answer.skipped[0], "Correct it, or name other files.")
    answer.diff = "".join(patches) if fix and patches else None
    return answer


def _findings(text: str, name: str, around: str = "") -> Iterator[ReviewFinding]:
    from dlcoder.review.review import review

    lines = text.splitlines()
    for each in review(text, name, around):
        yield ReviewFinding(
            rule=each.rule.name,
            line=each.line,
            message=each.message,
            why=each.rule.why,
            fix=each.rule.fix,
            file=name,
            code=clean(lines[each.line - 1].strip(), 120),
        )


TOOL = Tool(
    name="review_code",
    title="Review training code",
    description=_DESCRIPTION,
    input=ReviewCodeInput,
    output=ReviewCodeOutput,
    run=_run,
)
