"""The page about a summary: complete, without network, safe, and alive in a browser."""

import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dlcoder import cli
from dlcoder.experiments.charts import charts_of
from dlcoder.experiments.report import make_report
from dlcoder.experiments.summary import summarize

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: apt-get install chromium fonts-dejavu-core"
)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LEVELS = (0.001, 0.01, 0.1)
HOSTILE = "<script>document.title='TAKEN'</script>"

DRIVE = """
<script>
addEventListener("load", () => {
  const heads = [...document.querySelectorAll("table")[0].querySelectorAll("th button")];
  const mean = heads.find((head) => head.textContent === "mean");
  const order = () => [...document.querySelectorAll("table")[0].tBodies[0].rows].map((row) => row.cells[0].textContent);
  const before = order(); mean.click(); const up = order(); mean.click(); const down = order();
  const svg = document.querySelectorAll("svg.chart")[1], plot = svg.querySelector(".plot");
  const ticks = () => [...svg.querySelectorAll(".tx")].map((text) => text.textContent);
  const box = plot.getBoundingClientRect(), whole = ticks();
  plot.setPointerCapture = () => {};
  const send = (kind, x, y) => plot.dispatchEvent(new PointerEvent(kind, {
    clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true }));
  send("pointerdown", 0.25, 0.2); send("pointermove", 0.5, 0.6); send("pointerup", 0.5, 0.6);
  const zoomed = ticks(), view = plot.getAttribute("viewBox"), tip = document.getElementById("tip").textContent;
  plot.dispatchEvent(new MouseEvent("dblclick"));
  const again = ticks();
  plot.dispatchEvent(new WheelEvent("wheel", { deltaY: -100, clientX: box.left + 10, clientY: box.top + 10 }));
  document.body.dataset.found = JSON.stringify({ before, up, down, whole, zoomed, view, tip, again, wheel: ticks() });
});
</script>
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    for lr in LEVELS:
        for seed in range(3):
            folder = root / f"lr{lr}-{seed}"
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({"lr": lr, "seed": seed, "note": HOSTILE}))
            last = 0.9 - 0.1 * (lr != 0.01) - 0.05 * (lr == 0.1) + random.Random(seed).random() / 50
            rows = [{"step": step, "val_acc": last * step / 50} for step in range(1, 51)]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "lr0.1-2" / "error_rank0.txt").write_text(f"RuntimeError: {HOSTILE}")
    return root


def test_the_charts_are_results_curves_with_bands_and_a_sweep(runs: Path) -> None:
    results, curves, sweep = charts_of(summarize([runs], "lr=0.01", None))
    assert results.rows[0] == "lr=0.01 (n=3)" and len(results.traces[0].dots) == 3 and results.traces[0].line
    assert all(len(trace.band) == 50 and len(trace.faint) == 3 for trace in curves.traces)
    assert sweep.log_x and [x for x, _ in sweep.traces[0].line] == list(LEVELS) and len(sweep.traces[0].dots) == 8


def test_the_page_and_the_drawing_hold_everything_and_name_no_address(runs: Path) -> None:
    report = make_report([runs], "lr=0.01", None, "markdown")
    addresses = set(re.findall(r"\w+://[^\s'\"<]+", report.page + report.drawing))
    assert addresses == {"http://www.w3.org/2000/svg"}, "the name of a name space, nothing to fetch"
    assert HOSTILE not in report.page and report.page.count("<script>") == 1
    for words in ("Control: lr=0.01", "Doubts", "lr0.1-2", "crashed", "Sweep of lr", "best of 3", "p (Holm)"):
        assert words in report.page
    tree = ElementTree.fromstring(report.drawing)
    assert len([node for node in tree.iter() if node.get("class") == "plot"]) == 3


def test_the_command_line_writes_the_page_and_the_charts(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("page.html", "charts.svg", "charts.png")]
    assert cli.main(["results", str(runs), "--html", str(files[0]), "--plot", str(files[1])]) == 0
    assert cli.main(["results", str(runs), "--plot", str(files[2])]) == 0
    assert [file.read_bytes()[:4] for file in files] == [b"<!do", b"<svg", b"\x89PNG"]
    assert cli.main(["results", str(runs), "--html", str(tmp_path / "absent" / "x.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@needs_chromium
def test_in_a_browser_tables_sort_charts_enlarge_and_hostile_names_do_nothing(runs: Path, tmp_path: Path) -> None:
    page = make_report([runs], "lr=0.01", None, "markdown").page
    # The page's own policy would not let this script run.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (tmp_path / "page.html").write_text(page.replace("</body>", DRIVE + "</body>"))
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "page.html").as_uri()], capture_output=True, text=True, check=True, timeout=60
    )
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stdout[-500:]
    seen = json.loads(found[1].replace("&quot;", '"'))
    assert seen["up"] == ["lr=0.1", "lr=0.001", "lr=0.01"] and seen["down"] == seen["up"][::-1]
    assert seen["view"].split()[0] == "250" and seen["zoomed"] != seen["whole"] == seen["again"] != seen["wheel"]
    assert seen["tip"].startswith("step ") and "TAKEN" not in re.search(r"<title>([^<]*)", done.stdout)[1]


@needs_chromium
def test_in_a_browser_the_policy_lets_the_pages_own_script_run_and_no_other(runs: Path, tmp_path: Path) -> None:
    page = make_report([runs], "lr=0.01", None, "markdown").page
    (tmp_path / "page.html").write_text(page.replace("</body>", f"{HOSTILE}</body>"))
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    address = (tmp_path / "page.html").as_uri()
    done = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count('data-zoomed="0"') == 3 and "<title>val_acc: 9 runs</title>" in done.stdout
