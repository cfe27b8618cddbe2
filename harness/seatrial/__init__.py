"""seatrial: one model, every serving technology, the same questions.

Importing this package loads nothing but the standard library, because it is also imported inside the served containers.
"""

from seatrial.definition import Cases, PythonModel, Tensor

__version__ = "0.1.0"
__all__ = ["Cases", "PythonModel", "Tensor", "__version__"]
