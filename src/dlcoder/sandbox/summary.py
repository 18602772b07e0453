"""A report as text: the verdict first, failures with advice, then one line each for the rest."""

from dlcoder.sandbox.report import Check, Report

LONGEST_FIX = 420
LONGEST_TAIL = 800


def summarize(report: Report, subject: str) -> str:
    """Write a report for a reader, in as few words as carry it.

    Args:
        report: What was run.
        subject: What it was run on, as the beginning of a sentence.

    Returns:
        Lines of text, the verdict in the first one.
    """
    groups = {status: [c for c in report.checks if c.status == status] for status in ("pass", "fail", "error", "skip")}
    lines = [_verdict(report, subject, groups)]
    lines += [_failure(check) for check in groups["fail"] + groups["error"]]
    if groups["pass"]:
        lines.append("Passed: " + ", ".join(c.name for c in groups["pass"]))
    if groups["skip"]:
        lines.append("Skipped: " + "; ".join(f"{c.name} ({c.detail[:90]})" for c in groups["skip"][:10]))
    if report.log_tail and (groups["error"] or not groups["pass"]):
        lines.append("Output, its end:\n" + report.log_tail[-LONGEST_TAIL:])
    if more := report.read_on():
        lines.append(more)
    layers = ", ".join(report.isolation.layers) or "none"
    lines.append(f"Ran on {report.device} in {report.duration_s:.1f} s, {report.interpreter}; isolation: {layers}.")
    return "\n".join(lines)


def _verdict(report: Report, subject: str, groups: dict[str, list[Check]]) -> str:
    counts = [f"{len(groups[s])} {word}" for s, word in _WORDS.items() if groups[s]]
    if report.passed:
        return f"PASSED: {subject} ({', '.join(counts)})."
    return f"FAILED: {subject} ({', '.join(counts) or 'nothing ran'})."


_WORDS = {"fail": "failed", "error": "errors", "pass": "passed", "skip": "skipped"}


def _failure(check: Check) -> str:
    bound = f", expected: {check.expected}" if check.expected else ""
    measured = check.measured or check.detail
    advice = f"\n  -> {check.fix[:LONGEST_FIX]}" if check.fix else ""
    return f"- {check.name} [{check.status}]: {measured}{bound}{advice}"
