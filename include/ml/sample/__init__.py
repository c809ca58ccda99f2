"""Synthetic claims in the BPJS sample-data layout, with known fraud: `generate` them, `write` them."""

from ml.sample.config import FRAUD_TYPES, FraudRates, GeneratorConfig, Setting
from ml.sample.files import SampleError, write
from ml.sample.generate import Sample, generate

__all__ = ["FRAUD_TYPES", "FraudRates", "GeneratorConfig", "Sample", "SampleError", "Setting", "generate", "write"]
