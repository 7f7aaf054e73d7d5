"""Pages; hub/kit/pages.py says what each of them begins with."""
