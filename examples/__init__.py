"""Shops to look at: how the storefront sits in one that was there before."""
