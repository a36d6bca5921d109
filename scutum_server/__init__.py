"""The Scutum server: data plane, control plane and background worker."""

__version__ = "0.1.0"
