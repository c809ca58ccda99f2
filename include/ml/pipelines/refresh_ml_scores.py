"""`python -m ml.pipelines.refresh_ml_scores --top-k 50`: the nightly run without Airflow, by the same functions."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from types import FrameType
from typing import Annotated

import typer

from ml import nightly
from ml.clock import data_date_of, now, stamp
from ml.pipelines.console import Verbose, fail, log_to_stderr, say
from ml.release import ReleaseError, RunToken
from ml.settings import Settings, SettingsError, load_settings

log = logging.getLogger("ml.pipelines.refresh_ml_scores")


class StoppedError(BaseException):
    """A signal asked the command to stop; not an `Exception`, so that nothing on the way takes it for a failed step."""


def main(
    top_k: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Riskiest claims that QC looks at.", show_default="REFRESH_TOP_K, else 50"
        ),
    ] = None,
    data_date: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Jakarta date of the claims to score.", show_default="the newest there is"
        ),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Score all claims, publish the scores, check them; on any failure the scores that were live stay in use."""
    log_to_stderr(verbose=verbose)
    try:
        settings = load_settings()
    except SettingsError as error:
        fail(error)
    # With the process id: two runs may start within a second.
    token = RunToken(f"cli__{stamp(now())}-{os.getpid()}", 1)
    with _signals_raise() as received:
        try:
            with nightly.store_of(settings).running(token.run_id):
                _refresh(settings, token, top_k, data_date)
        except BaseException as error:  # whatever happened, readers must be back on what was live
            log.debug("the error comes from here", exc_info=True)
            what = f"{error}" or type(error).__name__
            message = _restore(settings, token, f"{type(error).__name__}: {error}"[:500])
            # A shell reports 128 + n for a process that signal n has ended.
            fail(f"{what}\nThe refresh failed. {message}", 128 + received[0] if received else 1)


@contextmanager
def _signals_raise() -> Iterator[list[signal.Signals]]:
    """Turn SIGTERM (cron's timeout), SIGINT (Ctrl-C) and SIGHUP (a closed terminal) into an error; list what came."""
    received: list[signal.Signals] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(signal.Signals(number))
        for again in (signal.SIGTERM, signal.SIGHUP):  # timeout(1) sends it twice; the restore shall end
            signal.signal(again, signal.SIG_IGN)
        raise StoppedError(f"stopped by {received[-1].name}")

    stopping = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        stopping.append(signal.SIGHUP)
    before = {number: signal.signal(number, stop) for number in stopping}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _restore(settings: Settings, token: RunToken, reason: str) -> str:
    """Put back what was live and say how it went; a failing restore must not hide why the refresh failed."""
    try:
        return nightly.restore(settings, token.run_id, token.try_number, reason=reason).message
    except BaseException as error:  # also a second Ctrl-C, while another publisher holds the lock
        log.debug("the error comes from here", exc_info=True)
        return (
            f"ERROR: restoring failed too: {error or type(error).__name__}\n{_what_is_live(settings)} The next run "
            "starts with taking back what did not pass its QC; refresh again, or wait for the night."
        )


def _what_is_live(settings: Settings) -> str:
    store = nightly.store_of(settings)
    try:
        live = store.live()
        if live is None:
            return "No release is live."
        verdict = {True: "has passed its QC", False: "has failed its QC", None: "has not passed a QC"}
        return f"Release {live.id} is live; it {verdict[store.qc_passed(live.id)]}."
    except (ReleaseError, OSError) as error:
        return f"What is live cannot be told: {error}."


def _refresh(settings: Settings, token: RunToken, top_k: int | None, data_date: datetime | None) -> None:
    nightly.recover(settings, token.run_id)
    scored = nightly.score(settings, token, data_date=data_date.date() if data_date else None)
    say(f"scored {scored.rows:,} claims of {scored.data_date} with {scored.model_version}, {scored.ruleset_version}")
    latest = data_date_of(now())
    if data_date is None and date.fromisoformat(scored.data_date) < latest:
        log.warning(
            "these are old claims: the newest claims_normalized is of %s, tonight's would be of %s. The ETL has not "
            "succeeded since; run python -m ml.pipelines.normalize_claims, or name a --data-date to score old claims",
            scored.data_date,
            latest,
        )
    nightly.audit(settings, scored.folder)
    published = nightly.publish(settings, token, scored.folder)
    qc_log = nightly.check_quality(
        settings, release_id=published.release_id, run_id=token.run_id, expected_rows=scored.rows, top_k=top_k
    )
    nightly.summarise(settings, scored.folder)
    state = "live" if published.switched else "archived (a newer data date is live)"
    say(f"release {published.release_id}: {published.rows:,} rows, {state}, QC passed ({qc_log})")


if __name__ == "__main__":
    typer.run(main)
