"""A demo for a site to look at: people, images, stars, pulls."""
