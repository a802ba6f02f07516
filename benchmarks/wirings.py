"""Wrong wirings of plain VAEs, and right ones: how many does an audit doubt in its first two sentences?

VAEs of the digits, trained by a loop as people write it (`wired_networks`), and wired to `from_encoder` and
`from_decoder` as they should be, or in the ways in which people get it wrong. Bars: of the wrong ones nine in ten are
doubted, or refused; of the right ones none.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from benchmarks.options import parsed, parser
from benchmarks.results import report
from benchmarks.wired_networks import KINDS, LATENTS, Setting, Trained, fresh
from elbowroom.datasets import load
from elbowroom.guides import from_encoder
from elbowroom.inference import audit
from elbowroom.models import from_decoder

DOUBTS = (
    "Look at this first", "are these the trained weights", "another prior", "has collapsed", "The spread of q is",
    "no usual factor", "as it did in training", "as they were in training", "one order of the values",
    "was it trained with this decoder", "scaled so in training", "times its standard deviations the ELBO",
)  # fmt: skip
"""What a doubt's sentence has in it."""

BUDGET = "2e7 evaluations"


_LITTLE = "1e5 evaluations"  # nothing is examined

BUDGETS = [_LITTLE, BUDGET]
"""Of the audits of a way, until one doubts it."""


def doubted(
    made: Trained,
    *,
    encode: Callable[[Tensor], Any] | None = None,
    decode: Callable[[Tensor], Any] | None = None,
    x: Tensor | None = None,
    encoder_output: str = "mean_log_std",
    decoder_output: str | None = None,
    sigma: float | None = None,
    own_loss: float | None = None,
    prior: Any = None,
) -> str:
    """The first two sentences' doubt, at once or after an examination, the refusal, or an empty string."""
    grey = made.sigma is not None
    try:
        guide = from_encoder(encode or made.encoder, output=encoder_output)
        model = from_decoder(
            decode or made.decoder,
            latent_dim=guide.codes(made.x[:2]).shape[1],
            likelihood="normal-fixed" if grey else "bernoulli",
            output=decoder_output or ("mean" if grey else "logits"),
            sigma=sigma or made.sigma,
            prior=prior,
        )
        for budget in BUDGETS:
            found = audit(model, guide, (made.x if x is None else x)[:40], budget=budget, own_loss=own_loss)
            said = next((f.sentence for f in found.findings[:2] if any(text in f.sentence for text in DOUBTS)), "")
            if said:
                return f"{'at once' if budget == _LITTLE else 'examined'}: {said}"
    except ValueError as refusal:
        return f"refused: {str(refusal).splitlines()[0]}"
    return ""


class Way(NamedTuple):
    """A way to wire, whether it is wrong, what is said of it, and the kinds of network that it is of (all, if none)."""

    name: str
    wrong: bool
    said: Callable[[Setting], str]
    kinds: tuple[str, ...] = ()


WAYS: list[Way] = []
"""All of them, in the order of the file."""

_BINARY = ("zeros and ones", "convolutional")


def _wrong(name: str, said: Callable[[Setting], str], *kinds: str) -> None:
    WAYS.append(Way(name, True, said, kinds))


def _right(name: str, said: Callable[[Setting], str], *kinds: str) -> None:
    WAYS.append(Way(name, False, said, kinds))


def _with(made: Trained, change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The encoder with something else in place of its log standard deviation."""

    def encode(x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = made.encoder(x)
        return mean, change(log_std)

    return encode


def _read_as(output: str, change: Callable[[Tensor], Tensor]) -> Callable[[Setting], str]:
    return lambda s: doubted(s.trained(), encode=_with(s.trained(), change), encoder_output=output)


def _trained(**how: Any) -> Callable[[Setting], str]:
    """Trained in another way, and read as if it were the usual one."""
    return lambda s: doubted(s.trained(**how))


def _images(turn: Callable[[Tensor], Tensor]) -> Callable[[Setting], str]:
    return lambda s: doubted(s.trained(), x=turn(s.trained().x.view(-1, 8, 8)).flatten(1))


def _sigma(factor: float) -> Callable[[Setting], str]:
    return lambda s: doubted(s.trained(), sigma=factor * float(s.trained().sigma or 0))


def _one_layer_new(part: str) -> Callable[[Setting], str]:
    """Its last layer is one that was never loaded."""

    def said(setting: Setting) -> str:
        made, new = setting.trained(), fresh(setting)
        old, other = getattr(made, part), getattr(new, part)
        state = other.state_dict()
        last = [name for name in state if name.rsplit(".", 1)[0] == list(state)[-1].rsplit(".", 1)[0]]
        other.load_state_dict(
            {name: value for name, value in old.state_dict().items() if name not in last}, strict=False
        )
        return doubted(made._replace(**{part: other}))

    return said


def _swapped(setting: Setting) -> str:
    made = setting.trained()
    return doubted(made, encode=lambda x: made.encoder(x)[::-1])


def _latents_permuted(setting: Setting) -> str:
    made = setting.trained()
    return doubted(made, decode=lambda z: made.decoder(z.flip(-1)))


def _shuffled(setting: Setting) -> str:
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    return doubted(setting.trained(), x=setting.trained().x[:, order])


def _training_mode(setting: Setting) -> str:
    made = setting.trained()
    dropout = torch.nn.Dropout(0.2)
    return doubted(made, encode=torch.nn.Sequential(dropout, made.encoder).train())


_identity = lambda s: s  # noqa: E731
_wrong(
    "a sigmoid beneath logits",
    lambda s: doubted(s.trained(), decode=lambda z: s.trained().decoder(z).sigmoid()),
    *_BINARY,
)
_wrong("a log sd read as a log variance", _read_as("mean_log_var", _identity))
_wrong("an sd read as a log variance", _read_as("mean_log_var", torch.exp))
_wrong("an sd read as a log sd", _read_as("mean_log_std", torch.exp))
_wrong("a log variance read as a log sd", _read_as("mean_log_std", lambda s: 2 * s))
_wrong("a variance read as an sd", _read_as("mean_std", lambda s: (2 * s).exp()))
_wrong("mean and log sd exchanged", _swapped)
_wrong("latents in another order", _latents_permuted)
_wrong("dropout that is on", _training_mode)
_wrong("standardised inputs left raw", _trained(scaled=(0.3, 0.2)))
_wrong("inputs of [−1, 1] left in [0, 1]", _trained(scaled=(0.5, 0.5)))
_wrong("inputs of [0, 1] made [−1, 1]", lambda s: doubted(s.trained(), encode=lambda x: s.trained().encoder(2 * x - 1)))
_wrong("inputs divided by 255 once more", lambda s: doubted(s.trained(), encode=lambda x: s.trained().encoder(x / 255)))
_wrong("images transposed", _images(lambda x: x.mT))
_wrong("images upside down", _images(lambda x: x.flip(1)))
_wrong("images mirrored", _images(lambda x: x.flip(2)))
_wrong(
    "images transposed for the encoder",
    lambda s: doubted(s.trained(), encode=lambda x: s.trained().encoder(x.view(-1, 8, 8).mT.flatten(1))),
)
_wrong("pixels in another order", _shuffled)
_wrong("black for white", lambda s: doubted(s.trained(), x=1 - s.trained().x))
_wrong(
    "another cut of the grey values",
    lambda s: doubted(s.trained(), x=(Setting("grey", 0).trained().x > 0.9).float()),
    *_BINARY,
)
_wrong("trained on grey values", _trained(grey=True), *_BINARY)
_wrong("grey values as zeros and ones", lambda s: doubted(s.trained(), x=Setting("grey", 0).trained().x), *_BINARY)
_wrong("trained on half of the digits", _trained(some=(0, 5)))
_wrong("random weights", lambda s: doubted(fresh(s)))
_wrong("a random decoder", lambda s: doubted(s.trained()._replace(decoder=fresh(s).decoder)))
_wrong("a random encoder", lambda s: doubted(s.trained()._replace(encoder=fresh(s).encoder)))
_wrong("the encoder's last layer new", _one_layer_new("encoder"))
_wrong("the decoder's last layer new", _one_layer_new("decoder"))
_wrong(
    "the encoder of another run",
    lambda s: doubted(s.trained()._replace(encoder=s._replace(seed=s.seed + 10).trained().encoder)),
)
_wrong("another prior", _trained(prior=(3.0, 0.5)))
_wrong("a prior four times as wide", _trained(prior=(0.0, 4.0)))
_wrong("KL weight 0.001", _trained(beta=0.001))
_wrong("KL weight 0.01", _trained(beta=0.01))
_wrong("KL weight 0.1", _trained(beta=0.1))
_wrong("KL weight 0.3", _trained(beta=0.3))
_wrong("KL weight 4", _trained(beta=4.0))
_wrong("a loss averaged over pixels", _trained(mean_reduced=True))
_wrong("σ ten times too large", _sigma(10.0), "grey")
_wrong("σ five times too large", _sigma(5.0), "grey")
_wrong("σ twice too large", _sigma(2.0), "grey")
_wrong("σ a half of what it was", _sigma(0.5), "grey")
_wrong("σ a third of what it was", _sigma(1 / 3), "grey")
_wrong("σ a tenth of what it was", _sigma(0.1), "grey")
_wrong("trained in [−1, 1]", _trained(both_scaled=(0.5, 0.5)), "grey")
_wrong("trained on standardised data", _trained(both_scaled=(0.3, 0.37)), "grey")
_wrong("data in [−1, 1], trained in [0, 1]", lambda s: doubted(s.trained(), x=2 * s.trained().x - 1), "grey")
_wrong("data in 0 … 255, trained in [0, 1]", lambda s: doubted(s.trained(), x=255 * s.trained().x), "grey")
_wrong("divided by 255 twice", lambda s: doubted(s.trained(), x=s.trained().x / 255), "grey")
_wrong(
    "a tanh beneath means",
    lambda s: doubted(
        s.trained(both_scaled=(0.5, 0.5)), decode=lambda z: s.trained(both_scaled=(0.5, 0.5)).decoder(z).tanh()
    ),
    "grey",
)
_wrong("another loss than was printed", lambda s: doubted(s.trained(), own_loss=200.0))

_right("as trained", lambda s: doubted(s.trained()))
_right(
    "probabilities",
    lambda s: doubted(s.trained(), decode=lambda z: s.trained().decoder(z).sigmoid(), decoder_output="probs"),
    *_BINARY,
)
_right("an sd", _read_as("mean_std", torch.exp))
_right("a log variance", _read_as("mean_log_var", lambda s: 2 * s))
_right(
    "both halves in one tensor",
    lambda s: doubted(
        s.trained(), encode=lambda x: torch.cat(s.trained().encoder(x), 1), encoder_output="stacked_mean_log_std"
    ),
)
_right("1 latent", _trained(latents=1))
_right("2 latents", _trained(latents=2))
_right("3 latents", _trained(latents=3))
_right("6 latents", _trained(latents=6))
_right("10 latents", _trained(latents=10))
_right("trained for a third as long", _trained(steps=500))
_right("trained twice as long", _trained(steps=3000))
_right(
    "its own prior",
    lambda s: doubted(s.trained(prior=(3.0, 0.5)), prior=Normal(torch.full((LATENTS,), 3.0), torch.tensor(0.5))),
)
_right(
    "a wider prior of its own",
    lambda s: doubted(s.trained(prior=(0.0, 2.0)), prior=Normal(torch.zeros(LATENTS), torch.tensor(2.0))),
)
_right(
    "its own scaling",
    lambda s: doubted(
        s.trained(scaled=(0.3, 0.2)), encode=lambda x: s.trained(scaled=(0.3, 0.2)).encoder((x - 0.3) / 0.2)
    ),
)
_right("its own [−1, 1]", lambda s: doubted(s.trained(both_scaled=(0.5, 0.5)), x=2 * s.trained().x - 1), "grey")
_right("σ = 0.1", _trained(sigma=0.1), "grey")
_right("σ = 0.5", _trained(sigma=0.5), "grey")
_right("half of the digits, their own", lambda s: doubted(s.trained(some=(0, 5)), x=_of_digits(s, 0, 5)))
_right(
    "new data",
    lambda s: doubted(s.trained(), x=load("digits", binarize="none" if s.trained().sigma else "threshold").validation),
)


def _of_digits(setting: Setting, low: int, high: int) -> Tensor:
    labels = load("digits").labels["test"]
    return setting.trained().x[(labels >= low) & (labels < high)]


def of(setting: Setting, names: list[str] | None = None) -> Iterator[Way]:
    """The ways of a kind, or those named."""
    for way in WAYS:
        if (not way.kinds or setting.kind in way.kinds) and (not names or way.name in names):
            yield way


def main() -> None:
    """Audit all of them, for each kind of network and seed."""
    made = parser(__doc__, threads=1)
    made.add_argument("--kinds", nargs="*", default=["zeros and ones"], choices=KINDS)
    made.add_argument("--seeds", nargs="*", type=int, default=[0])
    made.add_argument("--budget", default=_LITTLE, help="of each audit, after one in which nothing is examined")
    made.add_argument("--names", nargs="*", help="of ways; results are not kept then")
    few = {"names": ["mean and log sd exchanged", "black for white", "random weights", "as trained"]}
    options = parsed(made, quick=few, long={"kinds": list(KINDS), "budget": BUDGET})
    BUDGETS[:] = dict.fromkeys((_LITTLE, options.budget))
    for kind in options.kinds:
        for seed in options.seeds:
            _try(Setting(kind, seed, options.device), options)


def _try(setting: Setting, options: argparse.Namespace) -> None:
    rows = []
    said: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for way in of(setting, options.names):
        said[way.wrong][way.name] = way.said(setting)
        print(f"{'wrong' if way.wrong else 'right'}: {way.name}: {said[way.wrong][way.name]}", flush=True)
    for wrong, found in said.items():
        word = "wrong" if wrong else "right"
        count, others = sum(map(bool, found.values())), [name for name, text in found.items() if bool(text) != wrong]
        rows.append((f"{word} wirings doubted in the first two sentences", f"{count} of {len(found)}"))
        rows.append((f"{word} wirings that should be otherwise", ", ".join(others) or "none"))
    title = f"Wirings of plain VAEs of the digits ({setting.kind}, seed {setting.seed}), 40 data, {BUDGETS[-1]} each"
    key = f"wirings-{setting.kind.replace(' ', '-')}-{setting.seed}"
    report(key, title, rows, options, whole=not options.names)


if __name__ == "__main__":
    main()
