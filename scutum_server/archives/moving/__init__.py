"""The moving itself, in a process of its own: it blocks, and what it needs of memory goes with it."""
