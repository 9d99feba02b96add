"""The machine's assertions say what they compared, like those of a test."""

import pytest

pytest.register_assert_rewrite("stateful.machine", "stateful.model")
