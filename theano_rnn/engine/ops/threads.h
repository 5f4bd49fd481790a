// Threads of OpenMP, as many as BLAS is to use; one where the compiler has no OpenMP.

#ifndef THEANO_RNN_THREADS
#define THEANO_RNN_THREADS

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_num_procs() { return 1; }
#endif
#include <pthread.h>

namespace threads {

// While this lives, BLAS computes in the thread that calls it. Threads of OpenBLAS spin for a tenth of
// a second after each product, waiting for more, on cores that the threads below need, or another
// process. So products that are large are split among the threads below.
struct OneThread {
    static void* find(const char* name, const char* prefixed) {
        void* const at = dlsym(RTLD_DEFAULT, prefixed);
        return at == NULL ? dlsym(RTLD_DEFAULT, name) : at;
    }
    static int count() {
        static int (*const get)() = (int (*)())find("openblas_get_num_threads",
                                                    "scipy_openblas_get_num_threads");
        return get == NULL ? 0 : get();  // 0: it does not tell
    }
    static void set(int count) {
        static void (*const set)(int) = (void (*)(int))find("openblas_set_num_threads",
                                                            "scipy_openblas_set_num_threads");
        if (set != NULL) set(count);
    }
    const int before;
    OneThread() : before(count()) {
        if (before > 1) set(1);
    }
    ~OneThread() { if (before > 1) set(before); }
};

// Multiplications for each thread. With fewer, the work ends before a second thread has begun.
static const npy_intp WORTH_A_THREAD = 1200000;

// The threads of gcc's OpenMP do not survive a fork: the child uses one. All modules share the flag:
// one that is first used in the child has not seen the fork itself.
template <typename T>
struct __attribute__((visibility("default"))) Fork {
    static bool happened;
    static void note() { happened = true; }
};
template <typename T>
__attribute__((visibility("default"))) bool Fork<T>::happened = false;
static const int noted = pthread_atfork(NULL, NULL, Fork<void>::note);  // as a module is loaded

static int asked_for() {
    const char* text = std::getenv("OPENBLAS_NUM_THREADS");
    if (text == NULL || *text == 0) text = std::getenv("OMP_NUM_THREADS");
    return std::min(std::max(text == NULL ? 1 : std::atoi(text), 1), omp_get_num_procs());
}

// How many for so much work: at most as many as BLAS is to use now, or as the user sets for it where
// it does not tell.
static inline int number(npy_intp multiplications) {
    static const int asked = asked_for();
    if (Fork<void>::happened) return 1;
    const int of_blas = OneThread::count();
    return int(std::min<npy_intp>(of_blas > 0 ? of_blas : asked,
                                  std::max<npy_intp>(multiplications / WORTH_A_THREAD, 1)));
}

// Call work(i) for i < n, each in a thread of its own. Returns whether all returned true.
template <typename Work>
static inline bool run(int n, const Work& work) {
    bool done = true;
    if (n == 1) return work(0);
#pragma omp parallel for num_threads(n) schedule(static, 1) reduction(&& : done)
    for (int i = 0; i < n; ++i) done = work(i) && done;
    return done;
}

}  // namespace threads

#endif
