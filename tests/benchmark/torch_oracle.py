"""What the tests ask of PyTorch: a program for its interpreter, which has no Theano.

    python torch_oracle.py gradients IN OUT   E and dE/d of our parameters, by autograd, also with
                                              states detached or gradients scaled between steps
    python torch_oracle.py load IN OUT        logits of a file of ours, as torch_module loads it
    python torch_oracle.py make IN OUT        modules of PyTorch's own drawing: state and logits
    python torch_oracle.py flow IN OUT        such modules, and where the error of a loss arrives

IN and OUT are folders; arrays are safetensors, what is not an array is JSON in their metadata.
Everything is float64. Of the package only ``torch_module`` is imported.
"""

import json
import sys
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy, embedding

from theano_rnn.interop import torch_module

torch.set_default_dtype(torch.float64)

#: Ours that have a module of PyTorch's, with its gates as blocks of ours.
MODULES = {
    "tanh": (nn.RNN, [0]),
    "relu": (nn.RNN, [0]),
    "gru_after": (nn.GRU, [1, 0, 2]),
    "lstm": (nn.LSTM, [0, 1, 3, 2]),
}


def theirs(parameters: dict, l: int, order: list, cell: str) -> dict:
    """The tensors of a layer of the module, made from ours by operations that autograd knows."""
    suffix = "" if l == 0 else str(l + 1)

    def blocks(a):
        gates = a.chunk(len(order))
        return torch.cat([gates[gate] for gate in order])

    made = {
        f"weight_{kind}_l{l}": blocks(parameters[name + suffix])
        for kind, name in (("ih", "U"), ("hh", "W"))
    }
    if "b" in parameters:
        b = blocks(parameters["b" + suffix])
        made[f"bias_ih_l{l}"], made[f"bias_hh_l{l}"] = b, torch.zeros_like(b)
        if cell == "gru_after":
            a = parameters["a" + suffix]
            made[f"bias_hh_l{l}"] = torch.cat([torch.zeros(2 * len(a)), a])
    return made


def by_module(kind: dict, parameters: dict, x):
    """States of the top layer, (T, B, H), by PyTorch's recurrence."""
    make, order = MODULES[kind["cell"]]
    settings = {"nonlinearity": kind["cell"]} if make is nn.RNN else {}
    H = parameters["W"].shape[1]
    module = make(x.shape[2], H, kind["layers"], bias=kind["bias"], **settings)
    tensors = {}
    for l in range(kind["layers"]):
        tensors.update(theirs(parameters, l, order, kind["cell"]))
    assert tensors.keys() == dict(module.named_parameters()).keys()
    return functional_call(module, tensors, (x,))[0]


def sigmoid_step(p, W, s):
    return torch.sigmoid(p + s @ W.t())


def gru_step(p, W, s):
    """Cho et al. (2014): the reset before the product, where nn.GRU has it after."""
    (p_z, p_r, p_h), (W_z, W_r, W_h) = p.chunk(3, dim=1), W.chunk(3)
    z, r = torch.sigmoid(p_z + s @ W_z.t()), torch.sigmoid(p_r + s @ W_r.t())
    return z * s + (1 - z) * torch.tanh(p_h + (r * s) @ W_h.t())


def mingru_step(p, W, s):
    """Feng et al. (2024), with z for their 1 - z. There is no W."""
    p_z, p_h = p.chunk(2, dim=1)
    z = torch.sigmoid(p_z)
    return z * s + (1 - z) * p_h


def by_steps(kind: dict, parameters: dict, x):
    """States of the top layer of a cell that PyTorch has no module of: step by step."""
    steps = {"sigmoid": sigmoid_step, "gru": gru_step, "mingru": mingru_step}
    step, gates = steps[kind["cell"]], {"sigmoid": 1, "gru": 3, "mingru": 2}[kind["cell"]]
    for l in range(kind["layers"]):
        suffix = "" if l == 0 else str(l + 1)
        p = x @ parameters["U" + suffix].t()
        p = p + parameters["b" + suffix] if kind["bias"] else p
        W, states = parameters.get("W" + suffix), []
        s = torch.zeros(x.shape[1], p.shape[2] // gates)
        for p_t in p:
            s = step(p_t, W, s)
            states.append(s)
        x = torch.stack(states)
    return x


#: Cells of PyTorch's for one step, in place of the modules.
CELLS = {"tanh": nn.RNNCell, "relu": nn.RNNCell, "gru_after": nn.GRUCell, "lstm": nn.LSTMCell}


def by_cells(kind: dict, parameters: dict, x, hand_on):
    """States of the top layer, whose way to the next step is what ``hand_on`` makes of it.

    ``hand_on(t, state)`` is the state that step t reads, of the one before, (s,) or (s, c).
    """
    H = parameters["W"].shape[1] if "W" in parameters else parameters["U"].shape[0] // 2
    for l in range(kind["layers"]):
        suffix = "" if l == 0 else str(l + 1)
        state = (torch.zeros(x.shape[1], H),) * (2 if kind["cell"] == "lstm" else 1)
        if kind["cell"] in CELLS:
            make, order = CELLS[kind["cell"]], MODULES[kind["cell"]][1]
            settings = {"nonlinearity": kind["cell"]} if make is nn.RNNCell else {}
            cell = make(x.shape[2], H, bias=kind["bias"], **settings)
            tensors = theirs(parameters, l, order, kind["cell"])
            tensors = {name[: name.rindex("_")]: a for name, a in tensors.items()}
            assert tensors.keys() == dict(cell.named_parameters()).keys()
        step = {"sigmoid": sigmoid_step, "gru": gru_step, "mingru": mingru_step}.get(kind["cell"])
        states = []
        for t, x_t in enumerate(x):
            state = hand_on(t, state)
            if step is None:
                given = state if kind["cell"] == "lstm" else state[0]
                after = functional_call(cell, tensors, (x_t, given))
                state = after if isinstance(after, tuple) else (after,)
            else:
                p = x_t @ parameters["U" + suffix].t()
                p = p + parameters["b" + suffix] if kind["bias"] else p
                state = (step(p, parameters.get("W" + suffix), state[0]),)
            states.append(state[0])
        x = torch.stack(states)
    return x


def cutting(method: str, factors):
    """``hand_on`` of ``by_cells`` for a way to assign credit; ``factors`` (T, B) are artbp's."""

    def scaled(a, s):
        s = s.clone()
        if s.requires_grad:
            s.register_hook(lambda g: a[:, None] * g)
        return s

    def hand_on(t, state):
        if method == "artbp":
            return tuple(scaled(factors[t], s) for s in state)
        # What W multiplies is constant; an lstm's c goes past W.
        kept = state[1:] if method == "local" else ()
        return tuple(s.detach() for s in state[: len(state) - len(kept)]) + kept

    return hand_on


def loss(kind: dict, parameters: dict, x, y, mask, factors=None):
    """E, summed over the tokens that the mask has. x, y, mask (T, B)."""
    if kind["embedding"]:
        inputs = embedding(x, parameters["L"].t())
    else:
        inputs = nn.functional.one_hot(x, parameters["U"].shape[1]).to(torch.float64)
    if "method" in kind:
        s = by_cells(kind, parameters, inputs, cutting(kind["method"], factors))
    else:
        s = (by_module if kind["cell"] in MODULES else by_steps)(kind, parameters, inputs)
    table = parameters["L" if kind["embedding"] else "U"]
    logits = s @ (table if kind["tied"] else parameters["V"].t())
    logits = logits + parameters["c"] if kind["bias"] else logits
    losses = cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
    return (losses * mask.flatten()).sum()


def gradients(arrays: dict, kind: dict) -> dict:
    """E and the gradients of one net."""
    x, y, mask = (arrays.pop(name) for name in ("x", "y", "mask"))
    factors = arrays.pop("factors", None)
    for array in arrays.values():
        array.requires_grad_(True)
    E = loss(kind, arrays, x, y, mask, factors)
    found = torch.autograd.grad(E, list(arrays.values()))
    return {"E": E.detach(), **dict(zip(arrays, found))}


def flow(settings: dict, target: Path) -> dict:
    """A module with inputs, a loss, and dE_t/dh_k for all t and k; its state goes to a file.

    h_k is (s, c) of each layer, one after the other. The loss is the cross-entropy of a decoder,
    or, without one, sum_t e_t s_t with random e_t.
    """
    torch.manual_seed(settings["seed"])
    cell, layers, T, H = settings["cell"], settings["layers"], 7, 3
    make = MODULES[cell][0]
    kind = {"nonlinearity": cell} if make is nn.RNN else {}
    core = make(4, H, layers, bias=settings["bias"], **kind)
    if cell == "relu":  # most of whose units are to be on
        for parameter in core.parameters():
            parameter.data += 0.3
    body = nn.ModuleDict({"core": core})
    given, inputs, decoder = {"e": torch.randn(T, H)}, torch.randn(T, 4), None
    if settings["decoder"]:
        body["emb"], body["head"] = nn.Embedding(6, 4), nn.Linear(H, 6)
        decoder, tokens = body["head"], torch.randint(6, (T + 1,))
        given, inputs = {"tokens": tokens}, body["emb"](tokens[:-1])
    else:
        given["inputs"] = inputs.requires_grad_(True)
    save_file(nn.ModuleDict({"body": body}).state_dict(), str(target.with_suffix(".state")))
    hidden, states, losses = None, [], []
    for t, x in enumerate(inputs):
        hidden = core(x[None], hidden)[1]
        states.append(hidden if isinstance(hidden, tuple) else (hidden,))
        s = states[-1][0][-1]
        if decoder is None:
            losses.append(given["e"][t] @ s)
        else:
            losses.append(cross_entropy(decoder(s)[None], tokens[t + 1 : t + 2]))

    def gradient(y, h):
        found = torch.autograd.grad(y, h, retain_graph=True, allow_unused=True)
        found = [torch.zeros_like(part) if d is None else d for part, d in zip(h, found)]
        return torch.stack(found, dim=1).flatten()

    zeros = torch.zeros(layers * len(states[0]) * H)
    errors = [
        [gradient(losses[t], states[k]) if k <= t else zeros for k in range(T)] for t in range(T)
    ]
    last = torch.stack(states[-1], dim=1).flatten()
    jacobian = [gradient(unit, states[1]) for unit in last]
    wanted = dict(core.named_parameters())
    if decoder is None:
        wanted["inputs"] = inputs
    found = torch.autograd.grad(sum(losses), list(wanted.values()))
    return {
        **{name: array.detach() for name, array in given.items()},
        **{f"d {name}": array for name, array in zip(wanted, found)},
        "errors": torch.stack([torch.stack(row) for row in errors]),
        "jacobian": torch.stack(jacobian),
    }


def read(path: Path) -> tuple:
    """Arrays and what the metadata has."""
    with safetensors.safe_open(str(path), framework="pt") as file:
        metadata = json.loads((file.metadata() or {}).get("json", "{}"))
    return load_file(str(path)), metadata


def main(what: str, source: str, target: str) -> None:
    for path in sorted(Path(source).glob("*.safetensors")):
        out = Path(target, path.name)
        if what == "gradients":
            arrays, kind = read(path)
            found = gradients(arrays, kind)
            save_file({name: a.contiguous() for name, a in found.items()}, str(out))
            continue
        if what == "flow":
            found = flow(read(path)[1], out)
            save_file({name: a.contiguous() for name, a in found.items()}, str(out))
            continue
        if what == "load":
            module = torch_module.load(path)
            vocab_size = module.decoder.out_features
        else:
            settings = read(path)[1]
            vocab_size, is_tied = settings["vocab_size"], settings.pop("tied")
            torch.manual_seed(settings.pop("seed"))
            module = torch_module.language_model(**settings)
            if is_tied:
                module.decoder.weight = module.embedding.weight
            save_model(module, str(out.with_suffix(".state")))
        x = torch.arange(12).reshape(6, 2) * 5 % vocab_size
        save_file({"x": x, "logits": module(x).detach()}, str(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
