"""Generated years, scored, whose reasons are recomputed."""

from __future__ import annotations

import pandas as pd
import pytest

from ml.sample import FraudRates, GeneratorConfig
from tests.claims.reasons_are_true.figures import (
    scored_year,
)


@pytest.fixture(scope="session")
def night(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return scored_year(tmp_path_factory.mktemp("night"), GeneratorConfig(claims=20_000, seed=5))


@pytest.fixture(scope="session")
def night_of_habits(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A facility splits visits often enough to tell (five patients), one invents some on Sundays, one copies stays."""
    fragmented = GeneratorConfig(claims=20_000, seed=7, fraud=FraudRates(fragmentation=0.004))
    return scored_year(tmp_path_factory.mktemp("habits"), fragmented, sundays=8, copies=5)
