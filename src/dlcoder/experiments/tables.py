"""A summary as a table: Markdown, LaTeX or CSV."""

import csv
import io
from collections.abc import Sequence

from dlcoder.experiments.intervals import Interval
from dlcoder.experiments.summary import ArmResult, Summary

HEAD = (
    "arm",
    "n",
    "mean",
    "sd",
    "95 % CI",
    "bootstrap CI",
    "diff",
    "diff 95 % CI",
    "p",
    "p (Holm)",
    "g",
    "GPU h",
    "peak MB",
)


def result_table(summary: Summary, form: str) -> str:
    """The arms against the control."""
    rows = [cells(row, precise=form == "csv") for row in summary.rows]
    used = [i for i in range(len(HEAD)) if form == "csv" or any(row[i] for row in rows)]
    return render([[HEAD[i] for i in used], *([row[i] for i in used] for row in rows)], form)


def ablation_table(summary: Summary, form: str) -> str:
    """What each arm changes; empty where no settings are known."""
    return _rendered(ablation_rows(summary, form), form)


def _rendered(rows: list[list[str]], form: str) -> str:
    return render(rows, form) if rows else ""


def ablation_rows(summary: Summary, form: str) -> list[list[str]]:
    """The heading and a row for each arm."""
    changed = [row for row in summary.rows if row.arm.changes]
    keys = list(dict.fromkeys(key for row in changed for key in row.arm.changes))[:8]
    if not keys:
        return []
    rows = [["arm", *keys, "mean", "diff"]]
    for row in summary.rows:
        config = {**dict.fromkeys(keys, "as control" if row.arm.changes else ""), **row.arm.config, **row.arm.changes}
        mark = [f"**{config[k]}**" if k in row.arm.changes and form == "markdown" else str(config[k]) for k in keys]
        rows.append(
            [row.arm.name, *mark, _number(row.mean), _signed(row.comparison.difference if row.comparison else None)]
        )
    return rows


def stability_table(summary: Summary, form: str) -> str:
    """How sure the order is, and what the best of several runs would have shown."""
    return _rendered(stability_rows(summary), form)


def stability_rows(summary: Summary) -> list[list[str]]:
    """The heading and a row for each ranked arm."""
    ranked = [row for row in summary.rows if row.rank]
    if len(ranked) < 2:
        return []
    ks = sorted({k for row in ranked for k in row.best_of})
    rows = [["arm", "rank", "rank 95 %", "first in", *(f"best of {k}" for k in ks)]]
    for row in ranked:
        assert row.rank is not None
        rank = row.rank
        best = [_number(row.best_of.get(k)) for k in ks]
        rows.append([row.arm.name, str(rank.observed), f"{rank.low} to {rank.high}", f"{rank.first:.0%}", *best])
    return rows


def contrast_table(summary: Summary, form: str) -> str:
    """Whether changes add up, and what each adds to all; empty where no arms allow to tell."""
    return _rendered(contrast_rows(summary), form)


def contrast_rows(summary: Summary) -> list[list[str]]:
    """The heading and a row for each contrast."""
    if not summary.contrasts:
        return []
    rows = [["contrast", "n", "effect", "95 % CI", "p", "p (Holm)"]]
    for each in summary.contrasts:
        p = ["" if p is None else _p(p) for p in (each.p, each.p_holm)]
        rows.append([each.name, str(each.n), _signed(each.effect), _interval(each.interval, False), *p])
    return rows


def cells(row: ArmResult, *, precise: bool = False) -> list[str]:
    """The cells of one arm; empty where there is nothing to say."""
    c = row.comparison
    show = repr if precise else _number
    sign = repr if precise else _signed
    text = [row.arm.name, str(len(row.values))]
    text += ["" if v is None else show(v) for v in (row.mean, row.sd)]
    text += [_interval(row.ci, precise), _interval(row.bootstrap, precise)]
    text += ["" if c is None else sign(c.difference), _interval(c.interval if c else None, precise)]
    text += ["" if p is None else repr(p) if precise else _p(p) for p in (c.p if c else None, row.p_holm)]
    text += ["" if c is None or c.effect is None else f"{c.effect:.2f}"]
    text += ["" if row.hours is None else f"{row.hours:.3g}", "" if row.memory_mb is None else f"{row.memory_mb:.0f}"]
    return text


def render(rows: Sequence[Sequence[str]], form: str) -> str:
    """Rows, the first of them the heading, in a form."""
    if form == "csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        return out.getvalue().rstrip("\n")
    if form == "latex":
        head, *body = ([_tex(cell) for cell in row] for row in rows)
        lines = [rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
        return "\n".join([*lines, *(" & ".join(row) + r" \\" for row in body), r"\bottomrule", r"\end{tabular}"])
    head, *body = ([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)])


def _tex(cell: str) -> str:
    cell = cell.replace("\\", r"\textbackslash ")
    for character in "&%$#_{}":
        cell = cell.replace(character, "\\" + character)
    return cell.replace("~", r"\textasciitilde ").replace("^", r"\textasciicircum ")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3g}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _interval(interval: Interval | None, precise: bool) -> str:
    if interval is None:
        return ""
    return f"{interval.low!r} {interval.high!r}" if precise else f"{interval.low:.4g} to {interval.high:.4g}"
