"""torchvision is loaded late, and still in time for those who ask torch for its operators."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MODEL = """
    import sys
    import torch
    from visuite.cv import ops

    class Detect(torch.nn.Module):
        def forward(self, features, boxes, scores, labels):
            dets, kept = ops.batched_nms(boxes, scores, labels, dict(type="nms", iou_threshold=0.5))
            best, _ = ops.nms(boxes, scores, 0.5)
            rois = torch.cat((torch.zeros_like(boxes[:, :1]), boxes), dim=1)
            return dets, best, ops.roi_align(features, rois, 2, sampling_ratio=2)

    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 7], [0, 0, 7, 8], [4, 4, 9, 9]])
    args = torch.rand(1, 3, 10, 10), boxes, torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([0, 0, 1, 0])
    assert "torchvision" not in sys.modules
"""


def run(code: str, folder: Path) -> None:
    code = textwrap.dedent(MODEL) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dynamo", [True, False])
def test_exporting_is_the_first_thing_a_process_does(tmp_path, dynamo):
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    code = f"""
        import onnxruntime
        names = ["features", "boxes", "scores", "labels"]
        torch.onnx.export(Detect().eval(), args, "model.onnx", input_names=names, dynamo={dynamo})
        session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
        given = {{one.name: dict(zip(names, args))[one.name].numpy() for one in session.get_inputs()}}
        for found, told in zip(session.run(None, given), Detect()(*args), strict=True):
            torch.testing.assert_close(torch.from_numpy(found), told)
    """
    run(code, tmp_path)


@pytest.mark.slow
def test_saved_program_runs_in_another_process(tmp_path):
    run("torch.export.save(torch.export.export(Detect(), args), 'model.pt2'); torch.save(args, 'args.pt')", tmp_path)
    code = """
        args = torch.load("args.pt")
        program = torch.export.load("model.pt2").module()
        for found, told in zip(program(*args), Detect()(*args), strict=True):
            torch.testing.assert_close(found, told)
    """
    run(code, tmp_path)


@pytest.mark.slow
def test_torchvision_loads_beside_it(tmp_path):
    run("import torchvision\nassert torch.ops.torchvision.nms(boxes, args[2], 0.5).tolist() == [0, 3]", tmp_path)
