"""How is a target evaluated at many points: in which coordinates, how many at once, on which random numbers?

Samplers and lattices want each datum's latents as one vector u [S, B, D] without constraints. With z = T(u), T =
`biject_to(support)`:

    log p(x, u) = log p(x, T(u)) + log |det dT/du|,    log q(u | x) = log q(T(u) | x) + log |det dT/du|.

Samples and data are cut so that one evaluation stays within a byte budget. Random numbers are a function of (seed,
datum, sample), so cutting changes no result but rounding.

    scalars.py           the sites' values side by side, [S, B, N], and back
    coordinates.py       z and u as one vector a datum, and the densities of u
    budget.py            how many samples and data fit in `memory_bytes`, measured
    clock.py             a budget in seconds or evaluations, and what is left of it
    weighted_draws.py    the loop over draws of the guide and their densities, in chunks that fit
    check_same_data.py   draws or values of other data are refused
    alone_in_company.py  two data alone and in company, once an estimator has used them
    at_points.py         another number of points for each datum
    recorded.py          a function of the programs recorded once and replayed as plain tensor operations
    compiled.py          a record compiled by torch, and whether to
    differentiated.py    a function that ends with a gradient, in the two parts that a record is made of
    simplified.py        a record with less to do, and the same bits
    noted_shapes.py      what is noted of an operation while it is recorded
    joint_in_blocks.py   log p(z) and log p(x | z) of very many draws, recorded, in blocks that the cache holds
    recorded_densities.py
                         what a sampler calls: log p(x, u) and its gradient, recorded, in slices
    random_numbers.py    normals and uniforms for each datum, chain and step
    quasi_random.py      normals from a shifted Sobol net, the same for every family

Read coordinates.py first. Imports: target, programs; never a sampler or an estimator.
"""
