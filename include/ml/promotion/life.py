"""A model's life in steps, for the DAG and the commands alike: train -> judge -> promote; and the first one of all."""

from __future__ import annotations

import logging
from datetime import date

from ml.claims.etl import ClaimsFile, NoClaimsError, find_claims
from ml.claims.find import claims_of
from ml.model.artefact import ModelError, RiskModel, default_model, load_model, save_model
from ml.model.gate_file import write_gate_file
from ml.model.training import SEED, train
from ml.promotion.gate import conditions, judge
from ml.promotion.log import Entry
from ml.promotion.registry import UNKNOWN, NotJudgedError, PromotionError, Registry, user
from ml.promotion.report import GateReport
from ml.rules import Ruleset, load_ruleset
from ml.sample.files import is_generated
from ml.scoring.channels import missing_scales, require_scales
from ml.settings import Settings

log = logging.getLogger(__name__)


class GateRefusedError(PromotionError):
    """The gate refuses a model; the message says why. The default is the one it was."""

    def __init__(self, report: GateReport) -> None:
        self.report = report
        stays = f"The default stays {report.against}." if report.against else "There is no default model yet."
        super().__init__(
            f"The gate refuses {report.version}: {'; '.join(report.refusals)}. {stays} To look: python -m "
            f"ml.pipelines.models show {report.version}; to use it all the same: python -m ml.pipelines.models "
            f"promote {report.version} --force --reason TEXT"
        )


def train_candidate(
    settings: Settings, data_date: date | None = None, *, seed: int = SEED, who: str | None = None
) -> RiskModel:
    """Train a model on published claims, keep it, and note it in the log; the default stays what it is.

    Args:
        settings: where.
        data_date: of the claims; None means the newest.
        seed: of the forests.
        who: user or DAG run; None means the user of this process.

    Raises:
        DataDateError: the data date lies in the future.
        NoClaimsError: the ETL has made no claims_normalized for the data date.
        ModelError: the claims cannot train one.
    """
    claims = claims_of(settings, data_date)
    model = train(claims.path, claims.data_date, seed, settings=settings)
    save_model(model, settings.models)
    Registry.of(settings).record_trained(model.version, claims.source, who or user())
    log.info("trained %s on %s claims of %s", model.version, claims.rows, claims.data_date)
    return model


def judge_candidate(settings: Settings, version: str, *, who: str | None = None) -> GateReport:
    """Let the gate judge a model against the default, and keep its word beside the model and in the log.

    Raises:
        ModelError: the model cannot be loaded, or lacks a channel of the ruleset.
        RulesetError: the ruleset cannot be used.
    """
    registry = Registry.of(settings)
    ruleset = load_ruleset(settings.ruleset_version)
    candidate = load_model(settings.models, version)
    against = registry.default_version
    current, notes = _comparable(settings, against, ruleset)
    source = registry.trained_on(version)
    is_yardstick = source == UNKNOWN or is_generated(source) or not is_generated(registry.trained_on(against or ""))
    if current and not is_yardstick:
        notes = (*notes, f"not compared with the default {against}, which was trained on generated claims")
    report = judge(
        candidate,
        current,
        settings,
        ruleset,
        newest=_newest(settings),
        against=against,
        is_yardstick=is_yardstick,
        notes=notes,
    )
    write_gate_file(settings.models / version, report.model_dump(mode="json"))
    registry.record_gate(report, who or user())
    level = logging.INFO if report.passed else logging.WARNING
    said = "passed" if report.passed else f"refused: {'; '.join(report.refusals)}"
    log.log(level, "gate: %s against %s: %s", version, against or "no default", said)
    return report


def promote_candidate(
    settings: Settings, version: str, *, who: str | None = None, reason: str | None = None, force: bool = False
) -> Entry:
    """Make a model the default; the gate judges it first, unless it has passed against the present default already.

    Raises:
        GateRefusedError: the gate refuses it.
        DemotedError: somebody has demoted it.
        PromotionError: it is the default already, or force without a reason.
        ModelError: it cannot be loaded, or lacks a channel of the ruleset.
    """
    registry = Registry.of(settings)
    ruleset = load_ruleset(settings.ruleset_version)
    require_scales(load_model(settings.models, version), ruleset)
    who = who or user()

    def promoted() -> Entry:
        return registry.promote(version, conditions=conditions(ruleset), who=who, reason=reason, force=force)

    try:
        return promoted()
    except NotJudgedError:
        require_passed(settings, version, who=who)
        return promoted()


def train_default(
    settings: Settings, data_date: date | None = None, *, seed: int = SEED, who: str | None = None
) -> RiskModel:
    """Train a model on published claims and make it the default one, provided that it passes the gate.

    Raises:
        GateRefusedError: it does not; the model is kept as a candidate.
        DataDateError, NoClaimsError, ModelError: see `train_candidate`.
    """
    model = train_candidate(settings, data_date, seed=seed, who=who)
    adopt(settings, model.version, who=who)
    return model


def adopt(settings: Settings, version: str, *, who: str | None = None) -> None:
    """Make a model the default as `promote_candidate` does, unless it is already: the same claims make the same model.

    Raises:
        GateRefusedError, ModelError: see `promote_candidate`.
    """
    registry = Registry.of(settings)
    default = registry.default_version
    if default == version and registry.default_is_readable:
        log.info("%s is the default already", version)
    else:
        promote_candidate(settings, version, who=who)
        log.info("%s is the default now; before it: %s", version, default or "none")


def require_passed(settings: Settings, version: str, *, who: str | None = None) -> None:
    """Let the gate judge a model, unless it is the default or has passed against it already.

    Raises:
        GateRefusedError: the gate refuses it.
        ModelError: see `judge_candidate`.
    """
    registry = Registry.of(settings)
    held = conditions(load_ruleset(settings.ruleset_version))
    if version == registry.default_version or registry.has_passed(version, held):
        log.info("%s is the default, or has passed the gate against it: nothing to judge", version)
        return
    report = judge_candidate(settings, version, who=who)
    if not report.passed:
        raise GateRefusedError(report)


def why_train(settings: Settings) -> str | None:
    """Say why the newest claims want a model of their own: there is none that can be used, or it comes
    from another raw file.

    For whoever sets an instance up; a nightly run never replaces a model by itself.
    """
    default = default_model(settings.models)
    if default is None:
        return "there is no model yet"
    source = find_claims(settings).source
    if default.trained_on != source:
        return f"the default model was trained on {default.trained_on}, not on {source}"
    try:
        model = load_model(settings.models, default.version)
    except ModelError as error:
        return str(error)
    if missing := missing_scales(model, load_ruleset(settings.ruleset_version)):
        return f"the default model has no scale for {', '.join(missing)} of {settings.ruleset_version}"
    return None


def usable_default(settings: Settings) -> str | None:
    """Return the default's version, provided that it loads and can score by the ruleset."""
    try:
        default = default_model(settings.models)
        model = load_model(settings.models, default.version) if default else None
    except ModelError:
        return None
    return model.version if model and not missing_scales(model, load_ruleset(settings.ruleset_version)) else None


def _comparable(settings: Settings, version: str | None, ruleset: Ruleset) -> tuple[RiskModel | None, tuple[str, ...]]:
    """The default, if it can score by the ruleset; else why not."""
    if version is None:
        return None, ()
    try:
        current = load_model(settings.models, version)
    except ModelError as error:
        return None, (f"not compared with the default, which cannot be loaded: {error}",)
    if missing := missing_scales(current, ruleset):
        return None, (f"not compared with the default {version}, which has no scale for {', '.join(missing)}",)
    return current, ()


def _newest(settings: Settings) -> ClaimsFile | None:
    """The newest claims; a model can be judged without any."""
    try:
        return find_claims(settings)
    except NoClaimsError:
        return None
