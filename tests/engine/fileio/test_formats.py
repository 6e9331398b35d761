import io
import json
import pickle
import uuid

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.fileio import dump, load, put

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text("ab: \n'\u00e9\u4e2d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN, st.sampled_from(["json", "yaml", "yml", "pkl", "pickle"]))
def test_what_is_dumped_loads_back(value, kind):
    url = f"memory://formats/{uuid.uuid4().hex}.{kind}"
    assert dump(value, url) is None
    assert load(url) == value
    text = dump(value, file_format=kind)
    assert isinstance(text, bytes if kind in ("pkl", "pickle") else str)
    stream = io.BytesIO(text if isinstance(text, bytes) else text.encode())
    assert load(stream, file_format=kind) == value


def test_other_programs_read_our_files(tmp_path):
    value = {"a": [1, 2.5, "x"], "b": None}
    for name in ("x.json", "x.yaml", "x.pkl"):
        dump(value, tmp_path / "new" / name)
    assert json.loads((tmp_path / "new" / "x.json").read_text()) == value
    assert yaml.safe_load((tmp_path / "new" / "x.yaml").read_text()) == value
    assert pickle.loads((tmp_path / "new" / "x.pkl").read_bytes()) == value


def test_json_takes_the_numbers_of_numpy_and_torch():
    value = {"a": np.float32(1.5), "b": np.arange(2), "c": {3}, "d": range(2), "e": torch.ones(1), "f": np.bool_(True)}
    assert json.loads(dump(value, file_format="json")) == {
        "a": 1.5, "b": [0, 1], "c": [3], "d": [0, 1], "e": [1.0], "f": True,
    }  # fmt: skip
    with pytest.raises(TypeError, match="object cannot be written as JSON"):
        dump(object(), file_format="json")
    assert dump({"b": 1, "a": 2}, file_format="json", indent=1, sort_keys=True).splitlines()[1] == ' "a": 2,'


def test_yaml_runs_nothing_but_knows_tuples(tmp_path):
    assert load(io.StringIO("a: !!python/tuple [1, 2]"), file_format="yaml") == {"a": (1, 2)}
    (tmp_path / "bad.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(ValueError, match=r"bad.yaml cannot be read: could not determine a constructor"):
        load(tmp_path / "bad.yaml")
    with pytest.raises(TypeError, match="YAML"):
        dump(object(), file_format="yaml")


def test_open_files_of_both_kinds(tmp_path):
    text, data = io.StringIO(), io.BytesIO()
    dump([1], text, "json")
    dump([1], data, "json")
    assert text.getvalue() == "[1]"
    assert data.getvalue() == b"[1]"
    for mode in ("w", "wb"):
        with open(tmp_path / "a.json", mode) as file:
            dump([mode], file)
        with open(tmp_path / "a.json") as file:
            assert load(file) == [mode]


def test_the_end_of_a_url_is_found():
    put(b"[1]", "memory://formats/q.json")
    assert load("memory://formats/q.json") == [1]
    with pytest.raises(ValueError, match="unknown file format 'jsn'; did you mean 'json'"):
        load("memory://formats/q.jsn?token=a.json")


def test_wrong_formats_and_files(tmp_path):
    with pytest.raises(ValueError, match="file_format has to be given"):
        dump([1])
    with pytest.raises(ValueError, match="file_format has to be given: a BytesIO"):
        load(io.BytesIO(b"1"))
    with pytest.raises(ValueError, match="known: json"):
        load(tmp_path / "a.txt")
    for name in ("a.json", "a.yaml", "a.pkl"):
        (tmp_path / name).write_text("{[")
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            load(tmp_path / name)
