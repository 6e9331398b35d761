"""Files, local or behind any URL that fsspec knows."""

from visuite.engine.fileio.access import (
    exists,
    generate_presigned_url,
    get,
    get_text,
    isdir,
    isfile,
    join_path,
    list_dir_or_file,
    put,
    put_text,
    remove,
    rmtree,
)
from visuite.engine.fileio.atomic import atomic_write
from visuite.engine.fileio.formats import dump, load
from visuite.engine.fileio.lines import dict_from_file, list_from_file
from visuite.engine.fileio.location import is_url
from visuite.engine.fileio.transfer import (
    copy_if_symlink_fails,
    copyfile,
    copyfile_from_local,
    copyfile_to_local,
    copytree,
    copytree_from_local,
    copytree_to_local,
    get_local_path,
)

__all__ = [
    "atomic_write",
    "copy_if_symlink_fails",
    "copyfile",
    "copyfile_from_local",
    "copyfile_to_local",
    "copytree",
    "copytree_from_local",
    "copytree_to_local",
    "dict_from_file",
    "dump",
    "exists",
    "generate_presigned_url",
    "get",
    "get_local_path",
    "get_text",
    "is_url",
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "list_from_file",
    "load",
    "put",
    "put_text",
    "remove",
    "rmtree",
]
