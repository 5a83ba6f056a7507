"""Format counts and rates for people."""

from __future__ import annotations

_PREFIXES = "KMGTPE"
_DIGITS = 3


def figure(amount: float, width: int) -> str:
    """Return a count or a rate in at most ``width`` characters, four or more.

    A number that fits is written in full; a rate below 1000 has one decimal if that fits, too.
    Other numbers become ``1.23K``, ``12.3M`` or ``123G``, with two digits if three do not fit.
    Prefixes are powers of 1000.
    """
    full = [str(amount)] if isinstance(amount, int) else [f"{amount:.1f}", f"{amount:.0f}"]
    for text in full if amount < 10**_DIGITS else full[-1:]:
        if len(text) <= width:
            return text
    first = max((len(full[-1]) - 1) // _DIGITS, 1)  # below it, there are more than three digits
    for power, prefix in enumerate(_PREFIXES[first - 1 :], first):
        for places in range(_DIGITS - 1, -1, -1):
            text = f"{amount / 1000**power:.{places}f}"
            fits = len(text) < min(width, _DIGITS + 2)
            if fits and float(text) < 10**_DIGITS:
                return text + prefix
    return full[-1]
