"""Formats of shipping tools and the pages where carriers show where a parcel is, as data."""
