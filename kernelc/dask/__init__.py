"""kernelc for Dask: features and kernel matrices block by block, on one machine's disk or on a cluster.

    from kernelc.dask import features, fit_ridge, kernel_matrix

    x = da.from_zarr("rows.zarr").rechunk((4096, -1))
    model = fit_ridge(features("gelu", x, features=8192), y, alpha=1e-3)
    model.predict(features("gelu", x_new, features=8192)).compute()

What is sent to a worker is the compiled package as text; a worker needs kernelc and NumPy, and compiles nothing.
It needs the extra: pip install "kernelc[dask]".
"""

from __future__ import annotations

try:
    import dask.array
except ImportError as error:
    raise ImportError("kernelc.dask needs dask: pip install 'kernelc[dask]'") from error

from kernelc.dask.blocks import features, kernel_matrix
from kernelc.dask.ridge import Ridge, fit_ridge

__all__ = ["Ridge", "features", "fit_ridge", "kernel_matrix"]

del dask
