"""Shows all pages for people: their views, forms, words and drawings."""
