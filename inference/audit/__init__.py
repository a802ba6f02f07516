"""One call that answers: how much room, where from, what next, and may q be used?"""

from elbowroom.inference.audit.audit import audit, audit_target
from elbowroom.inference.audit.criteria import failed, terms
from elbowroom.inference.audit.result import Audit, Chains, Finding, Number, Portrait

__all__ = ["Audit", "Chains", "Finding", "Number", "Portrait", "audit", "audit_target", "failed", "terms"]
