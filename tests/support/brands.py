"""A second brand, to see that a shop can be made to look like another one."""

from storefront.domain.look import Look

#: Stationery and nature journals: moss and plum on vellum, squared and quiet.
MARGIN_AND_MOSS = Look(
    brand_hue=135,
    brand_chroma=85,
    accent_hue=345,
    accent_chroma=120,
    paper="grey",
    heading="sans",
    corners="square",
    spacing="airy",
)
#: The same as somebody types it.
MOSS_TYPED = {
    "main_colour": "#3b5a28",
    "second_colour": "#823564",
    "paper": "grey",
    "heading": "sans",
    "corners": "square",
    "spacing": "airy",
}
WORDS = {
    "name": "Margin & Moss",
    "line": "Notes from the edge of the path.",
    "support_email": "hello@marginandmoss.example",
}
