"""The names that numbers of an audit can have; a given audit has those that its programs and its budget allow."""

from elbowroom.inference.audit.numbers import rung_key
from elbowroom.inference.diagnostics.agreement.uses import RULES
from elbowroom.inference.gap.rungs import RUNGS

NAMES: tuple[str, ...] = (
    *("elbo", "log_p", "gap", "gap_median", "gap_largest", "gap_examined", "gap_with_exploded"),
    *("log_p_from_below", "gap_from_below", "log_p_at_least", "gap_at_least", "importance_shortfall"),
    *("above_one", "settled", "k_hat_too_high"),
    *("amortization", "optimisation", "approximation", "beyond"),
    *(rung_key(rung) for rung in RUNGS),
    *("examined", "exploded", "missed_modes", "missed_mass", "contradicted", "kl_p_q", "c2st", "unconverged", "rhat"),
    *(f"use_{use.replace(' ', '_')}" for use in RULES),
    *("calibration_p", "calibration_rejected"),
    *("active_latents", "num_latents", "rate", "mutual_information", "sensitivity", "pruned"),
    *("sigma", "sigma_optimal", "sigma_gain"),
    *("baseline", "above_baseline", "own_loss", "loss_found", "better_read", "left", "left_changed"),
    *("spread_of_q", "spread_of_q_widest", "spread_of_q_narrowest", "means_off", "means_off_least"),
    *("codes_at", "codes_spread", "respread", "respread_gain"),
)
