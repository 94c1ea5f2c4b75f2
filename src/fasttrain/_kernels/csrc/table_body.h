/* Fills the table of one real type; included by body.h after the functions. */
#define FT_ENTRY(result, name, arguments) .name = FT(name),
const FT(ops) FT_PASTE(FT_TABLE(FT_ISA), FT_SUFFIX) = {
    .lanes = FT_LANES,
    .panel_width = FT_LANES * FT_PANEL_VECTORS,
    FT_OPS(FT_ENTRY)
};
#undef FT_ENTRY

/* Enough independent chains to hide the latency of a multiply-add in every instruction set. */
#define FT_CHAINS (FT_REGISTERS >= 32 ? 24 : 12)
double FT_PASTE(FT_PROBE(FT_ISA), FT_SUFFIX)(ptrdiff_t rounds)
{
    FT(vector) chain[FT_CHAINS];
    FT(vector) factor = FT_SPLAT((FT_REAL)0.999), term = FT_SPLAT((FT_REAL)0.001);
    for (int c = 0; c < FT_CHAINS; c++)
        chain[c] = FT_SPLAT((FT_REAL)c);
    for (ptrdiff_t i = 0; i < rounds; i++) {
#pragma GCC unroll 24
        for (int c = 0; c < FT_CHAINS; c++)
            chain[c] = chain[c] * factor + term;
    }
    FT_REAL keep = 0;
    for (int c = 0; c < FT_CHAINS; c++)
        keep += chain[c][0];
    return keep == (FT_REAL)-1 ? 0.0 : 2.0 * (double)FT_LANES * FT_CHAINS * (double)rounds;
}
#undef FT_CHAINS
#undef FT_LANES
#undef FT_LOAD
#undef FT_STORE
#undef FT_SPLAT
