"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a slow or busy machine is no error
settings.load_profile("any machine")
