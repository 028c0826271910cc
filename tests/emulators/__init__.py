"""Payment gateways played in this process, each written from its public documentation."""
