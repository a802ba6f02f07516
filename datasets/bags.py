"""Bags of words in files: sparse counts, and the words of the columns."""

from io import BufferedReader
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

VOCABULARY_FILE = "{}.vocabulary.txt"
"""Beside `bags.npz` or `bags.npy` lies `bags.vocabulary.txt`, if the words are known."""


def is_sparse(keys: list[str]) -> bool:
    """Whether an .npz with these arrays was written by `scipy.sparse.save_npz`."""
    return {"format", "shape", "data"} <= set(keys)


def read_sparse(stream: BufferedReader) -> NDArray[Any]:
    """The `[N, V]` array of a sparse .npz, dense.

    Raises:
        ValueError: if it is not in rows or columns (CSR, CSC), or its indices do not fit.
    """
    from scipy import sparse  # here: scipy.sparse is slow to import and few need it

    matrix = sparse.load_npz(stream)
    if matrix.format not in ("csr", "csc"):
        raise ValueError(f"a sparse array in the format {matrix.format!r}, expected 'csr': save array.tocsr()")
    return dense(matrix.format, (matrix.data, matrix.indices, matrix.indptr), matrix.shape)


def dense(form: str, parts: tuple[Any, Any, Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The dense `[N, V]` array of the data, indices and indptr of a CSR or CSC one.

    Raises:
        ValueError: if its indices do not fit.
    """
    from scipy import sparse

    matrix = {"csr": sparse.csr_array, "csc": sparse.csc_array}[form](parts, shape=shape)
    matrix.check_format(full_check=True)  # SciPy itself would read beyond its arrays
    array: NDArray[Any] = matrix.toarray()
    return array


def read_vocabulary(path: Path) -> tuple[str, ...]:
    """The words, one a line, UTF-8.

    Raises:
        ValueError: if the file is no text, or a line is empty.
    """
    try:
        words = tuple(word.strip() for word in path.read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}); expected a word a line") from error
    if "" in words:
        raise ValueError(f"{path}: line {words.index('') + 1} is empty, expected a word a line, one for each column")
    return words


def check_vocabulary(words: tuple[str, ...], num_columns: int, source: str) -> tuple[str, ...]:
    """The words, or none; raise ValueError unless there is one for each column."""
    if words and len(words) != num_columns:
        raise ValueError(f"{source}: {len(words)} words for {num_columns} columns, expected one for each")
    return words
