"""URLs that name a store."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from supreme_dask.errors import StoreAddressError

_CREDENTIALS = re.compile("//[^/]*@")
_EXAMPLES = "write memory://, sqlite:///path/to/file or etcd://host:2379/prefix"


@dataclass(frozen=True, slots=True)
class Address:
    """A URL taken apart.

    Attributes
    ----------
    shown : str
        The URL without its password, for messages.
    hosts : tuple of str
        Each as ``host:port``.
    path : str
        With its leading slash; empty if there is none.
    options : dict
        Query part.
    password : str
        Not shown when the address is printed.
    """

    shown: str
    scheme: str
    hosts: tuple[str, ...]
    path: str
    options: dict[str, str]
    user: str = ""
    password: str = field(default="", repr=False)

    def problem(self, text: str) -> StoreAddressError:
        """Return the error that says what is wrong with this address."""
        return StoreAddressError(self.shown, text)

    def check_options(self, known: Iterable[str]) -> None:
        """Raise `StoreAddressError` if an option is not known."""
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            known_text = ", ".join(sorted(known)) or "none"
            raise self.problem(f"unknown option {', '.join(unknown)}, known are: {known_text}")

    def number(self, option: str, default: float, *, least: float) -> float:
        """Return an option as a number that is at least `least`."""
        text = self.options.get(option, str(default))
        try:
            value = float(text)
        except ValueError:
            raise self.problem(f"{option}={text!r} is not a number") from None
        if not value >= least:
            raise self.problem(f"{option}={text} is too small, the least is {least:g}")
        return value


def parse(url: str) -> Address:
    """Return the parts of a store's URL, or raise `StoreAddressError`."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise StoreAddressError(_CREDENTIALS.sub("//", url), f"{error}; {_EXAMPLES}") from None
    if not parts.scheme or "://" not in url:
        raise StoreAddressError(url, f"not a URL; {_EXAMPLES}")
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    return Address(
        shown=_without_password(parts, user, hosts) if credentials else url,
        scheme=parts.scheme,
        hosts=tuple(filter(None, hosts.split(","))),
        path=unquote(parts.path),
        options=dict(parse_qsl(parts.query, keep_blank_values=True)),
        user=unquote(user),
        password=unquote(password),
    )


def _without_password(parts: SplitResult, user: str, hosts: str) -> str:
    return parts._replace(netloc=f"{user}@{hosts}" if user else hosts).geturl()
