"""README, .env.example and the auditors' guide say what the code says."""

from __future__ import annotations

import re
import subprocess
from datetime import time
from pathlib import Path
from typing import get_args

import pytest

from ml.rules import load_ruleset
from ml.serving import create_app
from ml.serving.schema import ClaimsQuery, Pattern, ProvidersQuery
from ml.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from ml.sql import sql_text
from tests.claims.golden_reasons import GOLDEN, named_with

README = PROJECT_ROOT / "README.md"
GUIDE = PROJECT_ROOT / "docs" / "panduan-auditor.md"


def settings_rows() -> list[str]:
    """The README's settings table, made from the class."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for field in Settings.model_fields.values():
        default = str(field.default).replace(f"{PROJECT_ROOT}/", "")
        default = default.lower() if isinstance(field.default, bool) else default
        if isinstance(field.default, time):
            default = f"{field.default:%H:%M}"
        shown = "(none)" if field.default in (None, "") else f"`{default}`"
        rows.append(f"| `{field.validation_alias}` | {shown} | {field.description} |")
    return rows


def test_the_settings_table_is_the_class() -> None:
    assert "\n".join(settings_rows()) in README.read_text(), "README's settings table differs from ml.settings.Settings"


def test_env_example_names_every_setting_with_its_default() -> None:
    text = (PROJECT_ROOT / ".env.example").read_text()
    named = re.findall(r"^#?\s?([A-Z_]+)=", text, flags=re.MULTILINE)
    assert named == [field.validation_alias for field in Settings.model_fields.values()]
    for secret in ("CLAIMS_PATIENT_KEY_SECRET", "CLAIMS_API_JWT_SECRET"):
        assert f"{secret}=\n" in text, "the example must not carry a usable secret"


def test_env_example_says_of_every_setting_what_the_class_says() -> None:
    """In a block of its own: a comment that heads several variables is of the first one only."""
    blocks = (PROJECT_ROOT / ".env.example").read_text().replace("`", "").split("\n\n")[1:]
    said = [block.splitlines()[0] for block in blocks]
    assert said == [f"# {field.description}".replace("`", "") for field in Settings.model_fields.values()]


def test_every_path_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README.read_text())
    assert links
    assert [link for link in links if not (PROJECT_ROOT / link).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    pages = [f"docs/{page.name}" for page in (PROJECT_ROOT / "docs").glob("*.md")]
    assert [page for page in pages if f"]({page})" not in README.read_text()] == []


def test_the_auditors_guide_quotes_the_reasons_as_they_are() -> None:
    """One sentence or more of each channel; those of the two contexts are no golden ones."""
    golden = {}
    for visits, numbers, code, text_id, _ in GOLDEN.values():
        for number in numbers:
            golden[text_id.format(**named_with(number, numbers, visits))] = code
    quoted = re.findall(r"^> (?:- )?(.+)$", GUIDE.read_text(), flags=re.MULTILINE)
    contexts = [text for text in quoted if text.startswith(("faskes ", "gabungan besaran "))]
    assert [text for text in quoted if text not in golden and text not in contexts] == []
    typologies = {channel.code for channel in load_ruleset("RULESET_v2").channels if channel.role == "typology"}
    assert {golden[text] for text in quoted if text in golden} == typologies
    assert len(contexts) == 2


def test_the_auditors_guide_names_columns_that_exist() -> None:
    checks = GUIDE.read_text().partition("## Memeriksa dengan tangan")[2].partition("## Daftar faskes")[0]
    codes = {channel.code for channel in load_ruleset("RULESET_v2").channels}
    named = set(re.findall(r"`([a-z][a-z_]+)`", checks)) - codes - {"claims_high_risk", "duckdb"}
    assert named
    assert named - set(re.findall(r"\w+", sql_text("claims_normalized/80_claims_normalized.sql"))) == set()


def test_the_page_of_the_api_names_its_calls_and_parameters_and_no_others() -> None:
    page = (PROJECT_ROOT / "docs" / "api.md").read_text()
    app = create_app(Settings(CLAIMS_API_JWT_SECRET="x" * 32))
    told = re.findall(r"^\| `GET (\S+)` \|", page, flags=re.MULTILINE)
    assert sorted(told) == sorted([*app.openapi()["paths"], "/openapi.json"])
    rows = page.partition("| parameter of `/claims/high-risk` |")[2].partition("\n\n")[0]
    named = [
        name
        for row in rows.splitlines()
        for name in re.findall(r"`(\w+)`", row.split("|")[1:2][0] if "|" in row else "")
    ]
    assert sorted(named) == sorted(ClaimsQuery.model_fields)
    sentence = page.partition("`/providers/high-risk` takes ")[2].partition(". A parameter")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(ProvidersQuery.model_fields) | set(get_args(Pattern))


def test_every_make_target_the_readme_names_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z0-9]+)\b", README.read_text()))
    helped = subprocess.run(["make", "help"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout
    assert named <= set(re.findall(r"^make ([a-z0-9]+)", helped, flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAIMS_MAX_BAD_SHARE", "1.5"),
        ("CLAIMS_MIN_PEERS", "few"),
        ("CLAIMS_DUCKDB_MEMORY_LIMIT", "lots"),
        ("REFRESH_TOP_K", "0"),
        ("RULESET_VERSION", "../secret"),
        ("CLAIMS_KEEP_RELEASES", "1"),
    ],
)
def test_a_wrong_value_is_refused_by_the_variables_name(monkeypatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name}: .*got '{re.escape(value)}'"):
        load_settings()


@pytest.mark.parametrize("name", ["CLAIMS_PATIENT_KEY_SECRET", "CLAIMS_API_JWT_SECRET"])
def test_a_short_secret_is_refused_without_being_shown(monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_relative_folder_begins_at_the_project_root(tmp_path: Path, monkeypatch) -> None:
    """Also for a cron job or a task that stands elsewhere."""
    monkeypatch.chdir(tmp_path)
    dotenv = tmp_path / "settings.env"
    dotenv.write_text("CLAIMS_INSTANCE_DIR=instance-2\n")
    monkeypatch.setenv("CLAIMS_RAW_DIR", "exports/2022")
    settings = Settings(_env_file=dotenv)
    assert (settings.logs, settings.raw) == (PROJECT_ROOT / "instance-2/logs", PROJECT_ROOT / "exports/2022")
    monkeypatch.setenv("CLAIMS_RAW_DIR", str(tmp_path))
    assert Settings(_env_file=dotenv).raw == tmp_path
