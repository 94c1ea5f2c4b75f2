/* Included by scalar.h once for each real type. y is the target, z the raw prediction, p the loss's parameter. */

FT_INLINE FT_REAL FT(abs)(FT_REAL x) { return x < 0 ? -x : x; }
/* Comparisons are written so that NaN comes out as NaN: of max and min, when it is the first argument. */
FT_INLINE FT_REAL FT(max)(FT_REAL a, FT_REAL b) { return a < b ? b : a; }
FT_INLINE FT_REAL FT(min)(FT_REAL a, FT_REAL b) { return a > b ? b : a; }
FT_INLINE FT_REAL FT(sign)(FT_REAL x) { return x > 0 ? 1 : (x < 0 ? -1 : x); }
FT_INLINE FT_REAL FT(clip)(FT_REAL x, FT_REAL low, FT_REAL high) { return x < low ? low : (x > high ? high : x); }

/* 2^k for k in the normal range, from its bits. */
FT_INLINE FT_REAL FT(exp2_int)(FT_BITS k)
{
#if FT_IS_DOUBLE
    const FT_BITS bits = (FT_BITS)((uint64_t)(k + 1023) << 52);
#else
    const FT_BITS bits = (FT_BITS)((uint32_t)(k + 127) << 23);
#endif
    FT_REAL value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Argument reduction of exp: x = k ln 2 + r, |r| <= ln(2)/2. Adding 1.5 * 2^mantissa rounds to an integer and leaves it in
 * the low bits. ln 2 is split in two so that k ln 2 is exact (Cody and Waite, Software Manual, 1980). */
FT_INLINE FT_REAL FT(exp_reduce)(FT_REAL x, FT_BITS *k)
{
#if FT_IS_DOUBLE
    const FT_REAL shift = 6755399441055744.0;
    const FT_REAL ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
#else
    const FT_REAL shift = 12582912.0f;
    const FT_REAL ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
#endif
    const FT_REAL shifted = x * (FT_REAL)1.44269504088896340736 + shift;
    FT_BITS bits, shift_bits;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&shift_bits, &shift, sizeof shift_bits);
    *k = bits - shift_bits;
    const FT_REAL n = shifted - shift;
    return (x - n * ln2_high) - n * ln2_low;
}

/* (e^r - 1) for |r| <= ln(2)/2 by its Taylor series: truncation below half a unit in the last place. */
FT_INLINE FT_REAL FT(expm1_series)(FT_REAL r)
{
#if FT_IS_DOUBLE
    FT_REAL q = 1.0 / 6227020800.0;
    q = q * r + 1.0 / 479001600.0;
    q = q * r + 1.0 / 39916800.0;
    q = q * r + 1.0 / 3628800.0;
    q = q * r + 1.0 / 362880.0;
    q = q * r + 1.0 / 40320.0;
    q = q * r + 1.0 / 5040.0;
    q = q * r + 1.0 / 720.0;
#else
    FT_REAL q = 1.0f / 5040.0f;
    q = q * r + 1.0f / 720.0f;
#endif
    q = q * r + (FT_REAL)(1.0 / 120.0);
    q = q * r + (FT_REAL)(1.0 / 24.0);
    q = q * r + (FT_REAL)(1.0 / 6.0);
    q = q * r + (FT_REAL)0.5;
    return q * (r * r) + r;
}

#if FT_IS_DOUBLE
#define FT_EXP_LOW -746.0
#define FT_EXP_HIGH 710.0
#else
#define FT_EXP_LOW -104.0f
#define FT_EXP_HIGH 89.0f
#endif

/* e^x within about one unit in the last place; 0 and inf past the ends, NaN stays NaN. The scale is applied in two halves so
 * that results near both ends of the range are right. */
FT_INLINE FT_REAL FT(exp)(FT_REAL x)
{
    FT_BITS k;
    const FT_REAL r = FT(exp_reduce)(FT(clip)(x, FT_EXP_LOW, FT_EXP_HIGH), &k);
    const FT_BITS half = k >> 1;
    return ((FT(expm1_series)(r) + 1) * FT(exp2_int)(half)) * FT(exp2_int)(k - half);
}

/* e^x - 1 for x <= 0, exact near zero. */
FT_INLINE FT_REAL FT(expm1_negative)(FT_REAL x)
{
    FT_BITS k;
    const FT_REAL r = FT(exp_reduce)(FT(clip)(x, FT_IS_DOUBLE ? -60 : -30, 0), &k);
    const FT_REAL scale = FT(exp2_int)(k);
    const FT_REAL value = scale * FT(expm1_series)(r) + (scale - 1);
    return x != x ? x : value;
}

/* log(1 + u) for u in [0, 1]: 2 artanh(u / (2 + u)) by its series. */
FT_INLINE FT_REAL FT(log1p_unit)(FT_REAL u)
{
    const FT_REAL s = u / (u + 2);
    const FT_REAL t = s * s;
#if FT_IS_DOUBLE
    FT_REAL q = 1.0 / 33.0;
    q = q * t + 1.0 / 31.0;
    q = q * t + 1.0 / 29.0;
    q = q * t + 1.0 / 27.0;
    q = q * t + 1.0 / 25.0;
    q = q * t + 1.0 / 23.0;
    q = q * t + 1.0 / 21.0;
    q = q * t + 1.0 / 19.0;
    q = q * t + 1.0 / 17.0;
    q = q * t + 1.0 / 15.0;
#else
    FT_REAL q = 1.0f / 15.0f;
#endif
    q = q * t + (FT_REAL)(1.0 / 13.0);
    q = q * t + (FT_REAL)(1.0 / 11.0);
    q = q * t + (FT_REAL)(1.0 / 9.0);
    q = q * t + (FT_REAL)(1.0 / 7.0);
    q = q * t + (FT_REAL)(1.0 / 5.0);
    q = q * t + (FT_REAL)(1.0 / 3.0);
    return 2 * (s + s * t * q);
}

/* log(x) for a normal x > 0 */
FT_INLINE FT_REAL FT(log)(FT_REAL x)
{
    FT_BITS bits;
    memcpy(&bits, &x, sizeof bits);
    const int digits = FT_IS_DOUBLE ? 52 : 23;
    const FT_BITS one = FT_IS_DOUBLE ? (FT_BITS)1023 << 52 % (8 * sizeof(FT_BITS)) : (FT_BITS)127 << 23;
    const FT_BITS exponent = (bits - one) >> digits;
    bits -= exponent * ((FT_BITS)1 << digits);
    FT_REAL mantissa;
    memcpy(&mantissa, &bits, sizeof mantissa);
    return (FT_REAL)exponent * (FT_REAL)0.69314718055994530942 + FT(log1p_unit)(mantissa - 1);
}

#if FT_IS_DOUBLE
#define FT_LIBM(name) name
#else
#define FT_LIBM(name) name##f
#endif

/* ---- activations: a = f(z); the derivative takes z and a, whichever is cheaper ---- */

FT_INLINE FT_REAL FT(identity)(FT_REAL z, FT_REAL p) { (void)p; return z; }
FT_INLINE FT_REAL FT(identity_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)z; (void)a; (void)p; return 1; }

/* max(0, z); derivative 0 at 0. */
FT_INLINE FT_REAL FT(relu)(FT_REAL z, FT_REAL p) { (void)p; return z < 0 ? 0 : z; }
FT_INLINE FT_REAL FT(relu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)z; (void)p; return a > 0 ? 1 : a; }

/* z if z > 0 else p z, 0 <= p < 1 (Maas, Hannun, Ng 2013). */
FT_INLINE FT_REAL FT(leaky_relu)(FT_REAL z, FT_REAL p) { return z > 0 ? z : p * z; }
FT_INLINE FT_REAL FT(leaky_relu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)a; return z > 0 ? 1 : (z <= 0 ? p : z); }

/* z if z > 0 else p (e^z - 1) (Clevert, Unterthiner, Hochreiter 2016). */
FT_INLINE FT_REAL FT(elu)(FT_REAL z, FT_REAL p) { return z > 0 ? z : p * FT(expm1_negative)(z); }
FT_INLINE FT_REAL FT(elu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { return z > 0 ? 1 : a + p; }

/* scale * elu(z, alpha) with the constants of Klambauer et al. 2017. */
#define FT_SELU_ALPHA ((FT_REAL)1.6732632423543772848170429916717)
#define FT_SELU_SCALE ((FT_REAL)1.0507009873554804934193349852946)
FT_INLINE FT_REAL FT(selu)(FT_REAL z, FT_REAL p) { (void)p; return FT_SELU_SCALE * FT(elu)(z, FT_SELU_ALPHA); }
FT_INLINE FT_REAL FT(selu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)p;
    return z > 0 ? FT_SELU_SCALE : a + FT_SELU_SCALE * FT_SELU_ALPHA;
}

/* 1 / (1 + e^-z). */
FT_INLINE FT_REAL FT(logistic)(FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL e = FT(exp)(-FT(abs)(z));
    const FT_REAL q = 1 / (1 + e);
    return z < 0 ? e * q : q;
}
FT_INLINE FT_REAL FT(logistic_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)z; (void)p; return a * (1 - a); }

/* z Phi(z), Phi the normal distribution function (Hendrycks and Gimpel 2016), not the tanh approximation. */
FT_INLINE FT_REAL FT(gelu)(FT_REAL z, FT_REAL p)
{
    (void)p;
    return (FT_REAL)0.5 * z * FT_LIBM(erfc)(-z * (FT_REAL)0.70710678118654752440);
}
FT_INLINE FT_REAL FT(gelu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)a; (void)p;
    const FT_REAL density = (FT_REAL)0.39894228040143267794 * FT(exp)((FT_REAL)-0.5 * z * z);
    return (FT_REAL)0.5 * FT_LIBM(erfc)(-z * (FT_REAL)0.70710678118654752440) + z * density;
}

/* z logistic(z) (Elfwing, Uchibe, Doya 2018). */
FT_INLINE FT_REAL FT(silu)(FT_REAL z, FT_REAL p) { return z * FT(logistic)(z, p); }
FT_INLINE FT_REAL FT(silu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    const FT_REAL s = FT(logistic)(z, p);
    return s + a * (1 - s);
}

/* tanh: a rational function near zero (Cephes, Moshier), 1 - 2 / (e^2|z| + 1) elsewhere. */
FT_INLINE FT_REAL FT(tanh)(FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL x = FT(abs)(z), t = z * z;
#if FT_IS_DOUBLE
    const FT_REAL top = (-9.64399179425052238628e-1 * t - 9.92877231001918586564e1) * t - 1.61468768441708447952e3;
    const FT_REAL bottom = ((t + 1.12811678491632931402e2) * t + 2.23548839060100448583e3) * t + 4.84406305325125486048e3;
    const FT_REAL near = z + z * t * (top / bottom);
#else
    FT_REAL q = -5.70498872745e-3f;
    q = q * t + 2.06390887954e-2f;
    q = q * t - 5.37397155531e-2f;
    q = q * t + 1.33314422036e-1f;
    q = q * t - 3.33332819422e-1f;
    const FT_REAL near = z + z * t * q;
#endif
    const FT_REAL far_abs = 1 - 2 / (FT(exp)(2 * x) + 1);
    const FT_REAL far = z < 0 ? -far_abs : far_abs;
    return x < (FT_REAL)0.625 ? near : far;
}
FT_INLINE FT_REAL FT(tanh_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)z; (void)p; return 1 - a * a; }

/* log(1 + e^z). */
FT_INLINE FT_REAL FT(softplus)(FT_REAL z, FT_REAL p)
{
    (void)p;
    return FT(log1p_unit)(FT(exp)(-FT(abs)(z))) + FT(max)(z, 0);
}
FT_INLINE FT_REAL FT(softplus_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)a; return FT(logistic)(z, p); }

FT_INLINE FT_REAL FT(exponential)(FT_REAL z, FT_REAL p) { (void)p; return FT(exp)(z); }
FT_INLINE FT_REAL FT(exponential_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)z; (void)p; return a; }

/* min(max(0, z), p), p > 0; derivative 0 at both ends. */
FT_INLINE FT_REAL FT(clipped_relu)(FT_REAL z, FT_REAL p) { return FT(clip)(z, 0, p); }
FT_INLINE FT_REAL FT(clipped_relu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)z;
    return a > 0 ? (a < p ? 1 : 0) : a;
}

/* min(max(0, (z + 3) / 6), 1) (Howard et al. 2019); z + 3 is exact where it is small. */
FT_INLINE FT_REAL FT(hard_sigmoid)(FT_REAL z, FT_REAL p)
{
    (void)p;
    return FT(clip)(z + 3, 0, 6) * (FT_REAL)(1.0 / 6.0);
}
FT_INLINE FT_REAL FT(hard_sigmoid_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)z; (void)p;
    return a > 0 ? (a < 1 ? (FT_REAL)(1.0 / 6.0) : 0) : a;
}

/* z hard_sigmoid(z) (Howard et al. 2019). */
FT_INLINE FT_REAL FT(hard_silu)(FT_REAL z, FT_REAL p) { return z * FT(hard_sigmoid)(z, p); }
FT_INLINE FT_REAL FT(hard_silu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)a; (void)p;
    return z <= -3 ? 0 : (z >= 3 ? 1 : z * (FT_REAL)(1.0 / 3.0) + (FT_REAL)0.5);
}

/* min(max(-1, z), 1) (Collobert 2004); derivative 0 at both ends. */
FT_INLINE FT_REAL FT(hard_tanh)(FT_REAL z, FT_REAL p) { (void)p; return FT(clip)(z, -1, 1); }
FT_INLINE FT_REAL FT(hard_tanh_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)z; (void)p;
    return FT(abs)(a) < 1 ? 1 : a - a;
}

/* z / (1 + |z|) (Bergstra et al. 2009). */
FT_INLINE FT_REAL FT(softsign)(FT_REAL z, FT_REAL p) { (void)p; return z / (1 + FT(abs)(z)); }
FT_INLINE FT_REAL FT(softsign_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)a; (void)p;
    const FT_REAL q = 1 / (1 + FT(abs)(z));
    return q * q;
}

/* z tanh(log(1 + e^z)) (Misra 2019). With e = e^-|z| the tanh is (1 + 2e) / (1 + 2e + 2e^2) above 0 and e (e + 2) / (e (e + 2) + 2)
 * below: nothing overflows, and what it lacks to 1 comes without cancellation. */
FT_INLINE FT_REAL FT(mish)(FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL e = FT(exp)(-FT(abs)(z));
    const FT_REAL top = z < 0 ? e * (e + 2) : 1 + 2 * e;
    return z * (top / (top + (z < 0 ? 2 : 2 * e * e)));
}
FT_INLINE FT_REAL FT(mish_derivative)(FT_REAL z, FT_REAL a, FT_REAL p)
{
    (void)a; (void)p;
    const FT_REAL e = FT(exp)(-FT(abs)(z));
    const FT_REAL top = z < 0 ? e * (e + 2) : 1 + 2 * e, lack = z < 0 ? 2 : 2 * e * e;
    const FT_REAL inverse = 1 / (top + lack), t = top * inverse;
    const FT_REAL logistic = (z < 0 ? e : 1) / (1 + e);
    return t + z * logistic * (lack * inverse) * (1 + t);
}

/* z if z > 0 else p (e^(z/p) - 1), p > 0: elu with a derivative that is continuous at 0 (Barron 2017). */
FT_INLINE FT_REAL FT(celu)(FT_REAL z, FT_REAL p) { return z > 0 ? z : p * FT(expm1_negative)(z / p); }
FT_INLINE FT_REAL FT(celu_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { return z > 0 ? 1 : a / p + 1; }

/* log(1 / (1 + e^-z)) */
FT_INLINE FT_REAL FT(log_sigmoid)(FT_REAL z, FT_REAL p)
{
    (void)p;
    return FT(min)(z, 0) - FT(log1p_unit)(FT(exp)(-FT(abs)(z)));
}
FT_INLINE FT_REAL FT(log_sigmoid_derivative)(FT_REAL z, FT_REAL a, FT_REAL p) { (void)a; return FT(logistic)(-z, p); }

/* ---- losses: value, and gradient with respect to z ---- */

/* (z - y)^2 / 2 */
FT_INLINE FT_REAL FT(half_squared_error)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return (FT_REAL)0.5 * (z - y) * (z - y); }
FT_INLINE FT_REAL FT(half_squared_error_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return z - y; }

/* (z - y)^2 */
FT_INLINE FT_REAL FT(squared_error)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return (z - y) * (z - y); }
FT_INLINE FT_REAL FT(squared_error_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return 2 * (z - y); }

/* |z - y|; subgradient 0 at 0. */
FT_INLINE FT_REAL FT(absolute_error)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return FT(abs)(z - y); }
FT_INLINE FT_REAL FT(absolute_error_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return FT(sign)(z - y); }

/* r^2 / 2 for |r| <= p, p (|r| - p/2) past it, r = z - y (Huber 1964). */
FT_INLINE FT_REAL FT(huber)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL r = FT(abs)(z - y);
    return r <= p ? (FT_REAL)0.5 * r * r : p * (r - (FT_REAL)0.5 * p);
}
FT_INLINE FT_REAL FT(huber_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { return FT(clip)(z - y, -p, p); }

/* p r for r >= 0, (p - 1) r below, r = y - z (Koenker and Bassett 1978); subgradient 0 at 0. */
FT_INLINE FT_REAL FT(quantile)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL r = y - z;
    return r >= 0 ? p * r : (p - 1) * r;
}
FT_INLINE FT_REAL FT(quantile_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL r = y - z;
    return r > 0 ? -p : (r < 0 ? 1 - p : r);
}

/* e^z - y z: Poisson with log link, the terms of y alone left out. */
FT_INLINE FT_REAL FT(poisson)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return FT(exp)(z) - y * z; }
FT_INLINE FT_REAL FT(poisson_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return FT(exp)(z) - y; }

/* log(1 + e^z) - y z, y in [0, 1], in the form whose parts do not cancel. */
FT_INLINE FT_REAL FT(binary_crossentropy)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    (void)p;
    return (FT(max)(z, 0) - y * z) + FT(log1p_unit)(FT(exp)(-FT(abs)(z)));
}
FT_INLINE FT_REAL FT(binary_crossentropy_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL e = FT(exp)(-FT(abs)(z));
    const FT_REAL one_sided = z < 0 ? e * (1 - y) - y : (1 - y) - y * e;
    return one_sided / (1 + e);
}

/* Margin losses take y in {-1, +1}. max(0, p - y z): p = 1 is the hinge loss, p = 0 the perceptron's. */
FT_INLINE FT_REAL FT(hinge)(FT_REAL y, FT_REAL z, FT_REAL p) { return FT(max)(p - y * z, 0); }
FT_INLINE FT_REAL FT(hinge_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL m = y * z;
    return m <= p ? -y : (m > p ? 0 : m);
}

/* max(0, p - y z)^2 */
FT_INLINE FT_REAL FT(squared_hinge)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL m = FT(max)(p - y * z, 0);
    return m * m;
}
FT_INLINE FT_REAL FT(squared_hinge_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { return -2 * y * FT(max)(p - y * z, 0); }

/* max(0, 1 - y z)^2 for y z >= -1, -4 y z below (Zhang 2004). */
FT_INLINE FT_REAL FT(modified_huber)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL m = y * z, h = FT(max)(1 - m, 0);
    return m >= -1 ? h * h : -4 * m;
}
FT_INLINE FT_REAL FT(modified_huber_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    (void)p;
    const FT_REAL m = y * z;
    return m < -1 ? -4 * y : -2 * y * FT(max)(1 - m, 0);
}

/* max(0, |z - y| - p) */
FT_INLINE FT_REAL FT(epsilon_insensitive)(FT_REAL y, FT_REAL z, FT_REAL p) { return FT(max)(FT(abs)(z - y) - p, 0); }
FT_INLINE FT_REAL FT(epsilon_insensitive_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL r = z - y;
    return FT(abs)(r) <= p ? 0 : FT(sign)(r);
}

/* max(0, |z - y| - p)^2 */
FT_INLINE FT_REAL FT(squared_epsilon_insensitive)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL m = FT(max)(FT(abs)(z - y) - p, 0);
    return m * m;
}
FT_INLINE FT_REAL FT(squared_epsilon_insensitive_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL r = z - y;
    return 2 * FT(sign)(r) * FT(max)(FT(abs)(r) - p, 0);
}

/* z + y e^-z, y > 0: half the gamma deviance with log link, the terms of y alone left out. */
FT_INLINE FT_REAL FT(gamma)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return z + y * FT(exp)(-z); }
FT_INLINE FT_REAL FT(gamma_gradient)(FT_REAL y, FT_REAL z, FT_REAL p) { (void)p; return 1 - y * FT(exp)(-z); }

/* e^((2 - p) z) / (2 - p) - y e^((1 - p) z) / (1 - p): half the Tweedie deviance of power p with log link (Jorgensen 1987), the
 * terms of y alone left out; its limits are the poisson loss at p = 1 and the gamma loss at p = 2. At p = 0 it is written
 * (e^z - y)^2 / 2, whose parts do not cancel. */
FT_INLINE FT_REAL FT(tweedie)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL mean = FT(exp)((2 - p) * z), slope = FT(exp)((1 - p) * z), r = slope - y;
    const FT_REAL value = (p == 2 ? z : mean / (2 - p)) - (p == 1 ? y * z : y * slope / (1 - p));
    return p == 0 ? (FT_REAL)0.5 * r * r : value;
}
FT_INLINE FT_REAL FT(tweedie_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    const FT_REAL mean = FT(exp)((2 - p) * z), slope = FT(exp)((1 - p) * z);
    return p == 0 ? slope * (slope - y) : mean - y * slope;
}

/* Half the Tweedie deviance of power p with identity link, z > 0 unless p = 0:
 * max(y, 0)^(2 - p) / ((1 - p) (2 - p)) - y z^(1 - p) / (1 - p) + z^(2 - p) / (2 - p), and its limits at p = 0, 1, 2. */
FT_INLINE FT_REAL FT(tweedie_identity)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    if (p == 0)
        return (FT_REAL)0.5 * (z - y) * (z - y);
    if (p == 1)
        return y == 0 ? z : y * FT_LIBM(log)(y / z) + z - y;
    if (p == 2)
        return FT_LIBM(log)(z / y) + y / z - 1;
    const FT_REAL power = FT_LIBM(pow)(z, 1 - p);
    const FT_REAL value = z * power / (2 - p) - y * power / (1 - p);
    return y <= 0 ? value : value + FT_LIBM(pow)(y, 2 - p) / ((1 - p) * (2 - p));
}
FT_INLINE FT_REAL FT(tweedie_identity_gradient)(FT_REAL y, FT_REAL z, FT_REAL p)
{
    if (p == 0)
        return z - y;
    if (p == 1)
        return 1 - y / z;
    if (p == 2)
        return (z - y) / (z * z);
    return FT_LIBM(pow)(z, 1 - p) * (1 - y / z);
}

/* ---- proximal maps ---- */

/* argmin_u (u - w)^2 / 2 + t |u| = sign(w) max(|w| - t, 0) */
FT_INLINE FT_REAL FT(soft_threshold)(FT_REAL w, FT_REAL t)
{
    /* written so that NaN comes out as NaN */
    const FT_REAL moved = w < 0 ? w + t : w - t;
    return ((w <= t) & (w >= -t)) ? 0 : moved;
}

#undef FT_EXP_LOW
#undef FT_EXP_HIGH
#undef FT_LIBM
#undef FT_SELU_ALPHA
#undef FT_SELU_SCALE
