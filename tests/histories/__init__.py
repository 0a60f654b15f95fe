"""What tests/test_random_histories.py is made of: a world as the database has it, the model, the laws, plans and devices."""

import pytest

# So that a law that is broken shows what it compared.
pytest.register_assert_rewrite("tests.histories.laws")
