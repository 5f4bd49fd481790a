// A matrix: a pointer and two strides in elements.

#ifndef THEANO_RNN_MATRIX
#define THEANO_RNN_MATRIX

namespace native_loop {

template <typename T>
struct Matrix {
    T* at;
    npy_intp row, column;  // strides
};

}  // namespace native_loop

#endif
