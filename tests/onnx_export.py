"""Exported models, held against the modules they were made of."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

Args = tuple[Tensor, ...]


def assert_exports(
    module: nn.Module,
    args: Args,
    path: Path,
    *,
    open_sizes: Sequence[Mapping[int, str]] = (),
    others: Sequence[Args] = (),
    dynamo: bool = True,
    rtol: float = 1e-3,
    atol: float = 1e-4,
) -> None:
    """The ONNX model gives what the module gives, for `args` and for other inputs; skipped where onnx is not installed.

    Args:
        module: In the mode in which it is exported.
        args: Its inputs.
        path: A file to write to.
        open_sizes: For each input, the names of those dimensions whose size is left open.
        others: More inputs, with other sizes of these.
        dynamo: Use torch's exporter of programs, which checks every size; else its tracer, which is many times faster.
        rtol: Of the comparison.
        atol: See there.
    """
    for needed in ("onnx", "onnxscript") if dynamo else ("onnx",):
        pytest.importorskip(needed)
    runtime = pytest.importorskip("onnxruntime")
    with torch.no_grad():
        expected = [list(_tensors(module(*inputs))) for inputs in (args, *others)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing: whether sizes were frozen is seen below
        if dynamo:
            shapes = tuple(dict.fromkeys(names, torch.export.Dim.DYNAMIC) for names in open_sizes)
            takes_any = any(one.kind is one.VAR_POSITIONAL for one in signature(module.forward).parameters.values())
            sizes: dict[str, Any] = {"dynamic_shapes": (shapes,) if takes_any else shapes} if shapes else {}
            torch.onnx.export(module, args, path, dynamo=True, verbose=False, **sizes)
        else:
            inputs = [f"input{index}" for index in range(len(args))]
            sizes = {"dynamic_axes": dict(zip(inputs, map(dict, open_sizes), strict=False))}
            torch.onnx.export(module, args, path, dynamo=False, input_names=inputs, **sizes)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    for inputs, told in zip((args, *others), expected, strict=True):
        found = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        for one, other in zip(found, told, strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=rtol, atol=atol)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    else:
        for one in outputs:
            yield from _tensors(one)
