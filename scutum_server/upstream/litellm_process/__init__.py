"""The process that holds the `litellm` library; its parent is in `upstream.litellm`.

It runs in an environment of its own, with the library's dependencies and without any of ours: nothing here may import
from `scutum_server`, and the modules import each other relatively. It speaks
OpenAI's format over HTTP on a Unix socket.
"""
