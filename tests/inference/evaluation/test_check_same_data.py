"""Arguments of other data are refused by name."""

import pytest

from elbowroom.inference.evaluation.check_same_data import check_same_data
from toys.programs import conjugate


def test_arguments_of_other_data_are_refused_by_name() -> None:
    target = conjugate(num_data=5).target()
    check_same_data(target, draws=range(5), log_p=None)
    with pytest.raises(ValueError, match=r"^log_p has 4 data, the target has 5: select the same data for both$"):
        check_same_data(target, draws=range(5), log_p=range(4))
