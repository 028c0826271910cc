"""Demo gateway: a payment gateway without money, and an honest witness for tests.

The bank (``bank.py``) keeps its own books in its own database and counts every charge it
executed, so a test can ask *it* whether anybody paid twice instead of asking our tables.
"""

from storefront_demo_gateway.bank import Bank
from storefront_demo_gateway.gateway import DemoGateway
from storefront_demo_gateway.plugin import PLUGIN
from storefront_demo_gateway.quick import QuickBank
from storefront_demo_gateway.remote import RemoteBank

__all__ = ["PLUGIN", "Bank", "DemoGateway", "QuickBank", "RemoteBank"]
