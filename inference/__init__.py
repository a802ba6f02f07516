"""All that is computed from a (model, guide, data) triple."""
