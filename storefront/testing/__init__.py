"""For tests of the storefront and of its plugins: clock, factories, gateways, contracts."""
