"""Which benchmarks there are: what each shows, what it needs, and how many seconds each of its forms takes.

Seconds are those of a quiet machine of two cores; a form that has none is not run. After a run of the whole those of
RESULTS.md are the last ones, and these the ones by which a script that hangs is stopped.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Script:
    """A file of this folder.

    Attributes:
        name: of the file.
        shows: its question, in a line.
        seconds: of each form that it has. Without `"default"` it is run by name only, as `--long`.
        needs: the data that must be at hand.
        peers: packages that it sets elbowroom beside; it runs without them, and says so.
    """

    name: str
    shows: str
    seconds: dict[str, float]
    needs: tuple[str, ...] = ()
    peers: tuple[str, ...] = field(default=())


def _seconds(quick: float, default: float | None = None, long: float | None = None) -> dict[str, float]:
    given = {"quick": quick, "default": default, "long": long}
    return {form: seconds for form, seconds in given.items() if seconds is not None}


_MNIST = ("MNIST",)
MINUTE, HOUR = 60, 3600
SCRIPTS: tuple[Script, ...] = (
    Script("command_help", "how long the command line's help takes", _seconds(4, 12)),
    Script("growth", "how seconds and memory grow with data, samples, latents, chains, pixels", _seconds(12, 150)),
    Script("shards_digits", "very many data by two workers: seconds, memory", _seconds(15, 60, 15 * MINUTE)),
    Script("svi_step", "a training step beside Pyro's SVI and torch by hand", _seconds(10, 100, 4 * MINUTE)),
    Script("enumerated", "discrete latents summed out: all samples in one run", _seconds(4, 8)),
    Script("importance_mnist", "importance samples a second beside Pyro and the products' limit", _seconds(25, 100)),
    Script("digits", "the digits VAE: how fast, how good, importance sampling against the truth", _seconds(8, 60)),
    Script("ppca_mnist", "does fit reach pPCA's maximum likelihood", _seconds(5, 75), _MNIST),
    Script("mnist_vae", "how good the textbook VAE becomes", _seconds(6, 65, 900), _MNIST),
    Script("annealing_mnist", "what a guide saves annealing", _seconds(8, 120, 10 * MINUTE), _MNIST),
    Script("bracket_mnist", "how many images a bracket settles in 30 s", _seconds(8, 100), _MNIST),
    Script("bracket_digits", "how long brackets of many data take", _seconds(12, 60, 10 * MINUTE)),
    Script("mcmc_digits", "effective draws a second", _seconds(12, 120, HOUR), (), ("jax", "blackjax")),
    Script("diagnostics_arviz", "convergence diagnostics beside ArviZ's", _seconds(3, 8)),
    Script("coverage", "do 95 % intervals cover", _seconds(8, 90, 15 * MINUTE)),
    Script("reference_table", "is a value ever wrong without a flag", _seconds(8, 120, HOUR)),
    Script("budgets", "are budgets kept and spent", _seconds(15, 75, 15 * MINUTE)),
    Script("heavy_weights", "importance sampling by the weights' tail index", _seconds(3, 25, 10 * MINUTE)),
    Script("upper_bounds", "upper bounds at equal cost", _seconds(3, 6)),
    Script("calibration", "how often calibrations reject", _seconds(5, 65, 10 * MINUTE)),
    Script("decomposition_mnist", "where the room of MNIST images comes from", _seconds(14, 90, 360), _MNIST),
    Script("refined_mnist", "do refined guides mislead", _seconds(10, 85, 20 * MINUTE), _MNIST),
    Script("richer_guides", "what richer guides gain", _seconds(10, 90, 5 * MINUTE)),
    Script("disentanglement", "does β > 1 disentangle", _seconds(5, 65, 4 * MINUTE)),
    Script("vi_or_mcmc", "HMC against an encoder by number of data", _seconds(5, 20, 2 * MINUTE)),
    Script("two_models", "does versus name the better model", _seconds(5, 80, 10 * MINUTE)),
    Script("objectives", "what other objectives than the ELBO bring", _seconds(7, 80, 2 * HOUR)),
    Script("wirings", "wrong wirings that an audit doubts", _seconds(6, 70, 2 * HOUR)),
    Script("two_layers_digits", "two layers of latents against one", _seconds(10, None, HOUR)),
    Script("equal_steps_mnist", "a second layer, and 50 weights, at equal steps", _seconds(10, None, 2 * HOUR), _MNIST),
    Script("mnist_tables", "the published table of MNIST VAEs", _seconds(10, None, 10 * HOUR), _MNIST),
)


def named(names: list[str]) -> list[Script]:
    """The scripts of these names; all of them for no name.

    Raises:
        ValueError: if there is none of a name.
    """
    known = {script.name: script for script in SCRIPTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(SCRIPTS)
