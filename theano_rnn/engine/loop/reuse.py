"""The gradient's loop reads the products W s_{t-1} that the forward loop has made.

The gradient of a scan begins each step with the forward step: of gates it needs the values before
their nonlinearity, and so the product of the state with W once more, a sixth of the work of a
layer. Here the forward loop keeps these products, (T, B, G*H) beside the states, and the loop of
the gradient takes them as one more sequence.

With a mask m of dropout they are W (m s_{t-1}). By then Theano has taken the product with m, which
is the same at every step, out of the gradient's loop: all states are multiplied by m at once.
"""

from collections import Counter
from typing import Any, NamedTuple, Optional

import theano
from theano.graph.basic import Apply, Constant, ancestors
from theano.graph.fg import FunctionGraph
from theano.graph.opt import GlobalOptimizer
from theano.graph.toolbox import ReplaceValidate
from theano.scan.op import Scan
from theano.scan.utils import scan_args
from theano.tensor.basic import AllocEmpty, Dot
from theano.tensor.elemwise import DimShuffle
from theano.tensor.subtensor import IncSubtensor, Subtensor, get_idx_list

from theano_rnn.common.types import Variable, Variables


class _Made(NamedTuple):
    """Where a product of a backward loop has been made before."""

    loop: Apply  # the forward Scan
    state: int  # which of its states, of those that read their last value
    slices: list[Apply]  # from the first to the last: what the backward loop does to its rows


class ReusedProducts(GlobalOptimizer):
    """Take products of earlier states and fixed matrices from the loop that made the states."""

    def add_requirements(self, fgraph: FunctionGraph) -> None:
        fgraph.attach_feature(ReplaceValidate())

    def apply(self, fgraph: FunctionGraph) -> None:
        for node in fgraph.toposort():
            while isinstance(node.op, Scan):
                following = _reuse_one(fgraph, node)
                if following is None:
                    break
                node = following


def _reuse_one(fgraph: FunctionGraph, node: Apply) -> Optional[Apply]:
    """The Scan that stands for this one, with one product less; None if there is none to spare."""
    args = _parsed(node)
    for variable in ancestors(args.inner_outputs):
        operands = _operands(variable, args)
        if operands is None:
            continue
        (rows, mask), matrix = _unmasked(operands[0]), operands[1]
        made = _made_before(rows)
        if made is None:
            continue
        product = _kept(fgraph, made, matrix, mask)
        if product is None:
            continue
        for cut in made.slices:
            product = cut.op(product, *cut.inputs[1:])
        return _with_sequence(fgraph, node, operands, product)
    return None


def _parsed(node: Apply) -> scan_args:
    return scan_args(node.inputs, node.outputs, node.op.inputs, node.op.outputs, node.op.info)


def _operands(variable: Variable, args: scan_args) -> Optional[tuple[Variable, Variable]]:
    """Outside the loop, the rows and the fixed matrix that an inner variable multiplies."""
    if variable.owner is None or not isinstance(variable.owner.op, Dot):
        return None
    x, y = variable.owner.inputs
    if x not in args.inner_in_seqs or y not in args.inner_in_non_seqs:
        return None
    rows = args.outer_in_seqs[args.inner_in_seqs.index(x)]
    return rows, args.outer_in_non_seqs[args.inner_in_non_seqs.index(y)]


def _unmasked(rows: Variable) -> tuple[Variable, Optional[Variable]]:
    """Rows and the mask (1, B, H) that multiplies each of them; None if there is none."""
    factors = _factors(rows)
    masks = [v for v in factors if v.broadcastable[0]]
    if len(factors) != 2 or len(masks) != 1:
        return rows, None
    (mask,) = masks
    return factors[1 - factors.index(mask)], mask


def _factors(product: Variable) -> list[Variable]:
    """What an elementwise product multiplies; nothing if it is none."""
    node = product.owner
    is_product = node is not None and str(getattr(node.op, "scalar_op", None)) == "mul"
    return list(node.inputs) if is_product else []


def _made_before(rows: Variable) -> Optional[_Made]:
    """The loop that has these rows as the states before its steps, all but the last."""
    slices: list[Apply] = []
    while rows.owner is not None and isinstance(rows.owner.op, Subtensor):
        cut = rows.owner
        slices.insert(0, cut)
        rows = cut.inputs[0]
    if not slices or rows.owner is None or not isinstance(rows.owner.op, Scan):
        return None
    loop, *cuts = rows.owner, *slices
    (first, *others) = (get_idx_list(cut.inputs, cut.op.idx_list) for cut in cuts)
    if not _is_all_but_last(first):
        return None
    if not all(len(index) == 1 and isinstance(index[0], slice) for index in others):
        return None
    args = _parsed(loop)
    if rows not in args.outer_out_sit_sot:
        return None
    state = args.outer_out_sit_sot.index(rows)
    if not _has_row_for_each(args.outer_in_sit_sot[state], args.n_steps):
        return None
    return _Made(loop, state, cuts[1:])


def _is_all_but_last(index: tuple[object, ...]) -> bool:
    if len(index) != 1 or not isinstance(index[0], slice):
        return False
    start, stop, step = index[0].start, index[0].stop, index[0].step
    return start is None and step is None and isinstance(stop, Constant) and stop.data == -1


def _has_row_for_each(buffer: Variable, steps: Variable) -> bool:
    """Whether the first buffer of a state has one row, and one more for each step.

    Theano shortens it where only the last states are read. Then its rows are no steps.
    """
    if buffer.owner is None or not isinstance(buffer.owner.op, IncSubtensor):
        return False
    empty = buffer.owner.inputs[0].owner
    if empty is None or not isinstance(empty.op, AllocEmpty):
        return False
    difference = _terms(empty.inputs[0])
    difference.subtract(_terms(steps))
    return {term: n for term, n in difference.items() if n} == {1: 1}


def _terms(length: Variable) -> Counter[Any]:
    """A length as a sum: how often it has each of its terms. That of all numbers is 1."""
    if isinstance(length, Constant):
        return Counter({1: int(length.data)})
    operation = str(getattr(getattr(length.owner, "op", None), "scalar_op", None))
    if operation not in ("add", "sub"):
        return Counter({_form(length): 1})
    terms: Counter[Any] = Counter()
    for n, v in enumerate(length.owner.inputs):
        (terms.subtract if operation == "sub" and n else terms.update)(_terms(v))
    return terms


def _form(v: Variable) -> Any:
    """What a variable is computed by; it is the same for two that have the same formula."""
    if isinstance(v, Constant):
        return int(v.data)
    return v if v.owner is None else (v.owner.op, *map(_form, v.owner.inputs))


def _kept(
    fgraph: FunctionGraph, made: _Made, matrix: Variable, mask: Optional[Variable]
) -> Optional[Variable]:
    """The products of all states before a step with the matrix, as an output of their loop."""
    args = _parsed(made.loop)
    state = args.inner_in_sit_sot[made.state]
    for variable in ancestors(args.inner_outputs):
        if variable.owner is None or not isinstance(variable.owner.op, Dot):
            continue
        x, y = variable.owner.inputs
        if _fixed(y, args) is matrix and _is_read(x, state, mask, args):
            return _output(fgraph, made.loop, args, variable)
    return None


def _fixed(variable: Variable, args: scan_args) -> Optional[Variable]:
    """Outside the loop, what an inner variable is that stays the same; None if it does not."""
    if variable not in args.inner_in_non_seqs:
        return None
    outer: Variable = args.outer_in_non_seqs[args.inner_in_non_seqs.index(variable)]
    return outer


def _is_read(x: Variable, state: Variable, mask: Optional[Variable], args: scan_args) -> bool:
    """Whether an inner variable is the state, multiplied by the mask if there is one."""
    if mask is None:
        return x is state
    factors = _factors(x)
    if len(factors) != 2 or state not in factors:
        return False
    other = _fixed(factors[1 - factors.index(state)], args)
    return other is not None and _is_row_of(other, mask)


def _is_row_of(row: Variable, mask: Variable) -> bool:
    """Whether (B, H) is the one row of (1, B, H)."""
    a, b = row.owner, mask.owner
    if a is None or b is None:
        return False
    if isinstance(b.op, DimShuffle):
        return b.op.new_order == ("x", 0, 1) and b.inputs[0] is row
    if not (isinstance(a.op, Subtensor) and isinstance(b.op, Subtensor)):
        return False
    indices = [get_idx_list(node.inputs, node.op.idx_list) for node in (a, b)]
    if any(isinstance(index, slice) for index in (*indices[0], *indices[1])):
        return False
    of_row, of_mask = ([_form(index) for index in each] for each in indices)
    return a.inputs[0] is b.inputs[0] and of_row == [*of_mask, 0]


def _output(fgraph: FunctionGraph, loop: Apply, args: scan_args, variable: Variable) -> Variable:
    """An inner variable as an output of its loop, which is replaced by one that has it."""
    shared = len(args.outer_out_shared)
    args.inner_out_nit_sot = [*args.inner_out_nit_sot, variable]
    args.outer_in_nit_sot = [*args.outer_in_nit_sot, args.n_steps]
    new = _made_of(args)
    at = len(new) - shared - 1
    _replace(fgraph, loop, new[:at] + new[at + 1 :])
    return new[at]


def _with_sequence(
    fgraph: FunctionGraph, node: Apply, operands: tuple[Variable, Variable], product: Variable
) -> Apply:
    """The loop with its product of these operands read from a sequence."""
    args = _parsed(node)
    dots = [v for v in ancestors(args.inner_outputs) if _operands(v, args) == operands]
    sequence = dots[0].type()
    outputs = theano.clone(args.inner_outputs, {v: sequence for v in dots}, share_inputs=True)
    args.inner_in_seqs = [*args.inner_in_seqs, sequence]
    args.outer_in_seqs = [*args.outer_in_seqs, product]
    op = Scan(args.inner_inputs, outputs, args.info)
    new: Variables = op(*args.outer_inputs, return_list=True)
    _replace(fgraph, node, new)
    made: Apply = new[0].owner
    return made


def _made_of(args: scan_args) -> list[Variable]:
    op = Scan(args.inner_inputs, args.inner_outputs, args.info)
    made: list[Variable] = op(*args.outer_inputs, return_list=True)
    return made


def _replace(fgraph: FunctionGraph, loop: Apply, new: Variables) -> None:
    pairs = list(zip(loop.outputs, new))
    fgraph.replace_all_validate(pairs, reason="reused_products")
