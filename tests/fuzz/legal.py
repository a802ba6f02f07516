"""What the generator makes and is right after all, each with the reason."""

from fnmatch import fnmatch

LEGAL: list[tuple[str, str, str, str]] = [
    ("*", "seed", "0|10^18", "seeds are 0 … 2^63 − 1"),
    ("*", "order_seed", "0|10^18", "seeds are 0 … 2^63 − 1"),
    ("Target.*", "start", "0|10^18", "the number of the first sample"),
    ("*", "memory_bytes", "10^18", "more than there is: everything at once"),
    ("*", "num_warmup|num_exchanges|num_checked|num_refresh|num_given|max_decimals", "0", "none"),
    ("audit*", "num_simulations", "0", "calibration is left out, as `skipped` says"),
    ("quadrature|bracket|versus|audit*", "tolerance", "2.0|numpy 1.5", "nats"),
    ("*", "budget", "2.0|numpy 1.5", "seconds"),
    ("Evaluations", "number", "2.0|numpy 1.5", "evaluations"),
    ("audit*", "own_loss", "0*|-1*|10^18|2^64|1e300|2.0|numpy*1*", "a loss may be any finite number"),
    ("bounds", "alphas", "(0*|(-1*|(2.0*|(numpy*1*", "Rényi bounds are defined for all α but 1"),
    ("bounds", "orders", "(2.0*|(numpy 1.5*", "orders from 1 on"),
    ("*", "num_particles|alphas|orders|quantiles", "an empty list", "none are asked for"),
    ("*", "*hidden", "an empty list", "an affine network"),
    ("topics_figure|Drawn|bags_figure", "words", "an empty list", "columns are told by their numbers"),
    ("*", "per_datum", "(0*|an empty list", "the first argument; none of them"),
    ("*", "data|rows|index", "(0*|(-1*|(numpy -1*", "data are counted from either end"),
    ("posterior_figure", "data", "0", "one datum"),
    ("Bracket.method", "b", "0|-1|numpy -1", "data are counted from either end"),
    ("Bracket.interval", "z", "0*|10^18|2.0|numpy 1.5", "an interval of so many errors"),
    ("Gates", "rhat|ess_per_chain|ebfmi", "2.0|numpy 1.5|10^18|2^64|1e300", "as strict or lenient as one likes"),
    ("Gates", "ebfmi|divergences", "0|0.0|10^18", "as strict or lenient as one likes"),
    ("with_error", "value|error", "*", "shows any number, NaN too"),
    ("*", "sigma|temperature|concentration|scale|learning_rate|clip_norm|beta", "2.0|numpy 1.5|10^18", "a scale"),
    ("*", "floor|weight_decay|warmup_epochs|free_bits|checkpoint_seconds", "0|0.0|2.0|numpy 1.5|10^18", "a scale"),
    ("*able|*.least_certain", "most", "0", "no rows"),
    ("NearestCode", "temperature", "0|0.0", "the nearest code for certain"),
    ("bits_per_dimension", "x", "nan tensor|inf tensor", "its number of values is asked for"),
    ("MADE", "dropout", "0|0.0", "none"),
    ("load", "threshold", "0|0.0", "what is above zero is one"),
    ("load", "data_dir", "no such name", "the digits are embedded, and need none"),
    ("fit|load|check_binary|dequantized|held_out|perplexity", "data|x|validation|test|train", "*7 rows*", "other data"),
    ("check_binary|dequantized|perplexity|bits_per_dimension", "x", "bool tensor", "zeros and ones"),
    ("held_out", "test|train", "bool tensor", "zeros and ones"),
    ("check_binary|dequantized", "x", "many axes", "other data"),
    ("bits_per_dimension", "x", "10^18|2^64", "its number of values is asked for"),
    (
        "prior_samples_figure|topics_figure|PosteriorMixture",
        "samples|topics|pseudo_inputs",
        "7 rows|bool tensor",
        "data",
    ),
    ("PosteriorMixture", "pseudo_inputs", "many axes", "the encoder says what it takes, when it is run"),
    ("*", "title|given|name|reason", "no such name|a NUL|400 letters", "free text"),
    ("posterior_figure|save_audit|save_explorer|save_html", "image_shape", "an empty list", "data are no pictures"),
    ("*", "path|state|directory|run_dir", "no such name", "a file that is made"),
    ("shard", "output", "no such name", "a folder that is made"),
    ("merge_shards", "file", "no such name", "a file that is made"),
    ("mapped", "threshold", "0|0.0", "what is above zero is one"),
    ("*", "attrs", "unknown key", "free entries"),
    ("*", "observed", "nan tensor|inf tensor|bool tensor|many axes", "kept as they are"),
    ("elbowroom *", "seed|warmup_epochs", "0|10^18|1e18", "as of the library"),
    ("elbowroom *", "num_warmup|num_checked|num_simulations", "0", "none"),
    ("elbowroom *", "threshold|free_bits|weight_decay|own_loss|final_learning_rate", "0", "as of the library"),
    ("elbowroom *", "own_loss", "-1|1e300", "a loss may be any finite number"),
    ("elbowroom *", "indices", "0|-1", "data are counted from either end"),
    ("traversal_figure", "latents", "(0*", "the first latent"),
]
"""(call, argument, value, why): patterns, several with | between them, and ( for [."""

NAMES_ARE_CHOICES = ("load", "density_class", "make_density", "save_density", "problem")
"""Calls whose `name` is no free text."""


def is_legal(call: str, argument: str, label: str) -> bool:
    """Whether a value is right for an argument of a call."""
    if argument == "name" and call in NAMES_ARE_CHOICES:
        return False
    label = label.replace("[", "(")  # brackets mean something else in patterns
    return any(_any(call, c) and _any(argument, a) and _any(label, v) for c, a, v, _ in LEGAL)


def _any(text: str, patterns: str) -> bool:
    return any(fnmatch(text, pattern) for pattern in patterns.split("|"))
