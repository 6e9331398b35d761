import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visuite.engine.utils import digit_version, get_git_hash


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("2", (2, 0, 0, 0, 0, 0)),
        ("v1.2", (1, 2, 0, 0, 0, 0)),
        ("1!2.0", (2, 0, 0, 0, 0, 0)),
        ("1.13.1+cu117", (1, 13, 1, 0, 0, 0)),
        ("1.2.3.4.5", (1, 2, 3, 4, 0, 0)),
        ("2.0.0rc1", (2, 0, 0, 0, -1, 1)),
        ("2.0.0b", (2, 0, 0, 0, -2, 0)),
        ("2.15.0a0+git12", (2, 15, 0, 0, -3, 0)),
        ("2.1.0.dev20230101", (2, 1, 0, 0, -4, 0)),
        ("1.0.0.post1", (1, 0, 0, 0, 1, 1)),
        ("2.0.1.windows.1", (2, 0, 1, 0, 0, 0)),
    ],
)
def test_known_versions(text, digits):
    assert digit_version(text) == digits


def test_stages_come_in_their_order():
    order = ["1.9", "2.0.dev1", "2.0a1", "2.0b1", "2.0rc1", "2.0rc2", "2.0", "2.0.post1", "2.0.1", "2.10"]
    assert sorted(order, key=digit_version) == order


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.lists(st.integers(0, 10**6), min_size=1, max_size=4))
def test_releases_compare_as_numbers(one, other):
    left, right = (digit_version(".".join(map(str, numbers))) for numbers in (one, other))
    padded = [numbers + [0] * (4 - len(numbers)) for numbers in (one, other)]
    assert (left < right) == (padded[0] < padded[1])


@pytest.mark.parametrize("text", ["", "latest", "a.b", "2.x y"])
def test_what_is_no_version(text):
    with pytest.raises(ValueError, match="not a version"):
        digit_version(text)


def test_git_hash(tmp_path):
    assert get_git_hash(folder=str(tmp_path)) == "unknown"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    full = get_git_hash(folder=str(tmp_path))
    assert len(full) == 40
    assert get_git_hash("none", 7, folder=str(tmp_path)) == full[:7]
    with pytest.raises(TypeError, match="digits"):
        get_git_hash(digits="7")
