"""Fills a site with a demo: people, images, stars, pulls."""
