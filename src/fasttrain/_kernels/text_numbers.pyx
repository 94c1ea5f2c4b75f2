"""Cells of text as numbers as people write them: with currencies, separators, per cent and units."""

from libc.math cimport NAN
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t, int64_t

from fasttrain._kernels.signals cimport LOOK_EVERY, PyErr_CheckSignals
from fasttrain._kernels.text cimport LONGEST_NUMBER, hashed

# What a cell of a number shows. POINT: it is a number where "." stands before the fraction and "," between thousands;
# COMMA: where it is the other way round.
TRAITS = {
    "point": POINT, "comma": COMMA, "separated": SEPARATED, "leading_zero": LEADING_ZERO, "percent": PERCENT,
    "currency": CURRENCY, "unit": UNIT, "parenthesized": PARENTHESIZED,
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
    cdef Py_ssize_t first, last
    for first in range(0, stops.shape[0], LOOK_EVERY):
        last = min(first + LOOK_EVERY, stops.shape[0])
        with nogil:
            for i in range(first, last):
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
        PyErr_CheckSignals()


def parse_numbers(const uint8_t[::1] data, const int64_t[::1] stops, bint decimal_comma, double[::1] out,
                  uint64_t[::1] unit_out, uint8_t[::1] rounded_out):
    """The number of each cell, NaN where there is none, and the key of its unit. ``rounded_out`` is 1 where the number
    was rounded more than once, so that :func:`digits_of` has to be asked for its digits."""
    cdef Py_ssize_t i, start = 0
    cdef const uint8_t* p = &data[0] if data.shape[0] else NULL
    cdef number_cell cell
    cdef double value
    cdef bint exact, separated, zero
    cdef Py_ssize_t first, last
    for first in range(0, stops.shape[0], LOOK_EVERY):
        last = min(first + LOOK_EVERY, stops.shape[0])
        with nogil:
            for i in range(first, last):
                out[i] = NAN
                unit_out[i] = 0
                rounded_out[i] = 0
                if lex_number(p, start, stops[i], &cell):
                    if read_body(p, &cell, COMMA_SIGN if decimal_comma else DOT, &value, &exact, &separated, &zero):
                        out[i] = value
                        unit_out[i] = cell.unit
                        rounded_out[i] = not exact
                start = stops[i]
        PyErr_CheckSignals()


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
