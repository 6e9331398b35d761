import pytest

from visuite.engine.fileio import dict_from_file, list_from_file


def test_lines_without_their_ends(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffa\nb c\r\n\n\u2028d \x0b\nlast".encode())
    assert list_from_file(file) == ["a", "b c", "", "\u2028d \x0b", "last"]
    assert list_from_file(file, prefix="p/", offset=1, max_num=2) == ["p/b c", "p/"]
    assert list_from_file(file, offset=9) == []


def test_lines_in_another_encoding(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("\u4e2d".encode("gbk"))
    assert list_from_file(file, encoding="gbk") == ["\u4e2d"]


def test_keys_and_values(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("1 cat\n\n2 dog cow\n3\tx  y\n")
    assert dict_from_file(file, key_type=int) == {1: "cat", 2: ["dog", "cow"], 3: ["x", "y"]}
    assert dict_from_file(file)["1"] == "cat"
    file.write_text("1 a\n2\n")
    with pytest.raises(ValueError, match=r"a.txt:2: a key and its value"):
        dict_from_file(file)
    file.write_text("x a\n")
    with pytest.raises(ValueError, match=r"a.txt:1: invalid literal"):
        dict_from_file(file, key_type=int)
