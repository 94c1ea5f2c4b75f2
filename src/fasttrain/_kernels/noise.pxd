"""Keys of the random bits of a training step: functions of the seed, the step and the use, never of the threads."""

from libc.stdint cimport uint32_t, uint64_t


cdef inline uint64_t scramble(uint64_t x) noexcept nogil:
    """Finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    x += <uint64_t> 0x9E3779B97F4A7C15
    x = (x ^ (x >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t> 0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline uint64_t place_key(uint64_t seed, uint64_t step, uint64_t what, uint64_t high) noexcept nogil:
    """Key of one use of random bits in one step; high: the upper half of a place, whose lower half the bits take."""
    return scramble(scramble(scramble(scramble(seed) ^ step) ^ what) ^ high)


cdef inline uint32_t drop_threshold(double rate) noexcept nogil:
    """Bits below it, a share `rate` of all, are dropped."""
    return <uint32_t> (rate * 4294967296.0)
