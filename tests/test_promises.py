"""What the documentation promises is shown by tests that exist."""

import pytest

from tests.support.named_tests import ROOT, missing, named_tests


@pytest.mark.parametrize("page", ["reliability", "SECURITY"])
def test_each_promise_names_tests_that_exist(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 5
    assert [row for row in rows if not named_tests(row)] == []
    assert missing(text) == []
