"""Backpropagation through time from first principles: one file, read from top to bottom.

A network reads a sentence word by word and predicts, at every word, the one that comes next:

    s_t = tanh(U x_t + W s_{t-1})     the state: H numbers, all it knows of the words so far
    o_t = softmax(V s_t)              the probabilities of the next word
    E   = -sum_t log o_t[y_t]         the error: how much the words that came surprised it

It learns by moving U, V and W against the gradient of E. Theano derives this gradient from the
graph of E. Below it is also written out by hand, and the two agree to twelve digits.
"""

import numpy as np

# This is plain Theano. As shipped, it does not import with today's NumPy; the engine sets it up.
from theano_rnn.engine import tensor, theano

# 1. The text. The last verb agrees with the first noun, which may stand five words before it.
TEXT = """
the dog runs
the cats sleep
the dog that sees the cats runs
the dogs that see the cats run
the dogs that see the bird run
the cat that sees the dogs sleeps
the cats that see the dog sleep
the bird that sees the cat sings
the birds that see the dogs sing
the birds sing
"""
START, END = 0, 1
words = ["<start>", "<end>", *sorted(set(TEXT.split()))]
sentences = [[words.index(word) for word in line.split()] for line in TEXT.strip().splitlines()]
pairs = [([START, *ids], [*ids, END]) for ids in sentences]  # x, and y: the same, one word on

# 2. The parameters: C words, H units.
C, H = len(words), 16
rng = np.random.default_rng(seed=1)
U, V, W = parameters = [
    theano.shared(rng.uniform(-1, 1, shape) / np.sqrt(shape[1]), name)
    for name, shape in [("U", (H, C)), ("V", (C, H)), ("W", (H, H))]
]

# 3. The network, as a graph. x_t is one-hot, so U x_t is a column of U.


def step(x_t, s_before, U, W):
    return tensor.tanh(U[:, x_t] + tensor.dot(W, s_before))


x, y = tensor.lvector("x"), tensor.lvector("y")  # (T,) the numbers of the words
s_0 = tensor.zeros((H,), "float64")
s, _ = theano.scan(step, sequences=x, outputs_info=s_0, non_sequences=[U, W], strict=True)
o = tensor.nnet.softmax(tensor.dot(s, V.T))  # s is (T, H), o is (T, C)
E = -tensor.log(o[tensor.arange(y.shape[0]), y]).sum()

# 4. Its gradient: one line.
gradients = theano.grad(E, parameters)

# 5. The same by hand. Each output depends on every step before it, so dE/dW is a sum over pairs
#    of an output t and a step j <= t. delta is dE_t/dz_j, where s_j = tanh(z_j).


def forward(x, U, V, W):
    s = np.zeros((len(x) + 1, H))  # the last row stays 0: s[-1] is the state before the first word
    for t in range(len(x)):
        s[t] = np.tanh(U[:, x[t]] + W @ s[t - 1])
    o = np.exp(s[:-1] @ V.T)
    return s, o / o.sum(axis=1, keepdims=True)


def error(x, y, U, V, W):
    return -np.log(forward(x, U, V, W)[1][range(len(x)), y]).sum()


def bptt(x, y, U, V, W):
    dU, dV, dW = np.zeros_like(U), np.zeros_like(V), np.zeros_like(W)
    s, o = forward(x, U, V, W)
    for t in range(len(x)):
        do = o[t] - np.eye(C)[y[t]]  # dE_t/d(V s_t)
        dV += np.outer(do, s[t])
        delta = V.T @ do * (1 - s[t] ** 2)  # tanh' = 1 - tanh^2
        for j in range(t, -1, -1):  # back through time
            dU[:, x[j]] += delta
            dW += np.outer(delta, s[j - 1])
            delta = W.T @ delta * (1 - s[j - 1] ** 2)  # one step earlier
    return dU, dV, dW


# 6. The check. The two gradients agree, and they are what a derivative is: if the parameters move
#    along the gradient g by a small epsilon, E grows by epsilon |g|^2.
pair, before = pairs[-2], [parameter.get_value() for parameter in parameters]
by_theano = theano.function([x, y], gradients)(*pair)
by_hand = bptt(*pair, *before)
for name, a, b in zip("UVW", by_theano, by_hand):
    print(f"dE/d{name}: theano.grad and the loop differ by {abs(a - b).max():.0e}")
    assert abs(a - b).max() < 1e-12
ahead, behind = ([p + e * g for p, g in zip(before, by_hand)] for e in (1e-6, -1e-6))
slope = (error(*pair, *ahead) - error(*pair, *behind)) / 2e-6
print(f"|g|^2 is {sum((g**2).sum() for g in by_hand):.6f}, and E grows by {slope:.6f} epsilon\n")

# 7. Training: one sentence after another, a step against the gradient.
updates = [(p, p - 0.05 * g) for p, g in zip(parameters, gradients)]
learn = theano.function([x, y], E, updates=updates)
for epoch in range(151):
    loss = sum(learn(*pairs[i]) for i in rng.permutation(len(pairs)))
    if epoch % 30 == 0:
        print(f"epoch {epoch:3}: {loss / sum(len(y) for _, y in pairs):.2f} nats a word")

# 8. Sampling: draw a word, read it, draw the next. Some sentences are new; do the verbs agree?
next_word = theano.function([x], o[-1])
for _ in range(8):
    ids = [START]
    while ids[-1] != END and len(ids) < 12:
        ids.append(rng.choice(C, p=next_word(ids)))
    text = " ".join(words[i] for i in ids[1:-1])
    print("  " + text + ("" if text in TEXT.splitlines() else "  (new)"))
