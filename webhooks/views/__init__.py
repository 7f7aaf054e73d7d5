"""Pages; accounts/views/base.py says what each of them begins with."""
