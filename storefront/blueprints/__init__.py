"""HTTP: load, allow, act, render. Adding a blueprint is one line here."""

#: ``module:attribute`` of every blueprint, in the order they are registered.
BLUEPRINTS = (
    "storefront.assets:bp",
    "storefront.blueprints.logo:bp",
    "storefront.blueprints.health:bp",
    "storefront.blueprints.incoming:bp",
    "storefront.blueprints.api:bp",
    "storefront.blueprints.preferences:bp",
    "storefront.blueprints.auth:bp",
    "storefront.blueprints.pricing:bp",
    "storefront.blueprints.embed:bp",
    "storefront.blueprints.checkout:bp",
    "storefront.blueprints.account:bp",
    "storefront.blueprints.gifts:bp",
    "storefront.blueprints.waiting:bp",
    "storefront.blueprints.pay:bp",
    "storefront.blueprints.links:bp",
    "storefront.blueprints.contracts:bp",
    "storefront.blueprints.admin:bp",
)
