// How fast this machine multiplies and reads: the two roofs of theano_rnn.benchmark.roofline.

#include <time.h>
#include <vector>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace roofline {

#if defined(__AVX512F__)
static const int BYTES = 64;
#elif defined(__AVX__)
static const int BYTES = 32;
#else
static const int BYTES = 16;
#endif
// Twelve sums and two factors fit into 16 registers; gcc unrolls loops of up to 16 rounds.
static const int N = BYTES / sizeof(float), SUMS = 12;
typedef float vector __attribute__((vector_size(BYTES), aligned(BYTES)));

static double now() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

// The seconds that work(i) takes for i < n at the same time, each in a thread of its own.
template <typename Work>
static double seconds(int n, const Work& work) {
    double begun = now(), most = 0;
#ifdef _OPENMP
#pragma omp parallel for num_threads(n) schedule(static, 1) reduction(max : most)
#endif
    for (int i = 0; i < n; ++i) {
        begun = now();
        work(i);
        most = std::max(most, now() - begun);
    }
    return most;
}

static volatile float sink;  // what is written here is computed

// SUMS independent sums in registers, each a = a x + y in each round.
__attribute__((noinline)) static void multiply(npy_intp rounds) {
    vector sums[SUMS], x, y;
    for (int l = 0; l < N; ++l) {
        x[l] = 0.5f + sink;
        y[l] = 1.f + sink;
    }
    for (int i = 0; i < SUMS; ++i) sums[i] = y * float(i);
    for (npy_intp round = 0; round < rounds; ++round)
        for (int i = 0; i < SUMS; ++i) sums[i] = sums[i] * x + y;
    vector all = sums[0];
    for (int i = 1; i < SUMS; ++i) all += sums[i];
    sink = all[0];
    sink = 0;
}

// Read vectors n at a time, again and again.
__attribute__((noinline)) static void read(const vector* at, npy_intp n, npy_intp rounds) {
    vector sums[8];
    for (int i = 0; i < 8; ++i) sums[i] = at[0];
    for (npy_intp round = 0; round < rounds; ++round) {
        __asm__ volatile("" ::: "memory");  // it is read anew
        npy_intp j = 0;
        for (; j + 8 <= n; j += 8)
            for (int i = 0; i < 8; ++i) sums[i] += at[j + i];
    }
    vector all = sums[0];
    for (int i = 1; i < 8; ++i) all += sums[i];
    sink = all[0];
    sink = 0;
}

// Floating-point operations a second, of threads at once; a multiplication with its addition is 2.
static double operations_a_second(int threads, npy_intp rounds) {
    const double taken = seconds(threads, [&](int) { multiply(rounds); });
    return 2.0 * SUMS * N * double(rounds) * threads / taken;
}

// Bytes a second out of memory of so many bytes, of which each thread has its part. 0: no memory.
static double bytes_a_second(int threads, npy_intp bytes, npy_intp read_in_all) {
    const npy_intp n = std::max<npy_intp>(bytes / threads / BYTES / 8 * 8, 8);
    const npy_intp rounds = std::max<npy_intp>(read_in_all / (n * BYTES * threads), 1);
    std::vector<std::vector<char>> parts(threads);
    try {
        for (auto& part : parts) part.assign((n + 1) * BYTES, 0);
    } catch (const std::bad_alloc&) {
        return 0;
    }
    const auto work = [&](int i) {
        const auto begin = (std::size_t)parts[i].data();
        read((const vector*)((begin + BYTES - 1) / BYTES * BYTES), n, rounds);
    };
    seconds(threads, work);  // it comes into the cache that it fits into
    return double(n) * BYTES * threads * double(rounds) / seconds(threads, work);
}

}  // namespace roofline
