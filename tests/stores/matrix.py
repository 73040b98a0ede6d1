"""The table of what faults do to traffic; pytest prints it after all tests."""

from collections import Counter
from dataclasses import dataclass, field

HEADER = ("fault", "runs", "written", "seen", "lost", "repeated", "out of order", "invented", "longest gap, s")


@dataclass
class Row:
    """What one fault did, in all runs together; the gap is the longest between two acknowledged puts."""

    runs: int = 0
    written: int = 0
    seen: int = 0
    wrong: Counter = field(default_factory=Counter)
    gap: float = 0.0
    errors: Counter = field(default_factory=Counter)

    def add(self, found):
        self.runs += 1
        self.written += found["written"]
        self.seen += found["seen"]
        self.wrong.update({kind: len(values) for kind, values in found["verdict"].items()})
        self.gap = max(self.gap, found["gap"])
        self.errors.update(found["errors"])

    def cells(self):
        errors = ", ".join(f"{name} {count}" for name, count in sorted(self.errors.items()))
        return [self.runs, self.written, self.seen, *self.wrong.values(), f"{self.gap:.2f}", errors]


class Matrix:
    """Rows by fault, in the order in which they were first added."""

    def __init__(self):
        self._rows = {}

    def add(self, fault, found, *refused):
        """Add what traffic found, and the errors with which others were refused meanwhile."""
        row = self._rows.setdefault(fault, Row())
        row.add(found)
        row.errors.update(type(error).__name__ for error in refused)

    def lines(self):
        yield "| " + " | ".join((*HEADER, "errors, by name")) + " |"
        yield "|---" * (len(HEADER) + 1) + "|"
        for fault, row in self._rows.items():
            yield f"| {fault} | " + " | ".join(map(str, row.cells())) + " |"
        yield "Where no majority is left, or everything is cut, the gap is as long as the fault."
