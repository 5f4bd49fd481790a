"""The methods: what each carries from step to step in place of the influence dh_t/dtheta.

With J_t = dh_t/dh_{t-1}, D_t the derivative of h_t by the parameters theta with h_{t-1} held, and
e_t = dE_t/dh_t of the output at t alone, the influence G_t = dh_t/dtheta and the gradient are

    G_t = J_t G_{t-1} + D_t,    dE/dtheta = sum_t e_t G_t.

Each class below is one way to have G_t, or what is near it. S is the size of h_t, P the number of
parameters, all but V and c, whose gradients are exact anyway.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

from theano_rnn.common import memory, validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Variable, Variables
from theano_rnn.engine import building, tensor
from theano_rnn.model.architecture import Architecture
from theano_rnn.online.derivatives import derivatives, forward, is_nested, of_own_unit
from theano_rnn.online.net import Net


class Now(NamedTuple):
    """What a method reads at step t."""

    token: Variable  # an integer, the row of the table
    h: Variable  # (S,) h_{t-1}
    e: Variable  # (H,) dE_t/ds_t of the output at t alone, s_t that of the layer which predicts
    signs: Variable = None  # (S,) 1 or -1, where the method is random


class Method(ABC):
    """A way to assign credit forward in time.

    Attributes
    ----------
    name : str
    is_random : bool
        Whether it draws a sign for each number of the state at each step.
    """

    name: ClassVar[str]
    is_random: ClassVar[bool] = False

    def check(self, net: Net) -> None:  # noqa: B027 (most are defined for every network)
        """Raise RNNError if the method is not defined for a network."""

    @abstractmethod
    def numbers(self, architecture: Architecture, P: int) -> int:
        """How many numbers are carried from step to step, beside the state.

        Parameters
        ----------
        architecture : Architecture
        P : int
            Parameters that the steps use.
        """

    @abstractmethod
    def start(self, net: Net, dtype: str) -> Variables:
        """What is carried, before the first step: zeros.

        Returns
        -------
        list of expressions
        """

    @abstractmethod
    def advance(
        self, net: Net, now: Now, carried: Variables, sums: Variables
    ) -> tuple[Variables, Variables]:
        """One step.

        Parameters
        ----------
        net : Net
        now : Now
        carried : list of expressions
            As ``start`` returns it.
        sums : list of (n_in, n_out) expressions
            The gradients of the blocks of ``net`` up to t - 1.

        Returns
        -------
        carried, sums : lists of expressions
        """


def _zeros(net: Net, n: int, dtype: str) -> Variables:
    """An (n, n_in, n_out) for each block."""
    return [tensor.zeros((n, *shape), dtype) for shape in net.shapes()]


class RTRL(Method):
    """Real-time recurrent learning: G_t = J_t G_{t-1} + D_t, exactly (Williams, Zipser 1989).

    S P numbers, and S^2 P products a step.
    """

    name = "rtrl"

    def numbers(self, architecture: Architecture, P: int) -> int:
        return architecture.state_size * P

    def start(self, net: Net, dtype: str) -> Variables:
        return _zeros(net, net.S, dtype)

    def advance(
        self, net: Net, now: Now, carried: Variables, sums: Variables
    ) -> tuple[Variables, Variables]:
        J, blocks = derivatives(net, now.token, now.h, tensor.eye(net.S, dtype=now.h.dtype))
        G = [block.added_to(_times(J, g)) for block, g in zip(blocks, carried)]
        return G, [a + _times(now.e.dimshuffle("x", 0), g[net.top])[0] for a, g in zip(sums, G)]


def _times(A: Variable, G: Variable) -> Variable:
    """A G, (n, n_in, n_out), of A (n, m) and G (m, n_in, n_out)."""
    shape = A.shape[0], G.shape[1], G.shape[2]
    return tensor.dot(A, G.reshape((G.shape[0], shape[1] * shape[2]))).reshape(shape)


class UORO(Method):
    """Unbiased online recurrent optimization: G_t ~ u_t v_t' (Tallec, Ollivier 2017).

    With random signs nu_t::

        u_t = rho0 J_t u_{t-1} + rho1 nu_t        rho0^2 = |v_{t-1}| / |J_t u_{t-1}|
        v_t = v_{t-1} / rho0 + nu_t' D_t / rho1   rho1^2 = |nu_t' D_t| / |nu_t|

    The mean of u_t v_t' over all signs is G_t: what has an odd power of a sign cancels, and rho0
    and rho1 do not change where nu_t becomes -nu_t. S + P numbers, and some P products a step.
    """

    name, is_random = "uoro", True

    def numbers(self, architecture: Architecture, P: int) -> int:
        return architecture.state_size + P

    def start(self, net: Net, dtype: str) -> Variables:
        v = [tensor.zeros(shape, dtype) for shape in net.shapes()]
        return [tensor.zeros((net.S,), dtype), *v]

    def advance(
        self, net: Net, now: Now, carried: Variables, sums: Variables
    ) -> tuple[Variables, Variables]:
        u, *v = carried
        _, blocks = derivatives(net, now.token, now.h, now.signs.dimshuffle("x", 0))  # nu' D_t
        w = [block.added_to_one(tensor.zeros_like(a)) for block, a in zip(blocks, v)]
        Ju = forward(net, now.token, now.h, u)
        rho0 = root_of_ratio(net.squared_norm(v), tensor.sqr(Ju).sum())
        rho1 = root_of_ratio(net.squared_norm(w), tensor.sqr(now.signs).sum())
        u = rho0 * Ju + rho1 * now.signs
        v = [a / rho0 + b / rho1 for a, b in zip(v, w)]
        along = tensor.dot(now.e, u[net.top])
        return [u, *v], [a + along * b for a, b in zip(sums, v)]


def root_of_ratio(a: Variable, b: Variable) -> Variable:
    """(a / b)^(1/4), the root of the ratio of norms whose squares are given; 1 if one is 0.

    Parameters
    ----------
    a, b : expressions

    Returns
    -------
    expression
    """
    is_zero = tensor.eq(a, 0) | tensor.eq(b, 0)
    # Roots first: a quotient of squares would leave the range of float32.
    a, b = (tensor.sqrt(tensor.switch(is_zero, tensor.ones_like(c), c)) for c in (a, b))
    return tensor.sqrt(a / b)


class OfOwnUnit(Method):
    """What a parameter does to its own unit alone; ``through_W`` says on which ways."""

    through_W: ClassVar[bool]

    def check(self, net: Net) -> None:
        a = net.architecture
        if a.layers > 1 or a.embedding_size is not None:
            what = f"{a.layers} layers" if a.layers > 1 else "an embedding"
            raise RNNError(
                f"{self.name} follows what a parameter does to its own unit, and with {what} a "
                "parameter reaches many units in one step; use one layer without an embedding, or "
                "rtrl or uoro"
            )

    def numbers(self, architecture: Architecture, P: int) -> int:
        return architecture.state_size // architecture.hidden_size * P

    def start(self, net: Net, dtype: str) -> Variables:
        return _zeros(net, net.S // net.architecture.hidden_size, dtype)

    def advance(
        self, net: Net, now: Now, carried: Variables, sums: Variables
    ) -> tuple[Variables, Variables]:
        back, blocks = of_own_unit(net, now.token, now.h, self.through_W)
        H, G = net.architecture.hidden_size, []

        def by_column(of_units: Variable, g: Variable) -> Variable:
            return of_units[tensor.arange(g.shape[-1]) % H]  # column j is of unit j mod H

        for block, g in zip(blocks, carried):
            parts = [sum(by_column(way, g) * g[j] for j, way in enumerate(ways)) for ways in back]
            G.append(block.added_to(tensor.stack(parts)))
        return G, [a + by_column(now.e, g) * g[0] for a, g in zip(sums, G)]


class SnAp1(OfOwnUnit):
    """The sparse one-step approximation: G_t where one step can reach (Menick et al. 2020).

    A parameter reaches its own unit n in one step: of G_t = J_t G_{t-1} + D_t these entries are
    kept, and of J_t only dh_t[n]/dh_{t-1}[n] is needed. As many numbers as parameters (for lstm
    two each), and as many products a step.
    """

    name, through_W = "snap1", True

    def check(self, net: Net) -> None:
        super().check(net)
        h = tensor.zeros((1, net.S))
        _, (layer,) = net.step(tensor.constant(0), net.columns(h))
        if is_nested(layer):
            raise RNNError(
                f"snap1 follows what a parameter does to its own unit, and in a step of "
                f"{net.architecture.cell} it reaches all units, through two products with W; use "
                "another cell (gru_after is a gru with one product), or rtrl, uoro or local"
            )


class Local(OfOwnUnit):
    """The way past W alone: a gate's f or z, as in e-prop (Bellec et al. 2020) and RFLO.

    G_t = I_t G_{t-1} + D_t with the part I_t of J_t that does not go through W: for lstm c_t has f
    c_{t-1}, for gru s_t has z s_{t-1}. Without such a way it is ``immediate``. As many numbers as
    parameters (for lstm two each), and as many products a step.
    """

    name, through_W = "local", False


class Immediate(Method):
    """Nothing before the step itself: dE/dtheta ~ sum_t e_t D_t, a window of K = 0 steps back."""

    name = "immediate"

    def numbers(self, architecture: Architecture, P: int) -> int:
        return 0

    def start(self, net: Net, dtype: str) -> Variables:
        return []

    def advance(
        self, net: Net, now: Now, carried: Variables, sums: Variables
    ) -> tuple[Variables, Variables]:
        D = tensor.set_subtensor(tensor.zeros((1, net.S), now.h.dtype)[0, net.top], now.e)
        _, blocks = derivatives(net, now.token, now.h, D)
        return [], [block.added_to_one(a) for block, a in zip(blocks, sums)]


#: All methods by name.
METHODS: dict[str, Method] = {
    method.name: method for method in (RTRL(), SnAp1(), UORO(), Local(), Immediate())
}


def parse(method: object) -> Method:
    """The method of a name.

    Raises
    ------
    RNNError
        For any other name.
    """
    return METHODS[validation.one_of(method, "method", METHODS)]


def check_memory(method: Method, architecture: Architecture, P: int, dtype: str) -> None:
    """Raise RNNError if what a method carries does not fit into half of the memory.

    Parameters
    ----------
    method : Method
    architecture : Architecture
    P : int
        Parameters that the steps use.
    dtype : str
    """
    # As it was, as it will be, and the product that is added.
    needed = 3 * method.numbers(architecture, P) * (4 if dtype == "float32" else 8)
    there = memory.total()
    if needed > there // 2:
        raise RNNError(
            f"{method.name} would carry the influence of {P:,} parameters on a state of "
            f"{architecture.state_size:,} numbers, {needed / 1e9:,.1f} GB, and this process may "
            f"have {there / 1e9:,.1f}; use a smaller hidden_size, or uoro"
        )


def check_cell(method: str, cell: str) -> None:
    """Raise RNNError if a method is not defined for one layer of a cell."""
    architecture = Architecture(2, 1, cell)
    with building():
        parameters = {
            name: tensor.TensorType("float64", [False] * len(shape))(name)
            for name, shape in architecture.shapes.items()
        }
        parse(method).check(Net(architecture, parameters))
