"""Pyro messengers: how a program is run on given values, given noise and given scales."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch import Tensor

from elbowroom.inference.programs.intercept import intercept
from elbowroom.inference.programs.log_prob import bijection
from elbowroom.inference.programs.masks import SEEN, seen, unmasked
from elbowroom.inference.programs.noise import Noise

SCALE = "_elbowroom_scale"
"""Where `Weigh` writes down, among a site's `infer`, the scale that it replaced by another."""


class Weigh(Messenger):
    """Set the scale of every latent and every observed sample site.

    Entered outside a program it is applied last, after the program's own `poutine.scale` and plate rescaling.

    Args:
        latent: scale of latent sites (the weight of the KL term when both programs are run under it).
        observed: scale of observed sites (the weight of the reconstruction term).
        replace: put these in place of the program's own scales (True), or multiply them (False).
    """

    def __init__(self, latent: float | Tensor = 1.0, observed: float = 1.0, replace: bool = True) -> None:
        super().__init__()
        self.latent, self.observed, self.replace = latent, observed, replace

    def _pyro_sample(self, msg: Any) -> None:
        if site_is_subsample(msg):
            return
        scale = self.observed if msg["is_observed"] else self.latent
        varies = isinstance(scale, Tensor) or isinstance(msg["scale"], Tensor)
        if self.replace and (varies or msg["scale"] != scale):
            msg["infer"] = {**(msg["infer"] or {}), SCALE: msg["scale"]}
        msg["scale"] = scale if self.replace else scale * msg["scale"]


class Unmask(Messenger):
    """Take the masks off latent sites, so that each enters with its own normalised density; what they hid is noted."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = frozenset(names)

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] in self.names and not msg["is_observed"]:
            msg["infer"] = {**(msg["infer"] or {}), SEEN: seen(msg["fn"], msg["mask"])}
            msg["fn"], msg["mask"] = unmasked(msg["fn"]), None


class Pin(Messenger):
    """Give the plates of a minibatch the indices they drew once, so that a program always sees the same data.

    The plate is then told that these are all there are: Pyro's samplers refuse anything that looks like a subsample.
    """

    def __init__(self, indices: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.indices = indices

    def _pyro_sample(self, msg: Any) -> None:
        if not site_is_subsample(msg) or msg["value"] is not None or msg["name"] not in self.indices:
            return
        pinned, size = self.indices[msg["name"]], msg["fn"].subsample_size
        if size is None:  # this program's plate of that name takes no subsample
            return
        msg["value"], msg["done"] = pinned[torch.arange(size) % len(pinned)], True
        msg["fn"] = type(msg["fn"])(size, size)


class Set(Messenger):
    """Set latent sites to given values; a site without one is left alone."""

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.values = values

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["is_observed"] and msg["name"] in self.values:
            msg["value"], msg["done"] = self.values[msg["name"]], True


class SetUnconstrained(Messenger):
    """Set latent sites to T(u), with T the bijection onto the support that the site has *in this very run*.

    Supports may depend on the datum or on other latents, so the bijection is made where the site is met.
    `values` then holds z = T(u) and `log_jacobian` holds log |det dT/du| with the site's batch shape; `unequal` are the
    sites that were met again with another T.
    """

    def __init__(self, unconstrained: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.unconstrained = unconstrained
        self.values: dict[str, Tensor] = {}
        self.log_jacobian: dict[str, Tensor] = {}
        self.unequal: set[str] = set()

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if msg["is_observed"] or name not in self.unconstrained:
            return
        transform, u = bijection(msg["fn"]), self.unconstrained[name]
        z = transform(u)
        log_jacobian = transform.log_abs_det_jacobian(u, z)
        surplus = log_jacobian.dim() - (z.dim() - msg["fn"].event_dim)
        if name in self.values and not torch.equal(z, self.values[name]):  # met again, in another branch
            self.unequal.add(name)
        self.log_jacobian[name] = log_jacobian.flatten(-surplus).sum(-1) if surplus > 0 else log_jacobian
        self.values[name] = z
        msg["value"], msg["done"] = z, True


class Draw(Messenger):
    """Draw latent sites from counter-based noise, a stream for each datum, instead of the global generator."""

    def __init__(self, noise: Noise, arrange: Callable[[Tensor, torch.Size], Tensor]) -> None:
        super().__init__()
        self.noise, self.arrange = noise, arrange  # arrange brings noise [S, B, n] to [*batch_shape, m]

    def _pyro_sample(self, msg: Any) -> None:
        if msg["done"] or msg["is_observed"] or msg["value"] is not None or site_is_subsample(msg):
            return
        with intercept(self.noise, msg["name"], msg["fn"], self.arrange):
            msg["value"] = msg["fn"](*msg["args"], **msg["kwargs"])
        msg["done"] = True


class Latents(Messenger):
    """Keeps the records of latent sites as they are met: what a program does after the last of them is not needed."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self.names = names
        self.sites: dict[str, Any] = {}

        self.ends = False

    def _pyro_post_sample(self, msg: Any) -> None:
        if msg["name"] in self.names and not msg["is_observed"]:
            self.sites[msg["name"]] = dict(msg)
            if self.ends and len(self.sites) == len(self.names):
                raise _Enough

    @contextmanager
    def enough(self) -> Iterator[None]:
        """Around a run: it ends at the last latent, whether the likelihood would fail far out or not."""
        self.ends = True
        with suppress(_Enough):
            yield


class _Enough(BaseException):
    """Ends a run; not an error, so that no program takes it for one."""


class Fill(Draw):
    """Set latent sites to given values, but draw anew what their masks hide; sites without a value are drawn."""

    def __init__(
        self,
        values: Mapping[str, Tensor],
        masked: Iterable[str],
        noise: Noise,
        arrange: Callable[[Tensor, torch.Size], Tensor],
    ) -> None:
        super().__init__(noise, arrange)
        self.values, self.masked = values, frozenset(masked)

    def _pyro_sample(self, msg: Any) -> None:
        name = msg["name"]
        if msg["is_observed"] or name not in self.values:
            return super()._pyro_sample(msg)
        value = self.values[name]
        if name in self.masked:
            # A stream of its own: the guide has drawn the site from the other.
            with intercept(self.noise, f"{name}, masked", msg["fn"], self.arrange):
                fresh = msg["fn"](*msg["args"], **msg["kwargs"])
            value = torch.where(seen(msg["fn"], msg["mask"]), value, fresh)
        msg["value"], msg["done"] = value, True
        return None


def last_site(trace: Any) -> str:
    """Where a run has ended, in words."""
    sites = [name for name, site in trace.nodes.items() if site["type"] == "sample" and not site_is_subsample(site)]
    return f"after site '{sites[-1]}'" if sites else "before its first site"


def under(stack: list[Any], run: Callable[[], Any]) -> Any:
    """What a run gives under messengers, innermost last."""
    if not stack:
        return run()
    with stack[0]:
        return under(stack[1:], run)
