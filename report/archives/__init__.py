"""Results as files and objects that other programs read: JSON, and ArviZ's groups as netCDF and in memory.

    comparison_json.py, comparison_netcdf.py     of a comparison, from `records/comparison_groups.py`
    audit_json.py, audit_netcdf.py               of an audit: both written from `records.audit_groups`
    draws_datatree.py    Markov chains, from `records/draws_groups.py`
    datatree.py          groups as an xarray DataTree, and a tree as a netCDF file: the one place that makes Datasets
    arviz_objects.py     `to_arviz`: the one file that knows how ArviZ 0.23 and 1.x differ

A file is whole or not there. Its keys, dimensions and units are listed in the docstring of the function that makes it:
they are read by programs that were written before, so they are added to and not changed. Read `audit_json.py` first.
Imports: `report.records`, `inference/`, xarray and h5netcdf, and ArviZ late; no other room of `report/`.
"""
