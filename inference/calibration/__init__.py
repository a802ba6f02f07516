"""Is the guide calibrated over data sets: ranks, coverage, TARP."""

from elbowroom.inference.calibration.calibrate import calibrate
from elbowroom.inference.calibration.result import Calibration, Check

__all__ = ["Calibration", "Check", "calibrate"]
