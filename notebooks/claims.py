"""What is often said of variational autoencoders, and the register of what was measured of it, `claims.yaml`.

A notebook that has measured a claim calls `record` with numbers of its own. An entry that says the same as before, its
number within its error, stays as it was; so a change of `claims.yaml` is a change of what is known, and its date the
day on which that was first seen. `execute.py` prints such changes; docs/claims.md is the register as a page.
"""

import datetime
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import yaml

REGISTER = Path(__file__).resolve().with_name("claims.yaml")
VERDICTS = ("true", "half true", "false", "not shown")
DOCUMENTS = {
    1: "a conversation about why the posterior of a VAE is intractable",
    2: "an essay, Why Variational Autoencoders Use Variational Inference",
    3: "a post, How Variational Autoencoders Avoid Computing the Partition Function",
    4: "notes, Variational Inference",
}


class Claim(NamedTuple):
    """A sentence, which of `DOCUMENTS` say it, and the notebook that measures it."""

    quote: str
    documents: tuple[int, ...]
    notebook: str


CLAIMS = {
    "C1": Claim(
        "You need a lot of samples. (of p(x) by Monte Carlo from the prior)", (1,), "04_why_not_sample_the_prior"
    ),
    "C2": Claim("99.99% of samples will be irrelevant", (3,), "04_why_not_sample_the_prior"),
    "C3": Claim(
        "We'd need millions of samples to accidentally hit the tiny relevant region",
        (3,),
        "04_why_not_sample_the_prior",
    ),
    "C4": Claim("This makes Monte Carlo estimation tractable (sampling from q)", (3,), "04_why_not_sample_the_prior"),
    "C5": Claim("1 sample is often enough", (1,), "06_is_one_sample_enough"),
    "C6": Claim(
        "minibatch training (~128–1024 samples per batch) smooths the gradients", (1,), "06_is_one_sample_enough"
    ),
    "C7": Claim("Reparameterization Trick Enables Gradients", (1,), "06_is_one_sample_enough"),
    "C8": Claim("The stochasticity acts like regularization.", (1,), "06_is_one_sample_enough"),
    "C9": Claim("naive sampling can be slow … No MCMC, no complex sampling", (1,), "09_vi_or_mcmc"),
    "C10": Claim("MCMC: Too slow for high-dimensional latents.", (2,), "09_vi_or_mcmc"),
    "C11": Claim("EM Algorithm: Requires closed-form updates (not scalable).", (2,), "10_em_vi_mcmc"),
    "C12": Claim("VI is the only practical option for training VAEs at scale.", (2,), "07_what_the_bound_costs"),
    "C13": Claim("Prevents Overdispersion (reverse KL)", (2,), "08_which_mode"),
    "C14": Claim("Q collapses to a single mode (reverse KL)", (2,), "08_which_mode"),
    "C15": Claim("Avoids Computing P(X) (reverse KL)", (2,), "08_which_mode"),
    "C16": Claim("Q may miss multi-modal posteriors.", (2,), "08_which_mode"),
    "C17": Claim("Blurry Samples: Due to the mode-seeking nature of reverse KL.", (2,), "11_why_blurry"),
    "C18": Claim("The ELBO is not the true likelihood! … → blurry images", (3,), "11_why_blurry"),
    "C19": Claim("adding Gaussian noise would just blur it", (3,), "11_why_blurry"),
    "C20": Claim("σ² (typically σ² ≈ 0.01 or smaller)", (3,), "11_why_blurry"),
    "C21": Claim("essentially just the neural network outputs — … not blurry Gaussian samples!", (3,), "11_why_blurry"),
    "C22": Claim("VAEs assume pixels don't correlate", (3,), "11_why_blurry"),
    "C23": Claim("Prevents q(z|x) from collapsing to a delta function (the KL term)", (3,), "12_beta"),
    "C24": Claim("The KL term prevents overfitting", (2, 4), "12_beta"),
    "C25": Claim("Better disentanglement but worse reconstruction (β > 1; the second half)", (3,), "12_beta"),
    "C26": Claim("β > 1: Encourages disentangled representations", (3,), "12_beta"),
    "C27": Claim("Sometimes the model ignores the latent variables", (3,), "13_collapse_and_codes"),
    "C28": Claim("More expressive, reduces variational gap. (a hierarchy of latents)", (3,), "14_richer_q_or_richer_p"),
    "C29": Claim("Use invertible transformations to make q(z|x) more expressive", (3,), "14_richer_q_or_richer_p"),
    "C30": Claim("Combines ideas from VAEs and discrete representations. (the VQ-VAE)", (3,), "15_vq"),
    "C31": Claim("How It Avoids Z (a table of five approaches)", (3,), "16_five_ways_round_Z"),
    "C32": Claim("GANs: No explicit density model; No likelihood, unstable training", (3,), "16_five_ways_round_Z"),
    "C33": Claim("We never evaluate p(x) exactly", (3,), "07_what_the_bound_costs"),
    "C34": Claim("Interpolation: Smooth interpolation in latent space", (3,), "13_collapse_and_codes"),
    "C35": Claim("The encoder learns meaningful latent codes", (3,), "13_collapse_and_codes"),
    "C36": Claim("Stable optimization: Standard gradient ascent on ELBO", (3,), "10_em_vi_mcmc"),
    "C37": Claim("For a 256×256 grayscale image … μ(z) ∈ R^65,536; z ∈ R^100", (3,), "17_large_images"),
    "C38": Claim("The variational gap … depends on the expressiveness of q", (3,), "14_richer_q_or_richer_p"),
    "C39": Claim(
        "q(z|x) becomes as close as possible to p(z|x) within the limits of the variational family",
        (1,),
        "03_where_the_room_comes_from",
    ),
    "C40": Claim("(said by none) Training on the bound changes the model", (), "07_what_the_bound_costs"),
}

WAITING = {
    "C32": "no notebook measures a GAN's likelihood yet",
}
"""Claims that are not measured yet, and why: they are in the register without a number."""


def record(
    name: str, *, verdict: str, number: float, error: float, unit: str, measured: str, error_of: str, holds: str
) -> None:
    """Enter what was measured of a claim, from the notebook that `CLAIMS` names for it.

    Args:
        name: a key of `CLAIMS`.
        verdict: one of `VERDICTS`.
        number, error: what was measured, and how far off it may be; in `unit`.
        unit: nats, %, times, …
        measured: what the number is.
        error_of: what the error is: "95 % over digits", "standard error", "range of 3 seeds", …
        holds: where this is so, and the sentence that is true if the claim is not.

    Raises:
        ValueError: on an unknown claim or verdict, a number that is not finite, or an error that is not positive.
    """
    if name not in CLAIMS or verdict not in VERDICTS:
        raise ValueError(f"name, verdict: got {name!r}, {verdict!r}; expected a key of CLAIMS and one of {VERDICTS}")
    number, error = (float(value.detach() if hasattr(value, "detach") else value) for value in (number, error))
    if not (math.isfinite(number) and math.isfinite(error) and error > 0):
        raise ValueError(f"number, error: got {number} ± {error} for {name}, expected finite ones, the error above 0")
    digits = 1 - math.floor(math.log10(error))  # two digits of the error say all there is to know
    says = {"verdict": verdict, "number": round(number, digits), "error": round(error, digits), "unit": unit}
    says |= {"measured": measured, "error_of": error_of, "holds": holds}
    path = Path(os.environ.get("ELBOWROOM_CLAIMS", REGISTER))
    entries = read(path)
    if moved(entries.get(name), says):
        entries[name] = {**static(name), **says, "date": datetime.date.today().isoformat()}
        write(entries, path)
    print(f"{name}: {verdict}; {measured} {says['number']:g} ± {says['error']:g} {unit} ({error_of})")


def moved(before: dict[str, Any] | None, after: dict[str, Any]) -> bool:
    """Whether an entry says something else: its words, or its number by more than either error."""
    if before is None or any(before.get(key) != after[key] for key in after if key not in ("number", "error")):
        return True
    if before["number"] is None or after["number"] is None:
        return before["number"] is not after["number"]
    return abs(before["number"] - after["number"]) > max(before["error"], after["error"])


def keep_waiting(path: Path = REGISTER) -> None:
    """Enter the claims of `WAITING`, which no notebook measures."""
    entries = read(path)
    for name, why in WAITING.items():
        says = {"verdict": "not shown", "number": None, "error": None, "unit": "", "measured": "", "error_of": ""}
        says["holds"] = why
        if moved(entries.get(name), says):
            entries[name] = {**static(name), **says, "date": datetime.date.today().isoformat()}
    write(entries, path)


def static(name: str) -> dict[str, Any]:
    """What an entry says of the claim itself."""
    claim = CLAIMS[name]
    return {"claim": claim.quote, "documents": list(claim.documents), "notebook": claim.notebook}


def read(path: Path = REGISTER) -> dict[str, dict[str, Any]]:
    """The register: name of a claim -> its entry."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.exists() else {}


def write(entries: dict[str, dict[str, Any]], path: Path = REGISTER) -> None:
    """Write the register, in the order of the claims, whole or not at all."""
    ordered = {name: {**entries[name], **static(name)} for name in CLAIMS if name in entries}
    text = yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=110)
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
