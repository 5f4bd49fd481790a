// exp, tanh and the sigmoid for float and double, in code that gcc vectorises by itself.
//
// Theano compiles this as C++ in front of the Ops of softmax.py and activations.py. gcc cannot
// vectorise a loop that calls the C library; it can vectorise a polynomial without branches and
// tables, if every function is inlined, whatever its size.

#ifndef THEANO_RNN_VECTOR_MATH
#define THEANO_RNN_VECTOR_MATH

#include <cmath>
#include <cstring>

#define VECTOR_MATH_INLINE static inline __attribute__((always_inline))

namespace vector_math {

template <typename T> struct Format;

template <> struct Format<npy_float> {
    typedef npy_uint32 bits;
    static constexpr int mantissa = 23, bias = 127;
    static constexpr npy_float lowest = -87.33654f;  // exp of it is the smallest normal number
    static constexpr npy_float highest = 20.0f;  // exp(20) + 2 == exp(20), so tanh(10) == 1
    static constexpr npy_float shift = 12582912.0f;  // 1.5 * 2^23: added, it rounds to an integer
    // ln 2 in two parts, n times the first one exact (Cephes).
    static constexpr npy_float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;

    // (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2: Taylor, the remainder of exp below 1e-8
    VECTOR_MATH_INLINE npy_float series(npy_float r) {
        return 1 / 2.f + r * (1 / 6.f + r * (1 / 24.f + r * (1 / 120.f + r * (1 / 720.f
            + r * (1 / 5040.f)))));
    }
};

template <> struct Format<npy_double> {
    typedef npy_uint64 bits;
    static constexpr int mantissa = 52, bias = 1023;
    static constexpr npy_double lowest = -708.3964185322641;
    static constexpr npy_double highest = 40.0;
    static constexpr npy_double shift = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr npy_double ln2_high = 6.93145751953125e-1, ln2_low = 1.428606820309417e-6;

    // as above, the remainder below 1e-17
    VECTOR_MATH_INLINE npy_double series(npy_double r) {
        return 1 / 2. + r * (1 / 6. + r * (1 / 24. + r * (1 / 120. + r * (1 / 720.
            + r * (1 / 5040. + r * (1 / 40320. + r * (1 / 362880. + r * (1 / 3628800.
            + r * (1 / 39916800. + r * (1 / 479001600. + r * (1 / 6227020800.)))))))))));
    }
};

// condition ? yes : no, by bits: gcc turns ?: into a branch if a comparison could raise a flag.
template <typename T>
VECTOR_MATH_INLINE T select(bool condition, T yes, T no) {
    typedef typename Format<T>::bits Bits;
    const Bits mask = -Bits(condition);
    Bits a, b;
    std::memcpy(&a, &yes, sizeof(T));
    std::memcpy(&b, &no, sizeof(T));
    a = (a & mask) | (b & ~mask);
    T chosen;
    std::memcpy(&chosen, &a, sizeof(T));
    return chosen;
}

// exp(x) = 2^n (1 + p), n = round(x / ln 2): returns 2^n, which must be a normal number.
template <typename T>
VECTOR_MATH_INLINE T power_of_two(T x, T* p) {
    typedef Format<T> F;
    typedef typename F::bits Bits;
    const T shifted = x * T(1.44269504088896340736) + F::shift;
    const T n = shifted - F::shift;
    const T r = (x - n * F::ln2_high) - n * F::ln2_low;
    *p = r + r * r * F::series(r);
    Bits exponent;  // the last bits of `shifted` hold n
    std::memcpy(&exponent, &shifted, sizeof(T));
    exponent = (exponent + Bits(F::bias)) << F::mantissa;
    T power;
    std::memcpy(&power, &exponent, sizeof(T));
    return power;
}

// exp(x) for x <= 0: 0 where the result is below the normal numbers, NaN for NaN.
template <typename T>
VECTOR_MATH_INLINE T exp_of_nonpositive(T x) {
    T p;
    const T power = power_of_two(x, &p), value = power + power * p;
    return select(x < Format<T>::lowest, T(0), value);
}

// tanh |x| = e / (e + 2), e = exp(2|x|) - 1. For small x, n is 0 and e is p: no digit is lost.
template <typename T>
VECTOR_MATH_INLINE T tanh(T x) {
    const T most = Format<T>::highest, twice = 2 * std::fabs(x);
    T p;
    const T power = power_of_two(select(twice > most, most, twice), &p);
    const T e = power * p + (power - 1);
    return std::copysign(e / (e + 2), x);
}

// 1 / (1 + exp(-x)), for negative x exp(x) / (1 + exp(x)): never the exp of a positive number.
template <typename T>
VECTOR_MATH_INLINE T sigmoid(T x) {
    const T e = exp_of_nonpositive(-std::fabs(x));
    return select(x < 0, e, T(1)) / (1 + e);
}

}  // namespace vector_math

#endif
