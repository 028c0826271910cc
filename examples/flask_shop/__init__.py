"""Corner Crockery: a small shop that was here before, with the storefront put into it.

``shop.py`` is the shop and knows nothing of the storefront; ``boxes.py`` is all it takes to
mount it. Run both with ``python -m examples.flask_shop``.
"""
