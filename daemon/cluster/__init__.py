"""Several machines: a daemon that others join, and Slots on them. The transport is Dask's `distributed`."""
