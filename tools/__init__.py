"""Tools for those who work on Berth; nothing here is part of the product."""
