"""When to renew a lease, and when to stop acting on it."""

from __future__ import annotations

from dataclasses import dataclass

from supreme_dask.errors import ConfigError

_RENEW = 0.2
_RETRY = 0.35


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Times of a lease, in seconds; one failed renewal may be repeated before it is too late.

    Attributes
    ----------
    ttl : float
        After which the store ends it unless renewed.
    renew : float
        Between two renewals.
    retry : float
        That one attempt to renew may take.

    Examples
    --------
    >>> timing = LeaseTiming.of(10)
    >>> timing.renew, timing.stop_at(renewed=100.0)
    (2.0, 109.0)
    """

    ttl: float
    renew: float
    retry: float

    def __post_init__(self) -> None:
        if not 0 < self.renew + 2 * self.retry <= self.ttl:
            raise ConfigError(
                "renew + 2 * retry",
                f"{self.renew:g} + 2 * {self.retry:g}",
                f"must be above 0 and at most the time to live, {self.ttl:g} s",
            )

    @classmethod
    def of(cls, ttl: float) -> LeaseTiming:
        """Return times that leave a tenth of the time to live unused."""
        return cls(ttl, _RENEW * ttl, _RETRY * ttl)

    def stop_at(self, renewed: float) -> float:
        """Return when the holder must have stopped, given when the last renewal that succeeded was sent.

        The store counts from when the renewal arrived, which was later: the holder stops first.
        """
        return renewed + self.renew + 2 * self.retry
