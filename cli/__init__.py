"""elbowroom: how much room is between an ELBO and log p(x), where it comes from, and whether q can be trusted."""

__version__ = "0.1.0"
