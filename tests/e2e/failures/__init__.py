"""What happens when something fails, on one stack that all of these tests share."""

import pytest

pytest.register_assert_rewrite("tests.e2e.failures.stage")
