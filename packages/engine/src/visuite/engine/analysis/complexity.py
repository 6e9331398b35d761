"""How large and how costly a model is, module by module.

FLOPs are those of `torch.utils.flop_counter`, halved: a multiplication with its addition counts once, as in the tables
of papers and model zoos. Counted are matrix products, convolutions and attention; all else costs little beside them.
Activations are the elements that these operators put out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.module_tracker import ModuleTracker

from visuite.engine.utils.table import text_table

#: Namespaces whose operators are known to the counter, or cost nothing worth counting.
_PLAIN = ("aten", "prim", "prims", "profiler", "_c10d_functional", "c10d")


@dataclass
class Complexity:
    """What one pass through a model took.

    Attributes:
        flops: {module: {operator: multiply-adds}}; the model itself is called `''`.
        activations: {module: {operator: elements put out}}.
        parameters: {module: elements}, shared ones once in each module that has them.
        kinds: {module: its class}.
        uncounted: {operator: calls} of operators from outside torch, whose work is not in `flops`.
        idle: Parts of the model, the children nearest to it, that have parameters and were not called.
    """

    flops: dict[str, Counter[str]] = field(default_factory=dict)
    activations: dict[str, Counter[str]] = field(default_factory=dict)
    parameters: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    uncounted: Counter[str] = field(default_factory=Counter)
    idle: list[str] = field(default_factory=list)

    def total(self, what: str = "flops", module: str = "") -> int:
        """Return the `flops`, `activations` or `parameters` of a module."""
        found = getattr(self, what).get(module, 0)
        return found if isinstance(found, int) else sum(found.values())


class _OutputCounter(TorchDispatchMode):
    """Count what the operators that have FLOPs put out, and note those nobody can count."""

    def __init__(self, tracker: ModuleTracker, operators: Collection[Any]) -> None:
        super().__init__()
        self.tracker, self.operators = tracker, operators
        self.outputs: dict[str, Counter[str]] = {}
        self.uncounted: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        tensors = (leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
        if packet in self.operators:
            elements = next(tensors).numel()
            for module in self.tracker.parents:
                self.outputs.setdefault(module, Counter())[str(packet).rpartition(".")[2]] += elements
        elif func.namespace not in _PLAIN and any(True for _ in tensors):  # not what only asks for a version
            self.uncounted[str(packet)] += 1
        return result


def measure(model: nn.Module, inputs: Any) -> Complexity:
    """Run a model once, in evaluation mode and without gradients, and count.

    Args:
        model: Its training modes are as before afterwards.
        inputs: A tensor, a tuple of positional arguments, or a dict of keyword arguments.
    """
    from torch.utils.flop_counter import FlopCounterMode, flop_registry  # slow to import

    args, kwargs = _as_call(inputs)
    modes = [(module, module.training) for module in model.modules()]
    tracker = ModuleTracker()
    outputs, flops = _OutputCounter(tracker, flop_registry), FlopCounterMode(display=False)
    called: set[nn.Module] = set()
    fused = torch.backends.mha.get_fastpath_enabled()
    hook = register_module_forward_pre_hook(lambda module, _: called.add(module))
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, which the counter does not know
    try:
        with torch.no_grad(), flops, tracker, outputs:
            model(*args, **kwargs)
    finally:
        hook.remove()
        torch.backends.mha.set_fastpath_enabled(fused)
        for module, training in modes:
            module.training = training
    return Complexity(
        flops=_by_path({name: _halved(ops) for name, ops in flops.get_flop_counts().items()}, model),
        activations=_by_path(outputs.outputs, model),
        parameters=parameter_count(model),
        kinds={name: type(module).__name__ for name, module in model.named_modules()},
        uncounted=outputs.uncounted,
        idle=[
            name
            for name, part in model.named_children()
            if any(True for _ in part.parameters()) and called.isdisjoint(part.modules())
        ],
    )


def _as_call(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)), {}


def _halved(flops: Mapping[Any, int]) -> Counter[str]:
    return Counter({str(operator).rpartition(".")[2]: number // 2 for operator, number in flops.items()})


def _by_path(counts: Mapping[str, Counter[str]], model: nn.Module) -> dict[str, Counter[str]]:
    """Rename `ResNet.layer1.0` to `layer1.0`, and what stands for all to `''`.

    A container whose members are called one by one, a `ModuleList` say, is never called itself: it has their sum.
    """
    top = type(model).__name__
    named = {name.removeprefix(f"{top}."): ops for name, ops in counts.items() if name not in ("Global", top)}
    named[""] = counts.get("Global", Counter())
    for name, module in reversed(list(model.named_modules())):  # members before what holds them
        if name not in named:
            members = [f"{name}.{member}" for member, _ in module.named_children()]
            named[name] = sum((named.get(member, Counter()) for member in members), Counter())
    return named


def parameter_count(model: nn.Module) -> dict[str, int]:
    """Return {module: number of parameters}, the whole model under `''`, each single parameter under its own name.

    A parameter that several modules share counts once in each of them, and once in the whole.
    """
    counts = {name: sum(one.numel() for one in module.parameters()) for name, module in model.named_modules()}
    return counts | {name: one.numel() for name, one in model.named_parameters()}


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """Return a table of parameters, of modules and of single tensors, to a depth."""
    shapes = {name: str(tuple(one.shape)) for name, one in model.named_parameters()}
    counts = parameter_count(model)
    names = [name for name in _in_order(model, shapes) if name.count(".") < max_depth]
    rows = [("name", "parameters", "shape")]
    rows += [(_indented(name), in_units(counts[name]), shapes.get(name, "")) for name in names]
    return text_table(rows, right=(1,))


def _in_order(model: nn.Module, parameters: Mapping[str, str]) -> list[str]:
    """Return the names of modules that have parameters, each followed by its own and its children's."""
    order: list[str] = []

    def visit(name: str, module: nn.Module) -> None:
        order.append(name)
        prefix = f"{name}." if name else ""
        order.extend(f"{prefix}{own}" for own in module._parameters if f"{prefix}{own}" in parameters)
        for child, inner in module.named_children():
            if any(True for _ in inner.parameters()):
                visit(f"{prefix}{child}", inner)

    visit("", model)
    return order


class OperatorAnalyzer:
    """Count something of a model's operators, when first asked.

    Args:
        model: The model.
        inputs: What it is called with; see `measure`.
    """

    counted = "flops"

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self.model = model
        self.inputs = inputs
        self._complexity: Complexity | None = None

    @property
    def complexity(self) -> Complexity:
        """All that was counted."""
        if self._complexity is None:
            self._complexity = measure(self.model, self.inputs)
        return self._complexity

    def by_module_and_operator(self) -> dict[str, Counter[str]]:
        """Return {module: {operator: count}}; a module's count is that of all inside it."""
        return getattr(self.complexity, self.counted)

    def by_module(self) -> Counter[str]:
        """Return {module: count}."""
        return Counter({name: sum(ops.values()) for name, ops in self.by_module_and_operator().items()})

    def by_operator(self, module_name: str = "") -> Counter[str]:
        """Return {operator: count} of one module, by default of the whole model."""
        return self.by_module_and_operator().get(module_name, Counter())

    def total(self, module_name: str = "") -> int:
        """Return the count of one module, by default of the whole model."""
        return self.complexity.total(self.counted, module_name)

    def uncounted_ops(self) -> Counter[str]:
        """Return {operator: calls} of operators whose work is not counted."""
        return self.complexity.uncounted


class FlopAnalyzer(OperatorAnalyzer):
    """Count multiply-adds."""


class ActivationAnalyzer(OperatorAnalyzer):
    """Count the elements that matrix products and convolutions put out."""

    counted = "activations"


def flop_count(model: nn.Module, inputs: Any) -> tuple[Counter[str], Counter[str]]:
    """Return {operator: multiply-adds in 10^9} and {operator: calls} of operators that are not counted."""
    analyzer = FlopAnalyzer(model, inputs)
    return _scaled(analyzer.by_operator(), 1e9), analyzer.uncounted_ops()


def activation_count(model: nn.Module, inputs: Any) -> tuple[Counter[str], Counter[str]]:
    """Return {operator: elements put out in 10^6} and {operator: calls} of operators that are not counted."""
    analyzer = ActivationAnalyzer(model, inputs)
    return _scaled(analyzer.by_operator(), 1e6), analyzer.uncounted_ops()


def _scaled(counts: Counter[str], unit: float) -> Counter[str]:
    return Counter({name: number / unit for name, number in counts.items()})


def get_model_complexity_info(
    model: nn.Module,
    input_shape: Sequence[int] | Sequence[Sequence[int]] | None = None,
    inputs: Any = None,
    show_table: bool = True,
    show_arch: bool = True,
    *,
    max_depth: int = 3,
) -> dict[str, Any]:
    """Count what a model takes for one input.

    Args:
        model: The model.
        input_shape: The shape of an input without its batch, (C, H, W), or one for each of several inputs.
        inputs: The inputs themselves instead.
        show_table: Make `out_table`, modules to `max_depth` with their counts.
        show_arch: Make `out_arch`, the model's printed form with its counts.
        max_depth: How deep the table goes.

    Returns:
        `flops` (multiply-adds), `activations`, `params`, each also as text (`flops_str`, ...), `out_table`, `out_arch`,
        `uncounted`, {operator: calls}, and `idle`, the parts that were not called.

    Raises:
        ValueError: both or neither of `input_shape` and `inputs` are given.
    """
    if (input_shape is None) == (inputs is None):
        raise ValueError("give either input_shape or inputs")
    found = measure(model, _random_inputs(model, input_shape) if inputs is None else inputs)
    info: dict[str, Any] = {"uncounted": dict(found.uncounted), "idle": found.idle}
    for name, what in (("flops", "flops"), ("activations", "activations"), ("params", "parameters")):
        info[name] = found.total(what)
        info[f"{name}_str"] = in_units(info[name])
    info["out_table"] = complexity_table(found, max_depth) if show_table else ""
    info["out_arch"] = annotated_model(model, found) if show_arch else ""
    return info


def _random_inputs(model: nn.Module, shapes: Any) -> tuple[torch.Tensor, ...]:
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    several = shapes if isinstance(shapes[0], (tuple, list)) else [shapes]
    return tuple(torch.rand(1, *shape, device=device) for shape in several)


# ---------------------------------------------------------------------- as text


def in_units(number: int) -> str:
    """Return a count with four digits and a unit: 4123456789 is '4.123G'."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("K", 10**3)):
        if number >= size:
            return f"{number / size:#.4g}{unit}"
    return str(number)


def complexity_table(found: Complexity, max_depth: int = 3) -> str:
    """Return a table of all modules to a depth that have parameters or work to do."""
    rows = [("module", "kind", "parameters", "FLOPs", "share", "activations")]
    whole = max(found.total(), 1)
    for name, kind in found.kinds.items():
        counts = [found.total(what, name) for what in ("parameters", "flops", "activations")]
        if name.count(".") < max_depth and (any(counts) or not name):
            share = f"{100 * counts[1] / whole:.1f} %"
            rows.append((_indented(name), kind, in_units(counts[0]), in_units(counts[1]), share, in_units(counts[2])))
    return text_table(rows, right=(2, 3, 4, 5))


def _indented(name: str) -> str:
    return "  " * (name.count(".") + 1) + name.rpartition(".")[2] if name else "model"


def annotated_model(model: nn.Module, found: Complexity, name: str = "") -> str:
    """Return the printed form of a module of the measured model, each part with what it takes."""
    counts = {what: found.total(what, name) for what in ("parameters", "flops", "activations")}
    told = [f"{in_units(number)} {what}" for what, number in counts.items() if number]
    head = ", ".join(part for part in (model.extra_repr(), *told) if part)
    children = [
        f"({child}): {annotated_model(inner, found, f'{name}.{child}' if name else child)}"
        for child, inner in model.named_children()
    ]
    if not children:
        return f"{type(model).__name__}({head})"
    return f"{type(model).__name__}({head}\n{indent(chr(10).join(children), '  ')}\n)"
