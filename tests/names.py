"""Names of files that tests share."""

import pytest

ONLY_UNIX = [pytest.param(name, marks=pytest.mark.unix) for name in ("a\nb.jpg", "not utf-8 \udcff.jpg")]
"""Names that Windows does not allow: invalid Unicode, and line breaks."""
