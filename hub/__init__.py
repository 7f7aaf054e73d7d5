"""Renders the pages about accounts and repositories, with their forms and drawings."""
