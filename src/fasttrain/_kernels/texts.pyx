"""Cells of text as numbers, times and hashed words.

A column of text comes as its UTF-8 bytes one cell after the other, and where each cell ends: cell i is
``data[stops[i - 1]:stops[i]]``. Nothing here decides what a column is: each cell is read in every way that is allowed,
and the Python above chooses one for the column as a whole.
"""

from libc.math cimport NAN, sqrt
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memset

from fasttrain._kernels.types cimport STATUS_NO_MEMORY, STATUS_OK

# What a cell of a number shows. POINT: it is a number where "." stands before the fraction and "," between thousands;
# COMMA: where it is the other way round.
TRAITS = {
    "point": POINT, "comma": COMMA, "separated": SEPARATED, "leading_zero": LEADING_ZERO, "percent": PERCENT,
    "currency": CURRENCY, "unit": UNIT, "parenthesized": PARENTHESIZED,
}
# What a cell of a time shows.
TIME_TRAITS = {
    "day_first": DAY_FIRST, "month_first": MONTH_FIRST, "dotted": DOTTED, "hours": HOURS, "hours_only": HOURS_ONLY,
}

cdef enum:
    POINT = 1
    COMMA = 2
    SEPARATED = 4
    LEADING_ZERO = 8
    PERCENT = 16
    CURRENCY = 32
    UNIT = 64
    PARENTHESIZED = 128

cdef enum:
    DAY_FIRST = 1
    MONTH_FIRST = 2
    DOTTED = 4
    HOURS = 8
    HOURS_ONLY = 16

cdef enum:
    LONGEST_NUMBER = 64     # bytes; longer cells are no numbers and no times
    LONGEST_UNIT = 16
    MOST_DIGITS = 19        # that a 64-bit mantissa holds whatever they are

# Kinds of characters in a number.
cdef enum:
    OTHER = -1
    DIGIT_NINE = 9          # 0 ... 9: the digit itself
    SPACE = 10
    MINUS = 11
    PLUS = 12
    DOT = 13
    COMMA_SIGN = 14
    APOSTROPHE = 15
    PERCENT_SIGN = 16
    PERMILLE_SIGN = 17
    MONEY = 18
    OPEN = 19
    CLOSE = 20

cdef double[23] TENS
cdef int _i
TENS[0] = 1.0
for _i in range(1, 23):
    TENS[_i] = TENS[_i - 1] * 10.0

# The zero of each script whose ten digits follow each other, as Unicode's category Nd lists them.
cdef uint32_t[16] ZEROS = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50, 0x0ED0,
    0x1040, 0xFF10]

cdef const char* MONEY_CODES = (
    b"AEDARSAUDBRLCADCHFCLPCNYCOPCZKDKKEGPEURGBPHKDHUFIDRILSINRISKJPYKESKRWKWDKZTMADMXNMYRNGNNOKNZDPENPHPPKRPLN"
    b"QARRONRUBSARSEKSGDTHBTRYTWDUAHUSDVND")
cdef const char* MONTHS = b"janfebmaraprmayjunjulaugsepoctnovdec"
cdef const char* WEEKDAYS = b"montuewedthufrisatsun"


cdef inline int next_point(const uint8_t* p, Py_ssize_t i, Py_ssize_t stop, uint32_t* point) noexcept nogil:
    """Length in bytes of the character at i, whose code point is written; broken bytes are characters of one byte."""
    cdef uint8_t first = p[i]
    if first < 0x80:
        point[0] = first
        return 1
    if first >= 0xC2 and first < 0xE0 and i + 1 < stop:
        point[0] = ((first & 0x1F) << 6) | (p[i + 1] & 0x3F)
        return 2
    if first >= 0xE0 and first < 0xF0 and i + 2 < stop:
        point[0] = ((<uint32_t> (first & 0x0F)) << 12) | ((p[i + 1] & 0x3F) << 6) | (p[i + 2] & 0x3F)
        return 3
    if first >= 0xF0 and first < 0xF5 and i + 3 < stop:
        point[0] = (((<uint32_t> (first & 0x07)) << 18) | ((<uint32_t> (p[i + 1] & 0x3F)) << 12)
                    | ((p[i + 2] & 0x3F) << 6) | (p[i + 3] & 0x3F))
        return 4
    point[0] = 0xFFFD
    return 1


cdef inline int kind_of(uint32_t c) noexcept nogil:
    """Kind of a character in a number: a digit's value, or one of the names above."""
    cdef int k
    if c >= 48 and c <= 57:
        return <int> c - 48
    if c == 32 or c == 9 or c == 10 or c == 13 or c == 0xA0 or c == 0x2007 or c == 0x2009 or c == 0x202F or c == 0x3000:
        return SPACE
    if c == 46 or c == 0xFF0E:
        return DOT
    if c == 44 or c == 0xFF0C:
        return COMMA_SIGN
    if c == 45 or c == 0x2212 or c == 0xFF0D:
        return MINUS
    if c == 43 or c == 0xFF0B:
        return PLUS
    if c == 39 or c == 0x2019:
        return APOSTROPHE
    if c == 37 or c == 0xFF05 or c == 0x066A:
        return PERCENT_SIGN
    if c == 0x2030:
        return PERMILLE_SIGN
    if c == 40 or c == 0xFF08:
        return OPEN
    if c == 41 or c == 0xFF09:
        return CLOSE
    if (c == 36 or (c >= 0xA2 and c <= 0xA5) or (c >= 0x20A0 and c <= 0x20CF) or c == 0x0E3F or c == 0xFDFC
            or c == 0xFF04 or c == 0xFFE0 or c == 0xFFE1 or c == 0xFFE5 or c == 0xFFE6):
        return MONEY
    if c >= 0x660:
        for k in range(16):
            if c >= ZEROS[k] and c < ZEROS[k] + 10:
                return <int> (c - ZEROS[k])
    return OTHER


cdef struct number_cell:
    bint negative
    bint parenthesized
    int percent                 # powers of ten to divide by: 0, 2 or 3
    bint money
    Py_ssize_t body, body_stop  # digits and what stands among them
    int exponent
    uint64_t unit               # hash of currency and unit without spaces at their ends; 0 for none
    Py_ssize_t prefix, prefix_stop, suffix, suffix_stop


cdef inline uint64_t hashed(const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, uint64_t seed) noexcept nogil:
    """FNV-1a, its bits mixed at the end."""
    cdef uint64_t h = 0xCBF29CE484222325ULL ^ seed
    cdef Py_ssize_t i
    for i in range(start, stop):
        h = (h ^ p[i]) * 0x100000001B3ULL
    h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ULL
    return h ^ (h >> 29)


cdef inline bint is_money_code(const uint8_t* p, Py_ssize_t start, Py_ssize_t stop) noexcept nogil:
    """Whether the bytes are a currency in letters: a code of ISO 4217, or Rs or kr."""
    cdef Py_ssize_t k
    if stop - start == 3 and p[start + 2] == 46:
        stop -= 1
    if stop - start == 3:
        for k in range(0, 47 * 3, 3):
            if (MONEY_CODES[k] == <char> p[start] and MONEY_CODES[k + 1] == <char> p[start + 1]
                    and MONEY_CODES[k + 2] == <char> p[start + 2]):
                return True
        return False
    if stop - start == 2:
        return (p[start] == 82 and p[start + 1] == 115) or (p[start] == 107 and p[start + 1] == 114)
    return False


cdef bint lex_number(const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, number_cell* cell) noexcept nogil:
    """Cut a cell into sign, currency, body, exponent and unit; False where it is none of such."""
    cdef Py_ssize_t i = start, j, last, length, letters = -1
    cdef uint32_t c, d
    cdef int kind, k, sign
    cdef bint signed = False
    cell.negative = cell.parenthesized = cell.money = False
    cell.percent = cell.exponent = 0
    cell.unit = 0
    cell.prefix = cell.prefix_stop = cell.suffix = cell.suffix_stop = start
    while i < stop and kind_of(p[i]) == SPACE:
        i += 1
    while stop > i and kind_of(p[stop - 1]) == SPACE:
        stop -= 1
    if i >= stop or stop - i > LONGEST_NUMBER:
        return False
    # before the number
    while i < stop:
        length = next_point(p, i, stop, &c)
        kind = kind_of(c)
        if 0 <= kind <= DIGIT_NINE or kind == DOT or kind == COMMA_SIGN:
            break
        if kind == SPACE:
            pass
        elif kind == OPEN and not cell.parenthesized and not signed:
            cell.parenthesized = cell.negative = signed = True
        elif (kind == MINUS or kind == PLUS) and not signed:
            signed = True
            cell.negative = kind == MINUS
        elif (kind == MONEY or (65 <= c <= 90) or (97 <= c <= 122)) and not cell.money:
            j = i
            while j < stop:
                k = next_point(p, j, stop, &d)
                if kind_of(d) == MONEY:
                    j += k
                    cell.money = True
                    break
                if not (65 <= d <= 90 or 97 <= d <= 122):
                    break
                j += k
            if not cell.money:
                if j < stop and p[j] == 46 and j + 1 < stop and kind_of(p[j + 1]) == SPACE:
                    j += 1
                if not is_money_code(p, i, j):
                    return False
                cell.money = True
            elif j - i > 6:
                return False
            cell.prefix, cell.prefix_stop = i, j
            i = j
            continue
        else:
            return False
        i += length
    # the number
    cell.body = i
    cell.body_stop = i
    while i < stop:
        length = next_point(p, i, stop, &c)
        kind = kind_of(c)
        if 0 <= kind <= DIGIT_NINE:
            cell.body_stop = i + length
        elif kind == DOT and (i + 1 == stop or kind_of(p[i + 1]) != DOT):
            cell.body_stop = i + length
        elif kind == COMMA_SIGN:
            cell.body_stop = i + length
        elif kind == SPACE or kind == APOSTROPHE:
            if i + length >= stop:
                break
            next_point(p, i + length, stop, &d)
            k = kind_of(d)
            if not 0 <= k <= DIGIT_NINE:
                break
        else:
            break
        i += length
    i = cell.body_stop
    if i == cell.body:
        return False
    # its exponent
    if i + 1 < stop and (p[i] == 101 or p[i] == 69):
        j, sign = i + 1, 1
        if p[j] == 45 or p[j] == 43:
            sign = -1 if p[j] == 45 else 1
            j += 1
        last = j
        k = 0
        while j < stop and 48 <= p[j] <= 57 and j - last < 4:
            k = 10 * k + p[j] - 48
            j += 1
        if j > last and (j == stop or kind_of(p[j]) == SPACE or p[j] == 41 or p[j] == 37):
            cell.exponent = sign * k
            i = j
    # after the number
    while i < stop and kind_of(p[i]) == SPACE:
        i += 1
    if cell.parenthesized:
        if stop <= i or p[stop - 1] != 41:
            return False
        stop -= 1
        while stop > i and kind_of(p[stop - 1]) == SPACE:
            stop -= 1
    if i < stop:
        length = next_point(p, i, stop, &c)
        kind = kind_of(c)
        if (kind == PERCENT_SIGN or kind == PERMILLE_SIGN) and i + length == stop:
            cell.percent = 2 if kind == PERCENT_SIGN else 3
        else:
            if stop - i > LONGEST_UNIT:
                return False
            j = i
            while j < stop:
                length = next_point(p, j, stop, &d)
                kind = kind_of(d)
                if kind == MONEY:
                    if cell.money or j > i or j + length < stop:
                        return False
                    cell.money = True
                elif 0 <= kind <= DIGIT_NINE:
                    # of a unit, at its end: m2
                    if letters != j or j + 1 != stop or kind < 2 or kind > 3 or d >= 0x80:
                        return False
                elif kind == OPEN or kind == CLOSE or kind == COMMA_SIGN or kind == PLUS or kind == MINUS:
                    return False
                elif kind == OTHER and d < 0x80 and not (65 <= d <= 90 or 97 <= d <= 122 or d == 47 or d == 94):
                    return False
                elif (kind == SPACE or kind == APOSTROPHE or kind == DOT) and j == i:
                    return False
                j += length
                if kind == OTHER:
                    letters = j
            cell.suffix, cell.suffix_stop = i, stop
            if not cell.money and is_money_code(p, i, stop):
                cell.money = True
    if cell.prefix_stop > cell.prefix:
        cell.unit = hashed(p, cell.prefix, cell.prefix_stop, 0)
    if cell.suffix_stop > cell.suffix:
        cell.unit = hashed(p, cell.suffix, cell.suffix_stop, cell.unit)
    if cell.percent:
        cell.unit = hashed(p, 0, 0, cell.percent)
    return True


cdef bint read_body(
    const uint8_t* p, const number_cell* cell, int decimal, double* value, bint* exact, bint* separated,
    bint* leading_zero,
) noexcept nogil:
    """The number of a body whose fraction follows ``decimal`` (DOT or COMMA_SIGN), the other sign, spaces and
    apostrophes standing between thousands; False where it is none.

    ``exact`` is False where the value would need more than one rounding: then another must convert it.
    """
    cdef Py_ssize_t i = cell.body
    cdef uint32_t c
    cdef int kind, thousands = COMMA_SIGN if decimal == DOT else DOT, between = OTHER
    cdef int group = 0, first_group = -1, n_groups = 0, digits = 0, shift = 0
    cdef bint fraction = False, short_group = False, starts_with_zero = False, beyond = False
    cdef uint64_t mantissa = 0
    separated[0] = leading_zero[0] = False
    while i < cell.body_stop:
        i += next_point(p, i, cell.body_stop, &c)
        kind = kind_of(c)
        if kind == DOT or kind == COMMA_SIGN:
            separated[0] = True
        if 0 <= kind <= DIGIT_NINE:
            if group == 0 and n_groups == 0 and not fraction:
                starts_with_zero = kind == 0
            group += 1
            if mantissa or kind:
                digits += 1
            if digits <= MOST_DIGITS:
                mantissa = 10 * mantissa + <uint64_t> kind
                shift -= fraction
            else:
                beyond = True
                shift += not fraction
            continue
        if kind == decimal:
            if fraction:
                return False
            fraction = True
            if n_groups and group != 3:
                return False
            if n_groups == 0:
                first_group = group
            group = 0
            continue
        # between thousands, always the same sign
        if fraction or (between != OTHER and kind != between) or not (
                kind == thousands or kind == SPACE or kind == APOSTROPHE):
            return False
        between = kind
        if n_groups == 0:
            first_group = group
            if group < 1 or group > 3 or starts_with_zero:
                return False
        else:
            # as written in India: 12,34,567
            if group != 3 and not (group == 2 and kind == COMMA_SIGN):
                return False
            short_group = short_group or group == 2
        n_groups += 1
        group = 0
    if not fraction:
        if n_groups == 0:
            first_group = group
        elif group != 3:
            return False
    if short_group and first_group > 2:
        return False
    if first_group + n_groups + (group if fraction else 0) <= 0:
        return False
    leading_zero[0] = starts_with_zero and n_groups == 0 and first_group > 1
    shift += cell.exponent - cell.percent
    exact[0] = not beyond and mantissa <= (<uint64_t> 1 << 53) and -22 <= shift <= 22
    value[0] = <double> mantissa
    if shift >= 0:
        value[0] *= TENS[shift if shift <= 22 else 22]
    else:
        value[0] /= TENS[-shift if shift >= -22 else 22]
    exact[0] = exact[0] or (mantissa == 0 and not beyond)
    if cell.negative:
        value[0] = -value[0]
    return True


def scan_numbers(const uint8_t[::1] data, const int64_t[::1] stops, uint32_t[::1] traits_out, uint64_t[::1] unit_out,
                 int32_t[:, ::1] span_out):
    """What each cell shows as a number: its traits (0 for no number), a key of its currency and unit, and where these
    stand in it: first byte and end of what is before the number and of what is after it."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef number_cell cell
    cdef double value
    cdef bint exact, separated = False, zero = False
    cdef uint32_t traits
    with nogil:
        for i in range(stops.shape[0]):
            traits = 0
            unit_out[i] = 0
            span_out[i, 0] = span_out[i, 1] = span_out[i, 2] = span_out[i, 3] = 0
            if lex_number(p, start, stops[i], &cell):
                if read_body(p, &cell, COMMA_SIGN, &value, &exact, &separated, &zero):
                    traits |= COMMA
                    traits |= LEADING_ZERO if zero else 0
                if read_body(p, &cell, DOT, &value, &exact, &separated, &zero):
                    traits |= POINT
                    traits |= LEADING_ZERO if zero else 0
                if traits:
                    traits |= SEPARATED if separated else 0
                    traits |= PERCENT if cell.percent else 0
                    traits |= CURRENCY if cell.money else 0
                    traits |= UNIT if cell.suffix_stop > cell.suffix else 0
                    traits |= PARENTHESIZED if cell.parenthesized else 0
                    unit_out[i] = cell.unit
                    span_out[i, 0] = <int32_t> (cell.prefix - start)
                    span_out[i, 1] = <int32_t> (cell.prefix_stop - start)
                    span_out[i, 2] = <int32_t> (cell.suffix - start)
                    span_out[i, 3] = <int32_t> (cell.suffix_stop - start)
            traits_out[i] = traits
            start = stops[i]


def parse_numbers(const uint8_t[::1] data, const int64_t[::1] stops, bint decimal_comma, double[::1] out,
                  uint64_t[::1] unit_out, uint8_t[::1] rounded_out):
    """The number of each cell, NaN where there is none, and the key of its unit. ``rounded_out`` is 1 where the number
    was rounded more than once, so that :func:`digits_of` has to be asked for its digits."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef number_cell cell
    cdef double value
    cdef bint exact, separated, zero
    with nogil:
        for i in range(stops.shape[0]):
            out[i] = NAN
            unit_out[i] = 0
            rounded_out[i] = 0
            if lex_number(p, start, stops[i], &cell):
                if read_body(p, &cell, COMMA_SIGN if decimal_comma else DOT, &value, &exact, &separated, &zero):
                    out[i] = value
                    unit_out[i] = cell.unit
                    rounded_out[i] = not exact
            start = stops[i]


def digits_of(const uint8_t[::1] data, Py_ssize_t start, Py_ssize_t stop, bint decimal_comma):
    """The number of one cell as Python's ``float`` takes it; None where it is none."""
    cdef number_cell cell
    cdef double value
    cdef bint exact, separated, zero
    cdef uint32_t c
    cdef int kind, decimal = COMMA_SIGN if decimal_comma else DOT
    cdef Py_ssize_t i
    if not lex_number(&data[0], start, stop, &cell):
        return None
    if not read_body(&data[0], &cell, decimal, &value, &exact, &separated, &zero):
        return None
    found = ["-"] if cell.negative else []
    i = cell.body
    while i < cell.body_stop:
        i += next_point(&data[0], i, cell.body_stop, &c)
        kind = kind_of(c)
        if 0 <= kind <= DIGIT_NINE:
            found.append(str(kind))
        elif kind == decimal:
            found.append(".")
    return "".join(found) + f"e{cell.exponent - cell.percent}"


cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    return c + 32 if 65 <= c <= 90 else c


cdef inline int name_at(const uint8_t* p, Py_ssize_t i, Py_ssize_t stop, const char* names, int n) noexcept nogil:
    """Which of the names of three letters begins at i, or -1."""
    cdef int k
    if i + 3 > stop:
        return -1
    for k in range(n):
        if (lower(p[i]) == <uint8_t> names[3 * k] and lower(p[i + 1]) == <uint8_t> names[3 * k + 1]
                and lower(p[i + 2]) == <uint8_t> names[3 * k + 2]):
            return k
    return -1


cdef inline bint is_letter(uint8_t c) noexcept nogil:
    return 65 <= c <= 90 or 97 <= c <= 122


cdef inline int integer_at(const uint8_t* p, Py_ssize_t* i, Py_ssize_t stop, int* length) noexcept nogil:
    """Up to nine digits from i on, which moves behind them."""
    cdef int value = 0
    length[0] = 0
    while i[0] < stop and 48 <= p[i[0]] <= 57 and length[0] < 9:
        value = 10 * value + p[i[0]] - 48
        i[0] += 1
        length[0] += 1
    return value


cdef inline int64_t days_from_civil(int64_t year, int month, int day) noexcept nogil:
    """Days from 1970-01-01 in the Gregorian calendar, years counted from March."""
    cdef int64_t era, of_era, of_year
    year -= month <= 2
    era = (year if year >= 0 else year - 399) // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


cdef inline bint is_day(int year, int month, int day) noexcept nogil:
    cdef int last = 31
    if year < 1 or month < 1 or month > 12 or day < 1:
        return False
    if month == 4 or month == 6 or month == 9 or month == 11:
        last = 30
    elif month == 2:
        last = 29 if (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)) else 28
    return day <= last


cdef bint time_of_day(const uint8_t* p, Py_ssize_t* at, Py_ssize_t stop, double* seconds) noexcept nogil:
    """Hours, minutes, seconds and their fraction, am or pm, and an offset from UTC, which is taken off."""
    cdef Py_ssize_t i = at[0]
    cdef int length, hour, minute, second = 0, sign, zone_hour, zone_minute
    cdef double fraction = 0, scale = 0.1
    hour = integer_at(p, &i, stop, &length)
    if length < 1 or length > 2 or i >= stop or p[i] != 58:
        return False
    i += 1
    minute = integer_at(p, &i, stop, &length)
    if length != 2 or minute > 59:
        return False
    if i < stop and p[i] == 58:
        i += 1
        second = integer_at(p, &i, stop, &length)
        if length != 2 or second > 60:
            return False
        if i + 1 < stop and (p[i] == 46 or p[i] == 44) and 48 <= p[i + 1] <= 57:
            i += 1
            while i < stop and 48 <= p[i] <= 57:
                fraction += scale * (p[i] - 48)
                scale *= 0.1
                i += 1
    while i < stop and p[i] == 32:
        i += 1
    if i + 1 < stop and (lower(p[i]) == 97 or lower(p[i]) == 112):
        # a.m. and p.m. too
        if hour < 1 or hour > 12:
            return False
        hour = hour % 12 + (12 if lower(p[i]) == 112 else 0)
        i += 1
        if p[i] == 46:
            i += 1
        if i >= stop or lower(p[i]) != 109:
            return False
        i += 1
        if i < stop and p[i] == 46:
            i += 1
        while i < stop and p[i] == 32:
            i += 1
    if hour > 23:
        return False
    seconds[0] = 3600.0 * hour + 60.0 * minute + second + fraction
    if i < stop and (p[i] == 90 or p[i] == 122):
        i += 1
    elif i + 2 < stop and lower(p[i]) == 117 and lower(p[i + 1]) == 116 and lower(p[i + 2]) == 99:
        i += 3
    elif i + 2 < stop and lower(p[i]) == 103 and lower(p[i + 1]) == 109 and lower(p[i + 2]) == 116:
        i += 3
    if i < stop and (p[i] == 43 or p[i] == 45):
        sign = 1 if p[i] == 43 else -1
        i += 1
        zone_hour = integer_at(p, &i, stop, &length)
        zone_minute = 0
        if length == 4:
            zone_minute = zone_hour % 100
            zone_hour = zone_hour // 100
        elif length == 2 or length == 1:
            if i < stop and p[i] == 58:
                i += 1
                zone_minute = integer_at(p, &i, stop, &length)
                if length != 2:
                    return False
        else:
            return False
        if zone_hour > 15 or zone_minute > 59:
            return False
        seconds[0] -= sign * (3600.0 * zone_hour + 60.0 * zone_minute)
    at[0] = i
    return True


cdef int read_time(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, double* day_first, double* month_first,
) noexcept nogil:
    """Seconds from 1970 on, the day before the month and the month before the day (NaN where the cell is none), and
    the traits of the cell."""
    cdef Py_ssize_t i = start, before
    cdef int a, b, c, la, lb, lc, month, traits = 0, separator
    cdef double seconds = 0
    day_first[0] = month_first[0] = NAN
    while i < stop and (p[i] == 32 or p[i] == 9):
        i += 1
    while stop > i and (p[stop - 1] == 32 or p[stop - 1] == 9):
        stop -= 1
    if i >= stop or stop - i > LONGEST_NUMBER:
        return 0
    # a time of the day by itself
    before = i
    if time_of_day(p, &i, stop, &seconds):
        if i != stop:
            return 0
        day_first[0] = month_first[0] = seconds
        return HOURS_ONLY | DAY_FIRST | MONTH_FIRST
    i = before
    # the name of the day of the week
    if name_at(p, i, stop, WEEKDAYS, 7) >= 0:
        while i < stop and is_letter(p[i]):
            i += 1
        while i < stop and (p[i] == 44 or p[i] == 46 or p[i] == 32):
            i += 1
    month = name_at(p, i, stop, MONTHS, 12) + 1
    if month:
        # Jan 5, 2020
        while i < stop and is_letter(p[i]):
            i += 1
        while i < stop and (p[i] == 46 or p[i] == 32 or p[i] == 45):
            i += 1
        a = integer_at(p, &i, stop, &la)
        if la == 4:
            c, lc, a, la = a, la, 1, 1
        else:
            while i < stop and is_letter(p[i]):
                i += 1
            before = i
            while i < stop and (p[i] == 44 or p[i] == 32 or p[i] == 45):
                i += 1
            c = integer_at(p, &i, stop, &lc)
            if i == before:
                return 0
        b = month
        separator = 32
    else:
        a = integer_at(p, &i, stop, &la)
        if la == 0 or i >= stop:
            return 0
        separator = p[i]
        if la <= 2 and is_letter(p[i]) and name_at(p, i, stop, MONTHS, 12) < 0:
            # 5th January
            i += 2
            if i >= stop:
                return 0
            separator = p[i]
        if not (separator == 45 or separator == 47 or separator == 46 or separator == 32 or is_letter(p[i])):
            return 0
        while i < stop and (p[i] == 32 or p[i] == separator) and not is_letter(p[i]):
            i += 1
        month = name_at(p, i, stop, MONTHS, 12) + 1
        if month and la <= 2:
            # 5 Jan 2020
            while i < stop and is_letter(p[i]):
                i += 1
            while i < stop and (p[i] == 44 or p[i] == 46 or p[i] == 32 or p[i] == 45 or p[i] == 47):
                i += 1
            b = month
            c = integer_at(p, &i, stop, &lc)
        else:
            if separator == 32 or is_letter(<uint8_t> separator):
                return 0
            b = integer_at(p, &i, stop, &lb)
            if lb == 0 or lb > 2:
                return 0
            if i < stop and p[i] == separator:
                i += 1
                c = integer_at(p, &i, stop, &lc)
            elif la == 4 and i == stop and separator != 46:
                # 2020-05
                c, lc = 1, 1
            else:
                return 0
            month = 0
    if lc == 0:
        return 0
    # what follows the day
    if i < stop:
        if p[i] == 84 or p[i] == 116:
            i += 1
        else:
            before = i
            while i < stop and (p[i] == 32 or p[i] == 44):
                i += 1
            if i == before:
                return 0
        seconds = 0
        if not time_of_day(p, &i, stop, &seconds) or i != stop:
            return 0
        traits |= HOURS
    if la == 4:
        # year, month, day
        if lc > 2 or not is_day(a, b, c):
            return 0
        day_first[0] = month_first[0] = 86400.0 * days_from_civil(a, b, c) + seconds
        return traits | DAY_FIRST | MONTH_FIRST
    if la > 2 or (lc != 4 and lc != 2):
        return 0
    if lc == 2:
        c += 1900 if c >= 69 else 2000
    if is_day(c, b, a):
        day_first[0] = 86400.0 * days_from_civil(c, b, a) + seconds
        traits |= DAY_FIRST
    if month:
        month_first[0] = day_first[0]
        traits |= MONTH_FIRST if traits & DAY_FIRST else 0
    elif is_day(c, a, b):
        month_first[0] = 86400.0 * days_from_civil(c, a, b) + seconds
        traits |= MONTH_FIRST
    if not traits & (DAY_FIRST | MONTH_FIRST):
        return 0
    return traits | (DOTTED if separator == 46 else 0)


def parse_times(const uint8_t[::1] data, const int64_t[::1] stops, double[::1] day_first_out,
                double[::1] month_first_out, uint8_t[::1] traits_out):
    """Seconds from 1970-01-01 of each cell, read with the day before the month and the other way round; NaN for none.
    Times of the day by themselves are seconds of the day."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    with nogil:
        for i in range(stops.shape[0]):
            traits_out[i] = <uint8_t> read_time(p, start, stops[i], &day_first_out[i], &month_first_out[i])
            start = stops[i]


cdef inline bint in_word(uint8_t c) noexcept nogil:
    """Letters and digits of ASCII, and every byte of a character beyond it."""
    return c >= 0x80 or 48 <= c <= 57 or is_letter(c)


cdef int ascending(const void* a, const void* b) noexcept nogil:
    return ((<const int32_t*> a)[0] > (<const int32_t*> b)[0]) - ((<const int32_t*> a)[0] < (<const int32_t*> b)[0])


cdef Py_ssize_t words_of(
    const uint8_t* p, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t n_places, int32_t* count, int32_t* places,
) noexcept nogil:
    """How many places the words of a cell take; ``count`` of these is above 0, ``places`` lists them."""
    cdef Py_ssize_t i = start, n = 0, place
    cdef uint64_t h
    while i < stop:
        while i < stop and not in_word(p[i]):
            i += 1
        if i >= stop:
            break
        h = 0xCBF29CE484222325ULL
        while i < stop and in_word(p[i]):
            h = (h ^ lower(p[i])) * 0x100000001B3ULL
            i += 1
        h = (h ^ (h >> 32)) * 0x9E3779B97F4A7C15ULL
        place = <Py_ssize_t> ((h >> 16) % <uint64_t> n_places)
        if count[place] == 0:
            places[n] = <int32_t> place
            n += 1
        if count[place] < 0x7FFFFFFF:
            count[place] += 1
    return n


def hash_words(const uint8_t[::1] data, const int64_t[::1] stops, Py_ssize_t n_places, int64_t[::1] indptr_out,
               int32_t[::1] indices_out, double[::1] values_out):
    """Words of each cell counted at one of ``n_places`` places, the counts of a cell divided by their Euclidean norm,
    as compressed sparse rows. Where ``indices_out`` is empty only ``indptr_out``, with a place for each cell and one
    more, is filled."""
    cdef Py_ssize_t i, k, n, at = 0, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef int32_t* count = <int32_t*> malloc(n_places * sizeof(int32_t))
    cdef int32_t* places = <int32_t*> malloc(n_places * sizeof(int32_t))
    cdef bint fill = indices_out.shape[0] > 0
    cdef double norm
    cdef int status = STATUS_OK if count != NULL and places != NULL else STATUS_NO_MEMORY
    if status == STATUS_OK:
        with nogil:
            memset(count, 0, n_places * sizeof(int32_t))
            indptr_out[0] = 0
            for i in range(stops.shape[0]):
                n = words_of(p, start, stops[i], n_places, count, places)
                if fill:
                    qsort(places, n, sizeof(int32_t), ascending)
                    norm = 0
                    for k in range(n):
                        norm += <double> count[places[k]] * count[places[k]]
                    norm = sqrt(norm)
                    for k in range(n):
                        indices_out[at + k] = places[k]
                        values_out[at + k] = count[places[k]] / norm
                for k in range(n):
                    count[places[k]] = 0
                at += n
                indptr_out[i + 1] = at
                start = stops[i]
    free(count)
    free(places)
    if status != STATUS_OK:
        raise MemoryError("a kernel could not allocate its workspace")


def hash_cells(const uint8_t[::1] data, const int64_t[::1] stops, Py_ssize_t n_places, int64_t[::1] place_out):
    """The place of each whole cell among ``n_places``."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    with nogil:
        for i in range(stops.shape[0]):
            place_out[i] = <int64_t> ((hashed(p, start, stops[i], 0) >> 16) % <uint64_t> n_places)
            start = stops[i]


def count_words(const uint8_t[::1] data, const int64_t[::1] stops):
    """How many words all cells have together."""
    cdef Py_ssize_t i = 0, n = 0
    cdef Py_ssize_t size = stops[stops.shape[0] - 1] if stops.shape[0] else 0
    with nogil:
        while i < size:
            while i < size and not in_word(data[i]):
                i += 1
            n += i < size
            while i < size and in_word(data[i]):
                i += 1
    return n
