"""Whole calls of an inferencer on a model small enough to check by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visuite.engine.config import Config, ConfigError
from visuite.engine.fileio import get
from visuite.engine.infer import INFERENCERS, BaseInferencer, InferenceError
from visuite.engine.infer.results import merge, to_json, to_plain
from visuite.engine.model import BaseModel
from visuite.engine.model.checkpoint_io import CheckpointError
from visuite.engine.registry import MODELS, TRANSFORMS
from visuite.engine.structures import BaseDataElement, InstanceData


@MODELS.register_module()
class MeanColour(BaseModel):
    """Predicts the weighted mean of each channel."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor)
        self.weight = torch.nn.Parameter(torch.ones(3))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        assert mode == "predict"
        means = [image.float().mean(dim=(1, 2)) * self.weight for image in inputs]
        for sample, mean in zip(data_samples, means, strict=True):
            sample.pred_mean = mean
            sample.batch_size = len(means)
        return data_samples


@TRANSFORMS.register_module()
class LoadImageByPillow:
    def __call__(self, results):
        image = np.asarray(Image.open(io.BytesIO(get(results["img_path"]))).convert("RGB"))[..., ::-1]
        return {**results, "img": image, "ori_shape": image.shape[:2]}


@TRANSFORMS.register_module()
class PackForMean:
    def __call__(self, results):
        sample = BaseDataElement(metainfo={"ori_shape": results["ori_shape"]}, gt_secret=torch.ones(1))
        return {"inputs": torch.from_numpy(results["img"].copy()).permute(2, 0, 1), "data_samples": sample}


def config(**changes: Any) -> Config:
    pipeline = [dict(type="LoadImageByPillow"), dict(type="PackForMean")]
    inner = dict(type="BaseDataset", pipeline=pipeline, metainfo=dict(classes=("dark", "light")))
    dataset = dict(type="RepeatDataset", times=1, dataset=inner)
    return Config(dict(model=dict(type="MeanColour"), test_dataloader=dict(dataset=dataset), **changes))


@pytest.fixture
def inferencer() -> BaseInferencer:
    return BaseInferencer(config(), device="cpu", show_progress=False)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "in" / f"{index}.png" for index in range(5)]
    paths[0].parent.mkdir()
    for index, path in enumerate(paths):
        Image.new("RGB", (8 + index, 6), (10 * index, 100, 200)).save(path)
    return [str(path) for path in paths]


def means(results: dict[str, Any]) -> list[list[float]]:
    return [one["pred_mean"] for one in results["predictions"]]


def test_predictions_are_those_of_the_pictures_in_their_order(inferencer, pictures):
    results = inferencer(pictures)
    assert means(results) == [[200.0, 100.0, 10.0 * index] for index in range(5)]
    assert results["inputs"] == pictures
    assert results["failures"] == []
    assert "gt_secret" not in results["predictions"][0]
    json.dumps(results["predictions"])


def test_every_way_of_handing_in_gives_the_same(inferencer, pictures):
    expected = means(inferencer(pictures))
    folder = str(Path(pictures[0]).parent)
    arrays = [np.asarray(Image.open(path))[..., ::-1] for path in pictures]
    images = [Image.open(path) for path in pictures]
    for given in (folder, f"{folder}/*.png", arrays, iter(pictures), images, f"file://{folder}"):
        assert means(inferencer(given)) == expected


def test_batches_change_how_many_go_through_at_once_and_nothing_else(inferencer, pictures):
    results = inferencer(pictures, batch_size=2)
    assert [one["batch_size"] for one in results["predictions"]] == [2, 2, 2, 2, 1]
    assert means(results) == means(inferencer(pictures))


def test_model_is_in_eval_mode_and_leaves_no_graph(inferencer, pictures):
    assert not inferencer.model.training
    (sample,) = inferencer(pictures[0], return_datasamples=True)["predictions"]
    assert isinstance(sample, BaseDataElement)
    assert not sample.pred_mean.requires_grad


def test_broken_files_are_named_and_counted(inferencer, pictures, tmp_path, caplog):
    Path(pictures[2]).write_bytes(b"broken")
    missing = str(tmp_path / "in" / "9.png")
    results = inferencer([*pictures, missing], batch_size=2)
    assert results["inputs"] == [path for index, path in enumerate(pictures) if index != 2]
    assert [one["pred_mean"][2] for one in results["predictions"]] == [0, 10, 30, 40]
    assert [one["input"] for one in results["failures"]] == [pictures[2], missing]
    assert results["failures"][1]["error"].startswith("FileNotFoundError")
    assert inferencer.failures == results["failures"]


def test_failures_belong_to_one_call(inferencer, pictures):
    inferencer([pictures[0], "nowhere.png"])
    assert inferencer(pictures[0])["failures"] == []


def test_strict_stops_at_the_first_and_names_it(inferencer, pictures):
    Path(pictures[1]).write_bytes(b"broken")
    with pytest.raises(Exception, match="cannot identify") as caught:
        inferencer(pictures, strict=True)
    assert f"input: {pictures[1]}" in caught.value.__notes__


def test_nothing_usable_is_an_error(inferencer, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.png"):
        inferencer(str(tmp_path / "no.png"))
    with pytest.raises(InferenceError, match=r"none of 2 inputs .*a\.png.*b\.png"):
        inferencer([str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    with pytest.raises(InferenceError, match="no input"):
        inferencer([])


def test_files_are_written_where_asked(inferencer, pictures, tmp_path):
    out = tmp_path / "out"
    results = inferencer(str(Path(pictures[0]).parent), out_dir=str(out))
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*")) == sorted(
        [f"vis/{index}.png" for index in range(5)] + [f"preds/{index}.json" for index in range(5)]
    )
    assert json.loads((out / "preds/3.json").read_text())["pred_mean"] == [200.0, 100.0, 30.0]
    drawn = np.asarray(Image.open(out / "vis/3.png"))
    assert drawn[0, 0].tolist() == [30, 100, 200]
    assert results["visualization"] == []  # kept only where asked for


def test_colours_of_arrays_are_drawn_as_those_of_files(inferencer, pictures):
    array = np.asarray(Image.open(pictures[3]))[..., ::-1]
    by_path, by_array = (inferencer(one, return_vis=True)["visualization"][0] for one in (pictures[3], array))
    np.testing.assert_array_equal(by_path, by_array)


@pytest.mark.parametrize(("switch", "left"), [("no_save_vis", "preds"), ("no_save_pred", "vis")])
def test_either_kind_of_file_can_be_left_out(inferencer, pictures, tmp_path, switch, left):
    inferencer(pictures, out_dir=str(tmp_path / "out"), **{switch: True})
    assert [path.name for path in (tmp_path / "out").iterdir()] == [left]


def test_results_go_to_urls_too(inferencer, pictures):
    fsspec = pytest.importorskip("fsspec")
    inferencer(pictures[:1], out_dir="memory://results")
    assert fsspec.filesystem("memory").exists("/results/preds/0.json")


def test_print_result(inferencer, pictures, capsys):
    inferencer(pictures[:2], print_result=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["pred_mean"][2] for line in lines] == [0, 10]


def test_progress_goes_to_stderr_and_not_for_one_picture(pictures, capsys):
    inferencer = BaseInferencer(config(), device="cpu")
    inferencer(pictures[0])
    assert capsys.readouterr().err == ""
    inferencer(pictures)
    assert "5/5" in capsys.readouterr().err


# ---------------------------------------------------------------------- arguments


def test_unknown_argument_names_the_nearest(inferencer, pictures):
    with pytest.raises(TypeError, match=r"return_viz.*'return_vis'"):
        inferencer(pictures, return_viz=True)


class Loud(BaseInferencer):
    """Overrides a stage the way users do."""

    preprocess_kwargs = {"grey"}
    visualize_kwargs = {"suffix"}
    postprocess_kwargs = {"factor"}

    def preprocess(self, inputs, batch_size=1, grey=False):
        self.grey = grey
        yield from super().preprocess(inputs, batch_size)

    def visualize(self, inputs, preds, suffix=""):
        return [f"{Path(one).name}{suffix}" for one in inputs]

    def postprocess(self, preds, visualization, return_datasamples=False, factor=1):
        values = [factor * float(one.pred_mean[2]) for one in preds]
        return [{"value": value, "drawn": drawn} for value, drawn in zip(values, visualization, strict=True)]


def test_subclass_gets_its_arguments_and_may_return_lists(pictures):
    inferencer = Loud(config(), device="cpu", show_progress=False)
    results = inferencer(pictures[:3], batch_size=2, grey=True, suffix="!", factor=3)
    assert inferencer.grey
    assert results == [{"value": 30.0 * index, "drawn": f"{index}.png!"} for index in range(3)]


def test_one_argument_belongs_to_one_stage():
    with pytest.raises(TypeError, match=r"\['show'\] cannot go to preprocess and to visualize"):
        type("Wrong", (BaseInferencer,), {"preprocess_kwargs": {"show"}})


# ---------------------------------------------------------------------- models and weights


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    meta = {"cfg": config().pretty_text, "dataset_meta": {"CLASSES": ("cat", "dog")}}
    torch.save({"meta": meta, "state_dict": {"weight": torch.tensor([1.0, 2.0, 3.0])}}, tmp_path / "it.pth")
    return str(tmp_path / "it.pth")


def test_weights_and_classes_come_from_the_checkpoint(checkpoint, pictures):
    for inferencer in (BaseInferencer(config(), checkpoint, "cpu"), BaseInferencer(weights=checkpoint, device="cpu")):
        assert means(inferencer(pictures[1])) == [[200.0, 200.0, 30.0]]
        assert inferencer.model.dataset_meta == {"classes": ("cat", "dog")}
        assert inferencer.visualizer.dataset_meta == {"classes": ("cat", "dog")}


def test_without_weights_classes_come_from_the_config(inferencer):
    assert inferencer.model.dataset_meta["classes"] == ("dark", "light")


def test_model_by_name_finds_its_classes_in_its_own_scope():
    pytest.importorskip("visuite.cls")
    inferencer = BaseInferencer("resnet_small_cifar10", device="cpu")
    assert list(inferencer.model.dataset_meta["classes"])[:2] == ["airplane", "automobile"]
    (prediction,) = inferencer(np.zeros((32, 32, 3), np.uint8))["predictions"]
    assert len(prediction["pred_score"]) == 10


def test_config_may_be_a_file_or_a_dict_or_the_model_itself(tmp_path, pictures, inferencer):
    config().dump(str(tmp_path / "cfg.py"))
    for given in (str(tmp_path / "cfg.py"), tmp_path / "cfg.py", config().to_dict(), inferencer.model):
        assert means(BaseInferencer(given, device="cpu")(pictures[1])) == [[200.0, 100.0, 10.0]]


def test_given_config_is_not_changed(pictures):
    cfg = config()
    before = cfg.pretty_text
    BaseInferencer(cfg, device="cpu")(pictures[0])
    assert cfg.pretty_text == before


def test_two_inferencers_share_no_visualizer(inferencer):
    assert BaseInferencer(config(), device="cpu").visualizer is not inferencer.visualizer


def test_faults_in_what_is_given():
    with pytest.raises(ValueError, match="needs a model"):
        BaseInferencer()
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        BaseInferencer(config(), "nowhere.pth", device="cpu")
    with pytest.raises(ConfigError, match=r"no model is called 'resnet_shape'.*'resnet_shapes'"):
        BaseInferencer("resnet_shape", scope="cls")


def test_weights_without_config_say_what_is_missing(tmp_path):
    torch.save({"state_dict": {"weight": torch.ones(3)}}, tmp_path / "plain.pth")
    with pytest.raises(ValueError, match="holds no config"):
        BaseInferencer(weights=str(tmp_path / "plain.pth"))


def test_list_models_names_configs_and_no_bases():
    names = BaseInferencer.list_models("cls")
    assert "resnet_shapes" in names
    assert "runtime" not in names
    assert BaseInferencer.list_models("cls", "*cifar10.py") == [one for one in names if one.endswith("cifar10")]
    assert BaseInferencer.list_models("cls", "resnet18_*.py") == ["resnet18_cifar10"]


def test_is_registered():
    assert INFERENCERS.get("BaseInferencer") is BaseInferencer


# ---------------------------------------------------------------------- results


def test_plain_results_and_json():
    boxes = InstanceData(bboxes=torch.tensor([[0.0, 1.0]]), names=["a"])
    element = BaseDataElement(metainfo={"x": 1}, pred_instances=boxes, gt_instances=boxes, score=np.float32(0.5))
    assert to_plain(element) == {"pred_instances": {"bboxes": [[0.0, 1.0]], "names": ["a"]}, "score": 0.5}
    assert json.loads(to_json({"a": torch.tensor([1.0, float("nan")]), "b": (1, 2)})) == {"a": [1.0, None], "b": [1, 2]}


def test_merge_joins_batches():
    assert merge([{"a": [1], "b": []}, {"a": [2], "b": [3]}]) == {"a": [1, 2], "b": [3]}
    assert merge([[1], [2]]) == [1, 2]
    assert merge([]) == {}


# ---------------------------------------------------------------------- what the model fails on


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_what_the_model_fails_on_is_named_and_costs_no_other(inferencer, pictures, batch_size):
    bad = np.zeros((4, 4, 2), np.uint8)  # two channels, where the model weighs three
    arrays = [np.asarray(Image.open(path))[..., ::-1] for path in pictures]
    results = inferencer([*arrays[:2], bad, *arrays[2:]], batch_size=batch_size)
    assert means(results) == [[200.0, 100.0, 10.0 * index] for index in range(5)]
    assert results["inputs"] == ["array 0", "array 1", "array 3", "array 4", "array 5"]
    (failure,) = results["failures"]
    assert failure["input"] == "array 2"
    assert "size of tensor" in failure["error"]
    with pytest.raises(RuntimeError, match="size of tensor") as caught:
        inferencer([*arrays, bad], batch_size=batch_size, strict=True)
    assert "array 5" in caught.value.__notes__[0]


def test_a_model_that_always_fails_shows_where(inferencer):
    bad = np.zeros((4, 4, 2), np.uint8)
    with pytest.raises(InferenceError, match="none of 2 inputs") as caught:
        inferencer([bad, bad], batch_size=2)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert caught.value.__cause__.__traceback__ is not None
