// Lets other threads of Python run while C++ computes.

#ifndef THEANO_RNN_GIL
#define THEANO_RNN_GIL

// Python's lock, given back from here to the end of the block if the work is long; the block must
// not call Python. Taking the lock again can mean to wait for it: short work keeps it.
struct WithoutGIL {
    static const npy_intp LONG = 500000;  // multiplications; some 100 microseconds
    PyThreadState* const state;
    explicit WithoutGIL(npy_intp work) : state(work > LONG ? PyEval_SaveThread() : NULL) {}
    ~WithoutGIL() { if (state != NULL) PyEval_RestoreThread(state); }
};

#endif
