"""The page about a diagnosis: what it shows, what a browser makes of it, and what a hostile log cannot do to it."""

import base64
import functools
import hashlib
import http.server
import json
import math
import re
import shutil
import subprocess
import threading
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dlcoder.diagnosis import page_curves
from dlcoder.diagnosis.lines import make_lines
from dlcoder.diagnosis.page import write_page
from dlcoder.diagnosis.page_lines import excerpts, survey, windows
from dlcoder.diagnosis.page_timeline import seconds
from dlcoder.diagnosis.reading import read
from dlcoder.diagnosis.sources import collect
from dlcoder.errors import UserError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium fonts-dejavu-core"
)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
TIMEOUT = (
    "[Rank {r}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=412, OpType=ALLREDUCE, NumelIn=1048576, "
    "NumelOut=1048576, Timeout(ms)=600000) ran for 600029 milliseconds before timing out."
)
HOSTILE = """\
step 1 loss 2.3 <script>document.title='TAKEN'</script>
step 2 loss nan </span></code></div><script>document.title='TAKEN'</script>
loss" onload="document.title='TAKEN': 3.0
loss" onload="document.title='TAKEN': 4.0
Traceback (most recent call last):
  File "<img src=x onerror=document.title='TAKEN'>", line 3, in <b onmouseover=document.title='TAKEN'>
    </pre></style></title></svg><svg onload=document.title='TAKEN'>
    {{ 7*7 }} {% for x in y %} --> ]]> <!-- <a href="javascript:document.title='TAKEN'">x</a>
RuntimeError: CUDA error: device-side assert triggered </script><script>document.title='TAKEN'</script> \x1b[31m\u202e
'"><iframe srcdoc="<script>parent.document.title='TAKEN'</script>"></iframe>
"""


def run_of_four(folder: Path) -> Path:
    """Rank 0 goes NaN after a spike; 1 and 2 time out waiting for it; nothing comes from rank 3."""
    folder.mkdir()
    lines = []
    for step in range(300):
        loss = 2.0 * math.exp(-step / 90) * (9.0 ** max(step - 294, 0))
        shown = "nan" if step >= 298 else f"{loss:.4f}"
        norm = 1.0 if step < 295 else 10.0 ** (step - 293)
        stamp = f"2026-03-01 10:{step // 60:02d}:{step % 60:02d},000"
        lines.append(f"{stamp} step: {step} loss: {shown} grad_norm: {norm:.2f} lr: 1.0e-02 mem: {4000 + step}MB")
    (folder / "rank_0.log").write_text("\n".join(lines) + "\nValueError: loss is not finite at step 299\n")
    for r in (1, 2):
        text = f"2026-03-01 10:00:01,000 start\n2026-03-01 10:15:0{r},000 {TIMEOUT.format(r=r)}\n"
        (folder / f"rank_{r}.log").write_text(text)
    return folder


class Parsed(HTMLParser):
    """The elements of a page, and every attribute that could act."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def ids(self) -> set[str | None]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_page(folder / "page.html", paths=[run_of_four(folder / "run")])
    return folder / "page.html"


def test_the_verdict_stands_first_then_causes_ranks_curves_and_the_evidence_in_its_log(page: Path) -> None:
    text = page.read_text("utf-8")
    found = Parsed(text)
    order = [text.index(part) for part in ("<h1>", 'id="causes"', 'id="timeline"', 'id="curves"', 'id="evidence"')]
    assert order == sorted(order)
    assert "The run failed" in text and "step: 298 loss: nan" in text
    shares = [float(a["width"] or 0) for tag, a in found.tags if a.get("class") == "share"]
    assert shares == sorted(shares, reverse=True) and 0 < shares[0] <= 100
    assert text.count('class="copy"') >= 2 and 'class="add"' in text


def test_the_timeline_marks_the_first_failure_greys_effects_and_shows_ranks_by_name(page: Path) -> None:
    text = page.read_text("utf-8")
    lanes = re.findall(r'<text class="lane (\w*)"[^>]*>([^<]+)<', text)
    assert [name for _, name in lanes[:3]] == ["rank 0", "rank 1", "rank 2"] and lanes[0][0] == "first"
    assert len(re.findall(r'class="event first"', text)) == 1 and 'class="event effect"' in text
    places = {kind: float(x) for kind, x in re.findall(r'class="event (\w+)" cx="([\d.]+)"', text)}
    assert places["first"] < places["effect"]


def test_every_reference_of_the_page_is_in_the_page_or_an_address_to_read_on(page: Path) -> None:
    found = Parsed(page.read_text("utf-8"))
    targets = [a["href"] or "" for tag, a in found.tags if tag == "a"]
    inner = [target[1:] for target in targets if target.startswith("#")]
    assert inner and set(inner) <= found.ids()
    assert all(target.startswith(("#", "https://", "http://")) for target in targets)
    assert not [tag for tag, a in found.tags if tag in ("link", "img", "iframe", "object", "embed") or "src" in a]


def test_curves_carry_every_kind_with_the_failure_and_values_that_are_not_finite(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"<figcaption><b>([^<]+)</b>", text) == ["Loss", "Gradient norm", "Learning rate", "Memory"]
    assert text.count('class="failure"') == 4 and text.count('class="bad"') == 1
    found = Parsed(text)
    for _, attributes in found.tags:
        if "data-points" in attributes:
            points = json.loads(attributes["data-points"] or "")
            assert len(points) == 300 and all(0 <= x <= 1000 and 0 <= y <= 1000 for x, y, *_ in points)
    assert {a["data-axis"] for _, a in found.tags if "data-axis" in a} == {"step"}


def hostile_page(tmp_path: Path) -> str:
    log = tmp_path / "<script>document.title='TAKEN'<"
    log.write_text(HOSTILE)
    file = tmp_path / "hostile.html"
    prose = "<script>document.title='TAKEN'</script> CUDA error: device-side assert triggered"
    write_page(file, paths=[log], context=prose, code=prose, environment=prose)
    return file.read_text("utf-8")


def test_a_hostile_log_adds_no_element_and_no_handler(tmp_path: Path) -> None:
    text = hostile_page(tmp_path)
    found = Parsed(text)
    assert [tag for tag, _ in found.tags if tag in ("script", "style", "title")].count("script") == 1
    known = (
        "html head meta title style body main header p h1 dl dt dd code a section h2 h3 details summary span svg rect "
        "ul li ol b div button pre circle line text figure figcaption path footer script"
    )
    assert {tag for tag, _ in found.tags} <= set(known.split())
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on") or name == "style"]
    assert "TAKEN" in "".join(found.texts) and "\x1b" not in text and "\u202e" not in text
    assert "{{ 7*7 }}" in "".join(found.texts)


def test_the_policy_allows_only_the_pages_own_script_and_style(tmp_path: Path) -> None:
    text = hostile_page(tmp_path)
    policy = next(
        a["content"] or "" for tag, a in Parsed(text).tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy and "unsafe" not in policy
    for tag in ("script", "style"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert body
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def browse(file: Path, *flags: str) -> str:
    """The page's document after its scripts ran."""
    profile = file.parent / "profile"
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *flags, "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@needs_chromium
def test_in_a_browser_a_hostile_log_runs_nothing_and_the_pages_own_script_runs(tmp_path: Path) -> None:
    hostile_page(tmp_path)
    document = browse(tmp_path / "hostile.html")
    title = re.search(r"<title>([^<]*)</title>", document)
    assert title and title[1].startswith("The run failed") and "TAKEN" not in title[1]
    assert '<button type="button" class="copy">Copy</button>' in document, "the script shows the buttons"


DRIVER = """
const results = {};
const figure = document.querySelector("figure.chart"), plot = figure.querySelector(".plot");
const tick = () => [...figure.querySelectorAll(".tx")].map((t) => Number(t.textContent));
const send = (type, share) => {
  const box = plot.getBoundingClientRect();
  const event = new PointerEvent(type, { bubbles: true, pointerId: 1, button: 0,
    clientX: box.left + box.width * share, clientY: box.top + box.height / 2 });
  plot.dispatchEvent(event);
};
plot.setPointerCapture = () => {};
results.before = tick();
send("pointermove", 0.5);
results.tip = document.getElementById("tip").textContent;
send("pointerdown", 0.25); send("pointermove", 0.5); send("pointerup", 0.5);
results.zoomed = tick();
plot.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
results.reset = tick();
results.closed = [...document.querySelectorAll("details")].filter((d) => !d.open).length;
dispatchEvent(new Event("beforeprint"));
results.closedInPrint = [...document.querySelectorAll("details")].filter((d) => !d.open).length;
results.wide = document.documentElement.scrollWidth <= innerWidth;
results.dots = document.querySelectorAll("[data-tip] title").length;
results.dark = getComputedStyle(document.body).backgroundColor;
results.plots = [...document.querySelectorAll(".plot")].map((p) => p.getBoundingClientRect().height);
document.title = "DONE " + JSON.stringify(results);
"""


def driven(page: Path, tmp_path: Path, *flags: str) -> dict[str, Any]:
    """What the page does when a pointer moves over it. The driver replaces the policy, and nothing else."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    file = tmp_path / "driven.html"
    file.write_text(text.replace("</body>", f"<script>{DRIVER}</script></body>"), encoding="utf-8")
    found = re.search(r"<title>DONE (.*?)</title>", browse(file, *flags))
    assert found, "the script of the page or the driver failed"
    results: dict[str, Any] = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
    return results


@needs_chromium
def test_in_a_browser_values_show_parts_enlarge_and_print_opens_everything(page: Path, tmp_path: Path) -> None:
    seen = driven(page, tmp_path)
    assert seen["before"][0] == 0 and seen["before"][-1] == 299 == seen["reset"][-1]
    assert re.match(r"loss [\d.]+\nstep 1(49|50), line 15[01]", seen["tip"])
    assert 70 < seen["zoomed"][0] < 80 and 145 < seen["zoomed"][-1] < 155
    assert seen["closedInPrint"] == 0 and seen["wide"] and seen["dots"] == 0
    assert all(height > 80 for height in seen["plots"])
    dark = driven(page, tmp_path, "--blink-settings=preferredColorScheme=0")["dark"]
    assert seen["dark"] == "rgb(247, 247, 245)" and dark == "rgb(20, 23, 27)"


@needs_chromium
def test_a_browser_fetches_nothing_for_the_page(page: Path, tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(page.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom"]
    address = f"http://127.0.0.1:{server.server_address[1]}/page.html"
    subprocess.run([*command, address], capture_output=True, check=True, timeout=60)
    server.shutdown()
    assert set(asked) - {"/favicon.ico"} == {"/page.html"}


def test_excerpts_merge_where_they_touch_and_number_lines_as_the_log_does() -> None:
    assert list(windows([5, 12, 40], 4)) == [range(1, 17), range(36, 45)]
    (source,) = collect("\n".join(f"line {n}" for n in range(1, 21)), [])
    seen = survey(source, read(source), range(1, 40))
    (excerpt,) = excerpts("log", seen.texts, {10: [1, -2]})
    assert [row.number for row in excerpt.rows] == list(range(6, 15))
    assert [row.text for row in excerpt.rows] == [f"line {n}" for n in range(6, 15)]
    assert [row.marks for row in excerpt.rows if row.marks] == [(1, -2)]


def test_lines_of_a_log_of_many_blocks_are_found_by_number_and_curves_come_from_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    with file.open("w") as stream:
        for step in range(60_000):
            stream.write(f"step: {step} loss: {2 + 1 / (step + 1):.5f} " + "x" * 40 + "\n")
        stream.write("y" * 3_000_000 + "\nRuntimeError: the end\n")
    (source,) = collect(None, [file])
    seen = survey(source, read(source), [1, 12_345, 59_999, 60_001, 60_002, 60_003, 70_000])
    assert seen.texts[12_345].startswith("step: 12344 loss") and seen.texts[60_002] == "RuntimeError: the end"
    assert seen.texts[60_001].startswith("yyy") and len(seen.texts[60_001]) == 1200
    assert set(seen.texts) == {1, 12_345, 59_999, 60_001, 60_002, 60_003}
    assert all(line.text.startswith(f"step: {line.number - 1} loss") for line in seen.sample)
    (chart,) = page_curves.charts(seen.sample[::8], "long.log", None)
    steps = [x for x, _, _ in chart.curves[0].points]
    assert steps[0] < 2000 and steps[-1] > 50_000
    assert max(late - early for early, late in pairwise(steps)) < 15_000


def test_a_curve_of_many_points_keeps_its_extremes_and_its_first_value_that_is_not_finite() -> None:
    values = ["1.0"] * 5000
    values[1234], values[3000], values[4000] = "77.0", "nan", "0.001"
    lines = list(make_lines("\n".join(f"iter {i} loss {v}" for i, v in enumerate(values)), "log"))
    (chart,) = page_curves.charts(lines, "log", None)
    points = {x: value for x, value, _ in chart.curves[0].points}
    assert len(points) < 600 and points[1234] == 77.0 and points[4000] == 0.001 and math.isnan(points[3000])
    assert chart.failure == (3000, "not finite") and chart.axis == "iter"


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("epoch 1 step 5 loss 2\nepoch 1 step 9 loss 1\nepoch 2 step 3 loss 1", "epoch"),
        ("loss 2\nloss 1.5\nloss 1", "line"),
        ('{"global_step": 1, "loss": 2}\n{"global_step": 2, "loss": 1}', "step"),
    ],
)
def test_the_axis_is_the_finest_counter_that_never_goes_back(text: str, axis: str) -> None:
    (chart,) = page_curves.charts(list(make_lines(text, "log")), "log", None)
    assert chart.axis == ("line" if axis == "epoch" else axis)


@pytest.mark.parametrize(
    ("early", "late", "apart"),
    [
        ("2026-02-28 23:59:59,500", "2026-03-01 00:00:01,000", 1.5),
        ("2026/03/01 10:00:00", "2026-03-01T10:00:10Z", 10),
        ("10:00:00.25", "10:01:00", 59.75),
    ],
)
def test_time_stamps_of_all_forms_are_seconds(early: str, late: str, apart: float) -> None:
    first, second = (seconds(stamp, dated="2026" in stamp) for stamp in (early, late))
    assert first is not None and second is not None and second - first == pytest.approx(apart)
    assert seconds("2026-13-77 10:00:00", dated=True) is None and seconds("10:00:00", dated=True) is None


def test_a_healthy_run_and_one_that_says_nothing_have_pages_too(tmp_path: Path) -> None:
    healthy = "\n".join(f"epoch {e} train_loss {2 / (e + 1):.3f} val_loss {2.2 / (e + 1):.3f}" for e in range(12))
    for name, log in (("healthy", healthy + "\nTraining finished\n"), ("nothing", "hello\n"), ("empty", "")):
        found = write_page(tmp_path / f"{name}.html", log=log)
        text = (tmp_path / f"{name}.html").read_text("utf-8")
        assert f'class="verdict {found.status}"' in text and "<h1>" in text
        assert ('class="chart"' in text) == (name == "healthy")


def test_many_ranks_become_few_lanes_with_those_that_failed_kept(tmp_path: Path) -> None:
    lines = [f"[rank{r}]: starting" for r in range(3000)]
    lines.append(
        "[rank2999]: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
        "capacity of 79.15 GiB of which 1.20 GiB is free."
    )
    write_page(tmp_path / "page.html", log="\n".join(lines))
    text = (tmp_path / "page.html").read_text("utf-8")
    assert len(re.findall(r'<text class="lane', text)) == 48 and ">rank 2999<" in text
    assert re.search(r"\d+ more ranks", text)


def test_a_page_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_page(tmp_path / "absent" / "page.html", log="hello")
