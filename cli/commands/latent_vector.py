"""What pictures of a latent space ask of programs, beyond what a Target knows of any: one vector, decoded and encoded.

    model.latent_dim                     D, of all latents of a datum in one vector
    model.decode(z, *given)              p(x|z) for z [N, D]: a distribution with a mean
    model.generate(N, *given, seed=…)    N draws of the prior and the means of x given these: `.z`, `.mean`
    guide.encode(x, *given)              q(z|x): a distribution over vectors [D]
    model.num_given                      how many further arguments of a datum, such as labels, all take (else none)

Models of elbowroom have them, with their guides, and so do `from_decoder`, `from_encoder` and `from_vae`, whatever the
shape of the latents; a Pyro program of one's own may have them. Where they are missing, `Unknown` says so, and that
picture is left out.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from elbowroom.commands.subject import Subject
from elbowroom.inference.audit.about import is_standard_normal

Network = Callable[[Tensor], Tensor]

_DRAWS = 64  # whose mean is q's where that has no closed form
_SEARCHED = 64  # data among which pairs are looked for


class Unknown(Exception):
    """A picture that these programs cannot be asked for; the message says why."""


class LatentVector:
    """The latent vector of a subject's programs.

    Args:
        subject: programs and data.

    Raises:
        Unknown: if the programs do not say what it takes.
    """

    def __init__(self, subject: Subject) -> None:
        if not has_vector(subject):
            raise Unknown(
                "it walks along one latent vector of programs that see x alone: write decode(z) and latent_dim on the "
                "model and encode(x) on the guide, as elbowroom.models.VAE and AmortizedNormal do"
            )
        self.model: Any = subject.target.model
        self.guide: Any = subject.target.guide
        self.x, *self.given = subject.arguments

    def decoder(self, data: list[int]) -> Network:
        """z `[N, D]` to E[x|z] of a datum each, or of as many z in a row for each."""
        return lambda z: self.model.decode(z.to(self.x.device), *self._given(data, len(z) // len(data))).mean.cpu()

    def encoder(self, data: list[int]) -> Network:
        """x of these data, `[N, ...]`, to q's mean."""
        return lambda x: mean_of(self.guide.encode(x.to(self.x.device), *self._given(data, 1))).cpu()

    def _given(self, data: list[int], each: int) -> list[Tensor]:
        return [value[data].repeat_interleave(each, 0) for value in self.given]

    def pairs(self, num_pairs: int) -> list[tuple[int, int]]:
        """Different data of which all else that they are given is the same.

        Raises:
            Unknown: if there are none.
        """
        num_data = len(self.x)
        if not self.given:
            num_pairs = min(num_pairs, num_data // 2)
            pairs = [(i, num_pairs + i) for i in range(num_pairs)]
        else:
            pairs = self._alike(num_pairs, list(range(min(num_data, _SEARCHED))))
        if not pairs:
            alike = " that are given the same, such as one label" if self.given else ""
            raise Unknown(f"it goes from one datum to another, and of {num_data} data there are no two{alike}")
        return pairs

    def _alike(self, num_pairs: int, free: list[int]) -> list[tuple[int, int]]:
        pairs: list[tuple[int, int]] = []
        while free and len(pairs) < num_pairs:
            i = free.pop(0)
            j = next((j for j in free if all(torch.equal(value[i], value[j]) for value in self.given)), None)
            if j is not None:
                free.remove(j)
                pairs.append((i, j))
        return pairs


def has_vector(subject: Subject) -> bool:
    """Whether all is known of one latent vector, and of what a datum is given beside x."""
    model, guide = subject.target.model, subject.target.guide
    has = hasattr(model, "decode") and hasattr(model, "latent_dim") and hasattr(guide, "encode")
    return has and takes_given(subject)


def takes_given(subject: Subject) -> bool:
    """Whether the model's methods take all that a datum is given beside x."""
    return getattr(subject.target.model, "num_given", 0) == len(subject.arguments) - 1


def check_standard_normal(subject: Subject) -> None:
    """Raise Unknown unless the only latent of the programs is standard normal."""
    latents = {
        name: site["fn"] for what, kind, name, site in subject.first(1).sites() if (what, kind) == ("model", "latent")
    }
    if len(latents) > 1:
        raise Unknown(
            f"it walks over the quantiles of a standard-normal prior, and what is decoded is one of the latents "
            f"{list(latents)}, with a prior of its own"
        )
    if not all(map(is_standard_normal, latents.values())):
        raise Unknown("it walks over the quantiles of a standard-normal prior, and this model has another")


def mean_of(q_z: Any) -> Tensor:
    """q's mean; where it has no closed form, as of flows, that of a few draws."""
    try:
        mean: Tensor = q_z.mean
    except NotImplementedError:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            mean = q_z.sample((_DRAWS,)).mean(0)
    return mean
