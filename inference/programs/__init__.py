"""A pair of Pyro programs: how is it read, checked and run?

A program is ordinary Python. Each of its `pyro.sample` statements sends a message past *messengers*, any of which may
answer it: with a draw, with a value that was given, or by taking notes. To ask a program something is to run it among
the right messengers. One call, `target.propose(S)`, on its way down:

    propose       of the guide: z `[S, B, ...]` and log q(z | x), `[S, B]`, on noise of (seed, datum, sample)
    layout        brings S samples of B data to the program in a way that it can take: in one run or in S
    term          puts values where the program has them, and chooses the messengers that ask its question
    trace         runs the program on its data among them, and writes every site down
    messengers    set scales to 1, give plates all their rows, and answer latent sites: here with draws from the noise

On its way up the term reads the trace: each site's log density, unscaled and masked, is summed over all but samples and
data, and draws are laid out as `[S, B, ...]`. `log_joint(z)` walks the same way through the model, with latents set.

What is run, and how:

    pinned_programs.py  a model and a guide pinned to what they are called with: what can be run
    triple.py           … and cut by data
    densities.py        draws and log densities under a layout that is given
    layouts.py          four ways to bring samples to a program
    terms.py            what is read off one run
    sums.py             log densities of a run, summed over sites
    handlers.py         the messengers
    evaluations.py      how many of them there were, and where they are stopped
    refusals.py         points at which a program raises: density zero there
    unfactored.py       matrices that have no factor: NaN, not an error
    log_prob.py         the log density of a site: unscaled, masked, −∞ outside the support
    masks.py            what masks hide of a site, and its density without them
    datum_keys.py       which random numbers are a datum's
    noise.py            random numbers that belong to (seed, datum, sample, site)
    noise_on_device.py  … made on a card, where they are used
    intercept.py        torch's random operations, made to read them
    noise_order.py      which of a distribution's numbers belong to which datum
    enumeration.py      finite discrete latents, summed out
    elimination.py      sums of products of densities, in log space
    branches.py         discrete latents that take a value at a time (a model may branch on them), each branch run
    gradients.py        whether the joint can be differentiated in the latents
    collapse.py         discrete latents of the guide, summed out of both programs
    autoguides.py       guides that draw in another space than the latents'
    simulate.py         data drawn from the model
    decoded.py          what it makes of given latents: means and draws of an observed site
    picked.py           some of the data of programs that cannot be cut
    replacement.py      other distributions in the place of a model's latent sites
    guide_noise.py      guides of Normals as maps of noise; the same with each Normal moved and widened
    global_state.py     what a run must leave as it was
    one_at_a_time.py    … and one thread at a time
    private_pyro.py     what is used of Pyro beyond its public names
    private_torch.py    … and of torch

What is known of programs before that, and what is refused:

    structure.py        sites, plates and shapes of both programs together
    plain_runs.py       one plain run of each, off which they are read
    dtypes.py           the dtypes that meet in programs that fail because of them
    latent.py           how one latent lies in a program
    subsampling.py      plates that take a subsample, given all their rows
    sizeless.py         plates without a size: read off their sites
    sequential.py       data in a sequential plate: a program for each
    arguments.py        which arguments hold something of each datum, along which axis
    other_axes.py       data that do not lie on the first axis, found by trying
    fixed_globals.py    globals that were fixed above the data: what all numbers are given
    requirements.py     programs that cannot be evaluated datum by datum, and what to do about it
    point_masses.py     guide sites without a density, and those that are a point in the model, too
    masked_latents.py   latents that masks hide: alike in both programs, or refused
    flat_priors.py      but for those that the model alone masks, on a bounded interval: density one
    supports.py         whether a guide can reach what the model can
    unnormalised.py     data between the values of a discrete support, answered where validation was switched off
    remarks.py          a sentence, and the data that it holds for
    cautions.py         what casts doubt on all that rests on log q
    training_mode.py    layers that must not run in training mode
    initial_weights.py  layers with the weights that PyTorch drew when it made them
    untrained.py        programs that look as if nobody had trained them
    wiring.py             whether outputs look as if they had been read as something else than they are
    described.py        what a pair says of itself: sites, cautions, what its numbers are of
    notes.py            what is worth knowing though every number stands
    independence.py     terms that are not functions of one datum and its latents
    varied.py           points that differ as much as draws of the prior, at which that is tried
    local_parameters.py parameters with a row for each datum
    tolerance.py        how far two runs that ought to be the same may be apart
    layout_choice.py    the fastest layout that gives the numbers of plain runs

Densities that know nothing of Pyro:

    from_functions.py   functions on [S, B, D] tensors as a pair of programs
    function_checks.py  what they must return, asked before
    drawn_from.py       whether one is the density of what another draws

Read pinned_programs.py and triple.py first, then layouts.py and terms.py. Imports: torch and Pyro; never a wing of
inference/. With training/ it is the only wing that knows `pyro.poutine`.
"""
