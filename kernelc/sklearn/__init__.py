"""kernelc for scikit-learn: random features of a neural kernel, and the kernel itself.

    from kernelc.sklearn import NeuralKernel, NeuralKernelFeatures

    make_pipeline(StandardScaler(), NeuralKernelFeatures("gelu", n_components=2048), RidgeClassifier())
    GaussianProcessRegressor(NeuralKernel("gelu"))
    SVC(kernel=NeuralKernel("relu", depth=3))
    KernelRidge(kernel="precomputed").fit(NeuralKernel("relu")(X), y)

It needs the extra: pip install "kernelc[sklearn]".
"""

from __future__ import annotations

try:
    import sklearn
except ImportError as error:
    raise ImportError("kernelc.sklearn needs scikit-learn: pip install 'kernelc[sklearn]'") from error

from kernelc.sklearn.features import NeuralKernelFeatures
from kernelc.sklearn.kernel import NeuralKernel

__all__ = ["NeuralKernel", "NeuralKernelFeatures"]

del sklearn
