"""Tests of the steps of a night, and of what reads its releases."""

import pytest

pytest.register_assert_rewrite("tests.nightly.claims_api")
