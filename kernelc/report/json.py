"""The JSON report: the certificate itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def render(certificate: Mapping[str, Any]) -> str:
    """The text of certificate.json: ASCII, two-space indented, in the certificate's own order, no NaN or infinity.

    Raises:
        ValueError: the certificate holds a NaN or an infinity, which JSON cannot say.
    """
    return json.dumps(certificate, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def digest(certificate_text: str) -> str:
    """SHA-256 of certificate.json: what a page says it was made from."""
    return hashlib.sha256(certificate_text.encode()).hexdigest()
