"""Wrong wirings of plain VAEs, and right ones: how many does an audit doubt in its first two sentences?

Small VAEs of the digits, trained by a loop as people write it, and wired to `from_encoder` and `from_decoder` as they
should be, or in the ways in which people get it wrong. Bars: of the wrong ones nine in ten are doubted, or refused; of
the right ones none.
"""

import argparse
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from benchmarks.results import report
from elbowroom.datasets import load
from elbowroom.guides import from_encoder
from elbowroom.inference import audit
from elbowroom.models import from_decoder

DOUBTS = (
    "Look at this first", "are these the trained weights", "another prior", "has collapsed", "The spread of q is",
    "no usual factor", "as it did in training",
)  # fmt: skip
LATENTS, STEPS = 4, 1500


class Encoder(nn.Module):
    """Mean and log standard deviation."""

    def __init__(self, latents: int = LATENTS) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2 * latents))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.net(x).chunk(2, -1)
        return mean, log_std


class Trained(NamedTuple):
    """Networks, and the data of the test."""

    encoder: Encoder
    decoder: nn.Module
    x: Tensor


@cache
def trained(
    *,
    sigma: float | None = None,
    beta: float = 1.0,
    latents: int = LATENTS,
    prior: tuple[float, float] = (0.0, 1.0),
    scaled: tuple[float, float] = (0.0, 1.0),
    mean_reduced: bool = False,
    steps: int = STEPS,
) -> Trained:
    """A VAE of zeros and ones, or with σ of grey values, by a plain loop; the encoder sees (x − shift)/scale."""
    data = load("digits", binarize="threshold" if sigma is None else "none")
    torch.manual_seed(0)
    encoder = Encoder(latents)
    decoder = nn.Sequential(nn.Linear(latents, 64), nn.SiLU(), nn.Linear(64, 64))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3)
    for _ in range(steps):
        x = data.train[torch.randint(len(data.train), (128,))]
        mean, log_std = encoder((x - scaled[0]) / scaled[1])
        q = Normal(mean, log_std.exp())
        decoded = decoder(q.rsample())
        if sigma is None:
            each = functional.binary_cross_entropy_with_logits(decoded, x, reduction="none")
        else:
            each = (x - decoded).square() / (2 * sigma**2)
        rest = each.mean() if mean_reduced else each.sum(-1).mean()
        loss = rest + beta * kl_divergence(q, Normal(*map(torch.tensor, prior))).sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return Trained(encoder.eval(), decoder.eval(), data.test)


def doubted(
    made: Trained,
    *,
    encode: Callable[[Tensor], Any] | None = None,
    decode: Callable[[Tensor], Any] | None = None,
    x: Tensor | None = None,
    encoder_output: str = "mean_log_std",
    decoder_output: str | None = None,
    likelihood: str = "bernoulli",
    sigma: float | None = None,
    **options: Any,
) -> str:
    """The first two sentences' doubt, the refusal, or an empty string."""
    output = decoder_output or ("logits" if likelihood == "bernoulli" else "mean")
    own = {name: options.pop(name) for name in ("own_loss",) if name in options}
    try:
        guide = from_encoder(encode or made.encoder, output=encoder_output)
        latents = guide.codes(made.x[:2]).shape[1]
        model = from_decoder(
            decode or made.decoder, latent_dim=latents, likelihood=likelihood, output=output, sigma=sigma, **options
        )
        found = audit(model, guide, (made.x if x is None else x)[:40], budget="2e7 evaluations", **own)
    except ValueError as refusal:
        return f"refused: {str(refusal).splitlines()[0]}"
    return next((f.sentence for f in found.findings[:2] if any(text in f.sentence for text in DOUBTS)), "")


def wrong() -> dict[str, Callable[[], str]]:
    """Name -> what is said of it."""
    plain, grey = trained(), trained(sigma=0.2)
    torch.manual_seed(3)
    fresh = Trained(Encoder().eval(), nn.Sequential(nn.Linear(LATENTS, 64), nn.SiLU(), nn.Linear(64, 64)), plain.x)
    as_image = plain.x.view(-1, 8, 8)
    normal = {"likelihood": "normal-fixed"}
    return {
        "a sigmoid beneath logits": lambda: doubted(plain, decode=lambda z: plain.decoder(z).sigmoid()),
        "a log sd read as a log variance": lambda: doubted(plain, encoder_output="mean_log_var"),
        "an sd read as a log variance": lambda: doubted(
            plain, encode=_with(plain, torch.exp), encoder_output="mean_log_var"
        ),
        "a log variance read as a log sd": lambda: doubted(plain, encode=_with(plain, lambda s: 2 * s)),
        "a variance read as an sd": lambda: doubted(
            plain, encode=_with(plain, lambda s: (2 * s).exp()), encoder_output="mean_std"
        ),
        "standardised inputs left raw": lambda: doubted(trained(scaled=(0.3, 0.2))),
        "inputs of [−1, 1] left in [0, 1]": lambda: doubted(trained(scaled=(0.5, 0.5))),
        "images transposed": lambda: doubted(plain, x=as_image.mT.flatten(1)),
        "images upside down": lambda: doubted(plain, x=as_image.flip(1).flatten(1)),
        "black for white": lambda: doubted(plain, x=1 - plain.x),
        "another cut of the grey values": lambda: doubted(plain, x=(grey.x > 0.9).float()),
        "random weights": lambda: doubted(fresh),
        "a random decoder": lambda: doubted(Trained(plain.encoder, fresh.decoder, plain.x)),
        "a random encoder": lambda: doubted(Trained(fresh.encoder, plain.decoder, plain.x)),
        "another prior": lambda: doubted(trained(prior=(3.0, 0.5))),
        "KL weight 0.001": lambda: doubted(trained(beta=0.001)),
        "KL weight 0.01": lambda: doubted(trained(beta=0.01)),
        "KL weight 0.1": lambda: doubted(trained(beta=0.1)),
        "KL weight 0.3": lambda: doubted(trained(beta=0.3)),
        "a loss averaged over pixels": lambda: doubted(trained(mean_reduced=True)),
        "σ five times too large": lambda: doubted(grey, sigma=1.0, **normal),
        "σ a third of what it was": lambda: doubted(grey, sigma=0.067, **normal),
        "grey values as zeros and ones": lambda: doubted(plain, x=grey.x),
        "another loss than was printed": lambda: doubted(plain, own_loss=12.0),
    }


def right() -> dict[str, Callable[[], str]]:
    """Name -> what is said of it."""
    plain = trained()
    normal = {"likelihood": "normal-fixed"}
    return {
        "logits": lambda: doubted(plain),
        "probabilities": lambda: doubted(plain, decode=lambda z: plain.decoder(z).sigmoid(), decoder_output="probs"),
        "an sd": lambda: doubted(plain, encode=_with(plain, torch.exp), encoder_output="mean_std"),
        "a log variance": lambda: doubted(plain, encode=_with(plain, lambda s: 2 * s), encoder_output="mean_log_var"),
        "its own loss": lambda: doubted(plain, own_loss=19.5),
        "2 latents": lambda: doubted(trained(latents=2)),
        "10 latents": lambda: doubted(trained(latents=10)),
        "trained for a third as long": lambda: doubted(trained(steps=500)),
        "trained three times as long": lambda: doubted(trained(steps=4500)),
        "its own prior": lambda: doubted(
            trained(prior=(3.0, 0.5)), prior=Normal(torch.full((LATENTS,), 3.0), torch.tensor(0.5))
        ),
        "its own scaling": lambda: doubted(
            trained(scaled=(0.3, 0.2)), encode=lambda x: trained(scaled=(0.3, 0.2)).encoder((x - 0.3) / 0.2)
        ),
        "σ = 0.2": lambda: doubted(trained(sigma=0.2), sigma=0.2, **normal),
        "σ = 0.1": lambda: doubted(trained(sigma=0.1), sigma=0.1, **normal),
        "σ = 0.5": lambda: doubted(trained(sigma=0.5), sigma=0.5, **normal),
        "grey values, 2 latents": lambda: doubted(trained(sigma=0.2, latents=2), sigma=0.2, **normal),
        "3 latents": lambda: doubted(trained(latents=3)),
        "6 latents": lambda: doubted(trained(latents=6)),
        "a wider prior of its own": lambda: doubted(
            trained(prior=(0.0, 2.0)), prior=Normal(torch.zeros(LATENTS), torch.tensor(2.0))
        ),
        "both halves in one tensor": lambda: doubted(
            plain, encode=lambda x: torch.cat(plain.encoder(x), 1), encoder_output="stacked_mean_log_std"
        ),
        "new data": lambda: doubted(plain, x=load("digits", binarize="threshold").validation),
    }


def _with(made: Trained, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The encoder with something else in place of its log standard deviation."""

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = made.encoder(x)
        return mean, change(log_std)

    return encode


def main() -> None:
    """Audit all of them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind, ways in (("wrong", wrong()), ("right", right())):
        said = {name: way() for name, way in ways.items()}
        for name, text in said.items():
            print(f"{kind}: {name}: {text}", flush=True)
        count = sum(bool(text) for text in said.values())
        others = [name for name, text in said.items() if bool(text) == (kind == "right")]
        rows.append((f"{kind} wirings doubted in the first two sentences", f"{count} of {len(said)}"))
        rows.append((f"{kind} wirings that should be otherwise", ", ".join(others) or "none"))
    report("wirings", "Wirings of plain VAEs of the digits, 40 data, 2e7 evaluations each", rows)


if __name__ == "__main__":
    main()
