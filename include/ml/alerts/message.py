"""The words of an alert, in Bahasa Indonesia, for e-mail (HTML) and Slack (blocks). Short: it is read half asleep."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ml.alerts import commands
from ml.alerts.facts import Fate, ReaderView
from ml.alerts.incidents import DEADLINE_TASK, ETL_DAG, ROLLBACK_DAG, SCORING_DAG, TRAINING_DAG, AlertKind
from ml.alerts.story import Story
from ml.clock import JAKARTA

NAMES = {
    ETL_DAG: "ETL klaim",
    SCORING_DAG: "Skor risiko klaim",
    TRAINING_DAG: "Pelatihan model",
    ROLLBACK_DAG: "Rollback skor",
}
COLOURS = {
    AlertKind.FAILED: "#b3261e",
    AlertKind.STILL: "#b3261e",
    AlertKind.DEADLINE: "#b3261e",
    AlertKind.WARNING: "#8a5a00",
    AlertKind.RECOVERED: "#1b6e3c",
}
MONTHS = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
]
SLACK_HEADER, SLACK_SECTION = 150, 2900  # characters Slack takes


@dataclass(frozen=True)
class Alert:
    """A finished alert. `text` is the plain form, for logs and for Slack's notification line."""

    subject: str
    text: str
    html: str
    blocks: list[dict[str, Any]]


@dataclass(frozen=True)
class _Part:
    label: str
    text: str


@dataclass(frozen=True)
class _Figure:
    label: str
    value: str
    note: str


def compose(story: Story, *, base_url: str, now: datetime) -> Alert:
    """Put a story into words.

    Args:
        story: what is to be told.
        base_url: of Airflow's UI, without a slash at its end.
        now: for ages.
    """
    title, parts = _title(story), _parts(story, now)
    figures, links = _figures(story), _links(story, base_url.rstrip("/"))
    todo = commands.next_commands(story)
    subject = f"[{_tag(story)}] {title}"
    lines = [subject, *(f"{part.label}: {part.text}" for part in parts)]
    lines += [f"{figure.label}: {figure.value}" + (f" ({figure.note})" if figure.note else "") for figure in figures]
    lines += [f"Langkah berikut: {command}" for command in todo] + [f"{name}: {url}" for name, url in links]
    html = _template().render(
        tag=_tag(story), title=title, parts=parts, figures=figures, links=links, todo=todo,
        colour=COLOURS[story.kind], data_date=_day(story.data_date),
    )  # fmt: skip
    return Alert(subject, "\n".join(lines), html, _blocks(subject, parts, figures, todo, links))


def _tag(story: Story) -> str:
    if story.kind is AlertKind.DEADLINE and story.readers.problem:
        return "RUSAK, SEGERA"
    if story.urgent and story.kind in (AlertKind.FAILED, AlertKind.STILL):
        return "GAGAL, SEGERA"
    if story.nights > 1 and story.kind in (AlertKind.STILL, AlertKind.DEADLINE):
        return f"MASIH {'GAGAL' if story.kind is AlertKind.STILL else 'TERLAMBAT'}, malam ke-{story.nights}"
    return {
        AlertKind.FAILED: "GAGAL",
        AlertKind.STILL: "MASIH GAGAL",
        AlertKind.RECOVERED: "PULIH",
        AlertKind.WARNING: "perhatian",
        AlertKind.DEADLINE: "TERLAMBAT",
    }[story.kind]


def _title(story: Story) -> str:
    failed = story.kind in (AlertKind.FAILED, AlertKind.STILL) and story.task_id
    night = "" if story.dag_id == ROLLBACK_DAG else f", data {_day(story.data_date)}"
    return f"{NAMES.get(story.dag_id, story.dag_id)}{night}" + (f": {failed}" if failed else "")


def _parts(story: Story, now: datetime) -> list[_Part]:
    parts = [_Part("Apa", _what(story))]
    if story.error:
        parts.append(_Part("Sebab", story.error))
    elif story.task_id and story.kind in (AlertKind.FAILED, AlertKind.STILL):
        parts.append(_Part("Sebab", "proses task berakhir tanpa pesan: dihentikan, atau kehabisan memori."))
    unchecked = story.outcome is not None and story.outcome.fate is Fate.UNCHECKED
    warning = "BELUM LOLOS QC: " if unchecked else ""
    parts.append(_Part("Yang dilihat auditor sekarang", warning + _readers(story.readers, now)))
    if story.dag_id == ROLLBACK_DAG:
        parts.append(_Part("Rollback", _rolled_back(story)))
    elif restored := _restored(story):
        parts.append(_Part("Pemulihan", restored))
    if advice := commands.advice(story):
        parts.append(_Part("Perhatikan", advice))
    if story.warnings:
        parts.append(_Part("Peringatan QC", "; ".join(story.warnings)))
    return parts


def _what(story: Story) -> str:
    name = f"DAG {story.dag_id}"
    if story.kind is AlertKind.DEADLINE and story.readers.problem:
        return f"Rilis yang tayang rusak atau tidak terbaca: {story.readers.problem}"
    if story.kind is AlertKind.DEADLINE:
        return f"Belum ada rilis skor untuk data {_day(story.data_date)}, padahal batas waktunya sudah lewat."
    if story.kind is AlertKind.WARNING:
        return f"{name} berhasil dan rilisnya tayang, tetapi QC memberi peringatan."
    if story.kind is AlertKind.RECOVERED:
        late = story.task_id == DEADLINE_TASK
        before = "terlambat" if late else f"gagal di {story.task_id}" if story.task_id else "gagal"
        since = f" (sejak data {_day(story.since)}, {story.nights} malam)" if story.nights > 1 else ""
        return f"{name} berhasil lagi; sebelumnya {before}{since}."
    where = f"task {story.task_id}" if story.task_id else "run dihentikan atau melewati batas waktu"
    since = f", sejak data {_day(story.since)}" if story.nights > 1 else ""
    return f"{name}, {where}{since}."


def _readers(view: ReaderView, now: datetime) -> str:
    if view.problem:
        return f"RILIS RUSAK ATAU TIDAK TERBACA ({view.release_id or 'tidak diketahui'})."
    if view.release_id is None or view.created_at is None:
        return "Tidak ada rilis skor yang tayang."
    return (
        f"skor data {_day(view.data_date)}, {_number(view.rows or 0)} klaim, umur {_age(now - view.created_at)} "
        f"(terbit {view.created_at.astimezone(JAKARTA):%d-%m-%Y %H.%M} WIB, rilis {view.release_id})."
    )


def _restored(story: Story) -> str | None:
    """Whether the restore worked, by what is live now and not by what was tried."""
    if story.outcome is None or story.kind in (AlertKind.WARNING, AlertKind.RECOVERED):
        return None
    made = story.outcome.release_id
    again = ", sejak diulang," if story.attempt else ""
    back_to = "rilis sebelumnya tayang lagi" if story.readers.release_id else "tidak ada rilis yang tayang"
    return {
        Fate.NONE: f"tidak perlu: run ini{again} belum menayangkan apa pun.",
        Fate.ARCHIVED: f"tidak perlu: rilis {made} hanya diarsipkan, data yang lebih baru tetap tayang.",
        Fate.TAKEN_BACK: f"berhasil: rilis {made} ditarik, {back_to}.",
        Fate.REPLACED: f"tidak perlu: rilis {made} sudah digantikan rilis lain.",
        Fate.STAYS: f"tidak perlu: rilis {made} lolos QC dan tetap tayang; yang gagal langkah sesudahnya.",
        Fate.UNCHECKED: f"GAGAL: rilis {made} belum lolos QC tetapi masih tayang. Kembalikan sekarang dengan tangan.",
        None: "TIDAK DIKETAHUI: jurnal rilis tidak terbaca.",
    }[story.outcome.fate]


def _rolled_back(story: Story) -> str:
    """Whether the release that an operator chose has been put back before the run failed."""
    release = story.outcome.release_id if story.outcome else None
    return {
        Fate.STAYS: f"sudah dilakukan: rilis {release} tayang; yang gagal langkah sesudahnya.",
        Fate.REPLACED: f"sudah dilakukan, tetapi rilis {release} sudah digantikan rilis lain.",
        None: "TIDAK DIKETAHUI: jurnal rilis tidak terbaca.",
    }.get(story.outcome.fate if story.outcome else None, "belum dilakukan: run ini tidak mengubah rilis yang tayang.")


def _figures(story: Story) -> list[_Figure]:
    """The three figures that tell most: what the top-K costs, how short its stays are, how many claims or checks."""
    if story.snapshot is None:
        return []
    summary = story.snapshot.summary
    changes = summary.get("changes") or {}
    top_k, of = summary.get("top_k") or 0, "" if story.of_run else " (yang tayang)"
    figures: list[_Figure] = []
    if (mean := summary.get("amount_claimed_top_k_mean")) is not None:
        change = _change(changes.get("amount_claimed_top_k_mean_change"), 100, "%")
        figures.append(_Figure(f"Rata-rata tagihan top-{top_k}{of}", f"Rp {_number(round(mean))}", change))
    if (share := summary.get("los_le_1_ratio_top_k")) is not None:
        change = _change(changes.get("los_le_1_ratio_top_k_change"), 100, " poin")
        figures.append(_Figure(f"LOS ≤ 1 hari di top-{top_k}{of}", f"{_decimal(share * 100)}%", change))
    if story.of_run and (failed := summary.get("failed_expectations")):
        figures.append(_Figure("Pemeriksaan QC yang gagal", str(len(failed)), ", ".join(failed[:3])))
    else:
        figures.append(_Figure(f"Klaim diberi skor{of}", _number(summary["total_rows"]), ""))
    return figures


def _links(story: Story, base_url: str) -> list[tuple[str, str]]:
    dag = f"{base_url}/dags/{quote(story.dag_id, safe='')}"
    if story.run_id is None:
        return [("DAG di Airflow", dag)]
    run = f"{dag}/runs/{quote(story.run_id, safe='')}"
    links = [("Run di Airflow", run)]
    if story.task_id and story.kind in (AlertKind.FAILED, AlertKind.STILL):
        links.append((f"Log {story.task_id}", f"{run}/tasks/{quote(story.task_id, safe='')}"))
    return links


def _blocks(
    subject: str,
    parts: list[_Part],
    figures: list[_Figure],
    todo: list[str],
    links: list[tuple[str, str]],
) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": subject[:SLACK_HEADER]}},
        _section("\n".join(f"*{part.label}:* {_escaped(part.text)}" for part in parts)),
    ]
    if figures:
        texts = [f"{_escaped(item.label)}\n*{_escaped(item.value)}*\n{_escaped(item.note)}" for item in figures]
        blocks.append({"type": "section", "fields": [{"type": "mrkdwn", "text": text.strip()} for text in texts]})
    if todo:
        blocks.append(_section("*Langkah berikut:*\n```" + "\n".join(_escaped(line) for line in todo) + "```"))
    blocks.append(_section("   ".join(f"<{url}|{_escaped(name)}>" for name, url in links)))
    return blocks


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:SLACK_SECTION]}}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _day(day: date | None) -> str:
    return "(tidak diketahui)" if day is None else f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def _age(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    if hours < 1:
        return f"{max(int(hours * 60), 0)} menit"
    return f"{int(hours)} jam" if hours < 48 else f"{int(hours // 24)} hari"


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", ".")


def _decimal(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")


def _change(value: float | None, scale: float, unit: str) -> str:
    if value is None:
        return ""
    return f"{'+' if value >= 0 else '−'}{_decimal(abs(value) * scale)}{unit} dari sebelumnya"


@cache
def _template() -> Any:
    loader = FileSystemLoader(Path(__file__).parent)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("email.html")
