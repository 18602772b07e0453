"""Tables and ladders of numbers: nvidia-smi, the allocator's summary, throughput blocks, printed memory."""

import itertools
import re
import statistics
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line

_SMI = re.compile(r"\|\s+\S+\s+\d+C?\s.{0,60}\|\s+(\d{1,6})MiB\s?/\s?(\d{3,6})MiB\s+\|\s+(\d{1,3})%")
_SMI_PROCESS = re.compile(r"\|\s+\d+\s+(?:N/A\s+N/A\s+)?\d+\s+[CG+]{1,3}\s+\S")
_SUMMARY = re.compile(r"\|\s*(GPU reserved memory|Allocated memory|Active memory)\s*\|\s*(\d+) ?([KMG])i?B?")
_LADDER = re.compile(
    r"(?:memory|mem|allocated|reserved|vram|rss|used|显存|内存)[^|\n\d]{0,60}?[:=\s]\s{0,4}(\d{1,15}(?:\.\d{1,6})?) "
    r"?([KMGT]?i?B|MiB|GB|%)?",
    re.I,
)
_RATE = re.compile(
    r"(?:images|samples|examples|tokens|img|imgs|it|steps|items|sentences)(?:/s(?:ec)?| per "
    r"sec\w*)(?:/gpu)?\s{0,3}[:=]?\s{0,3}(\d{1,9}(?:\.\d{1,6})?)",
    re.I,
)
_MEMORY_WORDS = ("mem", "alloc", "reserved", "vram", "rss", "used", "显存", "内存")
_SCALE = {"K": 2.0**10, "M": 2.0**20, "G": 2.0**30}


def _smi(lines: Sequence[Line]) -> list[Fact]:
    framed = [line for line in lines if line.text.lstrip()[:1] == "|"]
    processes = any(_SMI_PROCESS.search(line.text[:200]) for line in framed)
    for line in framed:
        found = _SMI.search(line.text[:300])
        if found and int(found[1]) > 0.3 * int(found[2]) and int(found[3]) < 10 and not processes:
            return [Fact("smi.used-idle", line, note=f"{found[1]} of {found[2]} MiB are in use, no process is listed")]
    return []


def _summary(lines: Sequence[Line]) -> list[Fact]:
    values: dict[str, float] = {}
    where: dict[str, Line] = {}
    for line in lines:
        found = "emory" in line.text[:60] and _SUMMARY.search(line.text[:300])
        if found:
            values.setdefault(found[1], float(found[2]) * _SCALE[found[3]])
            where.setdefault(found[1], line)
    reserved = values.get("GPU reserved memory")
    allocated = values.get("Allocated memory", values.get("Active memory"))
    if reserved and allocated is not None and reserved > 2 * allocated and reserved - allocated > 2.0**30:
        note = f"{reserved / 2**30:.1f} GiB reserved, {allocated / 2**30:.1f} GiB allocated"
        return [Fact("summary.fragmented", where["GPU reserved memory"], note=note)]
    return []


def _rungs(values: Sequence[float]) -> bool:
    ups = sum(b > a for a, b in itertools.pairwise(values))
    downs = sum(b < a for a, b in itertools.pairwise(values))
    return len(values) >= 4 and ups >= 3 and downs <= len(values) // 6 and values[-1] > 1.15 * max(values[0], 1e-9)


def _ladder(lines: Sequence[Line]) -> list[Fact]:
    """Memory printed again and again under the same words, growing."""
    groups: dict[str, list[tuple[float, Line]]] = {}
    for line in lines:
        found = _LADDER.search(line.text[:400])
        if (
            found
            and "total capacity" not in line.text
            and "MiB /" not in line.text
            and "out of memory" not in line.text
        ):
            key = re.sub(r"[\d.]+", "#", line.text[: found.start(1)])[-40:]
            if len(groups) < 2000:
                groups.setdefault(key, []).append((float(found[1]), line))
    for rungs in groups.values():
        if _rungs([value for value, _ in rungs]):
            first, last = rungs[0], rungs[-1]
            return [Fact("memory.ladder", last[1], note=f"printed memory grows from {first[0]:g} to {last[0]:g}")]
    return []


def _throughput(lines: Sequence[Line]) -> list[Fact]:
    """Two blocks of rates, the second far below the first."""
    rates = [
        (float(found[1]), line)
        for line in lines
        if "/s" in line.text[:300] or "per sec" in line.text[:300]
        if (found := _RATE.search(line.text[:300]))
    ]
    for cut in range(3, len(rates) - 2):
        before = statistics.median(value for value, _ in rates[max(cut - 10, 0) : cut])
        after = statistics.median(value for value, _ in rates[cut : cut + 10])
        if 0 < after < 0.6 * before and rates[cut][1].number - rates[cut - 1][1].number > 1:
            note = f"the rate falls from {before:g} to {after:g}"
            return [Fact("throughput.halves", rates[cut][1], note=note)]
    return []


def table_facts(lines: Sequence[Line]) -> list[Fact]:
    """What tables and repeated measurements among `lines` show."""
    return _smi(lines) + _summary(lines) + _ladder(lines) + _throughput(lines)
