"""Averaging over versions of an image."""

from __future__ import annotations

import pickle
import runpy
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.cls.classifiers import ImageClassifier
from visuite.cls.structures import DataSample
from visuite.cls.tta import AverageClsScoreTTA
from visuite.engine.config import Config
from visuite.engine.hooks import build_runner_with_tta
from visuite.engine.registry import MODELS
from visuite.engine.runner import Runner

MODEL: dict[str, Any] = {
    "type": "ImageClassifier",
    "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
    "neck": {"type": "GlobalAveragePooling"},
    "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 32},
    "data_preprocessor": {"num_classes": 3, "mean": [127.0] * 3, "std": [60.0] * 3},
}
LOAD, PACK = {"type": "LoadImageFromFile"}, {"type": "PackInputs"}


@pytest.fixture
def model() -> ImageClassifier:
    torch.manual_seed(0)
    built = ImageClassifier(**{key: value for key, value in MODEL.items() if key != "type"}).eval()
    for parameter in built.head.parameters():
        torch.nn.init.normal_(parameter)
    return built


def views(count: int, versions: int) -> list[torch.Tensor]:
    return [torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8) for _ in range(versions)]


def test_scores_are_the_mean_of_the_parts(model: ImageClassifier) -> None:
    images = views(4, 3)
    samples = [DataSample(metainfo={"img_path": f"{i}.png"}).set_gt_label(i % 3) for i in range(4)]
    batch = {"inputs": [list(one) for one in images], "data_samples": [[s.clone() for s in samples] for _ in images]}
    with torch.no_grad():
        merged = AverageClsScoreTTA(model).test_step(batch)
        parts = [model((one.float() - 127) / 60).softmax(1) for one in images]
    wanted = sum(parts) / 3
    for index, sample in enumerate(merged):
        torch.testing.assert_close(sample.pred_score, wanted[index])
        assert sample.pred_label.item() == wanted[index].argmax().item()
        assert sample.gt_label.item() == index % 3
        assert sample.img_path == f"{index}.png"


def test_heads_of_several_labels_choose_anew(model: ImageClassifier) -> None:
    model.head = MODELS.build({"type": "cls.MultiLabelLinearClsHead", "num_classes": 3, "in_channels": 32, "thr": 0.6})
    versions = [DataSample().set_pred_score(score) for score in ([0.9, 0.5, 0.2], [0.4, 0.9, 0.5])]
    (merged,) = AverageClsScoreTTA(model).merge_preds([versions])
    assert merged.pred_label.tolist() == [0, 1]
    torch.testing.assert_close(merged.pred_score, torch.tensor([0.65, 0.7, 0.35]))


def config(folder: Any, **changes: Any) -> Config:
    loader = {
        "batch_size": 2,
        "num_workers": 0,
        "dataset": {"type": "CustomDataset", "data_root": str(folder / "data"), "pipeline": [LOAD, PACK]},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    return Config(
        {
            "default_scope": "cls",
            "model": MODEL,
            "work_dir": str(folder / "work"),
            "load_from": str(folder / "model.pth"),
            "test_dataloader": loader,
            "test_evaluator": {"type": "Accuracy"},
            "test_cfg": {},
            **changes,
        }
    )


@pytest.fixture
def folder(tmp_path: Any, model: ImageClassifier) -> Any:
    random = np.random.default_rng(0)
    for name in "abc":
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "data" / name / "1.png")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "model.pth")
    return tmp_path


def scores_of(runner: Runner) -> torch.Tensor:
    """Test, and return the scores (N, K) that the metric saw."""
    seen = []
    (metric,) = runner.test_evaluator.metrics
    process = metric.process

    def spy(data_batch: Any, data_samples: Any) -> None:
        seen.extend(one["pred_score"] for one in data_samples)
        process(data_batch, data_samples)

    metric.process = spy
    runner.test()
    return torch.stack(seen)


def test_a_config_without_it_is_mirrored(folder: Any) -> None:
    def fixed(prob: float) -> Config:
        pipeline = [LOAD, {"type": "RandomFlip", "prob": prob}, PACK]
        cfg = config(folder)
        cfg.test_dataloader.dataset.pipeline = pipeline
        return cfg

    plain, flipped = (scores_of(Runner.from_cfg(fixed(prob))) for prob in (0.0, 1.0))
    assert not torch.allclose(plain, flipped)
    torch.testing.assert_close(scores_of(build_runner_with_tta(config(folder))), (plain + flipped) / 2)


def test_a_config_may_say_itself(folder: Any) -> None:
    versions = [[{"type": "RandomFlip", "prob": 0.0}] * 3, [PACK]]
    cfg = config(
        folder,
        tta_model={"type": "AverageClsScoreTTA"},
        tta_pipeline=[LOAD, {"type": "TestTimeAug", "transforms": versions}],
    )
    torch.testing.assert_close(scores_of(build_runner_with_tta(cfg)), scores_of(Runner.from_cfg(config(folder))))


def test_the_tool_offers_it(folder: Any, root: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    config(folder).dump(folder / "config.py")
    args = ["test.py", "config.py", "model.pth", "--tta", "--out", "out.pkl"]
    monkeypatch.setattr("sys.argv", args)
    runpy.run_path(str(root / "tools" / "test.py"), run_name="__main__")
    found = pickle.loads((folder / "out.pkl").read_bytes())
    wanted = scores_of(build_runner_with_tta(config(folder)))
    torch.testing.assert_close(torch.stack([one["pred_score"] for one in found]), wanted)
