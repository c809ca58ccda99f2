"""`generate`: from a configuration to the two tables of the layout and the labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ml.sample import clinical, courses, money
from ml.sample.claims import Claims
from ml.sample.config import FRAUD_TYPES, GeneratorConfig
from ml.sample.fraud import Ring, commit, recruit
from ml.sample.providers import Providers, make_providers
from ml.sample.season import first_day_number
from ml.sample.tables import Population, diagnoses_table, visits_table

HONEST = "none"


@dataclass(frozen=True)
class Sample:
    """A generated sample: `visits` and `diagnoses` in the raw layout, and `labels`, one row a claim.

    `labels` has claim_id, fraud_type (`none` or one of FRAUD_TYPES), is_fraud, facility (the digits the claim id
    begins with), is_bad_provider, and bad_provider_patterns (what the provider does systematically, `;`-joined).
    """

    visits: pa.Table
    diagnoses: pa.Table
    labels: pa.Table


def generate(config: GeneratorConfig) -> Sample:
    """Generate a sample; the same configuration always gives the same one."""
    seeds = np.random.SeedSequence(config.seed).spawn(5)
    rng = [np.random.Generator(np.random.PCG64(seed)) for seed in seeds]
    providers = make_providers(rng[0], config.provider_count)
    visits = courses.plan(config, rng[1], providers)
    first_day = first_day_number(config)
    claims = clinical.treat(rng[2], visits, providers, first_day)
    patients = visits.patients
    money.price(claims, providers)
    money.disturb(rng[2], claims, config.noise)
    ring = recruit(rng[3], config, claims, providers)
    claims = commit(rng[3], config, claims, providers, ring)
    claims = claims.take(np.lexsort((rng[4].random(len(claims)), claims.discharge)))
    paid = money.verify(rng[4], claims)
    table = visits_table(rng[4], claims, paid, Population(patients, providers))
    claim_id = table["FKL02"].combine_chunks()
    return Sample(table, diagnoses_table(claims, claim_id), _labels(claims, claim_id, providers, ring))


def _labels(claims: Claims, claim_id: pa.Array, providers: Providers, ring: Ring) -> pa.Table:
    names = pa.array([HONEST, *FRAUD_TYPES])
    facilities = pa.array([str(number) for number in providers.number])
    does = [";".join(name for name, yes in zip(FRAUD_TYPES, row, strict=True) if yes) for row in ring.patterns]
    known = sorted(set(does))
    pattern = np.array([known.index(text) for text in does], dtype=np.int32)
    where = claims.provider
    return pa.table(
        {
            "claim_id": claim_id,
            "fraud_type": pa.DictionaryArray.from_arrays(pa.array(claims.fraud), names),
            "is_fraud": pa.array(claims.fraud > 0),
            "facility": pa.DictionaryArray.from_arrays(pa.array(where), facilities),
            "is_bad_provider": pa.array(ring.bad[where]),
            "bad_provider_patterns": pa.DictionaryArray.from_arrays(pa.array(pattern[where]), pa.array(known)),
        }
    )
