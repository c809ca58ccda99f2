"""Tests of the release room; what their helper modules assert is explained as in a test."""

import pytest

pytest.register_assert_rewrite("tests.release.fault_scenarios")
