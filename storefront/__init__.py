"""A subscription-box storefront: one engine for shoppers, customers, staff and the clock."""
