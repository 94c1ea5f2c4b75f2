"""Cells of text as dates and times."""

from libc.math cimport NAN
from libc.stdint cimport int64_t, uint8_t

from fasttrain._kernels.signals cimport LOOK_EVERY, PyErr_CheckSignals
from fasttrain._kernels.text cimport LONGEST_NUMBER, is_letter, lower

# What a cell of a time shows.
TRAITS = {
    "day_first": DAY_FIRST, "month_first": MONTH_FIRST, "dotted": DOTTED, "hours": HOURS, "hours_only": HOURS_ONLY,
}

cdef enum:
    DAY_FIRST = 1
    MONTH_FIRST = 2
    DOTTED = 4
    HOURS = 8
    HOURS_ONLY = 16

cdef const char* MONTHS = b"janfebmaraprmayjunjulaugsepoctnovdec"
cdef const char* WEEKDAYS = b"montuewedthufrisatsun"


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
        if la == 4 and (month or (i < stop and lower(p[i]) == 113)):
            # 2020 Jan, 2020 Jan 5, 2020 Q1
            if month:
                while i < stop and is_letter(p[i]):
                    i += 1
            else:
                i += 1
                b = integer_at(p, &i, stop, &lb)
                if lb != 1 or b < 1 or b > 4:
                    return 0
                month = 3 * b - 2
                if i < stop:
                    return 0
            b = month
            c, lc = 1, 1
            if i < stop:
                while i < stop and (p[i] == 44 or p[i] == 46 or p[i] == 32 or p[i] == 45 or p[i] == 47):
                    i += 1
                c = integer_at(p, &i, stop, &lc)
        elif month and la <= 2:
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
    cdef Py_ssize_t first, last
    for first in range(0, stops.shape[0], LOOK_EVERY):
        last = min(first + LOOK_EVERY, stops.shape[0])
        with nogil:
            for i in range(first, last):
                traits_out[i] = <uint8_t> read_time(p, start, stops[i], &day_first_out[i], &month_first_out[i])
                start = stops[i]
        PyErr_CheckSignals()
