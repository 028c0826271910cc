"""The demo shop *Nine Kettles*: its catalogue, its history, and a clock that can be moved."""
