"""Which CUDA a GPU needs, and whether the build or driver in the log can serve it."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line

# GPU names -> (compute capability, first CUDA toolkit with code for it). Newest first, since names overlap.
_GPUS = (
    (
        re.compile(
            r"\bRTX ?50[5-9]0|RTX ?PRO ?(?:[456]000|[24]500)\b.{0,12}Blackwell|\bB[123]00\b|\bGB[123]00\b|5060"
            r"|5070|5080|5090",
            re.I,
        ),
        12.0,
        12.8,
    ),
    (re.compile(r"\bH(?:100|200|800|20)\b|\bGH200\b", re.I), 9.0, 11.8),
    (re.compile(r"\bRTX ?40[5-9]0|\b40[678]0 ?Ti\b|\bL40S?\b|\bL4\b|RTX ?[456]000 Ada|\b4090\b", re.I), 8.9, 11.8),
    (
        re.compile(
            r"\bRTX ?30[5-9]0|\b30[678]0 ?Ti\b|\b30[789]0\b|\bA(?:10|16|40)\b|RTX ?A[2-6]\d00|\bA[2-6]000\b", re.I
        ),
        8.6,
        11.1,
    ),
    (re.compile(r"\bA(?:100|800|30)\b", re.I), 8.0, 11.0),
    (
        re.compile(r"\bRTX ?20[5-9]0|\b20[78]0 ?(?:Ti|super)?\b|\bGTX ?16[56]0|\bT4\b|TITAN ?RTX|Quadro ?RTX", re.I),
        7.5,
        10.0,
    ),
    (re.compile(r"\bV100\b|TITAN ?V\b", re.I), 7.0, 9.0),
)
_OLD = (
    (
        re.compile(
            r"GeForce ?(?:GTX )?(?:GT ?)?[4567]\d0M?\b|\bK[24568]0[mMcC]?\b|\bK2200\b|GTX ?(?:TITAN|7[5678]0)\b"
            r"|\bGT ?7[1-4]0\b|NVS \d+",
            re.I,
        ),
        3.5,
    ),
    (re.compile(r"\bGTX ?9[5-8]0M?\b|\b9[4-8]0MX?\b|\bM[46]0\b|\bM[12456]000\b|TITAN X \(Maxwell", re.I), 5.2),
)
_CUDA = (
    re.compile(r"\+cu(\d{2})(\d)\b"),
    re.compile(r"\bcu(\d{1,2})(\d)\b"),
    re.compile(r"\bpost(\d)(\d)\b"),
    re.compile(
        r"cuda(?:[ _-]?toolkit|[ _-]?version|版本|-tools)?\s{0,4}(?:[:=]|is|版本)?\s{0,4}v?(\d{1,2})\.(\d)", re.I
    ),
)
_OLD_TORCH = re.compile(
    r"(?:py)?torch(?:[ _-]?version|版本)?\s{0,3}[:=]{0,2}\s{0,3}v?(0\.[1-4](?:\.\d)?"
    r"|1\.[0-9](?!\d)(?:\.\d)?)(?![\w.]*\+cu1[12])",
    re.I,
)
# One of these stands in every text that names a GPU; looking for them first costs next to nothing.
_WORDS = tuple(
    [
        "rtx",
        "gtx",
        "geforce",
        "tesla",
        "quadro",
        "titan",
        "h100",
        "h200",
        "h800",
        "h20",
        "gh200",
        "a100",
        "a800",
        "v100",
        "b100",
        "b200",
        "b300",
        "gb200",
        "gb300",
        "t4",
        "l40",
        "l4",
        "a10",
        "a16",
        "a30",
        "a40",
        "a2000",
        "a3000",
        "a4000",
        "a5000",
        "a6000",
        "2070",
        "2080",
        "3060",
        "3070",
        "3080",
        "3090",
        "4060",
        "4070",
        "4080",
        "4090",
        "5060",
        "5070",
        "5080",
        "5090",
        "k40",
        "k80",
        "k20",
        "k2200",
        "m40",
        "m60",
        "m1000",
        "m2000",
        "m4000",
        "m5000",
        "m6000",
        "940",
        "950",
        "960",
        "970",
        "980",
        "nvs",
    ]
)


class _Text:
    """Lines as one text, so that a pattern is searched for once and not line by line."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines
        self.starts: list[int] = []
        parts = []
        offset = 0
        for line in lines:
            part = line.raw[:1000]
            self.starts.append(offset)
            parts.append(part)
            offset += len(part) + 1
        self.text = "\n".join(parts)

    def first(self, pattern: re.Pattern[str]) -> tuple[Line, re.Match[str]] | None:
        """The first match and its line."""
        found = pattern.search(self.text)
        return (self.lines[bisect_right(self.starts, found.start()) - 1], found) if found else None


def _old_gpu(text: _Text) -> list[Fact]:
    for pattern, capability in _OLD:
        hit = text.first(pattern)
        if hit:
            return [Fact("gpu.old", hit[0], note=f"{hit[1][0]} has compute capability {capability}")]
    return []


def _too_new(text: _Text, name: str, capability: float, needs: float) -> str:
    """Why the build cannot serve the GPU; an empty string where it can, or where nothing is known of it."""
    hits = [hit for pattern in _CUDA if (hit := text.first(pattern))]
    versions = [float(f"{found[1]}.{found[2]}") for _, found in hits]
    build = min((v for v in versions if 7.0 <= v <= 14.0), default=None)
    if build is not None:
        known = f"{name} (compute capability {capability}) needs CUDA {needs} or later, this is {build}"
        return known if build < needs else ""
    old = text.first(_OLD_TORCH) if capability >= 8.0 else None
    if old and (old[1][1].startswith("0.") or float(old[1][1][:3]) < (1.7 if capability < 8.9 else 2.0)):
        return f"{name} is newer than the CUDA of torch {old[1][1]}"
    return ""


def hardware_facts(lines: Sequence[Line]) -> list[Fact]:
    """Facts `gpu.named`, `gpu.too-new` and `gpu.old`, with the line that names the GPU."""
    text = _Text(lines)
    lowered = text.text.lower()
    words = [word for word in _WORDS if word in lowered]
    if not words:
        return []
    likely = _Text([line for line in lines if any(word in line.raw[:1000].lower() for word in words)])
    for pattern, capability, needs in _GPUS:
        hit = likely.first(pattern)
        if hit:
            why = _too_new(text, hit[1][0], capability, needs)
            named = [Fact("gpu.named", hit[0])]
            return [Fact("gpu.too-new", hit[0], note=why), *named] if why else named
    return _old_gpu(likely)
