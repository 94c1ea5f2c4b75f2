/* Orders of rows: the shuffle of numpy.random.RandomState, with its draws.
 *
 * Fisher and Yates from the end: element i is swapped with one of [0, i], drawn as the low bits of a word of the Mersenne
 * Twister (Matsumoto and Nishimura, 1998) of which those above i are drawn again. A loop that swaps as it draws waits for a
 * wrongly predicted branch in every third draw; here a block of words is drawn first, without branches, and swapped after. */
#ifndef FASTTRAIN_ORDERS_H
#define FASTTRAIN_ORDERS_H

#include <stddef.h>
#include <stdint.h>

#define FT_TWISTER_WORDS 624
#define FT_TWISTER_SHIFT 397
/* Draws from a swap to the one whose place is asked for. */
#define FT_SWAPS_AHEAD 16

static inline uint32_t ft_twist(uint32_t high, uint32_t low, uint32_t other)
{
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return other ^ (y >> 1) ^ (-(y & 1) & 0x9908b0dfu);
}

/* The next 624 words of the generator. */
static inline void ft_twister_refill(uint32_t *restrict key)
{
    ptrdiff_t i;
    for (i = 0; i < FT_TWISTER_WORDS - FT_TWISTER_SHIFT; i++)
        key[i] = ft_twist(key[i], key[i + 1], key[i + FT_TWISTER_SHIFT]);
    for (; i < FT_TWISTER_WORDS - 1; i++)
        key[i] = ft_twist(key[i], key[i + 1], key[i + FT_TWISTER_SHIFT - FT_TWISTER_WORDS]);
    key[i] = ft_twist(key[i], key[0], key[FT_TWISTER_SHIFT - 1]);
}

static inline uint32_t ft_twister_temper(uint32_t y)
{
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

/* Shuffles n < 2^32 elements; `position` words of the key are used up. Returns how many are after it. */
static inline ptrdiff_t ft_shuffle(uint32_t *key_io, ptrdiff_t position, ptrdiff_t *order_io, ptrdiff_t n)
{
    uint32_t word[FT_TWISTER_WORDS], drawn[FT_TWISTER_WORDS + 1];
    ptrdiff_t i = n - 1;
    for (ptrdiff_t p = position; p < FT_TWISTER_WORDS; p++)
        word[p] = ft_twister_temper(key_io[p]);
    while (i > 0) {
        const uint32_t mask = 0xffffffffu >> __builtin_clz((uint32_t)i);
        /* elements down to this one are drawn with the same mask */
        ptrdiff_t last = mask >> 1;
        if (position >= FT_TWISTER_WORDS) {
            ft_twister_refill(key_io);
            for (ptrdiff_t p = 0; p < FT_TWISTER_WORDS; p++)
                word[p] = ft_twister_temper(key_io[p]);
            position = 0;
        }
        if (i - last > FT_TWISTER_WORDS - position)
            last = i - (FT_TWISTER_WORDS - position);
        /* the draw of element e is drawn[e - last]; one that is too large is written over by the next */
        uint32_t e = (uint32_t)i;
        for (; position < FT_TWISTER_WORDS && e > (uint32_t)last; position++) {
            const uint32_t value = word[position] & mask;
            drawn[e - (uint32_t)last] = value;
            e = e - 1 + (value > e);
        }
        for (; i > (ptrdiff_t)e; i--) {
            if (i - FT_SWAPS_AHEAD > (ptrdiff_t)e)
                __builtin_prefetch(order_io + drawn[i - FT_SWAPS_AHEAD - last], 1);
            const ptrdiff_t other = drawn[i - last], kept = order_io[other];
            order_io[other] = order_io[i];
            order_io[i] = kept;
        }
    }
    return position;
}

#endif
