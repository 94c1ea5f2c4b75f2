"""Python twins of the kernels for text: numbers by a regular expression, times by strptime, words by a dict."""

import datetime
import re

SPACE = "[ \t\n\r\u00a0\u2007\u2009\u202f\u3000]"
MONEY = "[$\u00a2-\u00a5\u20a0-\u20cf]"
CODES = (
    "AED|ARS|AUD|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|KWD|KZT|MAD|MXN|"
    "MYR|NGN|NOK|NZD|PEN|PHP|PKR|PLN|QAR|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|Rs|kr"
)
NUMBER = re.compile(
    rf"(?P<open>\()?(?:{SPACE})*(?P<sign>[-+\u2212])?(?:{SPACE})*"
    rf"(?:(?P<prefix>(?:[A-Za-z]{{0,3}}{MONEY})|(?:{CODES})\.?)(?:{SPACE})*)?(?P<inner>[-+\u2212])?"
    r"(?P<body>[0-9.,'\u2019 \u00a0\u202f]*[0-9][.,]?)(?P<exponent>[eE][-+]?[0-9]{1,4})?"
    rf"(?:{SPACE})*(?P<unit>[%\u2030]|{MONEY}|[A-Za-z\u00b0\u00b5\u00b2\u00b3/ ]{{1,16}}[23]?)?"
    rf"(?(open)(?:{SPACE})*\))"
)


def read_number(text, decimal="."):
    """The number of a cell that has ASCII digits, or None."""
    match = NUMBER.fullmatch(text.strip(" \t\n\r\u00a0\u2007\u2009\u202f\u3000"))
    if match is None or (match["inner"] and (match["sign"] or match["open"])) or (match["sign"] and match["open"]):
        return None
    if match["prefix"] and match["unit"] and re.fullmatch(MONEY, match["unit"].strip()):
        return None
    body, other = match["body"], "," if decimal == "." else "."
    whole, dot, fraction = body.partition(decimal)
    if not re.fullmatch("[0-9]*", fraction):
        return None
    separators = set(re.findall(r"[^0-9]", whole))
    if separators:
        if len(separators) > 1 or not separators <= {other, "'", "\u2019", " ", "\u00a0", "\u202f"}:
            return None
        groups = re.split(r"[^0-9]", whole)
        plain = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
        lakh = "," in separators and len(groups[0]) <= 2 and len(groups[-1]) == 3 and all(
            2 <= len(group) <= 3 for group in groups[1:])
        if not groups[0] or groups[0].startswith("0") or not (plain or lakh):
            return None
        whole = "".join(groups)
    if not whole + fraction:
        return None
    shift = {"%": -2, "\u2030": -3}.get(match["unit"], 0) + int((match["exponent"] or "e0")[1:])
    value = float(f"{whole or 0}.{fraction or 0}e{shift}")
    negative = bool(match["open"]) or (match["sign"] or match["inner"] or "+") in "-\u2212"
    return -value if negative else value


DATES = [
    ("%Y-%m-%d", "both"), ("%Y/%m/%d", "both"), ("%d/%m/%Y", "day"), ("%m/%d/%Y", "month"), ("%d.%m.%Y", "day"),
    ("%m.%d.%Y", "month"), ("%d-%m-%y", "day"), ("%m-%d-%y", "month"), ("%d %b %Y", "both"), ("%B %d, %Y", "both"),
    ("%A, %d %B %Y", "both"), ("%d-%b-%y", "both"),
]
TIMES = ["", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p"]


def written_times(moment):
    """(text, day-first seconds or None, month-first seconds or None) of a moment in every format."""
    for date, _ in DATES:
        for clock in TIMES:
            text = moment.strftime(date + clock)
            found = []
            for mine in ("day", "month"):
                formats = [f for f, o in DATES if o in (mine, "both")]
                seconds = None
                for form in formats:
                    try:
                        read = datetime.datetime.strptime(text, form + clock)
                    except ValueError:
                        continue
                    seconds = (read - datetime.datetime(1970, 1, 1)).total_seconds()
                    break
                found.append(seconds)
            yield text, *found


def fnv(data):
    """FNV-1a of bytes with the kernel's mixing."""
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & (2**64 - 1)
    return ((h ^ (h >> 32)) * 0x9E3779B97F4A7C15) & (2**64 - 1)


def word_places(text, n_places):
    """Place to count of the words of a text."""
    counts = {}
    for word in re.findall(rb"[0-9A-Za-z\x80-\xff]+", text.encode()):
        place = (fnv(word.lower()) >> 16) % n_places
        counts[place] = counts.get(place, 0) + 1
    return counts
