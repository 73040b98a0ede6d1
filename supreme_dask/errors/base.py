"""The base of all."""

from __future__ import annotations


class SupremeError(Exception):
    """Base of all errors of this package."""
