"""Rules for scaling: each looks at the cluster and proposes; `core.scaling` settles what comes of it."""

from __future__ import annotations

from supreme_dask.core.policies.base import AtLeast, AtMost, Cap, Policy, Proposal, Rule, Spare, Unmet
from supreme_dask.core.policies.reading import DEFAULT_POLICY, read_policy, unknown_groups
from supreme_dask.core.policies.situation import Situation, Supply

__all__ = [
    "DEFAULT_POLICY",
    "AtLeast",
    "AtMost",
    "Cap",
    "Policy",
    "Proposal",
    "Rule",
    "Situation",
    "Spare",
    "Supply",
    "Unmet",
    "read_policy",
    "unknown_groups",
]
