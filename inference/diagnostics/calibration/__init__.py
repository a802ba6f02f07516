"""Is the guide calibrated over data sets: ranks, coverage, TARP."""

from elbowroom.inference.diagnostics.calibration.calibrate import calibrate
from elbowroom.inference.diagnostics.calibration.result import Calibration, Check

__all__ = ["Calibration", "Check", "calibrate"]
