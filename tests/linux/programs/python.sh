# The language and its library: numbers, text, data formats, digests.
exec python3.11 /programs/library.py
