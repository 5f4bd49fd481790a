"""What helps: options of ``train.py`` against the observed behaviour."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Optional

from theano_rnn.common.errors import RNNError
from theano_rnn.flow.reasons import MANY, Measured
from theano_rnn.model.cells import CELLS
from theano_rnn.training.adaptive import Adaptive
from theano_rnn.training.settings import NETWORK, Settings

#: Below this cosine with the full gradient a truncated one leads elsewhere.
ALIKE = 0.9
#: What keeps a step bounded, a smaller clip too.
CLIPPED: dict[str, Any] = {"clip": 1.0, "clip_by": "norm"}


@dataclass(frozen=True)
class Advice:
    """Settings to change, and the effect of the change.

    >>> str(Advice({"cell": "lstm", "bias": True}, "gates that keep the state"))
    '--cell lstm --bias: gates that keep the state'
    """

    changes: dict[str, Any]
    effect: str

    def __str__(self) -> str:
        options = " ".join(_option(name, value) for name, value in self.changes.items())
        return f"{options}: {self.effect}"

    def in_torch(self, has_bias: bool = True) -> Optional[str]:
        """The same for a module of PyTorch; None if PyTorch has no function for it.

        Parameters
        ----------
        has_bias : bool
            Whether the module has biases.

        >>> Advice({"clip": 1.0, "clip_by": "norm"}, "bound the step").in_torch()
        'torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0): bound the step'
        """
        changes = {name: v for name, v in self.changes.items() if name != "clip_by"}
        calls = [_in_torch(name, value) for name, value in changes.items()]
        if "bias" in changes and not has_bias:
            calls.insert(-1, "bias=True")
        return None if None in calls else f"{', '.join(map(str, calls))}: {self.effect}"


def _option(name: str, value: Any) -> str:
    option = "--" + name.replace("_", "-")
    if value is True:
        return option
    return f"{option} {value:g}" if isinstance(value, float) else f"{option} {value}"


#: What has the effect of a setting in PyTorch.
TORCH = {
    "bias": "bias_hh_l*[H:2*H] = 1, the forget gate's",  # PyTorch's begins near 0
    "clip": "torch.nn.utils.clip_grad_norm_(module.parameters(), {})",
    "l2": "weight_decay={} in the optimizer",
    "epochs": "twice the epochs",
    "initialization": "torch.nn.init.{}_(W) for each W, weight_hh_l*",
}
#: Values that PyTorch calls otherwise.
TORCH_NAMES = {"identity": "eye"}


def _in_torch(name: str, value: Any) -> Optional[str]:
    if name == "cell":
        module = CELLS[value].torch
        relu = "(..., nonlinearity='relu')" if value == "relu" else ""
        return None if module is None else f"torch.{module.name}{relu}"
    return TORCH[name].format(TORCH_NAMES.get(value, value)) if name in TORCH else None


def advise(
    flow: Measured, vanishes: bool, explodes: bool, settings: Optional[Settings] = None
) -> list[Advice]:
    """Changes of the settings that would help: accepted by ``train.py`` and not made yet.

    Parameters
    ----------
    flow : Flow
    vanishes, explodes : bool
        What to advise against, if anything. Advice on the truncation does not depend on it.
    settings : Settings, optional
        The settings of the run; by default only those of the network.
    """
    if settings is None:
        settings = Settings(**{name: getattr(flow.architecture, name) for name in NETWORK})
    found = list(_of_truncation(flow, settings))
    if explodes:
        found += _against_explosion(flow, settings)
    if vanishes:
        found += _against_vanishing(flow, settings)
    # The forget gate of PyTorch's biases begins near 0, and not open as that of --bias.
    kept = {"bias"} if flow.is_module else set()
    found = [_what_is_new(advice, settings, kept) for advice in found if accepts(settings, advice)]
    return [advice for advice in found if advice.changes]


def accepts(settings: Settings, advice: Advice) -> bool:
    """Whether ``train.py`` accepts the advice with all other settings unchanged."""
    try:
        dataclasses.replace(settings, **advice.changes)
    except RNNError:
        return False
    return True


def _what_is_new(advice: Advice, settings: Settings, kept: set[str]) -> Advice:
    now = dataclasses.asdict(settings)
    changes = {n: v for n, v in advice.changes.items() if now[n] != v or n in kept}
    return Advice(changes, advice.effect)


def _of_truncation(flow: Measured, settings: Settings) -> Iterator[Advice]:
    """Advice if the run's truncation, not its network, keeps the gradient short."""
    scheme = settings.cut
    if isinstance(scheme, Adaptive) or scheme.K is None:
        return
    cosine, ratio = flow.truncated(settings.truncation, flow.recurrent)
    is_nothing = ratio == 0 and flow.truncated("full", flow.recurrent)[1] == 0
    if cosine >= ALIKE or is_nothing:  # of a gradient of 0 nothing is cut
        return
    why = f"the cosine of {settings.truncation} with the full gradient is {cosine:.2f} here"
    if settings.stream:
        longer = 2 * scheme.K
        yield Advice({"truncation": f"chunk:{longer}"}, f"cut less often; {why}")
        return
    if scheme.scheme == "last":
        effect = f"follow every output {scheme.K} steps back; {why}"
        yield Advice({"truncation": f"window:{scheme.K}"}, effect)
    yield Advice({"truncation": "full"}, f"cut nothing; {why}")


def _against_explosion(flow: Measured, settings: Settings) -> Iterator[Advice]:
    if not _is_clipped(settings):
        effect = "bound the step and keep its direction"
        yield Advice(CLIPPED, effect)
    yield Advice({"initialization": _even(flow)}, "products of W start without growth")
    if settings.l2 < 1e-5 and not settings.weight_decay:
        yield Advice({"l2": 1e-5}, f"keep {CELLS[flow.architecture.cell].matrix} small")


def _is_clipped(settings: Settings) -> bool:
    return 0 < (settings.clip or 0) <= CLIPPED["clip"] and settings.clip_by == "norm"


def _even(flow: Measured) -> str:
    """The initialization under which products of gamma W neither grow nor shrink."""
    gamma = CELLS[flow.architecture.cell].gamma or 1
    return "orthogonal" if gamma == 1 else f"spectral:{1 / gamma:g}"


def _against_vanishing(flow: Measured, settings: Settings) -> Iterator[Advice]:
    a, found = flow.architecture, flow.saturation()
    cell, gamma = CELLS[a.cell], CELLS[a.cell].gamma
    lstm = {"cell": "lstm", "bias": True}
    if cell.carry_gate is not None:
        yield Advice(lstm, "start with the forget gate open: f at 0.73 instead of 0.5")
        if a.bias and cell.carry_gate in cell.initial_bias:
            ended = "epochs" if settings.minutes is None else "minutes"
            longer = {ended: 2 * getattr(settings, ended)}
            yield Advice(longer, "train longer, so that f is learned")
        return
    if gamma is not None and gamma < 1:
        most = Fraction(gamma)
        yield Advice({"cell": "tanh"}, f"a derivative of up to 1 instead of {most}")
        effect = f"start with W so large that {most} of it does not shrink the state"
        yield Advice({"initialization": _even(flow)}, effect)
    elif cell.is_plain and cell.activation.ends:
        yield Advice({"initialization": _even(flow)}, "products of W start at norm 1")
    if (
        cell.activation.ends
        and found["saturated"] > MANY
        and settings.l2 < 1e-4
        and not settings.weight_decay
    ):
        yield Advice(
            {"l2": 1e-4},
            "small weights saturate fewer states, as does a smaller learning rate",
        )
    identity = {"cell": "relu", "initialization": "identity"}
    if any(getattr(settings, name) != value for name, value in identity.items()):
        clip = {} if _is_clipped(settings) else CLIPPED
        yield Advice({**identity, **clip}, "a unit that is on passes the whole error")
    if not settings.omega:
        omega = Advice({"omega": 2.0}, "a loss term that keeps the error's norm from step to step")
        whole = {"truncation": "full", **omega.changes}
        yield omega if accepts(settings, omega) else Advice(whole, omega.effect)
    plain = {"embedding_size": a.hidden_size} if a.tied and a.embedding_size is None else {}
    # A cell with gates can tie V to an embedding only; and Omega is not for gates.
    changes = {**lstm, **plain, **({"omega": 0.0} if settings.omega else {})}
    yield Advice(changes, "gates that can keep the state, as a gru has too")
