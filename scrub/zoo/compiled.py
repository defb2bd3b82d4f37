from __future__ import annotations
COMPILED: dict = {}
