"""Alerts: what happened to the runs, when to tell whom, and the words. Sending is the plugin's (`plugins/`)."""

from ml.alerts.events import AlertBook, Event, Kind, RunKey
from ml.alerts.facts import Outcome, ReaderView, outcome_of, reader_view
from ml.alerts.message import Alert, compose
from ml.alerts.story import Story, deadline_story, failure_story, success_story

__all__ = [
    "Alert",
    "AlertBook",
    "Event",
    "Kind",
    "Outcome",
    "ReaderView",
    "RunKey",
    "Story",
    "compose",
    "deadline_story",
    "failure_story",
    "outcome_of",
    "reader_view",
    "success_story",
]
