"""Machines that disturb the engine on purpose and then look at what is left."""
