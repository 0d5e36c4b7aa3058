"""The shape of a record's id: 26 characters, the first ten of them its time."""

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's alphabet: sorted, and without letters that look like digits."""

LENGTH = 26
TIME_LENGTH = 10


def base32(number: int, length: int) -> str:
    """Return the last `length` digits of `number`."""
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 32)
        text = DIGITS[digit] + text
    return text


def first_id_at(at_ms: int) -> str:
    """Return what sorts before every id made from `at_ms` (wall clock) on, and after older ones."""
    return base32(max(0, at_ms), TIME_LENGTH)
