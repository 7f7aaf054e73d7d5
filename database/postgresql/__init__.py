"""Django's backend for PostgreSQL, for which no request waits without an end.

* ``base``     the backend: the value of ENGINE in the settings
* ``silence``  notices a server that takes questions and does not answer them
"""
