"""The inferencer of classification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from visuite.cls.inferencer import ImageClassificationInferencer
from visuite.cls.structures import DataSample
from visuite.engine.config import Config
from visuite.engine.infer import INFERENCERS
from visuite.engine.registry import MODELS, DefaultScope

LOAD, PACK = {"type": "LoadImageFromFile"}, {"type": "PackInputs"}
CLASSES = ("blue", "green", "red")


def config(**changes: Any) -> Config:
    """A classifier that says which channel is strongest: scores are the means of the three channels."""
    model = {
        "type": "ImageClassifier",
        "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 32},
    }
    data = {"type": "CustomDataset", "data_root": "nowhere", "classes": CLASSES, "pipeline": [LOAD, PACK]}
    return Config({"default_scope": "cls", "model": model, "test_dataloader": {"dataset": data}, **changes})


class Channels(torch.nn.Module):
    """Channel means as features."""

    out_channels = (3,)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (x.mean(dim=(2, 3)) / 64,)


def strongest(inferencer: ImageClassificationInferencer) -> ImageClassificationInferencer:
    """Have the model score channel means."""
    model = inferencer.model
    model.backbone = Channels()
    del model.neck
    model.head = MODELS.build({"type": "cls.LinearClsHead", "num_classes": 3, "in_channels": 3}).to(inferencer.device)
    torch.nn.init.eye_(model.head.fc.weight)
    torch.nn.init.zeros_(model.head.fc.bias)
    return inferencer


@pytest.fixture
def inferencer() -> ImageClassificationInferencer:
    return strongest(ImageClassificationInferencer(config(), pretrained=False, device="cpu", show_progress=False))


def colour(channel: int) -> np.ndarray:
    image = np.full((20, 30, 3), 64, np.uint8)
    image[..., channel] = 192
    return image


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    (tmp_path / "in").mkdir()
    paths = [str(tmp_path / "in" / f"{index}.png") for index in range(5)]
    for index, path in enumerate(paths):
        cv2.imwrite(path, colour(index % 3))
    return paths


def test_results_are_plain_dicts(inferencer: Any, pictures: list[str]) -> None:
    (result,) = inferencer(pictures[2])
    scores = torch.tensor([1.0, 1.0, 3.0]).softmax(0)
    assert result["pred_scores"] == pytest.approx(scores.tolist())
    assert result["pred_score"] == pytest.approx(scores[2].item())
    assert (result["pred_label"], result["pred_class"]) == (2, "red")
    assert type(result["pred_label"]) is int
    json.dumps(result)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_files_folders_globs_and_arrays_give_the_same(inferencer: Any, pictures: list[str], batch_size: int) -> None:
    folder = Path(pictures[0]).parent
    wanted = [0, 1, 2, 0, 1]
    for inputs in (pictures, str(folder), str(folder / "*.png"), [colour(i) for i in wanted]):
        found = inferencer(inputs, batch_size=batch_size)
        assert [one["pred_label"] for one in found] == wanted
        assert [one["pred_class"] for one in found] == [CLASSES[label] for label in wanted]


def test_data_samples(inferencer: Any, pictures: list[str]) -> None:
    (sample,) = inferencer(pictures[1], return_datasamples=True)
    assert isinstance(sample, DataSample)
    assert sample.pred_label.item() == 1


def test_what_cannot_be_used(inferencer: Any, pictures: list[str]) -> None:
    inputs = [pictures[0], "nowhere.png", pictures[1]]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inferencer(inputs)
    assert [one["pred_label"] for one in inferencer(inputs, strict=False)] == [0, 1]
    assert [one["input"] for one in inferencer.failures] == ["nowhere.png"]


def test_files_are_written(inferencer: Any, pictures: list[str], tmp_path: Path) -> None:
    inferencer(pictures[:2], out_dir=str(tmp_path / "out"), resize=80, draw_score=False)
    assert json.loads((tmp_path / "out/preds/1.json").read_text())["pred_class"] == "green"
    assert cv2.imread(str(tmp_path / "out/vis/1.png")).shape == (80, 120, 3)
    inferencer(pictures[:2], show_dir=str(tmp_path / "shown"))
    assert sorted(path.name for path in (tmp_path / "shown").rglob("*.*")) == ["0.png", "1.png"]
    with pytest.raises(ValueError, match="show_dir"):
        inferencer(pictures[0], show_dir="a", out_dir="b")
    with pytest.raises(TypeError, match="'draw_score'"):
        inferencer(pictures[0], draw_scores=True)


def test_names_of_classes() -> None:
    named = ImageClassificationInferencer(config(), False, "cpu", ["a", "b", "c"], show_progress=False)
    assert named.classes == ("a", "b", "c")
    assert named.visualizer.dataset_meta["classes"] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="2 names of classes for a model with 3 scores"):
        ImageClassificationInferencer(config(), False, "cpu", ["a", "b"])
    cfg = config()
    cfg.test_dataloader.dataset.classes = ("a", "b")  # of other data than the model was made for
    nameless = ImageClassificationInferencer(cfg, False, "cpu", show_progress=False)
    assert nameless.classes is None
    assert set(nameless(colour(0))[0]) == {"pred_scores", "pred_label", "pred_score"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The work_dir of a run whose best checkpoint is not its last."""
    work = tmp_path / "work"
    work.mkdir()
    config().dump(work / "channels.py")
    model = MODELS.build({**config().model, "_scope_": "cls"})
    for name, bias in (("best_accuracy_top1_epoch_1", 1.0), ("epoch_2", 2.0)):
        torch.nn.init.constant_(model.head.fc.bias, bias)
        meta = {"dataset_meta": {"classes": ("x", "y", "z")}, "cfg": config().pretty_text}
        torch.save({"state_dict": model.state_dict(), "meta": meta}, work / f"{name}.pth")
    return work


def test_where_model_and_weights_come_from(run: Path) -> None:
    def bias(*args: Any, **kwargs: Any) -> float:
        made = ImageClassificationInferencer(*args, device="cpu", show_progress=False, **kwargs)
        assert made.classes == (CLASSES if kwargs.get("pretrained") is False else ("x", "y", "z"))
        return made.model.head.fc.bias[0].item()

    last = str(run / "epoch_2.pth")
    assert bias(str(run)) == 1
    assert bias(run, pretrained=last) == 2
    assert bias(str(run / "channels.py"), last) == 2
    assert bias(config(), weights=last) == 2
    assert bias(config(load_from=last)) == 2
    assert bias(weights=last) == 2
    assert bias(str(run), pretrained=False) not in (1, 2)
    (run / "best_accuracy_top1_epoch_1.pth").unlink()
    assert bias(str(run)) == 2


def test_several_labels(inferencer: Any) -> None:
    head = {"type": "cls.MultiLabelLinearClsHead", "num_classes": 3, "in_channels": 3, "thr": 0.8}
    inferencer.model.head = MODELS.build(head)
    torch.nn.init.eye_(inferencer.model.head.fc.weight)
    torch.nn.init.zeros_(inferencer.model.head.fc.bias)
    image = colour(2)
    image[..., 0] = 255
    (result,) = inferencer(image)
    assert (result["pred_label"], result["pred_class"]) == ([0, 2], ["blue", "red"])
    assert result["pred_score"] == pytest.approx(torch.tensor([255 / 64, 3.0]).sigmoid().tolist())


@pytest.mark.parametrize(("kind", "wanted"), [("CIFAR10", [1, 1, 3]), ("CustomDataset", [3, 1, 1])])
def test_data_sets_in_rgb_order(tmp_path: Path, kind: str, wanted: list[int]) -> None:
    """The data of CIFAR-10 are RGB, so files and arrays are turned to that order for its models."""
    cfg = config()
    cfg.test_dataloader.dataset = {"type": kind, "data_root": "nowhere", "classes": CLASSES, "pipeline": [PACK]}
    inferencer = strongest(ImageClassificationInferencer(cfg, False, "cpu", show_progress=False))
    cv2.imwrite(str(tmp_path / "blue.png"), colour(0))
    for value in (str(tmp_path / "blue.png"), colour(0)):
        (result,) = inferencer(value)
        assert result["pred_scores"] == pytest.approx(torch.tensor(wanted).float().softmax(0).tolist())


def test_data_sets_in_grey(inferencer: Any) -> None:
    cfg = config()
    cfg.test_dataloader.dataset = {"type": "MNIST", "data_root": "nowhere", "pipeline": [PACK]}
    with DefaultScope.overwrite_default_scope("cls"):
        pipeline = inferencer._init_pipeline(cfg)
    assert pipeline(colour(0))["inputs"].shape == pipeline(colour(0)[..., 0])["inputs"].shape == (1, 20, 30)


def test_registered() -> None:
    with INFERENCERS.switch_scope_and_registry("cls") as registry:
        assert registry.get("mmpretrain.ImageClassificationInferencer") is ImageClassificationInferencer
