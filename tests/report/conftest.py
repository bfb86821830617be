from __future__ import annotations

import pytest

from browser import find_chromium, running


@pytest.fixture(scope="module")
def chromium():
    """A browser for the tests of one file."""
    if find_chromium() is None:
        pytest.skip("no chromium on the PATH; install the package chromium to test pages in a browser")
    with running() as browser:
        yield browser
