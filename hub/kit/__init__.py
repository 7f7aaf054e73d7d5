"""The base of every page; hub/kit/pages.py has what each of them begins with."""
